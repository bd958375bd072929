/* Shows a run: table or JSON on stdout, files in a folder; what run and report share. */
#ifndef DIFF_PRESENT_H
#define DIFF_PRESENT_H

#include "diff/report/report.h"

struct presentation {
    const char *folder; /* NULL: write no files */
    bool json, strict;
};

/* Stores the run, then shows it. An exit status. */
int present_new_run(struct run *run, const char *store_path, const struct presentation *show);
/* Shows a stored run: the same bytes every time. */
int present_stored_run(const char *which, const char *store_path, const struct presentation *show);

#endif
