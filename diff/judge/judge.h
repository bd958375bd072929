/* Compares what one program did on two machines: transcripts in, checks out. Rules: spec DIF-*, decisions 3 to 6. */
#ifndef DIFF_JUDGE_JUDGE_H
#define DIFF_JUDGE_JUDGE_H

#include "diff/judge/check.h"
#include "diff/machine/machine.h"

struct judge_side {
    const struct transcript *transcript; /* NULL: the item failed or never ran; `why` says so */
    const char *why;                     /* one line, for "not compared" */
    uint32_t tsc_khz;                    /* as the kernel that ran the VM says; 0: unknown */
    bool clocksource_tsc;                /* the stable flag may be expected (DIF-4) */
};

struct judge_case {
    const struct flag_set *flags;
    uint32_t item; /* its index */
    const char *scenario;
    uint32_t program_index;
    const struct program *program;
    struct judge_side ours, theirs;
};

/* Appends the checks of one program under one flag set. Transcripts are not trusted. */
void judge_program(const struct judge_case *judged, struct check_list *list);

/* A flag set that one machine refused: one check of kind cpuid. NULL: it was accepted. */
void judge_refusal(const struct judge_case *judged, const char *ours, const char *theirs,
                   struct check_list *list);

/* One check that stands for a program nobody ran under this flag set, with the reason. */
void judge_skipped(const struct judge_case *judged, const char *reason, struct check_list *list);

/* The guest's value of an operand, symbolic bases resolved as the machines do (mailbox.h). */
uint64_t operand_address(const struct operand *operand);

/* The kind that an action's outcome counts for. */
enum check_kind judge_kind(enum action_op op);

#endif
