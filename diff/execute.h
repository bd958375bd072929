/* Carries out a run: the reference first, then our VMM over the reference's host record (decision 3). */
#ifndef DIFF_EXECUTE_H
#define DIFF_EXECUTE_H

#include "diff/report/run.h"

/* reference: auto, qemu-kvm, qemu-box, qemu-tcg, recording or recording:FILE. Fills both sides of every set and the
 * provenance. 0, or -errno with one line in why: -ENOENT, -ENOTSUP (something is missing), -EINVAL (usage),
 * -EINTR (cancelled), -ENOMEM, -EIO. */
int execute_run(struct run *run, const char *reference, const struct progress *progress, char why[512]);

#endif
