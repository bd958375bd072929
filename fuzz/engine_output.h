/* What engines leave in their output folder, read the same way for both. */
#ifndef FUZZ_ENGINE_OUTPUT_H
#define FUZZ_ENGINE_OUTPUT_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FOUND_MAX  64 /* names kept; more are only counted */
#define FOUND_NAME 64

/* What a campaign found: files in its findings folder. */
struct found {
    char names[FOUND_MAX][FOUND_NAME];
    unsigned count;
};

/* Removes the artifacts and logs of an earlier campaign from raw/ (they were collected then). */
void engine_forget(const char *raw);
/* crash-*, timeout-*, oom-*, leak-* (libFuzzer) or <job>/crashes/id*, <job>/hangs/id* (AFL++). */
bool engine_has_findings(const char *raw);
/* Copies each to findings/TARGET-<hash of its bytes>; equal inputs of several jobs are one finding. */
void engine_collect(const char *raw, const char *findings, const char *target, struct found *found);
/* Inputs executed, by the final statistics in the logs or in fuzzer_stats. */
uint64_t engine_runs(const char *raw);
/* The last line of job 0's log, for a progress line. */
void engine_last_line(const char *raw, char *line, size_t size);

#endif
