/* Numbers that the probe's assembly and C share: selectors, offsets into struct cpu, addresses (mailbox.h). */
#ifndef DIFF_PROBE_LAYOUT_H
#define DIFF_PROBE_LAYOUT_H

#define SEL_CODE32  0x08 /* flat, ring 0; compatibility mode when long mode is active */
#define SEL_DATA    0x10
#define SEL_CODE64  0x18
#define SEL_UCODE32 0x23 /* the ring 3 ones, with RPL */
#define SEL_UDATA   0x2b
#define SEL_UCODE64 0x33
#define SEL_CODE16  0x38 /* base LOAD_BASE, 64 KiB: between protected and real mode */
#define SEL_DATA16  0x40 /* base 0, 64 KiB: gives SS real-mode limits */
#define SEL_TSS     0x50 /* one of 16 bytes per vCPU */

#define LOAD_BASE 0x10000 /* PROBE_BASE */
#define LOAD_SEG  0x1000  /* the same as a real-mode segment */

/* struct cpu, one per vCPU at CPUS + n * CPU_SIZE (cpu.h asserts these). Each frame ends where the CPU starts to
 * push when a trap comes, so that a trap fills in the frame from which the instruction was entered. */
#define CPUS            0xa000 /* PROBE_CPUS */
#define CPU_SIZE        0x400
#define CPU_FRAME64     0x000
#define CPU_FRAME64_END 0x0b0
#define CPU_FRAME32     0x0c0
#define CPU_FRAME32_END 0x0fc
#define CPU_FRAME16     0x100
#define CPU_FRAME16_END 0x128
#define CPU_C_RSP       0x128
#define CPU_INDEX       0x130
#define CPU_ENTERED     0x134 /* a frame is in use: a trap belongs to the action under test */
#define CPU_NMI_END     0x400 /* stack for NMIs that meet the probe itself */

/* Of the mailbox, what boot.S and cpuid_only.S touch. */
#define MAILBOX                0x100000 /* MAILBOX_GPA */
#define MAILBOX_COMMAND_SEQ    0x08
#define MAILBOX_COUNT          0x0c
#define MAILBOX_VCPUS          0x10
#define MAILBOX_CPUID_ONLY     0x20
#define MAILBOX_NEXT           0x3c
#define MAILBOX_STATE          0x40
#define MAILBOX_DONE_SEQ       0x44
#define MAILBOX_BOOTS          0x54
#define MAILBOX_ACTION_LIST    0x170
#define MAILBOX_OUTCOME_LIST   0x30170
#define MAILBOX_MAGIC_VALUE    0x314c4956
#define MAILBOX_STATE_BOOTING  0
#define MAILBOX_STATE_DONE     5
#define ACTION_SIZE            48
#define ACTION_VCPU            3
#define ACTION_ARG0            8
#define ACTION_ARG1            16
#define ACTION_CPUID           2 /* OP_CPUID */
#define OUTCOME_SIZE           128
#define OUTCOME_REGS           8
#define OUTCOME_RIP_DELTA      52
#define OUTCOME_IS_OK          1
#define OUTCOME_IS_UNSUPPORTED 4
#define SIPI_PAGE              0x8000 /* PROBE_SIPI_PAGE */
#define MAX_VCPUS              16     /* PROBE_VCPUS */

#define IST_TRAP 1
#define IST_NMI  2

#endif
