/* Every action of the op table is run by the fuzz targets, or has a reason why not; seeds and the mutator's draws reach it
 * so that the direct machine does it. corpora/README.md. */
#include <criterion/criterion.h>
#include <glob.h>
#include <stdlib.h>
#include "diff/program/direct.h"
#include "fuzz/random_action.h"
#include "fuzz/surfaces.h"
#include "tests/program_file.h"

static void expect_decided(const struct surface_info *row)
{
    for (unsigned op = 0; op < OP_COUNT; op++) {
        bool runs = row->ops & OPS(op);
        const char *why = surface_reason(op, row->surface);

        cr_expect(ne(int, runs, why != NULL), "fuzz_%s %s '%s' (%s)", row->name, runs ? "runs" : "lacks",
                  op_info(op)->word, why ? why : "without a reason in fuzz/surfaces.c");
    }
}

Test(surfaces, each_action_is_run_or_has_a_reason)
{
    for (unsigned i = 0; i < surface_count; i++)
        expect_decided(&surfaces[i]);
    for (unsigned i = 0; i < surface_note_count; i++)
        cr_expect(surface_notes[i].ops && surface_notes[i].why[0], "note %u", i);
}

static bool is_done(const struct outcome *outcome)
{
    return outcome->status == OUTCOME_OK || (outcome->status == OUTCOME_HOST && !outcome->regs[0]);
}

/* The ops of a program that its machine did: a guest action that ended, maybe later, a host action that was not refused. */
static uint64_t done_by(const struct program *program)
{
    static struct direct_machine machine;
    uint64_t done = 0;

    cr_assert(eq(int, direct_machine_create(&machine, &program->config), 0));
    for (uint32_t i = 0; i < program->count; i++) {
        struct outcome outcome;

        direct_machine_step(&machine, &program->actions[i], &outcome);
        done |= is_done(&outcome) ? OPS(program->actions[i].op) : 0;
        for (unsigned n = 0; n < machine.wake_count; n++)
            if (is_done(&machine.wakes[n].outcome))
                done |= OPS(program->actions[machine.wakes[n].action].op);
    }
    direct_machine_destroy(&machine);
    return done;
}

static void expect_all(const struct surface_info *row, uint64_t done, const char *who)
{
    for (unsigned op = 0; op < OP_COUNT; op++)
        if (row->ops & ~done & OPS(op))
            cr_fail("fuzz_%s: no %s does '%s'", row->name, who, op_info(op)->word);
}

Test(surfaces, each_action_succeeds_in_a_seed)
{
    for (unsigned i = 0; i < surface_count; i++) {
        char pattern[512];
        uint64_t done = 0;
        glob_t found;

        snprintf(pattern, sizeof(pattern), "%s/%s/seed-*.pv", PARAVANE_CORPORA, surfaces[i].name);
        cr_assert(eq(int, glob(pattern, 0, NULL, &found), 0));
        for (size_t n = 0; n < found.gl_pathc; n++) {
            struct program program;

            program_from_file(&program, found.gl_pathv[n]);
            done |= done_by(&program);
            program_free(&program);
        }
        globfree(&found);
        expect_all(&surfaces[i], done, "seed");
    }
}

#define DRAWN_PROGRAMS 20000
#define DRAWN_ACTIONS  16

Test(surfaces, each_action_succeeds_in_a_drawn_program)
{
    for (unsigned i = 0; i < surface_count; i++) {
        struct rng rng = {0x9e3779b97f4a7c15};
        uint64_t done = 0;

        for (unsigned n = 0; n < DRAWN_PROGRAMS && (surfaces[i].ops & ~done); n++) {
            struct program program;

            program_init(&program);
            config_random(&program.config, &rng);
            for (unsigned count = 0; count < DRAWN_ACTIONS; count++) {
                struct action action;

                action_random(&action, &rng, surfaces[i].ops, program.config.vcpus);
                cr_assert(program_add(&program, &action));
            }
            done |= done_by(&program);
            program_free(&program);
        }
        expect_all(&surfaces[i], done, "drawn program");
    }
}
