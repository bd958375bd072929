/* Who has a CPU (sched.h), and the hypercall that offers one to another vCPU. spec STL-*, YLD-*. */
#include "vmm/pv/sched.h"

#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"
#include "vmm/pv/lifecycle.h"

/* Could execute, had it a CPU. */
static bool has_work(const struct vcpu *vcpu)
{
    return vcpu->mp_state == MP_RUNNABLE && !(vcpu->hold & (HOLD_APF | HOLD_HLT));
}

void vcpu_deschedule(struct vcpu *vcpu)
{
    if (vcpu->hold & HOLD_DESCHEDULED)
        return;
    vcpu_exit(vcpu);
    /* In the middle of an instruction that the VMM still has to answer nobody may take it for preempted (KB-14). */
    if (has_work(vcpu) && !(vcpu->hold & HOLD_EXIT))
        steal_set_preempted(vcpu);
    vcpu->hold |= HOLD_DESCHEDULED;
}

void vcpu_schedule(struct vcpu *vcpu, uint64_t delay_ns)
{
    if (!(vcpu->hold & HOLD_DESCHEDULED))
        return;
    vcpu->hold &= ~(uint8_t)HOLD_DESCHEDULED;
    if (has_work(vcpu))
        vcpu->steal.waited_ns += delay_ns;
    vcpu_load(vcpu);
}

/* A wish, which a machine with turns follows (YLD-2, UNH-10). */
void sched_yield_to(struct vcpu *from, const struct vcpu *target)
{
    if (target && target != from && has_work(target))
        from->vm->yield_to = (uint16_t)(target->id + 1);
}

int64_t hc_sched_yield(struct vcpu *vcpu, const uint64_t args[4], bool wide)
{
    (void)wide;
    if (lapic_in_kernel(vcpu) && args[0] <= UINT32_MAX)
        sched_yield_to(vcpu, lapic_find(vcpu->vm, (uint32_t)args[0]));
    return 0;
}
