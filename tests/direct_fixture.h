/* Programs as text on the direct machine, and what is expected of their actions. For tests only. */
#ifndef TESTS_DIRECT_FIXTURE_H
#define TESTS_DIRECT_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/direct.h"

/* A program's text run on the machine; outcomes by line of body. */
struct run {
    struct transcript t;
};

static inline struct run run_text(const char *text)
{
    struct program program;
    struct program_error error;
    struct run run;

    program_init(&program);
    cr_assert(eq(int, program_parse(&program, text, strlen(text), &error), 0), "%u:%u: %s", error.line,
              error.column, error.message);
    cr_assert(eq(int, direct_machine_run(&program, &run.t), 0));
    program_free(&program);
    return run;
}

static inline void run_free(struct run *run)
{
    for (unsigned i = 0; i < PROBE_VCPUS; i++)
        free(run->t.events[i]);
    free(run->t.outcomes);
    free(run->t.samples);
    free(run->t.sample_runs);
}

static inline void expect_ok(const struct run *run, unsigned action, uint64_t rax)
{
    cr_expect(eq(int, run->t.outcomes[action].status, OUTCOME_OK), "action %u", action);
    cr_expect(eq(u64, run->t.outcomes[action].regs[0], rax), "action %u", action);
}

static inline void expect_fault(const struct run *run, unsigned action, uint8_t vector, uint32_t error)
{
    cr_expect(eq(int, run->t.outcomes[action].status, OUTCOME_FAULT), "action %u", action);
    cr_expect(eq(int, run->t.outcomes[action].vector, vector), "action %u", action);
    cr_expect(eq(u32, run->t.outcomes[action].error, error), "action %u", action);
    cr_expect(eq(u64, run->t.outcomes[action].regs[0], 0), "action %u", action);
}

#define APIC_ON "apic-write APIC_SPIV 0x1ff\nsti\n"

static inline void expect_host(const struct run *run, unsigned action, uint64_t err)
{
    cr_expect(eq(int, run->t.outcomes[action].status, OUTCOME_HOST), "action %u", action);
    cr_expect(eq(u64, run->t.outcomes[action].regs[0], err), "action %u", action);
}

static inline void expect_events(const struct run *run, unsigned vcpu, unsigned count,
                                 const uint8_t (*events)[2])
{
    cr_assert(eq(u32, run->t.event_count[vcpu], count));
    for (unsigned i = 0; i < count; i++) {
        cr_expect(eq(int, run->t.events[vcpu][i].vector, events[i][0]), "event %u", i);
        cr_expect(eq(int, run->t.events[vcpu][i].byte, events[i][1]), "event %u", i);
    }
}

#endif
