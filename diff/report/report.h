/* A run, judged: what every output format shows. A pure function of the run. */
#ifndef DIFF_REPORT_REPORT_H
#define DIFF_REPORT_REPORT_H

#include "diff/judge/check.h"
#include "diff/judge/clock_rules.h"
#include "diff/judge/known.h"
#include "diff/judge/pv_features.h"
#include "diff/report/fuzzing.h"
#include "diff/report/run.h"
#include "diff/report/text.h"

#define FINGERPRINT_SIZE 17 /* 16 hex digits */

/* Checks that say the same thing under several flag sets, shown once. */
struct difference_group {
    char id[FINGERPRINT_SIZE]; /* its anchor */
    const struct check *first;
    uint32_t *checks; /* indices, in order of flag sets */
    uint32_t count;
};

struct report {
    const struct run *run;
    struct check_list checks;
    struct check_counts counts;
    struct known_differences known;
    struct fuzzing fuzzing;
    struct difference_group *groups[VERDICTS]; /* none for VERDICT_EQUAL */
    uint32_t group_count[VERDICTS];
    struct feature_facts *ours, *theirs;                        /* per flag set */
    uint64_t (*first_seen)(void *ctx, const char *fingerprint); /* NULL: not known */
    void *first_seen_ctx;
};

/* 0, -ENOMEM, or -EINVAL with *message when the known differences or the fuzzing results are wrong. The run must
 * outlive the report. */
int report_build(struct report *report, const struct run *run, char message[200]);
void report_free(struct report *report);

/* 1 when something is unexplained or fuzzing found something, else 0. */
int report_status(const struct report *report);
unsigned report_stale(const struct report *report);
/* What a check is about, whatever the values: the same in every run of the same scenarios. */
void check_fingerprint(const struct check *check, char fingerprint[FINGERPRINT_SIZE]);

/* The command that shows one check again. */
void report_reproduce(const struct report *report, const struct check *check, struct text *out);
/* "QEMU 7.2.22 on Linux 6.1.0-37-cloud-amd64 (qemu-box)". */
void report_reference_title(const struct report *report, struct text *out);
/* Whether the scenario's two sides ran under the set. */
bool report_has_both(const struct report *report, unsigned set, unsigned scenario);

/* One question about one feature, over all flag sets. [0] ours, [1] the reference. */
struct feature_tally {
    unsigned yes[2], no[2], differ;
    enum feature_answer other; /* what the reference says where it says neither; ANSWER_NOT_TRIED wins */
};
struct feature_tally feature_tally(const struct report *report, unsigned feature, enum feature_level level);

/* The formats. */
void report_html(const struct report *report, struct text *out);
void report_json(const struct report *report, struct text *out);
void report_junit(const struct report *report, struct text *out);
void report_sarif(const struct report *report, struct text *out);
/* For a terminal; colours when asked. */
void report_terminal(const struct report *report, bool colours, struct text *out);

/* Makes the folder where it is not there, and sees whether files can be put into it. As report_write(). */
int report_folder(const char *folder, char why[240]);
/* Writes all four files into folder, each whole or not at all. -errno; why holds one line. */
int report_write(const struct report *report, const char *folder, char why[240]);

#endif
