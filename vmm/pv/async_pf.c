/* Asynchronous page faults: the three MSRs. spec APF-1 .. APF-8, API-*. */
#include "vmm/pv/async_pf.h"

#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"

#define ON_BITS                                                                                              \
    (KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT) /* both, or the mechanism is off (APF-3) */

uint64_t apf_en_rdmsr(struct vcpu *vcpu)
{
    return vcpu->apf.en_msr;
}

/* APF-4, APF-18: outstanding work is dropped in silence. */
static void turn_off(struct vcpu *vcpu)
{
    vcpu->apf.on = false;
    vcpu->apf.wake_all = false;
    vcpu->apf.faults = vcpu->apf.ready = 0;
    area_unregister(vcpu_area(vcpu, AREA_ASYNC_PF));
}

static bool en_value_allowed(const struct vcpu *vcpu, uint64_t value)
{
    if (value & KVM_ASYNC_PF_RESERVED)
        return false;
    if ((value & KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT) && !vcpu_has_feature(vcpu, KVM_FEATURE_ASYNC_PF_VMEXIT))
        return false;
    return !(value & KVM_ASYNC_PF_DELIVERY_AS_INT) || vcpu_has_feature(vcpu, KVM_FEATURE_ASYNC_PF_INT);
}

enum msr_result apf_en_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    struct area *area = vcpu_area(vcpu, AREA_ASYNC_PF);

    (void)origin;
    if (!en_value_allowed(vcpu, value))
        return MSR_INVALID;
    if (!lapic_in_kernel(vcpu))
        return value ? MSR_INVALID : MSR_OK; /* 0 is accepted and not stored */
    vcpu->apf.en_msr = value;
    if ((value & ON_BITS) != ON_BITS) {
        turn_off(vcpu);
        return MSR_OK;
    }
    /* APF-7: a bad address is refused after the value was stored, and the mechanism counts as on. */
    vcpu->apf.on = true;
    area_register(area, value & ~0x3full, KVM_APF_HOST_BYTES);
    if (!area_usable(area))
        return MSR_INVALID;
    if (!apf_has_completions(vcpu)) { /* APF-6: every enabling write, a restore too */
        vcpu->apf.wake_all = true;
        vcpu->requests |= REQ_APF_READY;
    }
    return MSR_OK;
}

void apf_en_at_init(struct vcpu *vcpu)
{
    vcpu->apf.en_msr = 0;
    turn_off(vcpu);
}

uint64_t apf_int_rdmsr(struct vcpu *vcpu)
{
    return vcpu->apf.int_msr;
}

enum msr_result apf_int_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)origin;
    if ((value & ~(uint64_t)KVM_ASYNC_PF_VEC_MASK) || !lapic_in_kernel(vcpu))
        return MSR_INVALID;
    vcpu->apf.int_msr = value;
    vcpu->apf.vector = (uint8_t)value;
    return MSR_OK;
}

/* API-4: the vector that is in use survives INIT although the MSR then reads 0. */
void apf_int_at_init(struct vcpu *vcpu)
{
    vcpu->apf.int_msr = 0;
}

uint64_t apf_ack_rdmsr(struct vcpu *vcpu)
{
    (void)vcpu;
    return 0;
}

enum msr_result apf_ack_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)origin;
    if (value & 1) {
        vcpu->apf.ready_pending = false;
        apf_deliver_ready(vcpu); /* in the WRMSR itself (API-3) */
    }
    return MSR_OK;
}
