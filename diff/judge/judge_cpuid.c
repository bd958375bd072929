/* CPUID: every register of every leaf is one check, bit by bit with names. spec CPU-*, qemu-cpu-flags 8 and 12. */
#include <string.h>
#include "diff/judge/bits.h"
#include "diff/judge/judge_parts.h"
#include "diff/judge/show.h"

/* Bits that may differ between two right answers. Nothing else is forgiven. */
static const struct volatile_bits {
    uint32_t leaf, subleaf; /* subleaf ANY: all of them */
    uint8_t reg;            /* enum cpuid_register */
    uint32_t mask;
    const char *reason;
} volatile_bits[] = {
    {0x40000010, 0, REGISTER_EAX, 0xffffffff, "TSC kHz is measured by each kernel at its own boot"},
};

static const char *leaf_rule(uint32_t leaf)
{
    static const struct {
        uint32_t first, last;
        const char *rule;
    } rules[] = {
        {0x40000000, 0x40000000, "CPU-1"}, {0x40000001, 0x40000001, "CPU-2"},
        {0x40000010, 0x40000010, "QMU-4"}, {0x40000100, 0x40000100, "CPU-7"},
        {0x40000101, 0x40000101, "CPU-7"}, {0x40000000, 0x4000ffff, "CPU-10"},
        {0x00000001, 0x00000001, "L4"},    {0x00000002, 0x00000002, "L5"},
        {0x00000004, 0x00000004, "L6"},    {0x00000007, 0x00000007, "L8"},
        {0x0000000b, 0x0000000b, "L9"},    {0x0000000d, 0x0000000d, "L11"},
        {0x0000001f, 0x0000001f, "L10"},   {0x80000000, 0x80000000, "L3"},
        {0x80000001, 0x80000001, "L13"},   {0x80000002, 0x80000006, "L14"},
        {0x80000007, 0x80000008, "L15"},   {0x8000000a, 0x8000001f, "L17"},
        {0x00000000, 0x00000000, "L3"},
    };

    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (leaf >= rules[i].first && leaf <= rules[i].last)
            return rules[i].rule;
    return "CPU-3";
}

static uint32_t masked_bits(uint32_t leaf, uint32_t subleaf, unsigned reg, const char **reason)
{
    for (unsigned i = 0; i < sizeof(volatile_bits) / sizeof(volatile_bits[0]); i++) {
        const struct volatile_bits *row = &volatile_bits[i];

        if (row->leaf == leaf && row->subleaf == subleaf && row->reg == reg) {
            *reason = row->reason;
            return row->mask;
        }
    }
    return 0;
}

static void judge_register(struct judgement *j, const struct outcomes *o, unsigned reg)
{
    uint32_t leaf = (uint32_t)o->action->args[0].value, subleaf = (uint32_t)o->action->args[1].value;
    uint64_t ours = o->ours->regs[reg], theirs = o->theirs->regs[reg];
    const char *reason = NULL;
    uint64_t differ = ours ^ theirs;
    uint64_t masked = masked_bits(leaf, subleaf, reg, &reason);
    struct check check = check_of_action(j, o->index);

    check.verdict = VERDICT_EQUAL;
    if (differ & ~masked || !ours != !theirs)
        check.verdict = VERDICT_DIFFERENT; /* a masked register must still be there on both sides */
    else if (differ & masked)
        check.verdict = VERDICT_NOT_COMPARED;
    check.what = subleaf ? check_text(j->list, "0x%x.%x %s", leaf, subleaf, cpuid_register_names[reg])
                         : check_text(j->list, "0x%x %s", leaf, cpuid_register_names[reg]);
    /* Upper halves must be zero (CPU-11): shown only when one is not. */
    check.ours = check_text(j->list, "0x%08llx", (unsigned long long)ours);
    check.theirs = check_text(j->list, "0x%08llx", (unsigned long long)theirs);
    check.bits = cpuid_bits_text(j->list, leaf, subleaf, reg, (uint32_t)(differ & ~masked));
    check.rule = leaf_rule(leaf);
    check.reason = differ & masked ? reason : NULL;
    check_add(j->list, &check);
}

static const char *show_status(struct judgement *j, const struct outcome *outcome)
{
    if (outcome->status == OUTCOME_FAULT)
        return show_fault(j->list, outcome);
    return outcome->changed
               ? check_text(j->list, "ok, also changed %s", show_registers(j->list, outcome->changed))
               : "ok";
}

/* CPUID faults only where it is made to, and changes no register but its four (CPU-11). */
static void judge_oddity(struct judgement *j, const struct outcomes *o)
{
    struct check check = check_of_action(j, o->index);

    check.what = "outcome";
    check.rule = "CPU-11";
    check.ours = show_status(j, o->ours);
    check.theirs = show_status(j, o->theirs);
    check.verdict = strcmp(check.ours, check.theirs) ? VERDICT_DIFFERENT : VERDICT_EQUAL;
    check_add(j->list, &check);
}

void judge_cpuid(struct judgement *j, const struct outcomes *o)
{
    bool faulted = o->ours->status == OUTCOME_FAULT || o->theirs->status == OUTCOME_FAULT;

    if (faulted || o->ours->changed != o->theirs->changed)
        judge_oddity(j, o);
    for (unsigned reg = 0; reg < 4 && !faulted; reg++)
        judge_register(j, o, reg);
}
