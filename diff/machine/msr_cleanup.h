/* Takes back what a program wrote to KVM's MSRs. QEMU's reset leaves those alone whose feature the guest does not have
 * (while KVM without enforcement lets it write them), so they would reach the next program. Decision 15. */
#ifndef DIFF_MACHINE_MSR_CLEANUP_H
#define DIFF_MACHINE_MSR_CLEANUP_H

#include "diff/machine/mailbox_run.h"
#include "diff/program/program.h"

/* Runs the writes on every vCPU of host, as a program that is part of no transcript; nothing where program wrote no MSR.
 * A write that is refused has left nothing behind: enforcement is on. -ENOMEM; -EIO: the VM is lost. */
int msr_cleanup(struct mailbox_host *host, const struct program *program);

#endif
