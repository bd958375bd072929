/* What holds over every program of every corpus on the direct machine: the invariants after each action, and that a save and
 * restore before any action, or before all of them, is nothing that the guest can see. spec section 22, SAV-*. */
#include "diff/program/direct.h"
#include "fuzz/invariants.h"
#include "tests/saved_judge.h"

static void run_direct(const struct program *program, enum action_op op, uint32_t at, struct transcript *out)
{
    struct program woven;

    weave(&woven, program, op, at);
    cr_assert(eq(int, direct_machine_run(&woven, out), 0));
    program_free(&woven);
}

static bool saved_at(const struct program *program, const char *path, uint32_t at)
{
    struct transcript saved, plain;
    bool same;

    run_direct(program, OP_SAVE_RESTORE, at, &saved);
    run_direct(program, OP_ADVANCE, at, &plain);
    same = same_answers(&saved, &plain, path, at);
    transcript_free(&saved);
    transcript_free(&plain);
    return same;
}

static bool saved_everywhere(struct program *program, const char *path)
{
    bool same;

    drop_notes(program);
    same = saved_at(program, path, EVERYWHERE);
    for (uint32_t at = 0; at <= program->count; at++)
        same &= saved_at(program, path, at);
    return same;
}

static bool keeps_invariants(const struct program *program, const char *path)
{
    struct direct_machine *machine = malloc(sizeof(*machine));
    struct invariants *invariants = malloc(sizeof(*invariants));
    struct violation violation = {.rule = NULL};
    bool kept = true;

    cr_assert(machine && invariants);
    cr_assert(eq(int, direct_machine_create(machine, &program->config), 0));
    invariants_begin(invariants, &machine->vm, machine->bases);
    for (uint32_t i = 0; kept && i < program->count; i++) {
        struct outcome outcome;

        invariants_before(invariants, &program->actions[i]);
        direct_machine_step(machine, &program->actions[i], &outcome);
        kept = invariants_after(invariants, &program->actions[i], &outcome, &violation);
        if (!kept)
            fprintf(stderr, "%s: action %u: %s: %s\n", path, i, violation.rule, violation.text);
    }
    direct_machine_destroy(machine);
    free(invariants);
    free(machine);
    return kept;
}

static bool invariants_hold(struct program *program, const char *path)
{
    static const enum action_op ops[] = {OP_NOP, OP_SAVE_RESTORE, OP_MIGRATE};
    bool kept = true;

    for (unsigned i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
        struct program woven;

        weave(&woven, program, ops[i], EVERYWHERE);
        kept &= keeps_invariants(&woven, path);
        program_free(&woven);
    }
    return kept;
}

#define CORPUS_TESTS(name, pattern, least)                                                                   \
    Test(saved, name##_before_any_action)                                                                    \
    {                                                                                                        \
        each_program(PARAVANE_CORPORA pattern, least, saved_everywhere);                                     \
    }                                                                                                        \
    Test(saved, name##_keeps_the_invariants)                                                                 \
    {                                                                                                        \
        each_program(PARAVANE_CORPORA pattern, least, invariants_hold);                                      \
    }
CORPUS_TESTS(hypercall_corpus, "/hypercall/*.pv", 10)
CORPUS_TESTS(msr_corpus, "/msr/*.pv", 20)
CORPUS_TESTS(scenarios_to_hypercalls, "/diff/[a-h]*.pv", 15)
CORPUS_TESTS(scenarios_from_i, "/diff/[i-z]*.pv", 15)
