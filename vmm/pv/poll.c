/* MSR_KVM_POLL_CONTROL: whether the host may poll before it blocks on HLT. spec POL-*. */
#include "vmm/pv/features.h"

uint64_t poll_rdmsr(struct vcpu *vcpu)
{
    return vcpu->poll.msr;
}

enum msr_result poll_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)origin;
    if (value & ~1ull)
        return MSR_INVALID;
    vcpu->poll.msr = value;
    return MSR_OK;
}
