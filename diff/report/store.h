/* The run store: an SQLite file of runs with their transcripts. A recording is such a file too (--reference
 * recording:FILE): data made by a real run, never written by hand. */
#ifndef DIFF_REPORT_STORE_H
#define DIFF_REPORT_STORE_H

#include "diff/judge/check.h"
#include "diff/report/run.h"

struct store;

/* $XDG_DATA_HOME/paravane/runs.db or ~/.local/share/paravane/runs.db. False: neither variable is set. */
bool store_default_path(char *path, size_t size);
/* path NULL: the default. create: also makes its folders. 0, -ENOENT, -EINVAL, -EIO; why holds one line. */
int store_open(struct store **store, const char *path, bool create, char why[240]);
void store_close(struct store *store);

/* All or nothing; sets run->id. different: the fingerprints of its differences, for first and last seen. */
int store_save(struct store *store, struct run *run, const char *const *different, unsigned count,
               char why[240]);
/* which: a number, or "last". -ENOENT, -EINVAL (damaged), -ENOMEM. */
int store_load(struct store *store, const char *which, struct run *run, char why[240]);
/* The newest run against a real machine. */
int store_load_recording(struct store *store, struct run *run, char why[240]);
/* First run up to `until` that had this difference; 0: none. */
uint64_t store_first_seen(struct store *store, const char *fingerprint, uint64_t until);

#endif
