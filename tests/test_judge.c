/* The judge must see what is planted, wherever it is planted, and forgive only what a rule forgives. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/judge/bits.h"
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
