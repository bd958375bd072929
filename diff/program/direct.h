/* The direct machine: the VMM's paravirtual core called as functions behind a shell that behaves as a CPU running the
 * probe would (decision 12). No interpreter, no time of its own: virtual time moves by !advance only, so equal programs
 * give equal outcomes. For fuzzing at full speed and for tests.
 *
 * What only guest code can do is missing here: page tables of the guest's own, TF, patched code that runs. */
#ifndef DIFF_PROGRAM_DIRECT_H
#define DIFF_PROGRAM_DIRECT_H

#include <stdbool.h>
#include <stdint.h>
#include "diff/program/transcript.h"
#include "diff/probe/mailbox.h"
#include "diff/program/program.h"
#include "vmm/board/kvmclock_device.h"
#include "vmm/core/vm.h"
#include "vmm/pv/lifecycle.h"

#define DIRECT_TSC_KHZ     2600000u
#define DIRECT_START_NS    1000000000ull          /* env now_ns when a program begins */
#define DIRECT_END_NS      5000000000000000000ull /* 158 years: where !advance stops, before the TSC wraps */
#define DIRECT_HLT_NS      200000000ull           /* how long vCPU 0 may sleep: what mailbox_run waits */
#define DIRECT_REALTIME_NS 1700000000000000000ull /* wall clock at now_ns 0 */
/* Hangs of vCPU 0 that end in a reset; the next one stops the run, as mailbox_run does. */
#define DIRECT_HANGS_MAX 4

struct direct_vcpu {        /* the CPU shell: what the VMM's core does not hold */
    bool interrupts;        /* IF between actions */
    bool restarted;         /* INIT or SIPI came during the last step */
    bool lost;              /* started by a SIPI at an address where no probe is */
    bool waits;             /* for a page: the action is done again when it is there (APF-12) */
    bool watches;           /* OP_ON_INTERRUPT: watch_at and watch_how hold */
    uint8_t watch_how;      /* enum on_interrupt */
    uint32_t asleep_action; /* while halted or waiting: which action did it */
    uint64_t watch_at;
    uint64_t off_cpu_ns, on_cpu_ns; /* while the host has taken the CPU away (vcpu_descheduled) */
    struct action waiting;          /* while it waits */
};

struct direct_wake { /* an action that had not ended in its own step: a HLT, or one that waited for a page */
    uint32_t action;
    struct outcome outcome;
};

struct direct_machine {
    struct vm vm;
    struct program_config config;
    uint64_t bases[BASE_COUNT]; /* of symbolic addresses (decision 9) */
    uint64_t now_ns;            /* virtual time */
    uint32_t index;             /* of the action being done: steps since renew, notes included */
    uint32_t hangs;             /* HLTs of vCPU 0 that nothing could wake: each became a reset */
    bool paused;
    bool guest_ran; /* CPUID is fixed from here on (CPU-9) */
    bool reshaped;  /* slots or dirty logs are no longer what the configuration says: renew sets them back */
    bool reconfigured;                   /* CPUID or enforcement are not: renew sets them again */
    struct kvmclock_device clock_device; /* QEMU's: what stop, cont and migration do to the clock */
    struct direct_vcpu vcpus[PROGRAM_VCPUS_MAX];
    struct cpuid_table cpuid;            /* as the vCPU that was configured last has it */
    bool window_used;                    /* some entry of window is not 0 */
    uint32_t window[PROBE_WINDOW_PAGES]; /* page table entries that OP_MAP made */
    unsigned wake_count;                 /* actions of earlier steps that ended in the last one */
    struct direct_wake wakes[PROGRAM_VCPUS_MAX];
    uint32_t event_count[PROGRAM_VCPUS_MAX]; /* interrupts since renew; the first MAILBOX_EVENTS are kept */
    struct probe_event events[PROGRAM_VCPUS_MAX][MAILBOX_EVENTS];
};

/* The machine must stay at its address: its env points into it. 0, -EINVAL (configuration), -ENOMEM; on error it needs
 * no destroy. */
int direct_machine_create(struct direct_machine *m, const struct program_config *config);
/* A clean machine for the next program. Cheap when vCPUs, RAM and irqchip are as before; otherwise built anew, and
 * false when there is no memory for that: the machine is as after destroy then. */
bool direct_machine_renew(struct direct_machine *m, const struct program_config *config);
/* Does one action. Never fails: the outcome says what happened, as the probe would have filled it in. OP_CLOCK takes no
 * samples here (direct_clock_sample does); OP_NOTE leaves OUTCOME_NONE. */
void direct_machine_step(struct direct_machine *m, const struct action *action, struct outcome *outcome);
void direct_machine_destroy(struct direct_machine *m);

/* One reading of a clock record as CLK-23 has it, now, on the vCPU of an OP_CLOCK. */
void direct_clock_sample(struct direct_machine *m, const struct action *action, struct clock_sample *sample);

/* Runs a whole program on a machine of its own and fills *out, whose arrays are malloc'ed (transcript_free takes them).
 * 0, -EINVAL, -ENOMEM. */
int direct_machine_run(const struct program *program, struct transcript *out);

#endif
