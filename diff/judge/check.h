/* A check: one thing that two machines answered and a judge compared. The unit that every report counts (decision 6). */
#ifndef DIFF_JUDGE_CHECK_H
#define DIFF_JUDGE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum check_kind {
    CHECK_CPUID,
    CHECK_MSR,
    CHECK_HYPERCALL,
    CHECK_RECORD,
    CHECK_INTERRUPT,
    CHECK_CLOCK,
    CHECK_KINDS
};
enum verdict { VERDICT_EQUAL, VERDICT_KNOWN, VERDICT_DIFFERENT, VERDICT_NOT_COMPARED, VERDICTS };
const char *check_kind_name(enum check_kind kind); /* "cpuid", "msr", ... */
const char *verdict_name(enum verdict verdict);    /* "equal", "known", "different", "not_compared" */

#define ACTION_WHOLE_PROGRAM UINT32_MAX

/* Texts belong to the list; never NULL, empty where there is nothing to say. */
struct check {
    uint8_t kind;      /* enum check_kind */
    uint8_t verdict;   /* enum verdict */
    uint32_t item;     /* index of the flag set */
    uint32_t program;  /* index of the scenario */
    uint32_t action;   /* index into the program's actions, or ACTION_WHOLE_PROGRAM */
    const char *flags; /* name of the flag set */
    const char *scenario;
    const char *text; /* the action in canonical text */
    const char *what; /* "0x40000001 eax", "outcome", "rate" */
    const char *ours, *theirs;
    const char *bits;   /* names of the bits that differ */
    const char *rule;   /* id of the rule that decides: "CLK-26" */
    const char *reason; /* why not compared, what was masked, or how a banded rule was measured */
    const char *known;  /* VERDICT_KNOWN: name of the entry */
};

struct check_counts {
    uint32_t by[CHECK_KINDS][VERDICTS];
};

struct check_block;
struct check_list {
    struct check *checks;
    size_t count, capacity;
    struct check_block *blocks; /* the texts */
    bool out_of_memory;         /* sticky: what follows was dropped, the list must not be reported */
};

void check_list_init(struct check_list *list);
void check_list_free(struct check_list *list);
/* Appends a copy; NULL texts become empty. */
void check_add(struct check_list *list, const struct check *check);
/* A text that lives as long as the list; "" when memory is short. */
const char *check_text(struct check_list *list, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void check_count(const struct check_list *list, struct check_counts *counts);
uint32_t check_total(const struct check_counts *counts, enum verdict verdict);

#endif
