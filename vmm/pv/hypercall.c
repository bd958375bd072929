/* Hypercalls: mechanics common to all, and the table of numbers. spec HC-*, section 0.1. */
#include "vmm/pv/hypercall.h"

#include <stddef.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/pv/features.h"
#include "vmm/pv/hyperv.h"
#include "vmm/pv/intercept.h"

static int64_t hc_nothing(struct vcpu *vcpu, const uint64_t args[4], bool wide)
{
    (void)vcpu, (void)args, (void)wide;
    return 0;
}

static int64_t hc_refused(struct vcpu *vcpu, const uint64_t args[4], bool wide)
{
    (void)vcpu, (void)args, (void)wide;
    return -KVM_ENOSYS;
}

const struct hypercall hypercalls[] = {
    {KVM_HC_VAPIC_POLL_IRQ, "KVM_HC_VAPIC_POLL_IRQ", HC_UNGATED, hc_nothing},
    {KVM_HC_MMU_OP, "KVM_HC_MMU_OP", HC_UNGATED, hc_refused},     /* dead (MMU-1) */
    {KVM_HC_FEATURES, "KVM_HC_FEATURES", HC_UNGATED, hc_refused}, /* other architectures */
    {KVM_HC_KICK_CPU, "KVM_HC_KICK_CPU", KVM_FEATURE_PV_UNHALT, hc_kick_cpu},
    {KVM_HC_CLOCK_PAIRING, "KVM_HC_CLOCK_PAIRING", HC_UNGATED, hc_clock_pairing},
    {KVM_HC_SEND_IPI, "KVM_HC_SEND_IPI", KVM_FEATURE_PV_SEND_IPI, hc_send_ipi},
    {KVM_HC_SCHED_YIELD, "KVM_HC_SCHED_YIELD", KVM_FEATURE_PV_SCHED_YIELD, hc_sched_yield},
    {KVM_HC_MAP_GPA_RANGE, "KVM_HC_MAP_GPA_RANGE", HC_UNGATED, hc_map_gpa_range},
};
const unsigned hypercall_count = sizeof(hypercalls) / sizeof(hypercalls[0]);

const struct hypercall *hypercall_find(uint64_t nr)
{
    for (unsigned i = 0; i < hypercall_count; i++)
        if (hypercalls[i].nr == nr)
            return &hypercalls[i];
    return NULL;
}

const uint8_t hypercall_bytes[2][3] = {[HC_VMCALL] = {0x0f, 0x01, 0xc1}, [HC_VMMCALL] = {0x0f, 0x01, 0xd9}};

static bool in_real_or_v86(const struct vcpu *vcpu)
{
    return !(vcpu->regs.cr0 & CR0_PE) || (vcpu->regs.rflags & RFLAGS_VM);
}

/* HC-12, HC-13: the other vendor's instruction raised #UD and KVM's emulator looks at it. */
static enum hc_outcome foreign(const struct vcpu *vcpu, enum hc_insn insn, struct trap *trap)
{
    if (insn == HC_VMCALL && vcpu_cpl(vcpu) != 0) {
        *trap = GP0;
        return HC_TRAP;
    }
    if ((insn == HC_VMMCALL && in_real_or_v86(vcpu)) || !vcpu->vm->config.fix_hypercall_quirk) {
        *trap = UD;
        return HC_TRAP;
    }
    return HC_REWRITE;
}

static int64_t dispatch(struct vcpu *vcpu, uint64_t nr, const uint64_t args[4], bool wide)
{
    const struct hypercall *row;

    if (vcpu_cpl(vcpu) != 0)
        return -KVM_EPERM;
    row = hypercall_find(nr);
    if (!row || (row->feature != HC_UNGATED && !vcpu_has_feature(vcpu, row->feature)))
        return -KVM_ENOSYS;
    return row->call(vcpu, args, wide);
}

enum hc_outcome intercept_hypercall(struct vcpu *vcpu, enum hc_insn insn, struct trap *trap)
{
    uint64_t *gpr = vcpu->regs.gpr;
    bool wide = vcpu_64bit(vcpu);
    uint64_t width = wide ? ~0ull : 0xffffffffull; /* compatibility mode is not wide (KB-28) */
    int64_t answer;
    uint64_t args[4] = {gpr[RBX] & width, gpr[RCX] & width, gpr[RDX] & width, gpr[RSI] & width};

    *trap = NO_TRAP;
    vcpu_exit(vcpu);
    if (insn != vcpu->vm->config.native)
        return foreign(vcpu, insn, trap);
    if (hyperv_takes_hypercalls(vcpu)) {
        *trap = hyperv_hypercall(vcpu);
        return trapped(*trap) ? HC_TRAP : HC_DONE;
    }
    answer = dispatch(vcpu, gpr[RAX] & width, args, wide);
    if (vcpu->hold & HOLD_EXIT)
        return HC_EXIT;
    gpr[RAX] = (uint64_t)answer & width;
    return HC_DONE;
}

void vcpu_answer_hypercall(struct vcpu *vcpu, uint64_t answer)
{
    vcpu->regs.gpr[RAX] = vcpu->hypercall.wide ? answer : (uint32_t)answer;
    vcpu->answered = true;
    vcpu->hold &= ~(uint8_t)HOLD_EXIT;
}
