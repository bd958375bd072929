/* Finds and reads what pv-diff runs: scenarios, the matrix and the known differences under corpora/diff. */
#ifndef DIFF_CORPUS_H
#define DIFF_CORPUS_H

#include <stddef.h>
#include <stdio.h>
#include "diff/report/run.h"

/* A whole file of at most 4 MB, with a NUL after it. NULL after a line on stderr. */
char *read_input(const char *path, size_t *length);

/* corpora/diff under the current folder, else of the tree that the program was built in. False: neither is there. */
bool corpus_folder(char *path, size_t size);

/* Whether a scenario of the corpus has this name. */
bool corpus_has(const char *name, size_t length);
/* name: a path to text or to a binary program, or the name of a scenario of the corpus. 0, or an exit status after a line on stderr. */
int corpus_add_scenario(struct run *run, const char *name);
/* Every *.pv of the corpus, by name. As above. */
int corpus_add_all(struct run *run);
/* Reads corpora/diff/known-differences; absent: "". NULL when memory is short. */
char *corpus_known(void);

#endif
