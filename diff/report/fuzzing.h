/* What `pv-fuzz run --json` printed, one line per campaign: shown beside the comparison it belongs to. */
#ifndef DIFF_REPORT_FUZZING_H
#define DIFF_REPORT_FUZZING_H

#include <stddef.h>
#include <stdint.h>

#define FUZZING_MAX          256  /* campaigns in one file */
#define FUZZING_FINDINGS_MAX 1024 /* named findings of one campaign */

struct fuzz_finding {
    char *file, *replay; /* the input, and the command that runs it again */
};

struct fuzz_result {
    char *target, *engine;
    double seconds;
    uint32_t jobs;
    uint64_t runs;     /* inputs executed by all jobs */
    uint32_t findings; /* all of them; `list` may name fewer */
    struct fuzz_finding *list;
    uint32_t list_count;
};

struct fuzzing {
    struct fuzz_result *results;
    uint32_t count;
    uint64_t findings; /* of all results */
};

/* Lines of schema "paravane-fuzz-run-1"; empty lines are skipped. text[length] is 0; nothing of it
 * is kept. 0, -ENOMEM, or -EINVAL
 * with *message "line 3: ...". Free in every case. */
int fuzzing_parse(struct fuzzing *fuzzing, const char *text, size_t length, char message[200]);
void fuzzing_free(struct fuzzing *fuzzing);

/* Inputs per second of all jobs together. */
double fuzz_runs_per_second(const struct fuzz_result *result);

#endif
