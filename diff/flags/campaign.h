/* Many -cpu strings through our parser and through real QEMUs, several at once; what differs is confirmed by a plain
 * start of QEMU and made short. */
#ifndef DIFF_FLAGS_CAMPAIGN_H
#define DIFF_FLAGS_CAMPAIGN_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/flags/grammar.h"
#include "diff/flags/outcome.h"
#include "diff/machine/machine.h"

#define CAMPAIGN_FINDINGS 64 /* kept apart; more are counted only */
#define CAMPAIGN_JOBS_MAX 64

/* Where the strings come from; string() fills text for 0 <= index < count. */
struct flags_source {
    uint64_t count;
    void (*string)(void *ctx, uint64_t index, char text[FLAGS_TEXT_MAX]);
    void *ctx;
};

struct flags_finding {
    enum flags_difference difference;
    bool silent;                         /* there was no answer at first */
    uint64_t index;                      /* of the first string that showed it */
    unsigned strings;                    /* how many did, of those that were kept */
    char text[FLAGS_TEXT_MAX];           /* that string */
    char minimal[FLAGS_TEXT_MAX];        /* what is left of it; shows the same kind of difference */
    char what[400];                      /* about minimal, in one line */
    struct flags_outcome *ours, *theirs; /* of minimal; owned */
};

struct campaign {
    /* Given. */
    const char *machine;    /* -machine */
    const char *forkserver; /* NULL: every QEMU is started plain */
    unsigned jobs;          /* QEMUs at once, 1 to CAMPAIGN_JOBS_MAX */
    const struct cpuid_supported *supported;
    /* Found. */
    uint64_t not_modelled;               /* strings: neither the same nor different */
    uint64_t done, different;            /* strings */
    uint64_t fates[FATES];               /* by QEMU's answer */
    uint64_t kinds[CPU_ERROR_KINDS + 1]; /* of its refusals; the last: words we do not know */
    uint64_t warned;                     /* strings that QEMU warned about */
    uint64_t checked_plain;              /* answers of a fork server that a plain start was held against */
    uint64_t retried;                    /* no answer at first, one from a plain start */
    double seconds;                      /* for done strings, without confirming and shrinking */
    struct flags_finding *findings[CAMPAIGN_FINDINGS]; /* owned */
    unsigned finding_count;
    char why[600]; /* for a negative return: one line */
};

/* Fills in what is found. 0; -EINTR when progress says so (nothing of it counts then); -EPROTO when a plain start
 * answers otherwise than the fork server did; other -errno. */
int campaign_run(struct campaign *campaign, const struct flags_source *source,
                 const struct progress *progress);
void campaign_free(struct campaign *campaign);

#endif
