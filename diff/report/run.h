/* One differential run as it is stored: what was asked, on which machines, and every transcript. A report is a pure
 * function of this, so that a stored run gives the same bytes every time (decision 7). */
#ifndef DIFF_REPORT_RUN_H
#define DIFF_REPORT_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/machine/machine.h"

struct run_scenario {
    char *name; /* the file's name without its ending */
    char *file; /* where it was read from; empty: found by its name */
    char *text; /* as the file has it */
    struct program program;
};

/* One machine's half of one flag set. */
struct run_side {
    char error[240]; /* the whole set failed; empty: it ran */
    bool refused;    /* the flags were refused, in the words of error */
    char *command_line, *warnings;
    uint32_t tsc_khz;               /* of the host that ran it; 0: as the machine's host record says */
    bool *ran;                      /* per scenario */
    struct transcript *transcripts; /* per scenario, those that ran hold */
};

struct run_set {
    char *name, *cpu, *machine, *smp, *memory;
    char *only; /* names of the scenarios to run under it, separated by blanks; empty: all */
    struct run_side ours, theirs;
};

struct run {
    uint64_t id;     /* in the store; 0: not stored */
    char *created;   /* UTC, ISO 8601 */
    char *version;   /* ours */
    char *reference; /* "qemu-box", "recording:FILE", ... */
    char *recording; /* which recorded run the reference is; else empty */
    char *known;     /* text of the known-differences file; may be empty */
    char *fuzz;      /* lines of pv-fuzz run --json; may be empty */
    struct machine_info ours, theirs;
    struct run_scenario *scenarios;
    unsigned scenario_count;
    struct run_set *sets;
    unsigned set_count;
};

#define RUN_SCENARIOS_MAX 512
#define RUN_SETS_MAX      512

void run_init(struct run *run);
void run_free(struct run *run);
/* Parses and takes a scenario; `file` may be "". 0, -EINVAL with *error, -ENOMEM. */
int run_add_scenario(struct run *run, const char *name, const char *file, const char *text, size_t len,
                     struct program_error *error);
/* Copies the texts; `only` may be NULL. 0 or -ENOMEM. All scenarios must be there: a set has room for each. */
int run_add_set(struct run *run, const struct flag_set *flags, const char *only);

struct flag_set run_flags(const struct run_set *set);
/* Whether the set's list of scenarios, if it has one, names this one. */
bool run_wants(const struct run *run, unsigned set, unsigned scenario);
/* Why a scenario that is wanted cannot run under a set, or NULL. buf holds the words. */
const char *run_skip_reason(const struct run *run, unsigned set, unsigned scenario, char *buf, size_t size);
/* kvm-pv-enforce-cpuid in the -cpu string: the last word about it counts. */
bool run_set_enforced(const struct run_set *set);

/* The scenario's transcript on a side, or NULL. */
const struct transcript *run_transcript(const struct run_side *side, unsigned scenario);

#endif
