/* Starts real QEMUs one after the other, each with a -cpu string of its own, as fast as that honestly goes.
 *
 * Half of a start is the dynamic loader's work. So a lane has one QEMU loaded up to the first instruction of its main()
 * and forks it for every string (forkserver.c, preloaded): main() of the unmodified binary runs from its first
 * instruction, with the string in argv. A lane opened plain starts the binary by exec every time; the run checks a
 * sample of its answers, and every difference, that way. */
#ifndef DIFF_FLAGS_LANE_H
#define DIFF_FLAGS_LANE_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/flags/outcome.h"
#include "diff/machine/child.h"

#define LANE_TEXT_MAX (16u << 10) /* bytes kept of what one QEMU says */

struct lane {
    const char *machine, *forkserver; /* forkserver NULL: plain */
    struct child child;               /* the loaded QEMU, or the QEMU itself */
    int qmp[2];                       /* ours, QEMU's; both stay open for the life of the lane */
    int control, text_fd;             /* with a fork server: its socket, and where its QEMUs write */
    bool busy;
    uint64_t deadline_ns;
    char text[LANE_TEXT_MAX + 1]; /* what the last one said */
};

/* A lane that is not open: lane_close() does nothing to it. */
void lane_init(struct lane *lane);
/* The QEMU on the PATH, TCG, one vCPU. forkserver: path of the object to preload, or NULL. The strings stay the
 * caller's. -errno. */
int lane_open(struct lane *lane, const char *machine, const char *forkserver);
/* One string; the lane must be idle. -errno. */
int lane_start(struct lane *lane, const char *cpu);
/* What to poll(2) for input while busy; -1: nothing, ask again soon. */
int lane_fd(const struct lane *lane);
/* True when the QEMU has ended or its time is over: *end holds until the next start. Never blocks. */
bool lane_ended(struct lane *lane, struct qemu_end *end);
/* No process of the lane survives. */
void lane_close(struct lane *lane);

/* Start and wait. -errno; -EINTR when cancelled(ctx) turns true. */
int lane_run(struct lane *lane, const char *cpu, bool (*cancelled)(void *ctx), void *ctx,
             struct qemu_end *end);

#endif
