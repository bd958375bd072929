/* Tables of the records that a guest shares with KVM, and the search for them in a program. */
#include "diff/judge/records.h"

#include "vmm/abi/kvm_para.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct {
    const char *name;
    uint8_t size;
} records[RECORD_KINDS] = {
    [RECORD_CLOCK] = {"clock", 32},         [RECORD_WALL_CLOCK] = {"wall clock", 12},
    [RECORD_APF] = {"async page fault", 8}, [RECORD_STEAL] = {"steal time", 64},
    [RECORD_EOI] = {"EOI word", 4},         [RECORD_PAIRING] = {"clock pairing", 64},
};

static const struct record_field fields[] = {
    {RECORD_CLOCK, 0, 4, FIELD_VERSION, "version", "counts updates"},
    {RECORD_CLOCK, 4, 4, FIELD_EXACT, "pad0", ""},
    {RECORD_CLOCK, 8, 8, FIELD_VOLATILE, "tsc_timestamp", "each machine's own time stamp"},
    {RECORD_CLOCK, 16, 8, FIELD_VOLATILE, "system_time", "each machine's own time"},
    {RECORD_CLOCK, 24, 4, FIELD_VOLATILE, "tsc_to_system_mul", "follows each kernel's kHz; judged as CLK-26"},
    {RECORD_CLOCK, 28, 1, FIELD_VOLATILE, "tsc_shift", "follows each kernel's kHz; judged as CLK-26"},
    {RECORD_CLOCK, 29, 1, FIELD_FLAGS, "flags", "stable needs the TSC as the host's clocksource"},
    {RECORD_CLOCK, 30, 2, FIELD_EXACT, "pad", ""},
    {RECORD_WALL_CLOCK, 0, 4, FIELD_VERSION, "version", "counts updates"},
    {RECORD_WALL_CLOCK, 4, 4, FIELD_VOLATILE, "sec", "each machine's own boot time"},
    {RECORD_WALL_CLOCK, 8, 4, FIELD_NSEC, "nsec", "each machine's own boot time"},
    {RECORD_APF, 0, 4, FIELD_EXACT, "flags", ""},
    {RECORD_APF, 4, 4, FIELD_TOKEN, "token", "its number depends on earlier faults"},
    {RECORD_STEAL, 0, 8, FIELD_VOLATILE, "steal", "time spent waiting on each host"},
    {RECORD_STEAL, 8, 4, FIELD_VERSION, "version", "counts updates"},
    {RECORD_STEAL, 12, 4, FIELD_EXACT, "flags", ""},
    {RECORD_STEAL, 16, 1, FIELD_VOLATILE, "preempted", "cannot be predicted (STL-11)"},
    {RECORD_STEAL, 17, 47, FIELD_EXACT, "pad", ""},
    {RECORD_EOI, 0, 1, FIELD_VOLATILE, "flag", "an offer may be withdrawn at any exit (DIF-3)"},
    {RECORD_EOI, 1, 3, FIELD_EXACT, "rest of the word", ""},
    {RECORD_PAIRING, 0, 8, FIELD_VOLATILE, "sec", "each host's own time"},
    {RECORD_PAIRING, 8, 8, FIELD_VOLATILE, "nsec", "each host's own time"},
    {RECORD_PAIRING, 16, 8, FIELD_VOLATILE, "tsc", "each machine's own time stamp"},
    {RECORD_PAIRING, 24, 40, FIELD_EXACT, "flags and pad", ""},
};

/* MSRs that hand over an address; the bits below it are switches. */
static const struct registrar {
    uint32_t index;
    uint8_t record; /* enum record_kind */
    uint64_t switches;
} registrars[] = {
    {MSR_KVM_WALL_CLOCK, RECORD_WALL_CLOCK, 0}, {MSR_KVM_WALL_CLOCK_NEW, RECORD_WALL_CLOCK, 0},
    {MSR_KVM_SYSTEM_TIME, RECORD_CLOCK, 1},     {MSR_KVM_SYSTEM_TIME_NEW, RECORD_CLOCK, 1},
    {MSR_KVM_ASYNC_PF_EN, RECORD_APF, 0x3f},    {MSR_KVM_STEAL_TIME, RECORD_STEAL, 0x3f},
    {MSR_KVM_PV_EOI_EN, RECORD_EOI, 3},
};

const char *record_name(enum record_kind kind)
{
    return records[kind].name;
}

unsigned record_size(enum record_kind kind)
{
    return records[kind].size;
}

const struct record_field *record_field(enum record_kind kind, uint64_t offset)
{
    for (unsigned i = 0; i < COUNT(fields); i++)
        if (fields[i].record == kind && offset >= fields[i].offset &&
            offset < (uint64_t)fields[i].offset + fields[i].size)
            return &fields[i];
    return NULL;
}

bool record_of_action(const struct judge_case *judged, uint32_t index, struct record_area *area)
{
    const struct action *action = &judged->program->actions[index];

    *area = (struct record_area){.vcpu = action->vcpu, .action = index};
    if ((action->op == OP_VMCALL || action->op == OP_VMMCALL) &&
        action->args[0].value == KVM_HC_CLOCK_PAIRING) {
        area->kind = RECORD_PAIRING;
        area->gpa = operand_address(&action->args[1]);
        return true;
    }
    for (unsigned i = 0; action->op == OP_WRMSR && i < COUNT(registrars); i++) {
        if (registrars[i].index != (uint32_t)action->args[0].value)
            continue;
        area->kind = registrars[i].record;
        area->gpa = operand_address(&action->args[1]) & ~registrars[i].switches;
        /* A plain 0 switches off and names no record. */
        return action->args[1].base != BASE_NONE || area->gpa;
    }
    return false;
}

/* A clock record that would cross a page lands at address 0 on kernels of the 6.1 series (CLK-4). */
static bool crosses_a_page(const struct record_area *area)
{
    return area->kind == RECORD_CLOCK && (area->gpa & 0xfff) > 0xfe0;
}

bool record_at(const struct judge_case *judged, uint32_t before, uint64_t gpa, struct record_area *area)
{
    for (uint32_t i = before; i-- > 0;) {
        if (!record_of_action(judged, i, area))
            continue;
        if (crosses_a_page(area) && gpa < record_size(RECORD_CLOCK))
            area->gpa = 0;
        if (gpa - area->gpa < record_size(area->kind))
            return true;
    }
    return false;
}
