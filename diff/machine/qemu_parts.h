/* Inside diff/machine: one running QEMU, shared by what launches it and what migrates it. */
#ifndef DIFF_MACHINE_QEMU_PARTS_H
#define DIFF_MACHINE_QEMU_PARTS_H

#include "diff/machine/child.h"
#include "diff/machine/qemu.h"
#include "diff/machine/qmp.h"

#define QEMU_COMMAND_MS 5000u

struct qemu {
    const struct qemu_config *config;
    const struct run_item *item;
    struct run_result *result;
    struct child child;
    struct qmp qmp;
    char error[QMP_ERROR];
    int ram_fd, bios_fd;
    uint8_t *ram;
    uint64_t ram_size;
    bool fresh;          /* launched with -S: the guest has not run yet */
    bool paused;         /* by us */
    bool broken;         /* it stopped by itself: a KVM internal error */
    unsigned resets;     /* RESET events */
    uint64_t watched_ns; /* when pump last looked at the process */
};

/* A QEMU for the item on the RAM of q, its guest not started. incoming: of -incoming, or NULL. */
int qemu_launch(struct qemu *q, const char *incoming, bool *refused, char why[240]);
/* Keeps its warnings and ends it. */
void qemu_stop(struct qemu *q);
/* QMP stop and cont. */
int qemu_set_paused(struct qemu *q, bool paused);
bool qemu_cancelled(const struct qemu *q);

/* To a file and into a new QEMU, running or paused as it was (decision 11). -EIO: both are lost. */
int qemu_migrate(struct qemu *q);

#endif
