/* The rules that every fuzzed program is held to; ids are those of the specification of KVM's PV interface. */
#include "fuzz/invariants.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "fuzz/invariants_parts.h"
#include "vmm/pv/hyperv.h"

/* From the first of these on, memory is followed (invariants_memory.h). */
#define OPS_ABOUT_MEMORY                                                                                     \
    (1ull << OP_MAP | 1ull << OP_SLOT_ADD | 1ull << OP_SLOT_REMOVE | 1ull << OP_SLOT_MOVE |                  \
     1ull << OP_DIRTY_CLEAR | 1ull << OP_DIRTY_READ | 1ull << OP_PAGE_OUT | 1ull << OP_ON_INTERRUPT)
#define UNGATED  0xff
#define OLD_MSRS 0x11u
#define NEW_MSRS 0x4b564d00u

/* From the specification, not from vmm/pv: a wrong row there must not excuse itself. */
static const struct msr_rule {
    uint32_t index;
    uint8_t value;     /* enum pv_value; PV_VALUES: nothing is stored */
    uint8_t feature;   /* CPUID bit that gates it when enforced (table 0.1) */
    uint64_t reserved; /* bits that must be refused */
    const char *rule;
} msr_rules[] = {
    /* by index, with no gap but the one between the old registers and the others */
    {OLD_MSRS, PV_WALL, 0, 0, "CLK-17"},
    {OLD_MSRS + 1, PV_CLOCK, 0, 0, "CLK-1"},
    {NEW_MSRS, PV_WALL, 3, 0, "CLK-17"},
    {NEW_MSRS + 1, PV_CLOCK, 3, 0, "CLK-1"},
    {NEW_MSRS + 2, PV_APF, 4, 0x30, "APF-1"},
    {NEW_MSRS + 3, PV_STEAL, 5, 0x3e, "STL-1"},
    {NEW_MSRS + 4, PV_EOI, 6, 0x2, "EOI-1"},
    {NEW_MSRS + 5, PV_POLL, 12, ~1ull, "POL-1"},
    {NEW_MSRS + 6, PV_APF_INT, 14, ~0xffull, "API-1"},
    {NEW_MSRS + 7, PV_VALUES, 14, 0, "API-3"},
};

static const struct hypercall_rule {
    uint32_t nr;
    uint8_t feature;
    bool counts;       /* answers 0 .. number of vCPUs, else 0 */
    int16_t errors[2]; /* other answers it may give */
    const char *rule;
} hypercall_rules[] = {
    {1, UNGATED, false, {0, 0}, "VPI-1"},      {5, 7, false, {0, 0}, "UNH-1"},
    {9, UNGATED, false, {-95, -14}, "PAIR-2"}, {10, 11, true, {-22, -95}, "IPI-5"},
    {11, 13, false, {0, 0}, "YLD-1"},
};

bool violate(struct violation *violation, const char *rule, const char *format, ...)
{
    va_list ap;

    violation->rule = rule;
    va_start(ap, format);
    vsnprintf(violation->text, sizeof(violation->text), format, ap);
    va_end(ap);
    return false;
}

static const struct msr_rule *msr_rule_find(uint64_t index)
{
    uint32_t old = (uint32_t)index - OLD_MSRS, row = (uint32_t)index - NEW_MSRS + 2;

    if (old < 2)
        return &msr_rules[old];
    return row >= 2 && row < sizeof(msr_rules) / sizeof(msr_rules[0]) ? &msr_rules[row] : NULL;
}

static const struct hypercall_rule *hypercall_rule_find(uint64_t nr)
{
    for (size_t i = 0; i < sizeof(hypercall_rules) / sizeof(hypercall_rules[0]); i++)
        if (hypercall_rules[i].nr == nr)
            return &hypercall_rules[i];
    return NULL;
}

void invariants_read_values(const struct vcpu *vcpu, uint64_t values[PV_VALUES])
{
    values[PV_WALL] = vcpu->vm->clock.wall_msr;
    values[PV_CLOCK] = vcpu->clock.msr;
    values[PV_APF] = vcpu->apf.en_msr;
    values[PV_STEAL] = vcpu->steal.msr;
    values[PV_EOI] = vcpu->eoi.msr;
    values[PV_POLL] = vcpu->poll.msr;
    values[PV_APF_INT] = vcpu->apf.int_msr;
}

/* GEN-1, GEN-3, GEN-8, ENF-3: must this access fault, whatever state the machine is in? NULL: it depends. */
static const char *must_fault(const struct vcpu *vcpu, const struct action *action,
                              const struct msr_rule *rule, uint64_t value)
{
    if (invariants_cpl3(action))
        return "GEN-1";
    if (!rule)
        return "GEN-8";
    if (!vcpu_has_feature(vcpu, rule->feature))
        return "ENF-3";
    if (action->op == OP_WRMSR && (value & rule->reserved))
        return rule->rule;
    return NULL;
}

static bool pv_range(uint64_t index)
{
    return ((uint32_t)index & ~0xffu) == NEW_MSRS;
}

static bool check_rdmsr(const struct vcpu_seen *seen, const struct msr_rule *rule,
                        const struct outcome *outcome, struct violation *violation)
{
    uint64_t want = rule && rule->value != PV_VALUES ? seen->values[rule->value] : 0;

    if (outcome->regs[0] >> 32 || outcome->regs[3] >> 32)
        return violate(violation, "GEN-2", "rdmsr left high halves: rax %#" PRIx64 " rdx %#" PRIx64,
                       outcome->regs[0], outcome->regs[3]);
    if ((outcome->regs[3] << 32 | outcome->regs[0]) != want)
        return violate(violation, "GEN-9", "rdmsr %#x gives %#" PRIx64 ", last written %#" PRIx64,
                       rule->index, outcome->regs[3] << 32 | outcome->regs[0], want);
    return true;
}

/* Rejected: all values as before, but APF-7. Accepted: this value and no other. */
static bool check_wrmsr(const struct vcpu *vcpu, const struct vcpu_seen *seen, const struct msr_rule *rule,
                        uint64_t value, const struct outcome *outcome, struct violation *violation)
{
    bool accepted = outcome->status == OUTCOME_OK;
    uint64_t now[PV_VALUES];

    invariants_read_values(vcpu, now);
    for (unsigned i = 0; i < PV_VALUES; i++) {
        bool written = rule && rule->value == i;
        uint64_t want = accepted && written ? value : seen->values[i];

        if (now[i] == want)
            continue;
        if (written && i == PV_APF && !accepted && (value & 9) == 9 && now[i] == value)
            continue; /* APF-7: a bad address is kept although refused */
        if (written && i == PV_APF && accepted && value == 0 && vcpu->vm->config.irqchip == IRQCHIP_NONE)
            continue; /* APF-2: accepted, not stored */
        return violate(violation, accepted ? "GEN-2" : "INV-2",
                       "%s wrmsr %#x %#" PRIx64 " left value %u at %#" PRIx64 ", not %#" PRIx64,
                       accepted ? "an accepted" : "a refused", rule ? rule->index : 0, value, i, now[i],
                       want);
    }
    return true;
}

static bool check_msr(struct invariants *inv, const struct vcpu *vcpu, const struct action *action,
                      const struct outcome *outcome, struct violation *violation)
{
    const struct vcpu_seen *seen = &inv->vcpus[vcpu->id];
    uint64_t index = invariants_operand(inv, &action->args[0]);
    uint64_t value = invariants_operand(inv, &action->args[1]);
    const struct msr_rule *rule = msr_rule_find(index);
    const char *fault;

    if (outcome->status == OUTCOME_FAULT && !invariants_is_gp0(outcome))
        return violate(violation, "GEN-3", "an MSR access raised vector %u error %#x, not #GP(0)",
                       outcome->vector, outcome->error);
    if (!rule && !pv_range(index))
        return true;
    fault = vcpu->vm->config.ignore_msrs ? NULL : must_fault(vcpu, action, rule, value);
    if (fault && outcome->status == OUTCOME_OK)
        return violate(violation, fault, "%s %#x (value %#" PRIx64 ") did not fault",
                       op_info(action->op)->word, (uint32_t)index, value);
    if (action->op == OP_WRMSR)
        return check_wrmsr(vcpu, seen, rule, value, outcome, violation);
    return outcome->status != OUTCOME_OK || check_rdmsr(seen, rule, outcome, violation);
}

static bool hypercall_answer_allowed(const struct vcpu *vcpu, const struct hypercall_rule *rule,
                                     int64_t answer)
{
    if (!rule || (rule->feature != UNGATED && !vcpu_has_feature(vcpu, rule->feature)))
        return answer == -1000;
    if (answer >= 0)
        return answer <= (rule->counts ? vcpu->vm->config.vcpus : 0);
    return answer == rule->errors[0] || answer == rule->errors[1];
}

/* HC-9: faults above CPL 0 and in real mode; else a status of the TLFS, and no answer of KVM's. */
static bool check_hyperv(const struct action *action, const struct outcome *outcome,
                         struct violation *violation)
{
    static const uint32_t statuses = 1u << 0 | 1u << 2 | 1u << 3 | 1u << 4 | 1u << 5 | 1u << 6;
    uint16_t status = (uint16_t)outcome->regs[0];

    if (outcome->status == OUTCOME_FAULT)
        return true;
    if (invariants_cpl3(action) || action->mode == MODE_16)
        return violate(violation, "HC-9", "a Hyper-V hypercall was answered in this mode");
    return (status < 32 && (statuses >> status & 1)) ||
           violate(violation, "HC-9", "a Hyper-V hypercall gave %#" PRIx64, outcome->regs[0]);
}

static bool check_hypercall(struct invariants *inv, const struct vcpu *vcpu, const struct action *action,
                            const struct outcome *outcome, struct violation *violation)
{
    bool foreign = (action->op == OP_VMCALL) != (vcpu->vm->config.native == HC_VMCALL);
    uint64_t nr = invariants_operand(inv, &action->args[0]);
    const struct hypercall_rule *rule;
    int64_t answer;

    if (hyperv_takes_hypercalls(vcpu))
        return check_hyperv(action, outcome, violation);
    if (outcome->status == OUTCOME_FAULT) {
        if (!foreign)
            return violate(violation, "HC-5", "the native hypercall instruction raised vector %u",
                           outcome->vector);
        return true; /* HC-11 to HC-13 */
    }
    if (!invariants_wide(action)) {
        nr = (uint32_t)nr;
        if (outcome->regs[0] >> 32)
            return violate(violation, "HC-2", "a 32-bit hypercall left rax %#" PRIx64, outcome->regs[0]);
    }
    answer = invariants_wide(action) ? (int64_t)outcome->regs[0] : (int32_t)outcome->regs[0];
    if (invariants_cpl3(action))
        return answer == -1 ||
               violate(violation, "HC-5", "hypercall %#" PRIx64 " above CPL 0 gave %" PRId64 ", not -1", nr,
                       answer);
    rule = hypercall_rule_find(nr);
    if (!hypercall_answer_allowed(vcpu, rule, answer))
        return violate(violation, rule ? rule->rule : "HC-7", "hypercall %#" PRIx64 " gave %" PRId64, nr,
                       answer);
    return true;
}

/* HC-1, GEN-2, GEN-3: only what the action is allowed to change. HC-9: Hyper-V answers 32-bit code in EDX:EAX. */
static bool check_registers(const struct vcpu *vcpu, const struct action *action,
                            const struct outcome *outcome, struct violation *violation)
{
    bool hypercall = action->op == OP_VMCALL || action->op == OP_VMMCALL;
    uint32_t allowed = hypercall && !invariants_wide(action) && hyperv_takes_hypercalls(vcpu) ? 1u << RDX : 0;

    if (outcome->changed & ~allowed)
        return violate(violation, hypercall ? "HC-1" : "DIF-2", "%s changed registers %#x",
                       op_info(action->op)->word, outcome->changed);
    return true;
}

/* RST-2: what INIT clears is clear for as long as the vCPU waits for SIPI. */
static bool check_waiting(const struct vcpu *vcpu, struct violation *violation)
{
    uint64_t eoi = vcpu->vm->config.irqchip == IRQCHIP_NONE ? 0 : vcpu->eoi.msr; /* RST-5 */

    if (vcpu->clock.msr | vcpu->steal.msr | vcpu->apf.en_msr | vcpu->apf.int_msr | eoi)
        return violate(violation, "RST-2", "vcpu %u waits for SIPI with a PV MSR set", vcpu->id);
    return true;
}

/* CPU-5: the cached word is the one in the table. CPU-6: without a leaf nothing is said. */
static bool check_pv_word(const struct vcpu *vcpu, struct violation *violation)
{
    const struct cpuid_entry *leaf =
        vcpu->pv_base ? cpuid_find(&vcpu->cpuid, vcpu->pv_base | 0x40000001, 0) : NULL;

    if (leaf && (leaf->regs.eax != vcpu->pv_features || leaf->regs.edx != vcpu->pv_hints))
        return violate(violation, "CPU-5", "vcpu %u acts on features %#x, CPUID says %#x", vcpu->id,
                       vcpu->pv_features, leaf->regs.eax);
    return true;
}

void invariants_begin(struct invariants *inv, struct vm *vm, const uint64_t bases[BASE_COUNT])
{
    inv->vm = vm;
    inv->vcpu_count = vm->config.vcpus < PROGRAM_VCPUS_MAX ? vm->config.vcpus : PROGRAM_VCPUS_MAX;
    memcpy(inv->bases, bases, sizeof(inv->bases));
    inv->trace_seen = vm->trace.total;
    inv->wall = (struct record_seen){0};
    inv->memory_followed = false;
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++)
        inv->vcpus[i] = (struct vcpu_seen){.clock_gpa = GPA_NOWHERE, .clock_gpa_before = GPA_NOWHERE};
}

void invariants_before(struct invariants *inv, const struct action *action)
{
    const struct vcpu *vcpu = inv->vm->vcpus;

    inv->old_before = inv->vm->clock.old_in_use;
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++, vcpu++)
        invariants_read_values(vcpu, inv->vcpus[i].values);
    invariants_events_before(inv, action);
    if (inv->memory_followed || (OPS_ABOUT_MEMORY >> action->op & 1))
        invariants_memory_before(inv, action);
}

/* A machine's own snapshot must be one that it takes back. */
static bool check_restored(const struct action *action, const struct outcome *outcome,
                           struct violation *violation)
{
    if (action->op == OP_SAVE_RESTORE && outcome->regs[0])
        return violate(violation, "SAVE-RESTORE", "a snapshot is refused by its own machine: errno %" PRIu64,
                       outcome->regs[0]);
    return true;
}

static bool check_guest_action(struct invariants *inv, const struct vcpu *vcpu, const struct action *action,
                               const struct outcome *outcome, struct violation *violation)
{
    if (!check_registers(vcpu, action, outcome, violation))
        return false;
    switch (action->op) {
    case OP_RDMSR:
    case OP_WRMSR:
        return invariants_had_init(inv, vcpu->id) || check_msr(inv, vcpu, action, outcome, violation);
    case OP_VMCALL:
    case OP_VMMCALL:
        return check_hypercall(inv, vcpu, action, outcome, violation);
    case OP_IN8:
    case OP_IN16:
    case OP_IN32:
    case OP_OUT8:
    case OP_OUT16:
    case OP_OUT32:
    case OP_INVLPG:
        return invariants_privileged(action, outcome, violation);
    default:
        return true;
    }
}

bool invariants_after(struct invariants *inv, const struct action *action, const struct outcome *outcome,
                      struct violation *violation)
{
    const struct vcpu *vcpu = inv->vm->vcpus;
    bool host = op_info(action->op)->host;

    inv->acting = invariants_has_vcpu(inv, action) ? &vcpu[action->vcpu] : NULL;
    if (inv->acting && (outcome->status == OUTCOME_OK || outcome->status == OUTCOME_FAULT) &&
        !check_guest_action(inv, inv->acting, action, outcome, violation))
        return false;
    if (!check_restored(action, outcome, violation))
        return false;
    for (unsigned i = 0, vcpus = inv->vcpu_count; i < vcpus; i++, vcpu++) {
        if (vcpu->mp_state == MP_WAIT_SIPI && !check_waiting(vcpu, violation))
            return false;
        if (host && !check_pv_word(vcpu, violation))
            return false;
    }
    if (inv->memory_followed && !invariants_memory(inv, action, outcome, violation))
        return false;
    invariants_clock_begin(inv, action, outcome);
    return invariants_stores(inv, action, violation) && invariants_events(inv, action, outcome, violation) &&
           invariants_time(inv, action, outcome, violation);
}
