/* Shows what a campaign found: to a person, and as JSON. */
#ifndef DIFF_FLAGS_REPORT_H
#define DIFF_FLAGS_REPORT_H

#include <stdio.h>
#include "diff/flags/campaign.h"

#define FLAGS_VERSION_MAX 120

struct flags_run {
    struct campaign campaign;
    char version[FLAGS_VERSION_MAX]; /* of QEMU, as it says itself */
    uint64_t random_count, seed;
};

void flags_report_text(FILE *out, const struct flags_run *run);
/* "-" is stdout. 0 or -errno. */
int flags_report_json(const char *path, const struct flags_run *run);

#endif
