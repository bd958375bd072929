/* The agent beside a VM: puts a program into the mailbox of its guest RAM, serves the host's half, and reads the
 * transcript back. The same code drives the soft machine, QEMU on the host, and QEMU inside the box. */
#ifndef DIFF_MACHINE_MAILBOX_RUN_H
#define DIFF_MACHINE_MAILBOX_RUN_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/program/transcript.h"
#include "diff/program/program.h"

/* How the agent reaches one running VM. Any call may take a moment, none may block for ever. */
struct mailbox_host {
    uint8_t *ram;      /* guest RAM from address 0, shared with the VM */
    uint64_t ram_size; /* bytes, at least MAILBOX_GPA + MAILBOX_SIZE */
    unsigned vcpus;    /* of the VM: a program that asks for more gets OUTCOME_UNSUPPORTED there */
    bool native_vmcall;
    bool cpuid_only; /* run_item.cpuid_only */
    void *ctx;
    /* Lets the VM run a little. False: it is gone; *why (240 bytes) then holds one line. */
    bool (*pump)(void *ctx, char why[240]);
    /* Clock of the samples' brackets and of deadlines: CLOCK_MONOTONIC_RAW of the kernel that runs the VM (decision 4),
     * or counted. It never stands still while pump is called. */
    uint64_t (*raw_ns)(void *ctx);
    /* system_reset: RAM is kept, the guest starts at the reset vector and runs. May return before that has happened.
     * Called at the start of each program, for !reset, and after a hang. -errno: the VM is lost. */
    int (*restart)(void *ctx);
    /* Zeroes guest RAM below PROBE_SIPI_PAGE and from PROBE_RAM_BASE on; NULL: the agent does so for the latter. */
    void (*clear_ram)(void *ctx);
    bool clears_mailbox; /* clear_ram also zeroes what the guest stored in the mailbox */
    /* Any host action but !advance and !reset; its addresses are resolved. 0, -ENOTSUP (reported as not compared), or
     * another -errno, which is the action's result. -EIO: the VM is lost. May fill outcome->data. */
    int (*host_action)(void *ctx, const struct action *action, struct outcome *outcome);
    /* Asked often; NULL: never. */
    bool (*cancelled)(void *ctx);
    /* the VM moves in pump alone; else it runs beside us, and we sleep a little between looks */
    bool runs_in_pump;
    /* Set by mailbox_run while the guest takes a clock sample: pump should neither sleep nor run long. */
    bool urgent;
    uint32_t actions_put; /* by mailbox_run, since the mailbox was cleared */
    /* Deadlines in ns of raw_ns; 0 takes the default in brackets. */
    /* from restart to the probe waiting for its magic, and from there to all vCPUs [15 s] */
    uint64_t boot_ns;
    uint64_t action_ns; /* one action [8 s] */
    uint64_t hlt_ns;    /* a hlt on vCPU 0, which nothing but a latched kick can end [200 ms] */
};

#define MAILBOX_HANGS_MAX      4 /* resets because an action hung, per program; then the run stops */
#define MAILBOX_ADVANCE_MAX_NS 2000000000ull /* a longer !advance is not compared (decision 11) */

/* Runs one program from reset and fills *out (initialised by the caller). 0: the transcript holds, out->stopped says
 * whether it ends early. -EIO: the VM is gone or its probe never came up, out->stopped says how; -EINTR: cancelled;
 * -ENOMEM; -EINVAL: too little RAM. Whatever the guest writes into its RAM, this neither crashes nor hangs.
 * Program first, NULL: none, runs between the reset and that program, with the same vCPUs (mailbox_vcpus), without host
 * actions, and is part of no transcript. -ESTALE: it did not come to its end, and nothing of the program ran. */
int mailbox_run(struct mailbox_host *host, const struct program *first, const struct program *program,
                struct transcript *out);

/* How many vCPUs are started for a program; the others wait for SIPI as after a reset. */
unsigned mailbox_vcpus(const struct mailbox_host *host, const struct program *program);

/* Guest-physical address of an operand in a VM with this much RAM (decision 9). */
uint64_t mailbox_resolve(const struct operand *operand, uint64_t ram_size);

#endif
