/* Shows what came of it, to a person and as JSON. */
#ifndef DIFF_MODELS_REPORT_H
#define DIFF_MODELS_REPORT_H

#include "diff/models/ask.h"
#include "diff/models/compare.h"

struct models_run {
    struct plan plan;
    struct answers answers;
    struct asking asking;
    const char *kept; /* path of the answers */
    /* By judge: of model m and variant v of the plan, [m * variant_count + v]; owned. */
    struct models_result *results;
    unsigned counts[VARIANTS_MAX][MODELS_VERDICTS];
    unsigned total[MODELS_VERDICTS];
};

/* Fills in results and counts. -ENOMEM. */
int models_judge(struct models_run *run);
void models_report_text(FILE *out, const struct models_run *run);
/* "-" is stdout. 0 or -errno. */
int models_report_json(const char *path, const struct models_run *run);

#endif
