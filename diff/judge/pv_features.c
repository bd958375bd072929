/* Collects evidence per feature from transcripts. */
#include "diff/judge/pv_features.h"

#include <string.h>
#include "diff/judge/records.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/abi/pvclock.h"

const char *const feature_level_names[FEATURE_LEVELS] = {"advertised", "accepted", "effective", "closed"};

#define BIT(feature) (1u << (feature))
#define UNSEEN(why)  .effect = EFFECT_INVISIBLE, .unseen = "cannot be seen: " why
// clang-format off
const struct pv_feature pv_features[PV_FEATURES] = {
    { "kvmclock", BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2), .effect = EFFECT_CLOCK,
      .msrs = { MSR_KVM_WALL_CLOCK, MSR_KVM_SYSTEM_TIME, MSR_KVM_WALL_CLOCK_NEW, MSR_KVM_SYSTEM_TIME_NEW } },
    { "kvm-nopiodelay", BIT(KVM_FEATURE_NOP_IO_DELAY), UNSEEN("a hint to the guest; the host does nothing for it") },
    { "kvm-asyncpf", BIT(KVM_FEATURE_ASYNC_PF), .msrs = { MSR_KVM_ASYNC_PF_EN }, .effect = EFFECT_APF },
    { "kvm-steal-time", BIT(KVM_FEATURE_STEAL_TIME), .msrs = { MSR_KVM_STEAL_TIME }, .effect = EFFECT_STEAL },
    { "kvm-pv-eoi", BIT(KVM_FEATURE_PV_EOI), .msrs = { MSR_KVM_PV_EOI_EN }, .effect = EFFECT_EOI },
    { "kvm-pv-unhalt", BIT(KVM_FEATURE_PV_UNHALT), .hypercall = KVM_HC_KICK_CPU, .effect = EFFECT_UNHALT },
    { "kvm-pv-tlb-flush", BIT(KVM_FEATURE_PV_TLB_FLUSH), .effect = EFFECT_FLUSH,
      .unseen = "cannot be seen: where it is closed an old translation may live on, or not (TLB-4)" },
    { "kvm-asyncpf-vmexit", BIT(KVM_FEATURE_ASYNC_PF_VMEXIT),
      UNSEEN("it matters to a guest that runs guests of its own alone (APV-4)") },
    { "kvm-pv-ipi", BIT(KVM_FEATURE_PV_SEND_IPI), .hypercall = KVM_HC_SEND_IPI, .effect = EFFECT_IPI },
    { "kvm-poll-control", BIT(KVM_FEATURE_POLL_CONTROL), .msrs = { MSR_KVM_POLL_CONTROL },
      UNSEEN("polling for a halted vCPU spends the host's time, no state of the guest") },
    { "kvm-pv-sched-yield", BIT(KVM_FEATURE_PV_SCHED_YIELD), .hypercall = KVM_HC_SCHED_YIELD,
      UNSEEN("it moves threads of the host, no state of the guest (YLD-2)") },
    { "kvm-asyncpf-int", BIT(KVM_FEATURE_ASYNC_PF_INT), .msrs = { MSR_KVM_ASYNC_PF_INT, MSR_KVM_ASYNC_PF_ACK },
      .effect = EFFECT_APF_INT },
    { "kvm-msi-ext-dest-id", BIT(KVM_FEATURE_MSI_EXT_DEST_ID), .effect = EFFECT_EXT_DEST },
    { "kvmclock-stable-bit", BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT), .effect = EFFECT_STABLE },
    { "kvm-hint-dedicated", .edx = BIT(KVM_HINTS_REALTIME),
      UNSEEN("a hint to the guest; the host does nothing for it (HNT-1)") },
};
// clang-format on

#define ENOSYS_64 ((uint64_t)-KVM_ENOSYS)
#define ENOSYS_32 ((uint64_t)(uint32_t)-KVM_ENOSYS)

struct observation {
    const struct judge_case *judged;
    const struct transcript *transcript;
    struct feature_facts *facts;
    uint32_t kvm_base; /* where KVM's signature was seen; 0: nowhere yet */
    /* Of the actions so far: 1 + the vCPU that a flush is requested for, or 0. Kept, because finding it takes a walk
     * through all that went before, and so does every load that asks for it. */
    uint8_t flush_requests[PROGRAM_ACTIONS_MAX];
};

static const struct outcome *outcome_of(const struct observation *o, uint32_t index)
{
    return index < o->transcript->count ? &o->transcript->outcomes[index] : NULL;
}

static bool is_kvm_signature(const struct outcome *outcome)
{
    return outcome->regs[1] == KVM_SIGNATURE_EBX && outcome->regs[2] == KVM_SIGNATURE_ECX &&
           outcome->regs[3] == KVM_SIGNATURE_EDX;
}

#define BASE_MASK 0xffff00ffu /* of a leaf, wherever KVM's leaves begin (CPU-4) */

/* Without the signature the feature leaf may hold anything, even a basic leaf's data (CPU-10). */
static void observe_cpuid(struct observation *o, const struct action *action, const struct outcome *outcome)
{
    uint32_t leaf = (uint32_t)action->args[0].value;

    if ((leaf & BASE_MASK) == KVM_CPUID_SIGNATURE && is_kvm_signature(outcome))
        o->kvm_base = leaf;
    if ((leaf & BASE_MASK) != KVM_CPUID_FEATURES)
        return;
    for (unsigned f = 0; f < PV_FEATURES; f++) {
        uint32_t eax = (uint32_t)outcome->regs[0] & pv_features[f].eax,
                 edx = (uint32_t)outcome->regs[3] & pv_features[f].edx;

        o->facts->of[f].leaf_seen = true;
        if (o->kvm_base && leaf == (o->kvm_base | 1) && eax == pv_features[f].eax &&
            edx == pv_features[f].edx)
            o->facts->of[f].advertised = true;
    }
}

static bool uses_msr(const struct pv_feature *feature, uint32_t index)
{
    for (unsigned i = 0; i < 4 && feature->msrs[i]; i++)
        if (feature->msrs[i] == index)
            return true;
    return false;
}

static void observe_access(struct observation *o, const struct action *action, const struct outcome *outcome)
{
    bool msr = action->op == OP_RDMSR || action->op == OP_WRMSR;
    bool served =
        msr ? outcome->status == OUTCOME_OK
            : outcome->status == OUTCOME_OK && outcome->regs[0] != ENOSYS_64 && outcome->regs[0] != ENOSYS_32;

    for (unsigned f = 0; f < PV_FEATURES; f++) {
        const struct pv_feature *feature = &pv_features[f];

        if (msr ? !uses_msr(feature, (uint32_t)action->args[0].value)
                : !feature->hypercall || feature->hypercall != action->args[0].value)
            continue;
        o->facts->of[f].tries++;
        o->facts->of[f].served += served;
    }
}

static void effect(struct observation *o, enum feature_effect which, bool seen)
{
    for (unsigned f = 0; f < PV_FEATURES; f++)
        if (pv_features[f].effect == which) {
            o->facts->of[f].effect_tried = true;
            o->facts->of[f].effect_seen |= seen;
        }
}

static bool vector_arrived(const struct observation *o, uint8_t vector)
{
    for (unsigned vcpu = 0; vcpu < PROBE_VCPUS; vcpu++)
        for (uint32_t i = 0; i < o->transcript->event_count[vcpu]; i++)
            if (o->transcript->events[vcpu][i].vector == vector)
                return true;
    return false;
}

/* A record whose whole lies in a dump: has the word that the host moves left zero? */
static void observe_dump(struct observation *o, uint32_t index, const struct action *action,
                         const struct outcome *outcome)
{
    static const struct {
        uint8_t kind, word, effect;
    } words[] = {{RECORD_STEAL, offsetof(struct kvm_steal_time, version), EFFECT_STEAL},
                 {RECORD_APF, offsetof(struct kvm_vcpu_pv_apf_data, token), EFFECT_APF}};
    struct record_area area;
    uint64_t gpa = operand_address(&action->args[0]);
    uint32_t value;

    if (!record_at(o->judged, index, gpa, &area) || area.gpa != gpa)
        return;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (area.kind != words[i].kind || outcome->data_len < words[i].word + sizeof(value))
            continue;
        memcpy(&value, outcome->data + words[i].word, sizeof(value));
        effect(o, (enum feature_effect)words[i].effect, value != 0);
    }
}

/* A handler that looks at the vCPU's PV EOI word, and what it found there. */
static void observe_handler(struct observation *o, uint32_t index, const struct action *action)
{
    struct record_area area;
    uint64_t gpa = operand_address(&action->args[0]);

    if (!record_at(o->judged, index, gpa, &area) || area.kind != RECORD_EOI || area.gpa != gpa)
        return;
    for (uint32_t i = 0; i < o->transcript->event_count[action->vcpu]; i++) {
        const struct probe_event *event = &o->transcript->events[action->vcpu][i];

        if (event->watched && event->after > index)
            effect(o, EFFECT_EOI, event->byte & 1);
    }
}

/* A request for a flush: bit 1 stored, or put beside what was there (TLB-1, TLB-2). As observation.flush_requests. */
static uint8_t flush_request(const struct observation *o, uint32_t index)
{
    const struct action *action = &o->judged->program->actions[index];
    const struct outcome *outcome = outcome_of(o, index);
    bool exchange = action->op == OP_LOCK_CMPXCHG8;
    uint64_t gpa = operand_address(&action->args[0]);
    struct record_area area;

    if ((action->op != OP_STORE8 && !exchange) || !outcome || outcome->status != OUTCOME_OK ||
        !(action->args[exchange ? 2 : 1].value & KVM_VCPU_FLUSH_TLB) ||
        (exchange && outcome->regs[0] != (action->args[1].value & 0xff)) ||
        !record_at(o->judged, index, gpa, &area) || area.kind != RECORD_STEAL ||
        gpa != area.gpa + offsetof(struct kvm_steal_time, preempted))
        return 0;
    return (uint8_t)(1 + area.vcpu);
}

static bool same_page(const struct action *a, const struct action *b)
{
    return !((a->args[0].value ^ b->args[0].value) / 4096);
}

/* A load from the probe's window: the vCPU's load before it saw one page, then came a new table entry, then a request. */
static void observe_window(struct observation *o, uint32_t index, const struct action *action,
                           const struct outcome *outcome)
{
    bool asked = false, remapped = false;

    if (action->args[0].base != BASE_NONE ||
        action->args[0].value - PROBE_WINDOW >= PROBE_WINDOW_PAGES * 4096ull)
        return;
    for (uint32_t i = index; i-- > 0;) {
        const struct action *earlier = &o->judged->program->actions[i];
        const struct outcome *then = outcome_of(o, i);

        asked |= o->flush_requests[i] == 1 + action->vcpu;
        if (earlier->op == OP_MAP && same_page(earlier, action))
            remapped |= asked;
        if (earlier->vcpu != action->vcpu || !same_page(earlier, action))
            continue;
        if (earlier->op == OP_INVLPG)
            return; /* flushed by the guest itself */
        if (earlier->op == action->op && then && then->status == OUTCOME_OK) {
            if (remapped)
                effect(o, EFFECT_FLUSH, then->regs[0] != outcome->regs[0]);
            return;
        }
    }
}

#define MSI_WINDOW      0xfee00000u
#define MSI_WINDOW_SIZE 0x100000u
#define MSI_EXT_FIELD   0xff0u
#define MSI_OTHER_FORM  0x10u

static bool sends_msi(const struct action *action)
{
    uint64_t offset = action->args[0].value - MSI_WINDOW;

    return action->op == OP_STORE32 && action->args[0].base == BASE_NONE && offset >= 4096 &&
           offset < MSI_WINDOW_SIZE;
}

/* A message with extended id bits, after one without them to the same id had arrived (MSI-3). */
static void observe_msi(struct observation *o, uint32_t index, const struct action *action)
{
    uint64_t address = action->args[0].value;

    if (!sends_msi(action) || !(address & MSI_EXT_FIELD) || address & MSI_OTHER_FORM)
        return;
    for (uint32_t i = index; i-- > 0;) {
        const struct action *plain = &o->judged->program->actions[i];

        if (sends_msi(plain) && plain->args[0].value == (address & ~(uint64_t)MSI_EXT_FIELD) &&
            vector_arrived(o, (uint8_t)plain->args[1].value)) {
            effect(o, EFFECT_EXT_DEST, !vector_arrived(o, (uint8_t)action->args[1].value));
            return;
        }
    }
}

static bool is_load(enum action_op op)
{
    return op >= OP_LOAD8 && op <= OP_LOAD64;
}

static bool is_cpl0(const struct action *action)
{
    return action->mode == MODE_64 || action->mode == MODE_COMPAT || action->mode == MODE_32 ||
           action->mode == MODE_16;
}

static void observe_action(struct observation *o, uint32_t index)
{
    const struct action *action = &o->judged->program->actions[index];
    const struct outcome *outcome = outcome_of(o, index);

    if (!outcome || (outcome->status != OUTCOME_OK && outcome->status != OUTCOME_FAULT) || !is_cpl0(action))
        return;
    if (action->op == OP_CPUID && outcome->status == OUTCOME_OK)
        observe_cpuid(o, action, outcome);
    if (action->op == OP_RDMSR || action->op == OP_WRMSR || action->op == OP_VMCALL ||
        action->op == OP_VMMCALL)
        observe_access(o, action, outcome);
    if (outcome->status != OUTCOME_OK)
        return;
    if (action->op == OP_DUMP)
        observe_dump(o, index, action, outcome);
    if (action->op == OP_ON_INTERRUPT)
        observe_handler(o, index, action);
    if (action->op == OP_WRMSR && action->args[0].value == MSR_KVM_ASYNC_PF_INT &&
        action->args[1].value >= 32)
        effect(o, EFFECT_APF_INT, vector_arrived(o, (uint8_t)action->args[1].value));
    if ((action->op == OP_VMCALL || action->op == OP_VMMCALL) && action->args[0].value == KVM_HC_SEND_IPI &&
        outcome->regs[0] && outcome->regs[0] <= PROBE_VCPUS)
        effect(o, EFFECT_IPI, vector_arrived(o, (uint8_t)action->args[4].value));
    if (is_load(action->op))
        observe_window(o, index, action, outcome);
    observe_msi(o, index, action);
    if (action->op == OP_HLT)
        effect(o, EFFECT_UNHALT, !outcome->regs[0]);
}

static void observe_samples(struct observation *o)
{
    for (uint32_t i = 0; i < o->transcript->sample_count; i++) {
        const struct clock_sample *sample = &o->transcript->samples[i];

        effect(o, EFFECT_CLOCK, sample->tsc_to_system_mul != 0);
        effect(o, EFFECT_STABLE, sample->flags & PVCLOCK_TSC_STABLE_BIT);
    }
}

void features_observe(const struct judge_case *judged, const struct transcript *transcript,
                      struct feature_facts *facts)
{
    struct observation o = {.judged = judged, .transcript = transcript, .facts = facts};

    for (uint32_t i = 0; i < judged->program->count; i++) {
        o.flush_requests[i] = flush_request(&o, i);
        observe_action(&o, i);
    }
    observe_samples(&o);
}

static enum feature_answer yes_no(bool tried, bool yes)
{
    return yes ? ANSWER_YES : tried ? ANSWER_NO : ANSWER_NOT_TRIED;
}

enum feature_answer feature_answer(const struct feature_facts *facts, unsigned feature,
                                   enum feature_level level, bool enforced)
{
    const struct pv_feature *row = &pv_features[feature];
    bool has_door = row->msrs[0] || row->hypercall;

    switch (level) {
    case LEVEL_ADVERTISED:
        return yes_no(facts->of[feature].leaf_seen, facts->of[feature].advertised);
    case LEVEL_ACCEPTED:
        return has_door ? yes_no(facts->of[feature].tries, facts->of[feature].served) : ANSWER_INVISIBLE;
    case LEVEL_EFFECTIVE:
        if (row->effect == EFFECT_INVISIBLE)
            return ANSWER_INVISIBLE;
        if (row->effect == EFFECT_FLUSH && enforced && facts->of[feature].leaf_seen &&
            !facts->of[feature].advertised)
            return ANSWER_INVISIBLE;
        if (has_door && facts->of[feature].tries && !facts->of[feature].served)
            return ANSWER_NO; /* nobody can ask for it */
        return yes_no(facts->of[feature].effect_tried, facts->of[feature].effect_seen);
    case LEVEL_CLOSED:
        if (!has_door)
            return ANSWER_INVISIBLE;
        if (!enforced || facts->of[feature].advertised)
            return ANSWER_NOT_APPLIES;
        if (!facts->of[feature].tries)
            return ANSWER_NOT_TRIED;
        return facts->of[feature].served ? ANSWER_NO : ANSWER_YES;
    case FEATURE_LEVELS:
        break;
    }
    return ANSWER_NOT_TRIED;
}

const char *feature_reason(unsigned feature, enum feature_level level, enum feature_answer answer,
                           bool enforced)
{
    switch (answer) {
    case ANSWER_NOT_TRIED:
        return "not tried: no scenario that ran under these flags asks";
    case ANSWER_NOT_APPLIES:
        return enforced ? "does not apply: the feature is advertised"
                        : "does not apply: these flags do not enforce";
    case ANSWER_INVISIBLE:
        return level == LEVEL_EFFECTIVE ? pv_features[feature].unseen
                                        : "cannot be seen: it has no MSR and no hypercall of its own";
    default:
        return "";
    }
}
