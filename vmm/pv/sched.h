/* The host's scheduler as a vCPU feels it, in virtual time: who has its CPU, and how long the others waited for theirs.
 * spec STL-5, STL-8, STL-10, YLD-2.
 *
 *   halted (MP_HALTED)    HLT, until an event; waits for nothing
 *   runnable              has work; a machine runs it when its turn comes
 *   running               between vcpu_enter() and the next exit
 *   descheduled           has work, and its CPU does something else: no entry until vcpu_schedule() */
#ifndef VMM_PV_SCHED_H
#define VMM_PV_SCHED_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vcpu.h"

/* The host takes the CPU away, at an instruction boundary. A vCPU that had it is shown as preempted to the others, where
 * steal time is on; one that sleeps, or waits for the VMM, has nothing to lose and is only kept from waking up. */
void vcpu_deschedule(struct vcpu *vcpu);
/* Gives it back. delay_ns: how long the vCPU could have run meanwhile; it is credited as run delay, and its record is
 * updated at the next entry. A vCPU that still sleeps did not wait: nothing is credited (STL-8). */
void vcpu_schedule(struct vcpu *vcpu, uint64_t delay_ns);

static inline bool vcpu_descheduled(const struct vcpu *vcpu)
{
    return vcpu->hold & HOLD_DESCHEDULED;
}

#endif
