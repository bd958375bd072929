/* The invariant of kvmclock: read through the record that the host wrote, a vCPU's time never goes back (INV-5). */
#include <inttypes.h>
#include <string.h>
#include "fuzz/invariants_parts.h"

#define IA32_TSC        0x10
#define IA32_TSC_ADJUST 0x3b
/* A fresh sample may lie one nanosecond behind the extrapolation of an older one: both are rounded down. */
#define ROUNDING_NS 1

void invariants_clock_record(struct invariants *inv, uint16_t vcpu_id, const uint8_t bytes[32])
{
    struct vcpu_seen *seen = &inv->vcpus[vcpu_id];

    memcpy(&seen->reader.tsc_timestamp, bytes + 8, 8);
    memcpy(&seen->reader.system_time, bytes + 16, 8);
    memcpy(&seen->reader.mul, bytes + 24, 4);
    seen->reader.shift = (int8_t)bytes[28];
    seen->reader.known = true;
}

/* CLK-24 */
static uint64_t read_clock(const struct vcpu_seen *seen, uint64_t tsc)
{
    uint64_t delta = tsc - seen->reader.tsc_timestamp;
    int shift = seen->reader.shift;

    delta = shift >= 0 ? delta << (shift & 63) : delta >> (-shift & 63);
    return seen->reader.system_time + (uint64_t)(((unsigned __int128)delta * seen->reader.mul) >> 32);
}

static bool writes_tsc(const struct invariants *inv, const struct action *action,
                       const struct outcome *outcome)
{
    uint32_t index;

    if (action->op != OP_WRMSR || outcome->status != OUTCOME_OK)
        return false;
    index = (uint32_t)invariants_operand(inv, &action->args[0]);
    return index == IA32_TSC || index == IA32_TSC_ADJUST;
}

void invariants_clock_begin(struct invariants *inv, const struct action *action,
                            const struct outcome *outcome)
{
    uint32_t index;

    if (action->op != OP_WRMSR || outcome->status != OUTCOME_OK || !inv->acting)
        return;
    index = (uint32_t)invariants_operand(inv, &action->args[0]);
    if (index == 0x12 || index == 0x4b564d01) /* until the host has written the record at its new place */
        inv->vcpus[action->vcpu].reader.known = false;
}

/* Of all vCPUs: the record that a guest would read, the time that it last read. */
static void forget(struct invariants *inv, bool record, bool time)
{
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++) {
        inv->vcpus[i].reader.known &= !record;
        inv->vcpus[i].time_known &= !time;
    }
}

bool invariants_time(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                     struct violation *violation)
{
    struct vcpu_seen *seen;
    uint64_t now;

    switch (action->op) {
    case OP_RESET:
        forget(inv, true, true);
        return true;
    case OP_SET_CLOCK: /* SAV-7: to any value */
        forget(inv, false, true);
        return true;
    case OP_MIGRATE: /* a young TSC starts anew there (STB-3): the record is of the old one */
        forget(inv, true, false);
        return true;
    default:
        break;
    }
    if (!inv->acting)
        return true;
    seen = &inv->vcpus[action->vcpu];
    if (writes_tsc(inv, action, outcome)) { /* CLK-15: time may jump, also for a record written just before */
        seen->reader.known = seen->time_known = false;
        return true;
    }
    /* Only a vCPU that has just been entered has its record up to date. */
    if (outcome->status != OUTCOME_OK && outcome->status != OUTCOME_FAULT)
        return true;
    if (!(inv->acting->clock.msr & 1))
        seen->reader.known = false;
    if (!seen->reader.known)
        return true;
    now = read_clock(seen, vcpu_tsc(inv->acting));
    if (seen->time_known && (int64_t)(now - seen->last_ns) < -ROUNDING_NS)
        return violate(violation, "INV-5", "kvmclock of vcpu %u went back from %" PRIu64 " to %" PRIu64 " ns",
                       action->vcpu, seen->last_ns, now);
    seen->last_ns = now;
    seen->time_known = true;
    return true;
}
