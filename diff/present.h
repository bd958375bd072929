/* Shows a run: table or JSON on stdout, files in a folder; what run and report share. */
#ifndef DIFF_PRESENT_H
#define DIFF_PRESENT_H

#include <argp.h>
#include "diff/report/report.h"

struct presentation {
    const char *folder; /* NULL: write no files */
    const char *store;  /* NULL: $XDG_DATA_HOME/paravane/runs.db */
    bool json, strict;
};

/* The options -o, --json, --strict and --store, for a command's argp children; its input is a struct presentation. */
extern const struct argp present_argp;

/* Stores the run, then shows it. An exit status. */
int present_new_run(struct run *run, const struct presentation *show);
/* Shows a stored run: the same bytes every time. */
int present_stored_run(const char *which, const struct presentation *show);

#endif
