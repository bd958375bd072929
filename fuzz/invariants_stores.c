/* Invariants of the host's stores into guest memory: inside the record that an MSR names, nowhere else, never after it
 * was disabled, and under the version protocol. Spec INV-1, INV-3, INV-4, CLK-8..10, CLK-18, STL-6, STL-9, APF-13, EOI-4. */
#include <inttypes.h>
#include <string.h>
#include "fuzz/invariants_parts.h"
#include "vmm/abi/hyperv.h"

struct kind_rule {
    const char *name;
    uint32_t size;                  /* bytes the host may write from the record's start */
    int8_t version;                 /* offset of the version word, -1: none */
    uint8_t body_offset, body_size; /* of the one store between odd and even */
    const char *rule;               /* of a store at the wrong place */
};
static const struct kind_rule kinds[AREA_KINDS] = {
    [AREA_CLOCK] = {"kvmclock", 32, 0, 0, 32, "CLK-9"},
    [AREA_STEAL] = {"steal time", 17, 8, 0, 8, "STL-9"},
    [AREA_ASYNC_PF] = {"async page fault", 8, -1, 0, 0, "APF-12"},
    [AREA_PV_EOI] = {"PV EOI", 1, -1, 0, 0, "EOI-4"},
    [AREA_WALL_CLOCK] = {"wall clock", 12, 0, 0, 12, "CLK-18"},
    [AREA_CLOCK_PAIRING] = {"clock pairing", 64, -1, 0, 0, "PAIR-3"},
    [AREA_HYPERV] = {"Hyper-V page", 4, -1, 0, 0, "EOI-17"},
};

static uint32_t le32(const uint8_t *bytes)
{
    uint32_t value;

    memcpy(&value, bytes, sizeof(value));
    return value;
}

/* Where the host may write for a vCPU, by the values of its MSRs alone. */
static uint64_t record_gpa(enum area_kind kind, const uint64_t values[PV_VALUES], uint64_t clock_gpa)
{
    switch (kind) {
    case AREA_CLOCK:
        return clock_gpa;
    case AREA_STEAL:
        return values[PV_STEAL] & 1 ? values[PV_STEAL] & ~63ull : GPA_NOWHERE;
    case AREA_ASYNC_PF:
        return (values[PV_APF] & 9) == 9 ? values[PV_APF] & ~63ull : GPA_NOWHERE;
    case AREA_PV_EOI:
        return values[PV_EOI] & 1 ? values[PV_EOI] & ~1ull : GPA_NOWHERE;
    default:
        return GPA_NOWHERE;
    }
}

/* What lives for one action: the address comes with the request (CLK-17, PAIR-1, EOI-17). */
static uint64_t action_gpa(const struct invariants *inv, const struct action *action, enum area_kind kind)
{
    uint64_t what = invariants_operand(inv, &action->args[0]),
             where = invariants_operand(inv, &action->args[1]);
    bool wide = action->mode == MODE_64;

    if (kind == AREA_WALL_CLOCK && action->op == OP_WRMSR &&
        ((uint32_t)what == 0x11 || (uint32_t)what == 0x4b564d00))
        return where ? where : GPA_NOWHERE;
    if (kind == AREA_WALL_CLOCK && action->op == OP_MIGRATE && inv->vcpus[0].values[PV_WALL])
        return inv->vcpus[0].values[PV_WALL]; /* QEMU sets the MSR, and KVM writes at each write (CLK-17) */
    if (kind == AREA_CLOCK_PAIRING && (action->op == OP_VMCALL || action->op == OP_VMMCALL) &&
        (wide ? what : (uint32_t)what) == 9)
        return wide ? where : (uint32_t)where;
    if (kind == AREA_HYPERV && action->op == OP_WRMSR && (where & HV_PAGE_ENABLE) &&
        ((uint32_t)what == HV_X64_MSR_HYPERCALL || (uint32_t)what == HV_X64_MSR_VP_ASSIST_PAGE))
        return where & HV_PAGE_ADDRESS;
    return GPA_NOWHERE;
}

static bool inside(const struct trace_entry *entry, uint64_t start)
{
    uint64_t size = kinds[entry->kind].size;

    return start != GPA_NOWHERE && entry->gpa - start < size && entry->gpa - start + entry->size <= size;
}

/* A vCPU's record may be written where it was before the action, too: a vCPU that gets its CPU back, an exit that withdraws
 * an offer (EOI-9) and all that an INIT meets comes before the MSR changes. */
static bool store_allowed(const struct invariants *inv, const struct action *action,
                          const struct trace_entry *entry)
{
    const struct vcpu_seen *seen;
    uint64_t now[PV_VALUES];

    if (entry->kind == AREA_HYPERV && action->op == OP_MIGRATE)
        return inside(entry, entry->gpa & HV_PAGE_ADDRESS); /* each such MSR is set again: any vCPU's page */
    if (entry->kind == AREA_WALL_CLOCK || entry->kind == AREA_CLOCK_PAIRING || entry->kind == AREA_HYPERV)
        return inside(entry, action_gpa(inv, action, entry->kind));
    if (entry->kind >= AREA_KINDS || entry->vcpu_id >= inv->vcpu_count)
        return false;
    seen = &inv->vcpus[entry->vcpu_id];
    invariants_read_values(&inv->vm->vcpus[entry->vcpu_id], now);
    return inside(entry, record_gpa(entry->kind, now, seen->clock_gpa)) ||
           inside(entry, record_gpa(entry->kind, seen->values, seen->clock_gpa_before));
}

static struct record_seen *record_of(struct invariants *inv, const struct trace_entry *entry)
{
    switch (entry->kind) {
    case AREA_CLOCK:
        return &inv->vcpus[entry->vcpu_id].clock;
    case AREA_STEAL:
        return &inv->vcpus[entry->vcpu_id].steal;
    default:
        return &inv->wall;
    }
}

/* Only a wall clock may cross a page; its stores then come in parts, and the part in a hole is lost (CLK-17, CLK-18). */
static bool crosses_page(const struct trace_entry *entry, const struct kind_rule *kind)
{
    return ((entry->gpa - entry->offset) & 0xfff) + kind->size > 0x1000;
}

/* odd, body, odd + 1 */
static bool check_version(struct invariants *inv, const struct trace_entry *entry,
                          const struct kind_rule *kind, struct violation *violation)
{
    struct record_seen *record = record_of(inv, entry);
    uint32_t version = le32(entry->bytes);
    const char *rule = entry->kind == AREA_STEAL ? "STL-6" : entry->kind == AREA_CLOCK ? "CLK-8" : "CLK-18";

    if (entry->offset == kind->version && entry->size == 4) {
        if (record->phase == RECORD_AT_REST && (version & 1)) {
            *record = (struct record_seen){RECORD_ODD, version};
            return true;
        }
        if (record->phase == RECORD_BODY && version == record->odd + 1) {
            record->phase = RECORD_AT_REST;
            return true;
        }
        return violate(violation, rule, "%s version %#x stored at the wrong moment (odd was %#x)", kind->name,
                       version, record->odd);
    }
    if (entry->offset != kind->body_offset || entry->size != kind->body_size)
        return violate(violation, kind->rule, "%s: %u bytes stored at offset %u", kind->name, entry->size,
                       entry->offset);
    if (record->phase != RECORD_ODD || (kind->version == 0 && version != record->odd))
        return violate(violation, rule, "%s body stored while the version is not odd", kind->name);
    record->phase = RECORD_BODY;
    return true;
}

static bool check_clock_body(const struct invariants *inv, const struct trace_entry *entry,
                             struct violation *violation)
{
    const uint8_t *b = entry->bytes;
    /* The record may have been written before the action's own write made the old register count. */
    bool stable_possible = inv->vm->env.clocksource_tsc && !(inv->vm->clock.old_in_use && inv->old_before);

    if (le32(b + 4) || b[30] || b[31])
        return violate(violation, "CLK-9", "a pad of the clock record was not zeroed");
    if ((b[29] & ~3) || ((b[29] & 1) && !stable_possible))
        return violate(violation, b[29] & ~3 ? "CLK-10" : "STB-2", "clock record flags %#x", b[29]);
    if (!(le32(b + 24) >> 31))
        return violate(violation, "CLK-26", "clock multiplier %#x is not normalised", le32(b + 24));
    return true;
}

static bool check_value(struct invariants *inv, const struct trace_entry *entry, struct violation *violation)
{
    uint32_t value = le32(entry->bytes);

    switch (entry->kind) {
    case AREA_CLOCK:
        if (entry->size != 32)
            return true;
        invariants_clock_record(inv, entry->vcpu_id, entry->bytes);
        return check_clock_body(inv, entry, violation);
    case AREA_ASYNC_PF:
        if (entry->size != 4 || (entry->offset != 0 && entry->offset != 4) ||
            (entry->offset == 0 && value != 1))
            return violate(violation, "APF-12", "async PF store of %u bytes at offset %u", entry->size,
                           entry->offset);
        return value || violate(violation, "APF-13", "token 0 was stored");
    case AREA_PV_EOI:
        return entry->bytes[0] <= 1 || violate(violation, "EOI-4", "PV EOI byte %#x", entry->bytes[0]);
    default:
        return true;
    }
}

static bool check_store(struct invariants *inv, const struct action *action, const struct trace_entry *entry,
                        struct violation *violation)
{
    const struct kind_rule *kind;

    if (entry->kind >= AREA_KINDS || entry->size == 0 || entry->size > sizeof(entry->bytes))
        return violate(violation, "INV-1", "a store of %u bytes of unknown kind %u", entry->size,
                       entry->kind);
    kind = &kinds[entry->kind];
    if (!entry->allowed || !store_allowed(inv, action, entry))
        return violate(violation, "INV-1",
                       "%u bytes written at %#" PRIx64 " for %s of vcpu %u, which has no record there",
                       entry->size, entry->gpa, kind->name, entry->vcpu_id);
    if (entry->kind == AREA_STEAL && entry->offset == 16 && entry->size == 1)
        return true; /* preempted: an exchange beside the protocol */
    if (kind->version >= 0 && !crosses_page(entry, kind) && !check_version(inv, entry, kind, violation))
        return false;
    return check_value(inv, entry, violation);
}

/* CLK-4 as Linux 6.12 has it: a page-crossing address is refused and an active clock keeps the old one. */
static void follow_clock_address(struct invariants *inv)
{
    const struct vcpu *vcpu = inv->vm->vcpus;

    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++, vcpu++) {
        struct vcpu_seen *seen = &inv->vcpus[i];
        uint64_t msr = vcpu->clock.msr;

        seen->clock_gpa_before = seen->clock_gpa;
        if (!(msr & 1))
            seen->clock_gpa = GPA_NOWHERE;
        else if ((msr & 0xffe) <= 0xfe0)
            seen->clock_gpa = msr & ~1ull;
    }
}

static bool check_at_rest(const struct invariants *inv, struct violation *violation)
{
    bool rest = inv->wall.phase == RECORD_AT_REST;

    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++)
        rest = rest && inv->vcpus[i].clock.phase == RECORD_AT_REST &&
               inv->vcpus[i].steal.phase == RECORD_AT_REST;
    return rest || violate(violation, "INV-3", "an update was left unfinished: a version stays odd");
}

static void forget_records(struct invariants *inv)
{
    inv->wall.phase = RECORD_AT_REST;
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++)
        inv->vcpus[i].clock.phase = inv->vcpus[i].steal.phase = RECORD_AT_REST;
}

bool invariants_stores(struct invariants *inv, const struct action *action, struct violation *violation)
{
    const struct trace *trace = &inv->vm->trace;
    bool gap;

    follow_clock_address(inv);
    inv->trace_gap = false;
    if (trace->total == inv->trace_seen)
        return true;
    /* More stores than the ring holds: those that are left are checked one by one, not as a sequence. */
    gap = inv->trace_gap = trace->total - inv->trace_seen > TRACE_ENTRIES;
    if (gap)
        inv->trace_seen = trace->total - TRACE_ENTRIES;
    for (; inv->trace_seen < trace->total; inv->trace_seen++) {
        const struct trace_entry *entry = &trace->ring[inv->trace_seen % TRACE_ENTRIES];

        if (gap ? !entry->allowed || !store_allowed(inv, action, entry)
                : !check_store(inv, action, entry, violation) ||
                      !invariants_events_store(inv, entry, violation))
            return gap ? violate(violation, "INV-1", "a store at %#" PRIx64 " outside any record", entry->gpa)
                       : false;
    }
    if (gap)
        forget_records(inv);
    return check_at_rest(inv, violation);
}
