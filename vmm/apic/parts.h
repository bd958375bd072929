/* What the files of this folder share: register access by vector, and who a message addresses. */
#ifndef VMM_APIC_PARTS_H
#define VMM_APIC_PARTS_H

#include "vmm/apic/lapic.h"

#define LVTS 6
enum { LVT_TIMER, LVT_THERMAL, LVT_PERFORMANCE, LVT_LINT0, LVT_LINT1, LVT_ERROR }; /* indices in lvt */

static inline bool vector_test(const uint32_t reg[8], uint8_t vector)
{
    return reg[vector / 32] >> vector % 32 & 1;
}

static inline void vector_set(uint32_t reg[8], uint8_t vector, bool on)
{
    if (on)
        reg[vector / 32] |= 1u << vector % 32;
    else
        reg[vector / 32] &= ~(1u << vector % 32);
}

/* Whom a logical destination names by KVM's map: a bit each, whether or not somebody is there. */
struct lapic_group {
    uint32_t mask;
    struct vcpu *members[16]; /* NULL: nobody, or one that is software disabled */
};
/* False: the APICs do not take such destinations alike, each must be asked. */
bool lapic_group(struct vm *vm, uint32_t destination, struct lapic_group *group);

/* lapic.c: the registers with a meaning of their own. */
uint32_t lapic_task_priority(const struct vcpu *vcpu);
uint32_t lapic_processor_priority(const struct vcpu *vcpu);
uint32_t lapic_ldr(const struct vcpu *vcpu);

/* timer.c: writes of LVTT, TMICT, TDCR and of IA32_TSC_DEADLINE, with what they start and stop. */
void timer_write_lvt(struct vcpu *vcpu, uint32_t value);
void timer_write_initial(struct vcpu *vcpu, uint32_t value);
void timer_write_divide(struct vcpu *vcpu, uint32_t value);
void timer_write_deadline(struct vcpu *vcpu, uint64_t value);
uint64_t timer_read_deadline(const struct vcpu *vcpu);
uint32_t timer_current(const struct vcpu *vcpu); /* TMCCT */
void timer_cancel(struct vcpu *vcpu);
/* What expired while the interrupt was masked, if it no longer is. */
void timer_deliver_pending(struct vcpu *vcpu);

#endif
