/* One campaign: an engine on one target for some seconds, and what it left behind. */
#ifndef FUZZ_CAMPAIGN_H
#define FUZZ_CAMPAIGN_H

#include <limits.h>
#include <stdint.h>
#include "fuzz/catalog.h"
#include "fuzz/engine_output.h"

enum engine { ENGINE_LIBFUZZER, ENGINE_AFL, ENGINES };
extern const char *const engine_names[ENGINES];

struct campaign {
    const char *target;
    enum engine engine;
    unsigned seconds, jobs;
    const char *out; /* corpus/, logs and findings/ go there */
    /* results */
    char explainer[PATH_MAX]; /* the replay binary beside the fuzzer */
    struct found found;       /* files in out/findings */
    char first[PATH_MAX];     /* one of them */
    uint64_t runs;            /* inputs executed by all jobs */
    double elapsed_s;
};

/* EXIT_DONE: it ran (findings may be 0). EXIT_USAGE: out is too long; EXIT_MISSING; EXIT_OUR_FAULT: the engine failed;
 * EXIT_INTERRUPTED: all its processes ended. Each is said on stderr with the fix. SIGINT, SIGTERM and SIGHUP interrupt. */
int campaign_run(struct campaign *campaign);

#endif
