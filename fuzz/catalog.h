/* The fuzz targets, what each covers, and where builds, corpora and binaries lie. */
#ifndef FUZZ_CATALOG_H
#define FUZZ_CATALOG_H

#include <limits.h>
#include <stdbool.h>

struct fuzz_target {
    const char *name; /* bin/fuzz_NAME, corpora/NAME */
    const char *covers;
    const char *rules; /* sections of the specification that its invariants come from */
};
extern const struct fuzz_target fuzz_targets[];
extern const unsigned fuzz_target_count;
const struct fuzz_target *fuzz_target_find(const char *name);

/* snprintf into a path; false when it does not fit. */
bool path_format(char path[PATH_MAX], const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The project folder above the running program; falls back to the working folder. False: neither holds corpora/. */
bool catalog_root(char root[PATH_MAX]);
/* A binary of the fuzzing build PRESET; false when it cannot be executed. What the fuzzer finds, the replay binary beside
 * it explains: the same code with the same sanitizers. */
bool catalog_fuzzer(const char *preset, const char *name, char path[PATH_MAX]);
bool catalog_explainer(const char *preset, const char *name, char path[PATH_MAX]);
/* The replay binary of a target beside the running program, no other: one of another build may be of other code.
 * False: it is not built; path says what to build. */
bool catalog_replay(const char *name, char path[PATH_MAX]);
/* Files directly in corpora/NAME whose names begin with prefix ("seed-", "bug-"). */
unsigned catalog_corpus_count(const char *name, const char *prefix);

#endif
