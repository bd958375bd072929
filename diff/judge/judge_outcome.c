/* Actions with one answer: a value or a fault. MSR accesses, hypercalls, APIC registers, halts. spec GEN-*, HC-*, DIF-2. */
#include "diff/judge/judge_parts.h"
#include "diff/judge/show.h"

#include <string.h>
#include "vmm/abi/apic.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/msr_index.h"

/* Values that no two machines share: only the status is compared. */
static const struct volatile_value {
    uint8_t op;           /* enum action_op */
    uint64_t first, last; /* of the first operand */
    const char *reason;
} volatile_values[] = {
    {OP_RDTSC, 0, UINT64_MAX, "a time stamp: only that it could be read"},
    {OP_RDTSCP, 0, UINT64_MAX, "a time stamp: only that it could be read"},
    {OP_RDMSR, MSR_IA32_TSC, MSR_IA32_TSC, "a time stamp: only that it could be read"},
    {OP_RDMSR, 0xe7, 0xe8, "a running counter: only that it could be read"},
    {OP_APIC_READ, APIC_TMCCT, APIC_TMCCT, "the timer's current count: only that it could be read"},
};

/* The rule that decides an MSR's answers, by index. */
static const char *msr_rule(uint64_t index)
{
    static const struct {
        uint32_t index;
        const char *rule;
    } rules[] = {
        {MSR_KVM_WALL_CLOCK, "CLK-17"},       {MSR_KVM_WALL_CLOCK_NEW, "CLK-17"},
        {MSR_KVM_SYSTEM_TIME, "CLK-1"},       {MSR_KVM_SYSTEM_TIME_NEW, "CLK-1"},
        {MSR_KVM_ASYNC_PF_EN, "APF-2"},       {MSR_KVM_ASYNC_PF_INT, "API-1"},
        {MSR_KVM_ASYNC_PF_ACK, "API-3"},      {MSR_KVM_STEAL_TIME, "STL-2"},
        {MSR_KVM_PV_EOI_EN, "EOI-1"},         {MSR_KVM_POLL_CONTROL, "POL-1"},
        {MSR_KVM_MIGRATION_CONTROL, "MIG-1"},
    };

    for (unsigned i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
        if (rules[i].index == (uint32_t)index)
            return rules[i].rule;
    return index > MSR_KVM_MIGRATION_CONTROL && index <= (MSR_KVM_WALL_CLOCK_NEW | 0xff) ? "GEN-8" : "GEN-4";
}

static const char *hypercall_rule(const struct action *action)
{
    static const char *const rules[] = {
        [KVM_HC_VAPIC_POLL_IRQ] = "VPI-1", [KVM_HC_MMU_OP] = "MMU-1",   [KVM_HC_KICK_CPU] = "UNH-1",
        [KVM_HC_CLOCK_PAIRING] = "PAIR-2", [KVM_HC_SEND_IPI] = "IPI-1", [KVM_HC_SCHED_YIELD] = "YLD-1",
        [KVM_HC_MAP_GPA_RANGE] = "GPA-1",
    };
    uint64_t nr = action->args[0].value;

    if (action->mode == MODE_64_CPL3 || action->mode == MODE_COMPAT_CPL3 || action->mode == MODE_32_CPL3)
        return "HC-5";
    return nr < sizeof(rules) / sizeof(rules[0]) && rules[nr] ? rules[nr] : "HC-3";
}

static const char *rule_of(const struct action *action)
{
    switch (action->op) {
    case OP_RDMSR:
    case OP_WRMSR:
        return msr_rule(action->args[0].value);
    case OP_VMCALL:
    case OP_VMMCALL:
        return hypercall_rule(action);
    default:
        return "DIF-2";
    }
}

static bool is_hypercall(const struct action *action)
{
    return action->op == OP_VMCALL || action->op == OP_VMMCALL;
}

static const char *volatile_reason(const struct action *action)
{
    for (unsigned i = 0; i < sizeof(volatile_values) / sizeof(volatile_values[0]); i++) {
        const struct volatile_value *row = &volatile_values[i];

        if (row->op == action->op && action->args[0].value >= row->first &&
            action->args[0].value <= row->last)
            return row->reason;
    }
    return NULL;
}

static const char *show_value(struct judgement *j, const struct action *action, const struct outcome *outcome)
{
    switch (action->op) {
    case OP_RDMSR:
        return check_text(j->list, "0x%llx",
                          (unsigned long long)(outcome->regs[3] << 32 | (uint32_t)outcome->regs[0]));
    case OP_VMCALL:
    case OP_VMMCALL:
    case OP_APIC_READ:
    case OP_IN8:
    case OP_IN16:
    case OP_IN32:
    case OP_LOCK_CMPXCHG8:
    case OP_TEST_CLEAR:
        return check_text(j->list, "0x%llx", (unsigned long long)outcome->regs[0]);
    case OP_HLT:
        return outcome->regs[0]
                   ? check_text(j->list, "woke by vector 0x%llx", (unsigned long long)outcome->regs[0])
                   : "woke without an interrupt";
    case OP_STI:
    case OP_CLI:
    case OP_WINDOW:
        return outcome->flags & OUTCOME_F_IF ? "ok, IF set" : "ok, IF clear";
    default:
        return "ok";
    }
}

/* Everything about an outcome that must be equal, in words: equal words, equal outcomes. */
static const char *show_outcome(struct judgement *j, const struct action *action,
                                const struct outcome *outcome)
{
    unsigned length = op_info(action->op)->length;
    unsigned expected = outcome->status == OUTCOME_FAULT ? 0 : length;
    const char *text;

    if (outcome->status == OUTCOME_TIMEOUT)
        return "still halted at the deadline";
    if (outcome->status == OUTCOME_FAULT)
        text = show_fault(j->list, outcome);
    else
        text = volatile_reason(action) ? "ok" : show_value(j, action, outcome);
    if (length && outcome->rip_delta != expected)
        text = check_text(j->list, "%s, rip +%u", text, outcome->rip_delta);
    if (outcome->changed)
        text = check_text(j->list, "%s, also changed %s", text, show_registers(j->list, outcome->changed));
    return text;
}

/* KVM may patch the instruction though the answer is right (HC-10): the bytes belong to the outcome. */
static bool patched_differently(const struct outcomes *o)
{
    return is_hypercall(o->action) && (o->ours->data_len >= 3 || o->theirs->data_len >= 3) &&
           memcmp(o->ours->data, o->theirs->data, 3);
}

void judge_outcome(struct judgement *j, const struct outcomes *o)
{
    struct check check = check_of_action(j, o->index);

    check.what = "outcome";
    check.rule = rule_of(o->action);
    check.reason = volatile_reason(o->action);
    check.ours = show_outcome(j, o->action, o->ours);
    check.theirs = show_outcome(j, o->action, o->theirs);
    if (patched_differently(o)) {
        check.ours = check_text(j->list, "%s, code %s", check.ours, show_bytes(j->list, o->ours->data, 3));
        check.theirs =
            check_text(j->list, "%s, code %s", check.theirs, show_bytes(j->list, o->theirs->data, 3));
    }
    check.verdict = strcmp(check.ours, check.theirs) ? VERDICT_DIFFERENT : VERDICT_EQUAL;
    check_add(j->list, &check);
}
