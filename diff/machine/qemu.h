/* One stock QEMU, launched with the probe as firmware, driven through its RAM and QMP. Decisions 1, 11, 13. */
#ifndef DIFF_MACHINE_QEMU_H
#define DIFF_MACHINE_QEMU_H

#include "diff/machine/machine.h"

#define QEMU_PROGRAM "qemu-system-x86_64" /* from PATH */

struct qemu_config {
    const char *accel;  /* "tcg" or "kvm" */
    bool native_vmcall; /* of the CPU under the guest */
    unsigned launch_ms; /* from exec to QMP being ready; 0: 15 s */
    uint64_t action_ns; /* deadline of one action; 0: mailbox_run's */
    /* step: after each program; cancelled: asked often, also as a sign of life */
    const struct progress *progress;
};

/* Runs the item's programs in one QEMU, each from system_reset with zeroed RAM; a QEMU that dies under a program is
 * replaced for those that follow. Whatever goes wrong is in *result, which machine_run() has prepared: a QEMU that
 * ends before it is ready has refused the flags. 0, or -EINTR when cancelled. No process is left. */
int qemu_run_item(const struct qemu_config *config, const struct run_item *item, struct run_result *result);

/* "7.2.22 (Debian ...)". -ENOENT, -EIO or -ETIMEDOUT with the fix in why. */
int qemu_version(char version[64], char why[240]);

/* "64M", "64", "1G", "size=64M" as -m takes them, in bytes; 0: none of these. */
uint64_t qemu_memory_bytes(const char *memory);

#endif
