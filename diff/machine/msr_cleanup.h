/* Takes back what a program wrote to KVM's MSRs. QEMU's reset leaves those alone whose feature the guest does not have
 * (while KVM without enforcement lets it write them), so they would reach the next program. Decision 15. */
#ifndef DIFF_MACHINE_MSR_CLEANUP_H
#define DIFF_MACHINE_MSR_CLEANUP_H

#include "diff/machine/mailbox_run.h"
#include "diff/program/program.h"

/* mailbox_run() of program on a VM that ran `before`, NULL: none. The writes come between the reset and the program where
 * its vCPUs suffice, and cost a reset of their own where they do not; a write that is refused has left nothing behind:
 * enforcement is on. Returns what mailbox_run() does; -ESTALE: the VM is to be replaced, nothing of program ran. */
int mailbox_run_behind(struct mailbox_host *host, const struct program *before, const struct program *program,
                       struct transcript *out);

#endif
