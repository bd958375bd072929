/* A machine runs programs under one set of QEMU flags and gives transcripts. Drivers: direct, soft, qemu, box. */
#ifndef DIFF_MACHINE_MACHINE_H
#define DIFF_MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/machine/host_record.h"
#include "diff/program/transcript.h"
#include "diff/program/program.h"

enum machine_kind {
    MACHINE_DIRECT,
    MACHINE_SOFT,
    MACHINE_QEMU_KVM,
    MACHINE_QEMU_BOX,
    MACHINE_QEMU_TCG,
    MACHINE_KINDS
};
const char *machine_name(enum machine_kind kind); /* "direct", "soft", "qemu-kvm", "qemu-box", "qemu-tcg" */

/* One flag set: byte-equal on both sides (decision 1). */
struct flag_set {
    const char *name;    /* short, for the report */
    const char *cpu;     /* -cpu */
    const char *machine; /* -machine, e.g. "pc,kernel-irqchip=on" */
    const char *smp;     /* -smp, e.g. "2" */
    const char *memory;  /* -m, e.g. "64M" */
};

struct run_item { /* programs to run from reset, in order, under one flag set */
    struct flag_set flags;
    const struct program *programs;
    unsigned program_count;
    /* Their guest actions are cpuid without a mode: the probe stays in 32-bit mode, each vCPU reads its own at once.
     * Quickest, and the only way for CPU models without long mode. */
    bool cpuid_only;
    /* soft only: time is made by what the vCPUs do, so that equal items give equal transcripts, clocks included. */
    bool counted_time;
};

struct run_result {                 /* of one run_item */
    char error[240];                /* the whole item failed: one line with the fix; else empty */
    bool refused;                   /* QEMU (or our parser) refused the flags; error holds its words */
    char *command_line;             /* malloc'ed, as executed, without plumbing listed apart */
    char *warnings;                 /* malloc'ed: its stderr, may be empty */
    uint32_t tsc_khz;               /* as the kernel that ran it says; 0: as machine_info's host has it */
    struct transcript *transcripts; /* program_count of them */
};

struct machine_info {      /* provenance, for the report */
    char qemu_version[64]; /* empty for ours */
    char kernel_release[96];
    char detail[160];
    struct host_record host;      /* supported.count 0: there is none */
    uint32_t needs;               /* enum program_need: what it was shown to serve here */
    unsigned boots, boot_retries; /* box only */
};

struct progress { /* called between steps; NULL members are skipped */
    void (*step)(void *ctx, const char *what, unsigned done, unsigned total);
    bool (*cancelled)(void *ctx); /* true: stop soon, kill children, return -EINTR */
    void *ctx;
};

struct machine;
/* -ENOENT and *why when something is missing (the fix named), -ENOTSUP when this host's does not qualify for needs. */
int machine_open(struct machine **machine, enum machine_kind kind, uint32_t needs,
                 const struct host_record *host, const struct progress *progress, char why[240]);
/* Runs every item; one that fails says so in its result and the others go on. Negative: the machine itself is lost. */
int machine_run(struct machine *machine, const struct run_item *items, unsigned count,
                struct run_result *results);
const struct machine_info *machine_info(const struct machine *machine);
void machine_close(struct machine *machine); /* no process of ours survives */
/* What machine_run() does first: zeroes, and initialises the transcripts. -ENOMEM. */
int run_result_init(struct run_result *result, unsigned program_count);
void run_result_free(struct run_result *result, unsigned program_count);
/* vCPUs of a -smp string ("2", "cpus=4,sockets=2"): the part before the first comma or cpus=; 1 when there is none. */
unsigned smp_vcpus(const char *smp);

#endif
