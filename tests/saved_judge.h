/* The judge of save and restore: a program with a save and restore put between its actions, and the same with a host action
 * there that only makes the vCPUs leave the guest, as saving does. */
#ifndef TESTS_SAVED_JUDGE_H
#define TESTS_SAVED_JUDGE_H

#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/transcript.h"
#include "tests/program_file.h"

#define EVERYWHERE UINT32_MAX

/* The program with a host action before action `at`, or before each and after the last. */
static inline void weave(struct program *woven, const struct program *program, enum action_op op, uint32_t at)
{
    const struct action action = {.op = (uint8_t)op};

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

/* Notes take no part: numbers in messages count actions as they are run. */
static inline void drop_notes(struct program *program)
{
    struct program bare;

    weave(&bare, program, OP_NOP, EVERYWHERE - 1);
    program_free(program);
    *program = bare;
}

static inline bool same_events(const struct transcript *a, const struct transcript *b)
{
    for (unsigned v = 0; v < PROBE_VCPUS; v++)
        if (a->event_count[v] != b->event_count[v] ||
            (a->event_count[v] &&
             memcmp(a->events[v], b->events[v], a->event_count[v] * sizeof(*a->events[v]))))
            return false;
    return true;
}

static inline bool same_samples(const struct transcript *a, const struct transcript *b)
{
    return a->sample_count == b->sample_count &&
           (!a->sample_count || !memcmp(a->samples, b->samples, a->sample_count * sizeof(a->samples[0])));
}

/* Byte for byte, and every save and restore was done. Prints what is not so. */
static inline bool same_answers(const struct transcript *saved, const struct transcript *plain,
                                const char *path, uint32_t at)
{
    const char *what = NULL;
    uint32_t index = 0;

    for (uint32_t i = 0; i < saved->count; i++) /* what the two are made to differ in */
        if (at == EVERYWHERE ? i % 2 == 0 : i == at)
            cr_assert(eq(u64, saved->outcomes[i].regs[0], 0), "%s: the snapshot before action %u is refused",
                      path, i);
    for (; !what && index < plain->count; index++)
        if (memcmp(&saved->outcomes[index], &plain->outcomes[index], sizeof(plain->outcomes[0])))
            what = "outcome";
    if (!what && !same_events(saved, plain))
        what = "interrupts";
    if (!what && !same_samples(saved, plain))
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

/* holds() for each file, all of them even if one fails; there are that many at least. */
static inline void each_program(const char *pattern, unsigned least,
                                bool (*holds)(struct program *, const char *))
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

#endif
