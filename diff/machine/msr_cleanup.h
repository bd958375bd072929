/* Takes back what a program wrote to KVM's MSRs. QEMU's reset leaves those alone whose feature the guest does not have
 * (while KVM without enforcement lets it write them), so they would reach the next program. Decision 15. */
#ifndef DIFF_MACHINE_MSR_CLEANUP_H
#define DIFF_MACHINE_MSR_CLEANUP_H

#include "diff/program/program.h"

/* True when the program may leave such a value behind. */
bool msr_cleanup_needed(const struct program *program);
/* Fills program (initialised by the caller) with the writes, on every vCPU. One that is refused has left nothing
 * behind: enforcement is on. -ENOMEM. */
int msr_cleanup_program(struct program *program, unsigned vcpus);

#endif
