/* The mailbox in guest RAM: actions go in, outcomes come out, without a VM exit but the ones under test.
 * Shared by the probe firmware (freestanding), the agent beside the VM, and the machines. All little-endian.
 * The agent never trusts what it reads here: a guest may write anything. */
#ifndef DIFF_PROBE_MAILBOX_H
#define DIFF_PROBE_MAILBOX_H

#include <stdint.h>

/* Guest-physical map of a probed VM. Page 0 is left alone: old kernels write a clock record there (CLK-4). */
#define PROBE_ROM_SIZE  0x10000u /* -bios image, ends at 4 GiB */
#define PROBE_SIPI_PAGE 0x8000u  /* AP trampoline */
#define PROBE_PADS      0x9000u /* the instructions under test, 64 bytes per vCPU: below 64 KiB for CS base 0 */
#define PROBE_CPUS      0xa000u  /* per-vCPU register frames, likewise */
#define PROBE_BASE      0x10000u /* the probe's copy in RAM, 64 KiB */
#define PROBE_PRIVATE   0x20000u /* page tables and stacks, up to 0x9f000 */
#define MAILBOX_GPA     0x100000u
#define MAILBOX_SIZE    0x100000u
#define PROBE_RAM_BASE  0x200000ull   /* BASE_RAM of programs; BASE_RAM_END is the end of guest RAM */
#define PROBE_RAM_SIZE  (64ull << 20) /* -m 64M */
#define PROBE_HOLE      0xa0000000ull /* BASE_HOLE: nothing answers on pc and microvm */
#define PROBE_ROM_BASE  0xffff0000ull /* BASE_ROM */
#define PROBE_MMIO_BASE 0xfee00000ull /* BASE_MMIO: the local APIC page */
#define PROBE_WINDOW                                                                                         \
    0x8000000000ull /* virtual: 512 pages that OP_MAP fills, in 64-bit mode, for every vCPU */
#define PROBE_WINDOW_PAGES 512
#define PROBE_PTE_BITS     0xfffff007ull /* what OP_MAP puts there: frame below 4 GiB, US, RW, P */
#define PROBE_VCPUS        16

#define MAILBOX_MAGIC   0x314c4956u /* "VIL1" */
#define MAILBOX_ACTIONS 4096
#define MAILBOX_SAMPLES 1024
#define MAILBOX_EVENTS  256 /* per vCPU */

struct probe_action { /* one action with addresses resolved */
    uint16_t op;      /* enum action_op */
    uint8_t mode;     /* enum action_mode */
    uint8_t vcpu;
    uint32_t reserved;
    uint64_t args[5];
};

enum outcome_status {
    OUTCOME_NONE = 0, /* never ran */
    OUTCOME_OK = 1,
    OUTCOME_FAULT = 2,       /* vector, error, cr2 hold */
    OUTCOME_HOST = 3,        /* a host action: done; result in regs[0] (0 or an errno) */
    OUTCOME_UNSUPPORTED = 4, /* the probe or machine cannot do it: not compared */
    OUTCOME_TIMEOUT = 5,     /* no acknowledgement in time */
};

struct outcome {      /* 128 bytes */
    uint8_t status;   /* enum outcome_status */
    uint8_t vector;   /* OUTCOME_FAULT */
    uint8_t data_len; /* bytes of data that hold */
    uint8_t flags;    /* OUTCOME_F_* */
    uint32_t error;   /* OUTCOME_FAULT: error code */
    /* OUTCOME_OK: rax, rbx, rcx, rdx as the action left them, but 0 for those that it has no right to write (those
     * show in changed). Loads and OP_APIC_READ: the value in regs[0]. OP_HLT: regs[0] = the vector that woke it, 0 when
     * nothing but a kick did; regs[1] = index of the last action that had started when it woke. */
    uint64_t regs[4];
    uint64_t cr2;     /* #PF */
    uint32_t changed; /* bit per enum gpr that changed against the rules of the action (DIF-2); 0 = none.
                          * OUTCOME_FAULT: no register may change, but rcx, rsi, rdi of OP_DUMP and OP_FILL */
    uint32_t
        rip_delta; /* OUTCOME_OK: bytes the instruction advanced; OUTCOME_FAULT: fault rip - instruction start */
    uint8_t
        data[64]; /* OP_DUMP: memory; hypercalls: the 3 instruction bytes afterwards, also after a fault */
    uint8_t reserved[8];
};
#define OUTCOME_F_IF 1 /* RFLAGS.IF after the action */

struct probe_event { /* an interrupt as the probe's handler saw it */
    uint32_t after;  /* index of the last action that had started */
    uint8_t vector;
    uint8_t watched; /* 1: OP_ON_INTERRUPT was on */
    uint8_t byte;    /* what its address held when the handler came */
    uint8_t reserved;
};

/* One reading of a clock record by a guest: seq pairs it with the agent's bracket. */
struct clock_sample {
    uint64_t tsc;                 /* RDTSC between two equal even versions */
    uint64_t before_ns, after_ns; /* agent: CLOCK_MONOTONIC_RAW around the request; 0 from the probe */
    uint32_t version, tsc_to_system_mul;
    uint64_t tsc_timestamp, system_time;
    int8_t tsc_shift;
    uint8_t flags, vcpu, pad[5];
};

enum mailbox_state {                    /* written by the probe, polled by the agent */
                     PROBE_BOOTING = 0, /* or waiting for the magic: boots has moved then */
                     PROBE_IDLE = 1,    /* waiting for command_seq to move */
                     PROBE_RUNNING = 2,
                     PROBE_HOST_ACTION =
                         3, /* action number `current` is the host's; waits for host_ack == host_seq */
                     PROBE_SAMPLING = 4, /* answers each sample_request with a sample */
                     PROBE_DONE = 5,     /* all actions ran */
                     PROBE_PANIC = 6,    /* panic_vector, panic_rip hold */
};

struct mailbox {
    /* agent -> probe */
    uint32_t magic, version;       /* MAILBOX_MAGIC, 1; the probe waits for the magic */
    volatile uint32_t command_seq; /* moves: run actions[start .. count) */
    uint32_t count, vcpus;
    volatile uint32_t host_ack;
    volatile uint32_t sample_request; /* moves: take one sample; 0xffffffff: sampling ends */
    uint32_t native;                  /* enum: 0 vmcall, 1 vmmcall; informational */
    uint32_t cpuid_only; /* not 0 when the probe starts: it stays in 32-bit mode and serves only cpuid */
    uint32_t reserved0[6];
    /* both: the action to go on with after a host action or a reset. The probe sets it to n + 1 before it starts guest
     * action n; the agent sets it before it acknowledges host actions, of which it may do several at once. */
    volatile uint32_t next;
    /* probe -> agent */
    volatile uint32_t state;    /* enum mailbox_state */
    volatile uint32_t done_seq; /* == command_seq once that run is over */
    volatile uint32_t current;  /* index of the action being done */
    volatile uint32_t host_seq;
    volatile uint32_t sample_seq; /* == sample_request once sample holds */
    volatile uint32_t boots;      /* how often the probe started: counts resets */
    volatile uint32_t online;     /* bit per vCPU that has checked in since the last boot */
    uint32_t panic_vector;
    uint64_t panic_rip, panic_cr2, panic_error;
    struct clock_sample sample;
    volatile uint32_t event_count[PROBE_VCPUS];
    uint32_t reserved1[31];
    struct probe_action actions[MAILBOX_ACTIONS];
    struct outcome outcomes[MAILBOX_ACTIONS];
    struct probe_event events[PROBE_VCPUS][MAILBOX_EVENTS];
    /* per-vCPU work slots of the probe: the BSP hands an action to an AP */
    volatile uint32_t ap_go[PROBE_VCPUS], ap_done[PROBE_VCPUS];
};
_Static_assert(sizeof(struct probe_action) == 48, "shared with the probe");
_Static_assert(sizeof(struct outcome) == 128, "shared with the probe");
_Static_assert(sizeof(struct mailbox) <= MAILBOX_SIZE, "the map above");

#endif
