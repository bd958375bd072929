/* Shared by the files of fuzz/invariants*.c only. */
#ifndef FUZZ_INVARIANTS_PARTS_H
#define FUZZ_INVARIANTS_PARTS_H

#include "fuzz/invariants.h"

#define GPA_NOWHERE (~0ull)

/* Fills *violation; returns false, so that a check can return it. */
bool violate(struct violation *violation, const char *rule, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline uint64_t invariants_operand(const struct invariants *inv, const struct operand *operand)
{
    return inv->bases[operand->base < BASE_COUNT ? operand->base : BASE_NONE] + operand->value;
}
/* The action is one that a vCPU of this VM executes: what a program asks of others is not done. */
static inline bool invariants_has_vcpu(const struct invariants *inv, const struct action *action)
{
    return !op_info(action->op)->host && action->vcpu < inv->vcpu_count;
}
static inline bool invariants_cpl3(const struct action *action)
{
    return action->mode == MODE_64_CPL3 || action->mode == MODE_COMPAT_CPL3 || action->mode == MODE_32_CPL3;
}
static inline bool invariants_wide(const struct action *action)
{
    return action->mode == MODE_64 || action->mode == MODE_64_CPL3;
}
static inline bool invariants_is_gp0(const struct outcome *outcome)
{
    return outcome->status == OUTCOME_FAULT && outcome->vector == TRAP_GP && outcome->error == 0;
}
/* An INIT that was pending before the action or came with it: of the vCPU's registers nothing follows. */
static inline bool invariants_had_init(const struct invariants *inv, unsigned vcpu_id)
{
    const struct vcpu *vcpu = &inv->vm->vcpus[vcpu_id];

    return inv->vcpus[vcpu_id].init_pending || vcpu->mp_state == MP_WAIT_SIPI || vcpu->apic.init_pending;
}
/* invariants.c: of the MSRs that a vCPU sees, those of the VM included. */
void invariants_read_values(const struct vcpu *vcpu, uint64_t values[PV_VALUES]);
/* invariants_stores.c: every host store since the last call. */
bool invariants_stores(struct invariants *inv, const struct action *action, struct violation *violation);
/* invariants_events.c: before the action; each host store in order; after it. */
void invariants_events_before(struct invariants *inv, const struct action *action);
bool invariants_events_store(struct invariants *inv, const struct trace_entry *entry,
                             struct violation *violation);
bool invariants_events(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                       struct violation *violation);
/* invariants_slots.c: before an action about memory and all that follow it; after them, before invariants_stores(). */
void invariants_memory_before(struct invariants *inv, const struct action *action);
bool invariants_memory(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                       struct violation *violation);
/* By what programs have done to slots; and the byte that is there, NULL for none. The machine is not touched. */
bool invariants_writable(const struct invariants *inv, uint64_t gpa);
const uint8_t *invariants_peek(const struct invariants *inv, uint64_t gpa);
/* invariants_access.c: likewise, called by the above. stores: the host stored something meanwhile. */
void invariants_access_before(struct invariants *inv, const struct action *action);
bool invariants_access(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                       bool stores, struct violation *violation);
struct trap invariants_translate(const struct invariants *inv, const struct action *action, uint64_t gva,
                                 bool write, uint64_t *gpa);
/* [gva, gva + size) of an action lies in the window, and nobody knows what is there. */
bool invariants_lost(const struct invariants *inv, const struct action *action, uint64_t size);
/* After the last store of the host in an action. */
bool invariants_landed(const struct invariants *inv, const struct action *action,
                       const struct trace_entry *entry, struct violation *violation);
/* IN, OUT and INVLPG, followed or not. */
bool invariants_privileged(const struct action *action, const struct outcome *outcome,
                           struct violation *violation);
/* invariants_time.c: what an accepted write to a clock or TSC register makes void; before the stores are looked at. */
void invariants_clock_begin(struct invariants *inv, const struct action *action,
                            const struct outcome *outcome);
/* kvmclock never goes back (INV-5). */
bool invariants_time(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                     struct violation *violation);
/* The host wrote a clock record of vcpu_id: what a guest will read from now on. */
void invariants_clock_record(struct invariants *inv, uint16_t vcpu_id, const uint8_t bytes[32]);

#endif
