/* Programs as text on real machines, QEMU's TCG and our software vCPU, and what is expected of their actions. */
#ifndef TESTS_PROBE_FIXTURE_H
#define TESTS_PROBE_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include "diff/machine/machine.h"

#define HEAD(vcpus) "paravane 1\nvcpus " #vcpus "\nram 64\nirqchip kernel\n\n"

struct ran {
    struct program program;
    struct run_result result;
    struct transcript *t;
};

/* Skips the test where QEMU is not installed. */
static inline void run_item(struct ran *r, enum machine_kind kind, const char *cpu, const char *smp,
                            bool cpuid_only, const char *text)
{
    struct program_error error;
    struct run_item item = {.programs = &r->program, .program_count = 1, .cpuid_only = cpuid_only};
    struct machine *machine;
    char why[240];
    int err;

    program_init(&r->program);
    cr_assert(eq(int, program_parse(&r->program, text, strlen(text), &error), 0), "%u:%u: %s", error.line,
              error.column, error.message);
    item.flags = (struct flag_set){.name = "test",
                                   .cpu = cpu,
                                   .machine = kind == MACHINE_SOFT ? "pc" : "microvm",
                                   .smp = smp,
                                   .memory = "64M"};
    err = machine_open(&machine, kind, 0, NULL, NULL, why);
    cr_assert(eq(int, err, 0), "%s", why); /* ci/setup installs QEMU: without it this fails, by name */
    cr_assert(eq(int, machine_run(machine, &item, 1, &r->result), 0));
    cr_assert(eq(str, r->result.error, ""));
    r->t = &r->result.transcripts[0];
    cr_assert(eq(u32, r->t->count, r->program.count));
    machine_close(machine);
}

static inline void run_cpu(struct ran *r, enum machine_kind kind, const char *cpu, const char *smp,
                           const char *text)
{
    run_item(r, kind, cpu, smp, false, text);
}

static inline void run(struct ran *r, enum machine_kind kind, const char *smp, const char *text)
{
    run_cpu(r, kind, "qemu64", smp, text);
}

static inline void release(struct ran *r)
{
    run_result_free(&r->result, 1);
    program_free(&r->program);
}

/* The outcome of the nth action that is not a note, from 0. */
static inline const struct outcome *nth(const struct ran *r, unsigned n)
{
    for (uint32_t i = 0; i < r->program.count; i++)
        if (r->program.actions[i].op != OP_NOTE && n-- == 0)
            return &r->t->outcomes[i];
    cr_fatal("the program has no such action");
    return NULL;
}

static inline void expect_ok(const struct ran *r, unsigned n, uint64_t rax)
{
    const struct outcome *o = nth(r, n);

    cr_assert(eq(u8, o->status, OUTCOME_OK), "action %u: vector %u", n, o->vector);
    cr_assert(eq(u64, o->regs[0], rax), "action %u", n);
    cr_assert(eq(u32, o->changed, 0), "action %u", n);
}

static inline void expect_fault(const struct ran *r, unsigned n, unsigned vector, uint32_t error)
{
    const struct outcome *o = nth(r, n);

    cr_assert(eq(u8, o->status, OUTCOME_FAULT), "action %u", n);
    cr_assert(eq(u8, o->vector, vector), "action %u", n);
    cr_assert(eq(u32, o->error, error), "action %u", n);
    cr_assert(eq(u32, o->rip_delta, 0), "action %u", n);
    cr_assert(eq(u32, o->changed, 0), "action %u", n);
}

#define MODES 7
static const char *const modes[MODES] = {"", "cpl3", "compat", "compat-cpl3", "m32", "m32-cpl3", "m16"};
static const bool user[MODES] = {false, true, false, true, false, true, false};

static inline void expect_event(const struct ran *r, unsigned vcpu, unsigned n, unsigned vector)
{
    cr_assert(lt(u32, n, r->t->event_count[vcpu]), "vCPU %u had %u events", vcpu, r->t->event_count[vcpu]);
    cr_assert(eq(u8, r->t->events[vcpu][n].vector, vector));
}

#define ON_BOTH(name)                                                                                        \
    Test(probe_tcg, name)                                                                                    \
    {                                                                                                        \
        name(MACHINE_QEMU_TCG);                                                                              \
    }                                                                                                        \
    Test(probe_soft, name)                                                                                   \
    {                                                                                                        \
        name(MACHINE_SOFT);                                                                                  \
    }

#endif
