/* Clock rules on made-up samples: each rule holds on a good clock and breaks on one with exactly that fault. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/judge/clock_rules.h"
#include "tests/judge_fixture.h"

#define ONE_CLOCK "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nclock ram 200"
#define NOTHING                                                                                              \
    {                                                                                                        \
        0                                                                                                    \
    }

/* Verdict of one rule about one machine whose OP_CLOCKs gave these samples, in order. */
static struct clock_finding judge_clocks(const char *body, const struct fixture_clock *clocks, unsigned count,
                                         enum clock_rule rule)
{
    struct clock_finding findings[CLOCK_RULES];
    struct fixture f;

    fixture_init(&f, body);
    for (unsigned i = 0; i < count; i++)
        fixture_samples(&f.ours, fixture_action(&f, OP_CLOCK, i), &clocks[i]);
    clock_rules_check(&f.program, &f.ours, FIXTURE_KHZ, findings);
    fixture_free(&f);
    return findings[rule];
}

static struct clock_finding judge_one(struct fixture_clock clock, enum clock_rule rule)
{
    return judge_clocks(ONE_CLOCK, &clock, 1, rule);
}

Test(clock_judge, a_good_clock_breaks_no_rule)
{
    for (unsigned rule = 0; rule < CLOCK_RULES; rule++) {
        struct clock_finding finding = judge_one((struct fixture_clock)NOTHING, rule);

        cr_assert(ne(int, finding.verdict, CLOCK_BROKEN), "%s: %s", clock_rules[rule].name, finding.text);
    }
    cr_assert(eq(int, judge_one((struct fixture_clock)NOTHING, CLOCK_RATE).verdict, CLOCK_HOLDS));
    cr_assert(eq(int, judge_one((struct fixture_clock)NOTHING, CLOCK_OFFSET).verdict, CLOCK_HOLDS));
}

Test(clock_judge, decision_4_a_drift_of_2_ppm_is_seen_and_one_of_a_fifth_is_not)
{
    cr_assert(eq(int, judge_one((struct fixture_clock){.drift_ppm = 2}, CLOCK_RATE).verdict, CLOCK_BROKEN));
    cr_assert(eq(int, judge_one((struct fixture_clock){.drift_ppm = -2}, CLOCK_RATE).verdict, CLOCK_BROKEN));
    cr_assert(eq(int, judge_one((struct fixture_clock){.drift_ppm = 0.2}, CLOCK_RATE).verdict, CLOCK_HOLDS));
}

Test(clock_judge, decision_4_a_drift_hides_neither_in_noise_nor_behind_a_short_look)
{
    struct fixture_clock noisy = {.drift_ppm = 0, .noise_ns = 40000, .count = 20};
    struct fixture_clock brief = {.drift_ppm = 2, .span_ns = 1000000};

    cr_assert(eq(int, judge_one(noisy, CLOCK_RATE).verdict, CLOCK_UNDECIDED));
    cr_assert(eq(int, judge_one(brief, CLOCK_RATE).verdict, CLOCK_NOT_SEEN));
}

Test(clock_judge, decision_4_offsets_beyond_5_us_from_the_line_are_seen)
{
    cr_assert(
        eq(int, judge_one((struct fixture_clock){.noise_ns = 14000}, CLOCK_OFFSET).verdict, CLOCK_BROKEN));
    cr_assert(
        eq(int, judge_one((struct fixture_clock){.noise_ns = 4000}, CLOCK_OFFSET).verdict, CLOCK_HOLDS));
}

Test(clock_judge, decision_4_a_host_too_noisy_to_tell_is_said)
{
    struct clock_finding finding = judge_one((struct fixture_clock){.bracket_ns = 30000}, CLOCK_OFFSET);

    cr_assert(eq(int, finding.verdict, CLOCK_UNDECIDED));
    cr_assert(contains(finding.text, "30000 ns"));
}

Test(clock_judge, samples_with_wide_brackets_are_left_out)
{
    struct clock_finding findings[CLOCK_RULES];
    struct fixture f;

    fixture_init(&f, ONE_CLOCK);
    fixture_samples(&f.ours, fixture_action(&f, OP_CLOCK, 0), &(struct fixture_clock)NOTHING);
    f.ours.samples[50].before_ns -= 900000; /* the agent was put aside for 0.9 ms */
    clock_rules_check(&f.program, &f.ours, FIXTURE_KHZ, findings);
    cr_assert(eq(int, findings[CLOCK_OFFSET].verdict, CLOCK_HOLDS), "%s", findings[CLOCK_OFFSET].text);
    cr_assert(contains(findings[CLOCK_OFFSET].text, "199 of 200"));
    fixture_free(&f);
}

Test(clock_judge, CLK_25_a_step_back_on_one_vcpu_is_seen)
{
    struct fixture_clock clocks[] = {{.count = 5, .span_ns = 1000},
                                     {.count = 5, .span_ns = 1000, .start_ns = 2000, .offset_ns = -9000}};
    const char *body = "clock ram 5\nclock ram 5";

    clocks[0].start_ns = 1000000;
    clocks[1].start_ns = 1002000;
    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_MONOTONE).verdict, CLOCK_BROKEN));
    clocks[1].offset_ns = 0;
    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_MONOTONE).verdict, CLOCK_HOLDS));
}

Test(clock_judge, CLK_25_and_STB_2_a_step_back_from_vcpu_to_vcpu_is_seen_while_stable) /* decision 21 */
{
    struct fixture_clock clocks[] = {
        {.count = 5, .span_ns = 1000, .start_ns = 1000000},
        {.count = 5, .span_ns = 1000, .start_ns = 1002000, .vcpu = 1, .offset_ns = -15000}};
    const char *body = "clock ram 5\n@1 clock ram+64 5";

    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_MONOTONE).verdict, CLOCK_HOLDS));
    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_MONOTONE_ALL).verdict, CLOCK_BROKEN));
    clocks[0].flags = clocks[1].flags = 2; /* not stable: the guest clamps */
    cr_assert(ne(int, judge_clocks(body, clocks, 2, CLOCK_MONOTONE_ALL).verdict, CLOCK_BROKEN));
}

Test(clock_judge, CLK_8_versions_are_even_and_grow_over_a_registration)
{
    struct fixture_clock clocks[] = {{.count = 3, .span_ns = 100, .version = 4},
                                     {.count = 3, .span_ns = 100, .start_ns = 9000, .version = 6}};
    const char *body = "clock ram 3\nwrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nclock ram 3";

    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_VERSION).verdict, CLOCK_HOLDS));
    clocks[1].version = 4;
    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_VERSION).verdict, CLOCK_BROKEN));
    clocks[1].version = 2;
    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_VERSION).verdict, CLOCK_BROKEN));
    clocks[1].version = 7;
    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_VERSION).verdict, CLOCK_BROKEN));
    clocks[0].version = 0xfffffffe; /* and wrap at 2^32 */
    clocks[1].version = 2;
    cr_assert(eq(int, judge_clocks(body, clocks, 2, CLOCK_VERSION).verdict, CLOCK_HOLDS));
}

static enum clock_verdict judge_changed(void (*change)(struct transcript *t), const char *body,
                                        enum clock_rule rule)
{
    struct clock_finding findings[CLOCK_RULES];
    struct fixture f;
    unsigned clocks = 0;

    fixture_init(&f, body);
    for (uint32_t i = 0; i < f.program.count; i++)
        if (f.program.actions[i].op == OP_CLOCK) {
            fixture_samples(
                &f.ours, i,
                &(struct fixture_clock){
                    .count = 4, .span_ns = 100, .start_ns = 5000 * clocks, .version = 2 * clocks + 2});
            clocks++;
        }
    change(&f.ours);
    clock_rules_check(&f.program, &f.ours, FIXTURE_KHZ, findings);
    fixture_free(&f);
    return findings[rule].verdict;
}

static void keep(struct transcript *t)
{
    (void)t;
}

static void change_mul(struct transcript *t)
{
    t->samples[2].tsc_to_system_mul++;
}

static void change_flags(struct transcript *t)
{
    t->samples[2].flags |= 4;
}

static void clear_stable(struct transcript *t)
{
    t->samples[2].flags = 0;
}

static void move_snapshot(struct transcript *t)
{
    t->samples[t->sample_count - 1].system_time++;
    t->samples[4].system_time++;
}

static void dirty_pad(struct transcript *t)
{
    for (uint32_t i = 0; i < t->count; i++) {
        t->outcomes[i].data_len = 32;
        t->outcomes[i].data[31] = 1;
    }
}

Test(clock_judge, exact_rules_break_one_by_one)
{
    static const struct {
        void (*change)(struct transcript *t);
        enum clock_rule rule;
    } rows[] = {{change_mul, CLOCK_SCALE},
                {change_flags, CLOCK_FLAGS},
                {clear_stable, CLOCK_STABLE},
                {move_snapshot, CLOCK_SNAPSHOT},
                {dirty_pad, CLOCK_PADS}};
    const char *body = "clock ram 4\nwrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nclock ram 4";

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert(ne(int, judge_changed(keep, body, rows[i].rule), CLOCK_BROKEN), "row %u", i);
        cr_assert(eq(int, judge_changed(rows[i].change, body, rows[i].rule), CLOCK_BROKEN), "row %u", i);
    }
}

#define PAUSE "clock ram 4\n!pause\n!advance 500ms\n!resume\nclock ram 4"

Test(clock_judge, C5_time_stands_still_while_stopped_and_the_guest_is_told)
{
    struct fixture_clock clocks[] = {
        {.count = 4, .span_ns = 100, .start_ns = 1000000},
        {.count = 4, .span_ns = 100, .start_ns = 511000000, .offset_ns = -500001000, .flags = 3}};

    cr_assert(eq(int, judge_clocks(PAUSE, clocks, 2, CLOCK_PAUSE).verdict, CLOCK_HOLDS));
    cr_assert(eq(int, judge_clocks(PAUSE, clocks, 2, CLOCK_PAUSE_FLAG).verdict, CLOCK_HOLDS));
    clocks[1].offset_ns = 0; /* it ran on */
    cr_assert(eq(int, judge_clocks(PAUSE, clocks, 2, CLOCK_PAUSE).verdict, CLOCK_BROKEN));
    clocks[1].offset_ns = -511000000; /* it went back */
    cr_assert(eq(int, judge_clocks(PAUSE, clocks, 2, CLOCK_PAUSE).verdict, CLOCK_BROKEN));
    clocks[1].flags = 1;
    cr_assert(eq(int, judge_clocks(PAUSE, clocks, 2, CLOCK_PAUSE_FLAG).verdict, CLOCK_BROKEN));
}

Test(clock_judge, two_machines_with_one_verdict_are_equal_and_else_different)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, ONE_CLOCK);
    at = fixture_action(&f, OP_CLOCK, 0);
    fixture_samples(&f.ours, at, &(struct fixture_clock){.drift_ppm = 2});
    fixture_samples(&f.theirs, at, &(struct fixture_clock){.drift_ppm = 0.1});
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_CLOCK][VERDICT_DIFFERENT], 1));
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->what, "rate"));
    cr_assert(contains(fixture_first(&f, VERDICT_DIFFERENT)->ours, "band 1 ppm"));
    fixture_free(&f);
}

Test(clock_judge, nonsense_samples_are_survived)
{
    struct clock_finding findings[CLOCK_RULES];
    struct fixture f;

    fixture_init(&f, ONE_CLOCK);
    fixture_samples(&f.ours, fixture_action(&f, OP_CLOCK, 0), &(struct fixture_clock)NOTHING);
    for (uint32_t i = 0; i < f.ours.sample_count; i++)
        memset(&f.ours.samples[i], (int)(0x35 * i), sizeof(f.ours.samples[i]));
    clock_rules_check(&f.program, &f.ours, 0, findings);
    f.ours.sample_runs[0].count = UINT32_MAX;
    f.ours.sample_runs[0].action = UINT32_MAX;
    clock_rules_check(&f.program, &f.ours, 1, findings);
    cr_assert(eq(int, findings[CLOCK_RATE].verdict, CLOCK_NOT_SEEN));
    fixture_free(&f);
}

/* Two resets with samples of vCPU 0 around them: the TSC begins anew at the first, for 1.2 s have passed, and goes on at the
 * second. Times in ns of the host. */
#define MS  1000000ull
#define REG "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\n"
#define RESETS                                                                                               \
    REG "clock ram 4\n!advance 1200ms\nclock ram 4\n!reset\n" REG "clock ram 4\n!reset\n" REG "clock ram 4"
#define BURST .count = 4, .span_ns = MS
#define RESET_CLOCKS                                                                                         \
    {                                                                                                        \
        {BURST, .start_ns = 100 * MS}, {BURST, .start_ns = 1350 * MS},                                       \
            {BURST, .start_ns = 1500 * MS, .tsc_began_ns = 1400 * MS},                                       \
        {                                                                                                    \
            BURST, .start_ns = 1600 * MS, .tsc_began_ns = 1400 * MS                                          \
        }                                                                                                    \
    }

static struct clock_finding judge_resets(const char *body, const struct fixture_clock clocks[4],
                                         enum clock_rule rule)
{
    struct clock_finding findings[CLOCK_RULES];
    struct fixture f;

    fixture_init(&f, body);
    for (unsigned i = 0; i < 4; i++)
        fixture_samples(&f.ours, fixture_action(&f, OP_CLOCK, i), &clocks[i]);
    for (uint32_t i = 0; i < f.program.count; i++)
        if (op_info(f.program.actions[i].op)->host)
            f.ours.outcomes[i].status = OUTCOME_HOST;
    clock_rules_check(&f.program, &f.ours, FIXTURE_KHZ, findings);
    fixture_free(&f);
    return findings[rule];
}

Test(clock_judge, S3_a_TSC_that_begins_anew_after_a_second_and_goes_on_within_one)
{
    struct fixture_clock clocks[] = RESET_CLOCKS;
    struct clock_finding tsc = judge_resets(RESETS, clocks, CLOCK_RESET_TSC);

    cr_assert(eq(int, tsc.verdict, CLOCK_HOLDS), "%s", tsc.text);
    cr_assert(contains(tsc.text, "went on within a second"), "%s", tsc.text);
    cr_assert(eq(int, judge_resets(RESETS, clocks, CLOCK_RESET).verdict, CLOCK_HOLDS));
}

Test(clock_judge, S3_a_TSC_that_goes_on_after_a_second_is_seen)
{
    struct fixture_clock clocks[] = RESET_CLOCKS;
    struct clock_finding tsc;

    clocks[2].tsc_began_ns = clocks[3].tsc_began_ns = 0;
    tsc = judge_resets(RESETS, clocks, CLOCK_RESET_TSC);
    cr_assert(eq(int, tsc.verdict, CLOCK_BROKEN));
    cr_assert(contains(tsc.text, "went on more than a second"), "%s", tsc.text);
    cr_assert(eq(int, judge_resets(RESETS, clocks, CLOCK_RESET).verdict, CLOCK_HOLDS), "kvmclock is right");
}

Test(clock_judge, S3_a_TSC_that_begins_anew_within_a_second_is_seen)
{
    struct fixture_clock clocks[] = RESET_CLOCKS;
    struct clock_finding tsc;

    clocks[3].tsc_began_ns = 1550 * MS;
    tsc = judge_resets(RESETS, clocks, CLOCK_RESET_TSC);
    cr_assert(eq(int, tsc.verdict, CLOCK_BROKEN));
    cr_assert(contains(tsc.text, "began anew within a second"), "%s", tsc.text);
}

Test(clock_judge, S3_a_TSC_that_jumps_is_seen)
{
    struct fixture_clock clocks[] = RESET_CLOCKS;
    struct clock_finding tsc;

    clocks[2].offset_ns = (int64_t)(5000 * MS);
    tsc = judge_resets(RESETS, clocks, CLOCK_RESET_TSC);
    cr_assert(eq(int, tsc.verdict, CLOCK_BROKEN));
    cr_assert(contains(tsc.text, "neither"), "%s", tsc.text);
    cr_assert(eq(int, judge_resets(RESETS, clocks, CLOCK_RESET).verdict, CLOCK_BROKEN));
}

/* A host that was slow between the two resets leaves open which of them it must be. */
Test(clock_judge, S3_a_slow_host_is_no_difference)
{
    struct fixture_clock clocks[] = RESET_CLOCKS;
    struct clock_finding tsc;

    for (unsigned i = 2; i < 4; i++)
        clocks[i].start_ns += 2000 * MS;
    clocks[2].tsc_began_ns = 3450 * MS;
    for (int began = 0; began < 2; began++) {
        clocks[3].tsc_began_ns = began ? 3550 * MS : 3450 * MS;
        tsc = judge_resets(RESETS, clocks, CLOCK_RESET_TSC);
        cr_assert(eq(int, tsc.verdict, CLOCK_HOLDS), "the first reset decides: %s", tsc.text);
        cr_assert(contains(tsc.text, "began anew more than a second"), "%s", tsc.text);
    }
}

Test(clock_judge, S3_what_a_program_does_to_the_TSC_itself_is_not_judged)
{
    struct fixture_clock clocks[] = RESET_CLOCKS;

    cr_assert(eq(int, judge_resets("wrmsr MSR_IA32_TSC 5\n" RESETS, clocks, CLOCK_RESET_TSC).verdict,
                 CLOCK_NOT_SEEN));
    cr_assert(
        eq(int, judge_resets("!pause\n!resume\n" RESETS, clocks, CLOCK_RESET_TSC).verdict, CLOCK_NOT_SEEN));
}

Test(clock_judge, C4_a_clock_that_a_reset_sets_back_is_seen)
{
    struct fixture_clock clocks[] = RESET_CLOCKS;

    for (unsigned i = 2; i < 4; i++) {
        clocks[i].start_ns += 300 * MS;
        clocks[i].offset_ns = -(int64_t)(300 * MS);
    }
    cr_assert(eq(int, judge_resets(RESETS, clocks, CLOCK_RESET).verdict, CLOCK_BROKEN));
}
