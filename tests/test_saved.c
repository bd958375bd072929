/* What holds over every program of every corpus: the invariants after each action, and that a save and restore before any
 * action, or before all of them, is nothing that the guest can see. Compared is the same program with a host action in the
 * same places that only makes the vCPUs leave the guest, as saving does. spec section 22, SAV-*; DESIGN.md "Judges". */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/judge/judge.h"
#include "diff/machine/machine.h"
#include "diff/program/direct.h"
#include "fuzz/invariants.h"
#include "tests/program_file.h"
#include "vmm/cpuid/supported.h"

#define EVERYWHERE UINT32_MAX

/* The program with a host action before action `at`, or before each and after the last. */
static void weave(struct program *woven, const struct program *program, enum action_op op, uint32_t at)
{
    const struct action action = {.op = op};

    program_init(woven);
    woven->config = program->config;
    for (uint32_t i = 0; i <= program->count; i++) {
        bool note = i < program->count && program->actions[i].op == OP_NOTE;

        if (!note && (at == EVERYWHERE || at == i))
            cr_assert(program_add(woven, &action));
        if (!note && i < program->count)
            cr_assert(program_add(woven, &program->actions[i]));
    }
}

static void run_direct(const struct program *program, enum action_op op, uint32_t at, struct transcript *out)
{
    struct program woven;

    weave(&woven, program, op, at);
    cr_assert(eq(int, direct_machine_run(&woven, out), 0));
    program_free(&woven);
}

static bool same_events(const struct transcript *a, const struct transcript *b)
{
    for (unsigned v = 0; v < PROBE_VCPUS; v++)
        if (a->event_count[v] != b->event_count[v] ||
            (a->event_count[v] &&
             memcmp(a->events[v], b->events[v], a->event_count[v] * sizeof(*a->events[v]))))
            return false;
    return true;
}

static bool same_answers(const struct transcript *saved, const struct transcript *plain, const char *path,
                         uint32_t at)
{
    const char *what = NULL;
    uint32_t index = 0;

    for (; !what && index < plain->count; index++)
        if (memcmp(&saved->outcomes[index], &plain->outcomes[index], sizeof(plain->outcomes[0])))
            what = "outcome";
    if (!what && !same_events(saved, plain))
        what = "interrupts";
    if (!what && (saved->sample_count != plain->sample_count ||
                  memcmp(saved->samples, plain->samples, plain->sample_count * sizeof(plain->samples[0]))))
        what = "clock samples";
    if (!what && strcmp(saved->stopped, plain->stopped))
        what = "end";
    if (what)
        fprintf(stderr,
                "%s: saved before action %d: other %s (woven action %u: status %u rax %#lx, not %u %#lx)\n",
                path, (int)at, what, index - 1, saved->outcomes[index - 1].status,
                saved->outcomes[index - 1].regs[0], plain->outcomes[index - 1].status,
                plain->outcomes[index - 1].regs[0]);
    return !what;
}

static bool saved_at(const struct program *program, const char *path, uint32_t at)
{
    struct transcript saved, plain;
    bool same;

    run_direct(program, OP_SAVE_RESTORE, at, &saved);
    run_direct(program, OP_ADVANCE, at, &plain);
    /* What the two are made to differ in. */
    for (uint32_t i = 0; i < saved.count && i < plain.count; i++)
        if (at == EVERYWHERE ? i % 2 == 0 : i == at)
            cr_assert(eq(u64, saved.outcomes[i].regs[0], 0), "%s: the snapshot before action %u is refused",
                      path, i);
    same = same_answers(&saved, &plain, path, at);
    transcript_free(&saved);
    transcript_free(&plain);
    return same;
}

/* Notes take no part: numbers in messages count actions as they are run. */
static void drop_notes(struct program *program)
{
    struct program bare;

    weave(&bare, program, OP_NOP, EVERYWHERE - 1);
    program_free(program);
    *program = bare;
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

static void each_program(const char *pattern, unsigned least, bool (*holds)(struct program *, const char *))
{
    glob_t files;
    bool all = true;

    cr_assert(eq(int, glob(pattern, 0, NULL, &files), 0), "%s", pattern);
    cr_assert(ge(sz, files.gl_pathc, least), "%s", pattern);
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct program program;

        program_from_file(&program, files.gl_pathv[i]);
        all &= holds(&program, files.gl_pathv[i]);
        program_free(&program);
    }
    globfree(&files);
    cr_assert(all);
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

/* On the software vCPU time is real: its transcripts are judged as two machines' are. */
static void run_soft(struct machine *machine, const struct program *program, enum action_op op,
                     struct run_result *result)
{
    struct program woven;
    const struct run_item item = {
        .programs = &woven,
        .program_count = 1,
        .flags = {
            .name = "saved",
            .cpu =
                "qemu64,kvm-pv-unhalt=on,kvm-pv-tlb-flush=on,kvm-pv-ipi=on,kvm-poll-control=on,kvm-pv-sched-"
                "yield=on,kvm-asyncpf-int=on",
            .machine = "pc,kernel-irqchip=on",
            .smp = program->config.vcpus == 1   ? "1"
                   : program->config.vcpus == 2 ? "2"
                                                : "4",
            .memory = "16M"}};

    weave(&woven, program, op, EVERYWHERE);
    cr_assert(eq(int, machine_run(machine, &item, 1, result), 0));
    cr_assert(eq(str, result->error, ""));
    program_free(&woven);
}

static bool soft_notices_nothing(struct program *program, const char *path)
{
    const struct flag_set flags = {.name = "saved"};
    struct run_result saved, plain;
    struct machine *machine;
    struct check_list list;
    struct program woven;
    char why[240];
    unsigned found = 0;

    if (2 * program->count > MAILBOX_ACTIONS - 2)
        return true;
    cr_assert(eq(int, machine_open(&machine, MACHINE_SOFT, 0, NULL, NULL, why), 0), "%s", why);
    run_soft(machine, program, OP_SAVE_RESTORE, &saved);
    run_soft(machine, program, OP_ADVANCE, &plain);
    machine_close(machine);
    weave(&woven, program, OP_ADVANCE, EVERYWHERE);
    check_list_init(&list);
    judge_program(&(struct judge_case){.flags = &flags,
                                       .scenario = path,
                                       .program = &woven,
                                       .ours = {.transcript = &saved.transcripts[0], .tsc_khz = 2000000},
                                       .theirs = {.transcript = &plain.transcripts[0], .tsc_khz = 2000000}},
                  &list);
    for (size_t i = 0; i < list.count; i++) {
        const struct check *c = &list.checks[i];

        if (c->verdict != VERDICT_DIFFERENT || c->kind == CHECK_CLOCK)
            continue;
        fprintf(stderr, "%s: action %u: %s: %s: saved %s, plain %s (%s)\n", path, c->action, c->text, c->what,
                c->ours, c->theirs, c->rule);
        found++;
    }
    if (*saved.transcripts[0].stopped) {
        fprintf(stderr, "%s: %s\n", path, saved.transcripts[0].stopped);
        found++;
    }
    check_list_free(&list);
    run_result_free(&saved, 1);
    run_result_free(&plain, 1);
    program_free(&woven);
    return !found;
}

Test(saved, scenarios_before_all_actions_on_the_software_vcpu)
{
    each_program(PARAVANE_CORPORA "/diff/*.pv", 30, soft_notices_nothing);
}
