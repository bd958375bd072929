/* The judge must see what is planted, wherever it is planted, and forgive only what a rule forgives. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/judge/bits.h"
#include "diff/judge/pv_features.h"
#include "tests/judge_fixture.h"

#define REGISTERS 4

/* D25: one flipped bit in any register of any leaf is one difference, and only that one. */
Test(judge, a_flipped_bit_of_every_leaf_is_reported)
{
    static const uint32_t leaves[] = {0x0,        0x1,        0x2,        0x4,        0x7,        0xb,
                                      0xd,        0x1f,       0x40000000, 0x40000001, 0x40000100, 0x40000101,
                                      0x80000000, 0x80000001, 0x80000007, 0x80000008, 0x8000001e};
    struct fixture f;

    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        char body[64];

        snprintf(body, sizeof(body), "cpuid 0x%x", leaves[i]);
        fixture_init(&f, body);
        for (unsigned reg = 0; reg < REGISTERS; reg++)
            for (unsigned bit = 0; bit < 32; bit++) {
                uint32_t at = fixture_action(&f, OP_CPUID, 0);

                f.ours.outcomes[at].regs[reg] = 0x12345678;
                f.theirs.outcomes[at].regs[reg] = 0x12345678 ^ 1u << bit;
                fixture_judge(&f);
                cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1), "leaf 0x%x bit %u", leaves[i],
                          bit);
                cr_assert(eq(u32, f.counts.by[CHECK_CPUID][VERDICT_EQUAL], REGISTERS - 1));
                f.theirs.outcomes[at].regs[reg] = 0x12345678;
            }
        fixture_free(&f);
    }
}

Test(judge, a_differing_bit_has_its_name)
{
    struct fixture f;

    fixture_init(&f, "cpuid 0x40000001");
    f.theirs.outcomes[fixture_action(&f, OP_CPUID, 0)].regs[0] = 1u << 6 | 1u << 8;
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->what, "0x40000001 eax"));
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->bits, "kvm-pv-eoi, bit 8"));
    fixture_free(&f);
    cr_assert(eq(str, (char *)cpuid_bit_name(0x40000101, 0, REGISTER_EAX, 5), "kvm-steal-time"));
    cr_assert(eq(str, (char *)cpuid_bit_name(1, 0, REGISTER_ECX, 21), "x2apic"));
}

Test(judge, CPU_11_an_upper_half_that_is_not_zero_is_reported)
{
    struct fixture f;

    fixture_init(&f, "cpuid 1");
    f.ours.outcomes[fixture_action(&f, OP_CPUID, 0)].regs[1] = 1ull << 32;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    fixture_free(&f);
}

Test(judge, DIF_1_the_measured_kHz_is_not_compared_but_its_leaf_must_be_there)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "cpuid 0x40000010");
    at = fixture_action(&f, OP_CPUID, 0);
    f.ours.outcomes[at].regs[0] = 2100000;
    f.theirs.outcomes[at].regs[0] = 2099977;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_NOT_COMPARED), 1));
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0));
    f.ours.outcomes[at].regs[0] = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    fixture_free(&f);
}

Test(judge, GEN_2_a_read_value_is_compared_whole)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "rdmsr MSR_KVM_STEAL_TIME");
    at = fixture_action(&f, OP_RDMSR, 0);
    f.ours.outcomes[at].rip_delta = f.theirs.outcomes[at].rip_delta = 2;
    f.ours.outcomes[at].regs[3] = 1; /* edx */
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->ours, "0x100000000"));
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->theirs, "0x0"));
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->rule, "STL-2"));
    fixture_free(&f);
}

Test(judge, GEN_3_a_fault_on_one_side_is_a_difference)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "wrmsr MSR_KVM_ASYNC_PF_INT 0x100");
    at = fixture_action(&f, OP_WRMSR, 0);
    f.ours.outcomes[at] = (struct outcome){.status = OUTCOME_FAULT, .vector = 13};
    f.theirs.outcomes[at].rip_delta = 2;
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->ours, "#GP(0)"));
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->theirs, "ok"));
    f.theirs.outcomes[at] = f.ours.outcomes[at];
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_EQUAL), 1));
    f.theirs.outcomes[at].error = 8;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    fixture_free(&f);
}

Test(judge, DIF_2_a_register_that_only_one_side_changed_is_a_difference)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "vmmcall KVM_HC_SCHED_YIELD 1");
    at = fixture_action(&f, OP_VMMCALL, 0);
    f.ours.outcomes[at].rip_delta = f.theirs.outcomes[at].rip_delta = 3;
    f.ours.outcomes[at].changed = 1u << 11;
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->ours, "0x0, also changed r11"));
    f.ours.outcomes[at].changed = 0;
    f.ours.outcomes[at].rip_delta = 2;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    fixture_free(&f);
}

Test(judge, HC_10_patched_code_bytes_are_part_of_the_outcome)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "vmcall 1");
    at = fixture_action(&f, OP_VMCALL, 0);
    for (struct transcript *t = &f.ours; t; t = t == &f.ours ? &f.theirs : NULL) {
        t->outcomes[at].rip_delta = t->outcomes[at].data_len = 3;
        memcpy(t->outcomes[at].data, "\x0f\x01\xd9", 3);
    }
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_EQUAL), 1));
    f.ours.outcomes[at].data[2] = 0xc1;
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->ours, "0x0, code 0f01c1"));
    fixture_free(&f);
}

/* Every byte of a dumped record: forgiven exactly where DIF-1 says so. */
Test(judge, DIF_1_only_the_moving_fields_of_a_clock_record_may_differ)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+0x1001\ndump ram+0xff8 64");
    at = fixture_action(&f, OP_DUMP, 0);
    f.ours.outcomes[at].data_len = f.theirs.outcomes[at].data_len = 64;
    for (unsigned byte = 0; byte < 64; byte++) {
        int field = (int)byte - 8; /* the record begins 8 bytes into the dump */
        bool forgiven = field >= 8 && field < 29;

        f.ours.outcomes[at].data[byte] = 0x40;
        fixture_judge(&f);
        cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], !forgiven), "byte %u", byte);
        f.ours.outcomes[at].data[byte] = 0;
    }
    fixture_free(&f);
}

/* The same of the other records; bit n of forgiven: byte n may differ in its bit 6. All other bytes hold 2. */
Test(judge, DIF_1_and_2_every_byte_of_the_other_records)
{
    static const struct {
        const char *body;
        uint64_t forgiven;
    } rows[] = {
        {"wrmsr MSR_KVM_WALL_CLOCK ram+0x40\ndump ram+0x40 64", 0x7ff}, /* byte 11: a second or more */
        {"wrmsr MSR_KVM_ASYNC_PF_EN ram+0x49\ndump ram+0x40 64", 0xf0},
        {"wrmsr MSR_KVM_STEAL_TIME ram+0x41\ndump ram+0x40 64", 0x10fff},
        {"wrmsr MSR_KVM_PV_EOI_EN ram+0x41\ndump ram+0x40 64", 1},
        {"vmmcall KVM_HC_CLOCK_PAIRING ram+0x40\ndump ram+0x40 64", 0xffffff},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        uint8_t *ours, *theirs;
        uint32_t at;

        fixture_init(&f, rows[i].body);
        at = fixture_action(&f, OP_DUMP, 0);
        f.ours.outcomes[at].data_len = f.theirs.outcomes[at].data_len = 64;
        ours = f.ours.outcomes[at].data;
        theirs = f.theirs.outcomes[at].data;
        memset(ours, 2, 64);
        memset(theirs, 2, 64);
        for (unsigned byte = 0; byte < 64; byte++) {
            ours[byte] = 0x42;
            fixture_judge(&f);
            cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], !(rows[i].forgiven >> byte & 1)),
                      "%s: byte %u", rows[i].body, byte);
            ours[byte] = 2;
        }
        fixture_free(&f);
    }
}

Test(judge, DIF_1_a_token_is_forgiven_its_number_and_not_its_kind)
{
    static const struct {
        uint32_t ours, theirs;
        bool different;
    } rows[] = {{0x1000, 0x2000, false}, {0, 0x1000, true}, {0x1000, 0xffffffff, true}};
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "wrmsr MSR_KVM_ASYNC_PF_EN ram+0x49\nload32 ram+0x44");
    at = fixture_action(&f, OP_LOAD32, 0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f.ours.outcomes[at].regs[0] = rows[i].ours;
        f.theirs.outcomes[at].regs[0] = rows[i].theirs;
        fixture_judge(&f);
        cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], rows[i].different), "row %u", i);
    }
    fixture_free(&f);
}

Test(judge, DIF_2_a_part_of_a_field_is_judged_as_its_field)
{
    static const struct {
        const char *body;
        bool different;
    } rows[] = {{"wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload8 ram+5", true},   /* of pad0 */
                {"wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload8 ram+9", false}}; /* of tsc_timestamp */

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        fixture_init(&f, rows[i].body);
        f.ours.outcomes[fixture_action(&f, OP_LOAD8, 0)].regs[0] = 1;
        fixture_judge(&f);
        cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], rows[i].different), "%s",
                  rows[i].body);
        fixture_free(&f);
    }
}

Test(judge, DIF_2_a_dump_that_is_shorter_is_a_difference)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "dump ram 8");
    at = fixture_action(&f, OP_DUMP, 0);
    f.ours.outcomes[at].data_len = 8;
    f.theirs.outcomes[at].data_len = 7;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 1));
    fixture_free(&f);
}

Test(judge, DIF_5_versions_are_even_and_both_or_neither_moved)
{
    static const char *const bodies[] = {
        "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload32 ram",
        "wrmsr MSR_KVM_STEAL_TIME ram+1\nload32 ram+8",
        "wrmsr MSR_KVM_WALL_CLOCK ram+4\nload32 ram+4",
    };
    static const struct {
        uint8_t ours, theirs;
        bool different;
    } rows[] = {{2, 8, false}, {2, 3, true}, {3, 2, true}, {0, 2, true}, {4, 0, true}};

    for (unsigned body = 0; body < sizeof(bodies) / sizeof(bodies[0]); body++) {
        struct fixture f;
        uint32_t at;

        fixture_init(&f, bodies[body]);
        at = fixture_action(&f, OP_LOAD32, 0);
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            f.ours.outcomes[at].regs[0] = rows[i].ours;
            f.theirs.outcomes[at].regs[0] = rows[i].theirs;
            fixture_judge(&f);
            cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], rows[i].different), "%s: row %u",
                      bodies[body], i);
        }
        fixture_free(&f);
    }
}

Test(judge, DIF_4_the_stable_bit_is_forgiven_only_without_a_TSC_clocksource)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload8 ram+29");
    at = fixture_action(&f, OP_LOAD8, 0);
    f.ours.outcomes[at].regs[0] = 1;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 1));
    f.judged.theirs.clocksource_tsc = false;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 0));
    f.ours.outcomes[at].regs[0] = 3; /* guest-stopped is another matter */
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 1));
    fixture_free(&f);
}

Test(judge, DIF_2_ordinary_memory_is_compared_byte_by_byte)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "dump ram 8");
    at = fixture_action(&f, OP_DUMP, 0);
    f.ours.outcomes[at].data_len = f.theirs.outcomes[at].data_len = 8;
    f.ours.outcomes[at].data[5] = 1;
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->what, "byte +5"));
    fixture_free(&f);
}

Test(judge, what_a_machine_cannot_do_is_not_compared_with_the_reason)
{
    static const uint8_t statuses[] = {OUTCOME_NONE, OUTCOME_UNSUPPORTED, OUTCOME_TIMEOUT, 77};
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "rdmsr MSR_KVM_POLL_CONTROL");
    at = fixture_action(&f, OP_RDMSR, 0);
    snprintf(f.theirs.stopped, sizeof(f.theirs.stopped), "instruction not implemented: foo");
    for (unsigned i = 0; i < sizeof(statuses); i++) {
        f.theirs.outcomes[at].status = statuses[i];
        fixture_judge(&f);
        cr_assert(eq(u32, fixture_total(&f, VERDICT_NOT_COMPARED), 1), "status %u", statuses[i]);
        cr_assert(eq(u32, fixture_total(&f, VERDICT_EQUAL) + fixture_total(&f, VERDICT_DIFFERENT), 0));
        cr_assert(fixture_first(&f, VERDICT_NOT_COMPARED)->reason[0] != 0);
    }
    f.theirs.outcomes[at].status = OUTCOME_NONE;
    fixture_judge(&f);
    cr_assert(contains(fixture_first(&f, VERDICT_NOT_COMPARED)->reason, "foo"));
    fixture_free(&f);
}

Test(judge, a_transcript_that_is_too_short_is_not_read_past_its_end)
{
    struct fixture f;

    fixture_init(&f, "cpuid 0\ncpuid 1");
    f.theirs.count = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_NOT_COMPARED), 2));
    fixture_free(&f);
}

Test(judge, a_halt_that_only_one_machine_leaves_is_a_difference)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "hlt");
    at = fixture_action(&f, OP_HLT, 0);
    f.theirs.outcomes[at].status = OUTCOME_TIMEOUT;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_INTERRUPT][VERDICT_DIFFERENT], 1));
    f.ours.outcomes[at].status = OUTCOME_TIMEOUT;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_INTERRUPT][VERDICT_EQUAL], 1));
    fixture_free(&f);
}

static void add_event(struct transcript *t, unsigned vcpu, uint8_t vector, uint32_t after)
{
    t->events[vcpu] = realloc(t->events[vcpu], (t->event_count[vcpu] + 1) * sizeof(struct probe_event));
    t->events[vcpu][t->event_count[vcpu]++] = (struct probe_event){.vector = vector, .after = after};
}

Test(judge, decision_5_interrupts_are_compared_in_order_per_vcpu)
{
    struct fixture f;

    fixture_init(&f, "sti");
    add_event(&f.ours, 1, 0xe1, 0);
    add_event(&f.ours, 1, 0xe2, 0);
    add_event(&f.theirs, 1, 0xe1, 5); /* when it came is the host's matter with two vCPUs */
    add_event(&f.theirs, 1, 0xe2, 7);
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0));
    f.theirs.events[1][0].vector = 0xe2;
    f.theirs.events[1][1].vector = 0xe1;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_INTERRUPT][VERDICT_DIFFERENT], 1));
    fixture_free(&f);
}

Test(judge, many_interrupts_differ_even_in_the_last)
{
    struct fixture f;

    fixture_init(&f, "sti");
    for (unsigned i = 0; i < MAILBOX_EVENTS; i++) {
        add_event(&f.ours, 0, (uint8_t)(32 + i % 200), 0);
        add_event(&f.theirs, 0, (uint8_t)(32 + i % 200), 0);
    }
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0));
    f.theirs.events[0][MAILBOX_EVENTS - 1].vector ^= 1;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    fixture_free(&f);
}

Test(judge, a_refusal_by_one_side_is_a_difference)
{
    struct fixture f;

    fixture_init(&f, "nop");
    judge_refusal(&f.judged, NULL, "unknown feature", &f.checks);
    judge_refusal(&f.judged, "unbekannt", "unknown feature", &f.checks);
    check_count(&f.checks, &f.counts);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    cr_assert(eq(u32, fixture_total(&f, VERDICT_EQUAL), 1));
    fixture_free(&f);
}

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

Test(judge, DIF_3_an_offer_may_be_withdrawn_where_the_same_vector_had_one)
{
    struct probe_event ours[3] = {{.vector = 0x51, .watched = 1, .byte = 1},
                                  {.vector = 0x51, .watched = 1, .byte = 1},
                                  {.vector = 0x52, .watched = 1}},
                       theirs[3];
    struct fixture f;

    fixture_init(&f, "rdtsc");
    memcpy(theirs, ours, sizeof(ours));
    f.ours.event_count[0] = f.theirs.event_count[0] = 3;
    f.ours.events[0] = ours;
    f.theirs.events[0] = theirs;
    theirs[1].byte = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0));
    theirs[0].byte = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1), "never offered there");
    ours[2].byte = theirs[2].byte = 1;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0), "offers are made there");
    cr_assert(eq(u32, fixture_total(&f, VERDICT_NOT_COMPARED), 1), "but perhaps never this one");
    memcpy(theirs, ours, sizeof(ours));
    ours[1].byte = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1), "ours has no such host");
    f.ours.events[0] = f.theirs.events[0] = NULL;
    f.ours.event_count[0] = f.theirs.event_count[0] = 0;
    fixture_free(&f);
}

Test(judge, decision_11_after_a_host_action_of_one_machine_alone_nothing_is_compared)
{
    struct fixture f;
    uint32_t migrate, after;

    fixture_init(&f, "load64 ram\n!migrate\nload64 ram");
    migrate = fixture_action(&f, OP_MIGRATE, 0);
    after = fixture_action(&f, OP_LOAD64, 1);
    f.ours.outcomes[after].regs[0] = 1;
    f.ours.outcomes[migrate].status = OUTCOME_UNSUPPORTED;
    f.theirs.outcomes[migrate].status = OUTCOME_HOST;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_EQUAL), 1));
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0));
    cr_assert(eq(u32, fixture_total(&f, VERDICT_NOT_COMPARED), 2));
    cr_assert(contains(f.checks.checks[f.checks.count - 1].reason, "only one machine did !migrate"));
    f.ours.outcomes[migrate].status = OUTCOME_HOST;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    fixture_free(&f);
}

Test(judge, EOI_19_what_a_handler_saw_of_the_flag_is_compared)
{
    struct fixture f;

    fixture_init(&f, "nop");
    for (unsigned side = 0; side < 2; side++) {
        struct transcript *t = side ? &f.theirs : &f.ours;

        t->events[0] = calloc(1, sizeof(*t->events[0]));
        t->events[0][0] = (struct probe_event){.vector = 0x51, .watched = 1, .byte = 1};
        t->event_count[0] = 1;
    }
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_what(&f, "interrupts on vcpu 0")->ours, "0x51(1)"));
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0));
    f.ours.events[0][0].byte = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1));
    fixture_free(&f);
}
