/* Which features a run has shown at work, and why others cannot be seen. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/judge/pv_features.h"
#include "tests/judge_fixture.h"

Test(judge, CPU_10_a_feature_leaf_without_the_signature_advertises_nothing)
{
    struct fixture f;
    struct feature_facts facts = {0};
    uint32_t leaf;

    fixture_init(&f, "cpuid 0x40000000\ncpuid 0x40000001\nrdmsr MSR_KVM_STEAL_TIME");
    leaf = fixture_action(&f, OP_CPUID, 1);
    f.ours.outcomes[leaf].regs[0] = 1u << 5;
    f.ours.outcomes[fixture_action(&f, OP_RDMSR, 0)].status = OUTCOME_FAULT;
    features_observe(&f.judged, &f.ours, &facts);
    cr_assert(eq(int, feature_answer(&facts, 3, LEVEL_ADVERTISED, true), ANSWER_NO));
    cr_assert(eq(int, feature_answer(&facts, 3, LEVEL_ACCEPTED, true), ANSWER_NO));
    cr_assert(eq(int, feature_answer(&facts, 3, LEVEL_CLOSED, true), ANSWER_YES));
    cr_assert(eq(int, feature_answer(&facts, 3, LEVEL_EFFECTIVE, true), ANSWER_NO), "it cannot be asked for");
    cr_assert(eq(int, feature_answer(&facts, 3, LEVEL_CLOSED, false), ANSWER_NOT_APPLIES));
    cr_assert(contains(feature_reason(3, LEVEL_CLOSED, ANSWER_NOT_APPLIES, false), "do not enforce"));
    memcpy(f.ours.outcomes[fixture_action(&f, OP_CPUID, 0)].regs,
           (uint64_t[]){0x40000001, 0x4b4d564b, 0x564b4d56, 0x4d}, 32);
    facts = (struct feature_facts){0};
    features_observe(&f.judged, &f.ours, &facts);
    cr_assert(eq(int, feature_answer(&facts, 3, LEVEL_ADVERTISED, true), ANSWER_YES));
    cr_assert(eq(int, feature_answer(&facts, 6, LEVEL_EFFECTIVE, false), ANSWER_NOT_TRIED));
    cr_assert(eq(int, feature_answer(&facts, 7, LEVEL_EFFECTIVE, true), ANSWER_INVISIBLE));
    fixture_free(&f);
}

Test(judge, APF_6_a_token_in_the_area_is_the_effect)
{
    struct fixture f;
    struct feature_facts none = {0}, some = {0};
    uint32_t dump;

    fixture_init(&f, "wrmsr MSR_KVM_ASYNC_PF_EN ram+0x49\ndump ram+0x40 8");
    dump = fixture_action(&f, OP_DUMP, 0);
    f.ours.outcomes[dump].data_len = 8;
    features_observe(&f.judged, &f.ours, &none);
    cr_assert(eq(int, feature_answer(&none, 2, LEVEL_EFFECTIVE, false), ANSWER_NO));
    f.ours.outcomes[dump].data[7] = 0xff;
    features_observe(&f.judged, &f.ours, &some);
    cr_assert(eq(int, feature_answer(&some, 2, LEVEL_EFFECTIVE, false), ANSWER_YES));
    fixture_free(&f);
}

Test(judge, EOI_4_a_handler_that_finds_the_bit_set_is_the_effect)
{
    struct fixture f;
    struct feature_facts none = {0}, some = {0};
    struct probe_event *event = calloc(1, sizeof(*event));

    fixture_init(&f, "wrmsr MSR_KVM_PV_EOI_EN ram+0x41\non-interrupt ram+0x40\nipi 0 0x51");
    *event = (struct probe_event){.after = fixture_action(&f, OP_IPI, 0), .vector = 0x51, .watched = 1};
    free(f.ours.events[0]);
    f.ours.events[0] = event;
    f.ours.event_count[0] = 1;
    features_observe(&f.judged, &f.ours, &none);
    cr_assert(eq(int, feature_answer(&none, 4, LEVEL_EFFECTIVE, false), ANSWER_NO));
    event->byte = 1;
    features_observe(&f.judged, &f.ours, &some);
    cr_assert(eq(int, feature_answer(&some, 4, LEVEL_EFFECTIVE, false), ANSWER_YES));
    fixture_free(&f);
}

static enum feature_answer effect_of(struct fixture *f, unsigned feature)
{
    struct feature_facts facts = {0};

    features_observe(&f->judged, &f->ours, &facts);
    return feature_answer(&facts, feature, LEVEL_EFFECTIVE, false);
}

Test(judge, TLB_2_a_load_through_the_new_table_entry_is_the_effect)
{
    static const char *const unasked[] = {"store8 ram+0x51 2", "store8 ram+0x50 1", "@1 store8 ram+0x90 2",
                                          "store8 ram+0x50 2\ninvlpg 0x8000000000"};
    const unsigned tlb_flush = 6;
    struct fixture f;

    fixture_init(
        &f, "wrmsr MSR_KVM_STEAL_TIME ram+0x41\n@1 wrmsr MSR_KVM_STEAL_TIME ram+0x81\nmap 0x8000000000 "
            "ram+3\nload64 0x8000000000\nmap 0x8000000000 ram+0x1003\nlock-cmpxchg8 ram+0x50 1 3\nload64 "
            "0x8000000000");
    cr_assert(eq(int, effect_of(&f, tlb_flush), ANSWER_NOT_TRIED), "the exchange found another value");
    f.ours.outcomes[fixture_action(&f, OP_LOCK_CMPXCHG8, 0)].regs[0] = 1;
    cr_assert(eq(int, effect_of(&f, tlb_flush), ANSWER_NO), "the old page");
    f.ours.outcomes[fixture_action(&f, OP_LOAD64, 1)].regs[0] = 0x22;
    cr_assert(eq(int, effect_of(&f, tlb_flush), ANSWER_YES));
    fixture_free(&f);
    for (unsigned i = 0; i < sizeof(unasked) / sizeof(unasked[0]); i++) {
        char body[400];

        snprintf(
            body, sizeof(body),
            "wrmsr MSR_KVM_STEAL_TIME ram+0x41\n@1 wrmsr MSR_KVM_STEAL_TIME ram+0x81\nload64 0x8000000000\nmap "
            "0x8000000000 ram+3\n%s\nload64 0x8000000000",
            unasked[i]);
        fixture_init(&f, body);
        f.ours.outcomes[fixture_action(&f, OP_LOAD64, 1)].regs[0] = 0x22;
        cr_assert(eq(int, effect_of(&f, tlb_flush), ANSWER_NOT_TRIED), "%s", unasked[i]);
        fixture_free(&f);
    }
}

static void arrive(struct fixture *f, uint8_t vector)
{
    f->ours.events[0] = realloc(f->ours.events[0], (f->ours.event_count[0] + 1) * sizeof(struct probe_event));
    f->ours.events[0][f->ours.event_count[0]++] = (struct probe_event){.vector = vector};
}

Test(judge, MSI_3_a_message_that_goes_elsewhere_is_the_effect)
{
    const unsigned ext_dest = 12;
    struct fixture f;

    fixture_init(&f, "store32 0xfee01000 0x41\nstore32 0xfee01030 0x43\nstore32 0xfee01020 0x42");
    cr_assert(eq(int, effect_of(&f, ext_dest), ANSWER_NOT_TRIED), "messages do not arrive at all");
    arrive(&f, 0x41);
    cr_assert(eq(int, effect_of(&f, ext_dest), ANSWER_YES));
    arrive(&f, 0x42);
    cr_assert(eq(int, effect_of(&f, ext_dest), ANSWER_NO));
    fixture_free(&f);
}

Test(judge, every_feature_that_cannot_be_seen_says_why)
{
    for (unsigned f = 0; f < PV_FEATURES; f++)
        if (pv_features[f].effect == EFFECT_INVISIBLE)
            cr_assert(
                contains(feature_reason(f, LEVEL_EFFECTIVE, ANSWER_INVISIBLE, false), "cannot be seen: "),
                "%s", pv_features[f].name);
}

Test(judge, TLB_4_no_effect_can_be_seen_of_a_closed_flush)
{
    struct feature_facts facts = {.of[6].leaf_seen = true};

    cr_assert(eq(int, feature_answer(&facts, 6, LEVEL_EFFECTIVE, true), ANSWER_INVISIBLE));
    cr_assert(contains(feature_reason(6, LEVEL_EFFECTIVE, ANSWER_INVISIBLE, true), "TLB-4"));
    cr_assert(eq(int, feature_answer(&facts, 6, LEVEL_EFFECTIVE, false), ANSWER_NOT_TRIED));
}
