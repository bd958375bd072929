/* The box: mainline KVM inside QEMU's software SVM, with our agent in it. ARCHITECTURE.md, "The box"; decisions 13, 14. */
#ifndef DIFF_MACHINE_BOX_H
#define DIFF_MACHINE_BOX_H

#include "diff/machine/machine.h"

struct box;

/* Boots it and waits for its agent, with one retry (decision 14). -ENOENT: something is missing; -EIO: it does not
 * come up; -EINTR. why says what and the fix. progress must outlive the box. */
int box_start(struct box **box, const struct progress *progress, char why[240]);
/* Kills it. NULL is fine. */
void box_stop(struct box *box);

const struct host_record *box_host_record(const struct box *box);
const char *box_description(const struct box *box); /* kernel, image, seconds to boot */
unsigned box_boots(const struct box *box);          /* that were tried, all of them */
unsigned box_retries(const struct box *box);

/* Runs one item in it. 0: *result holds what happened. -EIO: the box is dead, why in result->error: box_restart() or
 * box_stop(). -EINTR. */
int box_run(struct box *box, const struct run_item *item, struct run_result *result);
/* The most that one item may hold: a longer list of programs is to be split before programs[*fit]. */
unsigned box_fit(const struct run_item *item);
int box_restart(struct box *box, char why[240]);

/* Puts a file of the host into the box. -errno, with one line in why. */
int box_put_file(struct box *box, const char *from, const char *to, char why[240]);
/* Runs a shell command in it; output goes to write(). *status is as waitpid gives it. */
int box_exec(struct box *box, const char *command, void (*write)(void *ctx, const void *data, size_t len),
             void *ctx, int *status, char why[240]);

#endif
