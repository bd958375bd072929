/* One vCPU as the probe sees it, and how it runs an instruction in a mode of its choice. */
#ifndef DIFF_PROBE_CPU_H
#define DIFF_PROBE_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "diff/probe/layout.h"
#include "diff/probe/mailbox.h"
#include "diff/program/program.h"

enum probe_gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };

struct frame64 {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8, rdi, rsi, rbp, rbx, rdx, rcx, rax;
    uint64_t vector, error, rip, cs, rflags, rsp, ss;
};
struct frame32 {
    uint32_t edi, esi, ebp, esp_ignored, ebx, edx, ecx, eax;
    uint32_t vector, error, eip, cs, eflags, esp, ss;
};
struct frame16 {
    uint32_t edi, esi, ebp, esp_ignored, ebx, edx, ecx, eax;
    uint16_t vector, ip, cs, flags;
};

struct cpu {
    struct frame64 frame64;
    uint64_t pad0[2];
    struct frame32 frame32;
    uint32_t pad1;
    struct frame16 frame16;
    uint64_t c_rsp;               /* of the C code that entered a frame */
    uint32_t index;               /* in order of arrival: names the slot, its stack and pad */
    volatile uint32_t entered;    /* CPU_ENTERED */
    uint32_t apic_id;             /* initial APIC id */
    volatile uint32_t present;    /* has arrived */
    volatile uint32_t vcpu;       /* number in programs: rank by APIC id, as VMMs number them */
    uint32_t woken_after;         /* action that had started at the first interrupt during this one */
    uint8_t woken_by;             /* its vector; 0: none yet */
    bool program_if;              /* RFLAGS.IF as the program set it */
    volatile uint32_t ping, pong; /* the BSP asks an idle AP to take what is pending */
    uint8_t buffer[64];           /* OP_DUMP copies here */
    bool x2apic;                  /* its local APIC answers by MSR */
    bool watches;                 /* OP_ON_INTERRUPT: watch_at and watch_how hold */
    uint8_t watch_how;            /* enum on_interrupt */
    uint64_t watch_at;
    uint8_t nmi_stack[CPU_NMI_END - 0x1a0];
};
_Static_assert(offsetof(struct cpu, frame64) == CPU_FRAME64, "enter.S");
_Static_assert(sizeof(struct frame64) == CPU_FRAME64_END - CPU_FRAME64, "enter.S");
_Static_assert(offsetof(struct cpu, frame32) == CPU_FRAME32, "enter.S");
_Static_assert(sizeof(struct frame32) == CPU_FRAME32_END - CPU_FRAME32, "enter.S");
_Static_assert(offsetof(struct cpu, frame16) == CPU_FRAME16, "enter.S");
_Static_assert(sizeof(struct frame16) == CPU_FRAME16_END - CPU_FRAME16, "enter.S");
_Static_assert(offsetof(struct cpu, c_rsp) == CPU_C_RSP, "enter.S");
_Static_assert(offsetof(struct cpu, index) == CPU_INDEX, "boot.S");
_Static_assert(offsetof(struct cpu, entered) == CPU_ENTERED, "enter.S");
_Static_assert(sizeof(struct cpu) == CPU_SIZE && CPU_NMI_END == CPU_SIZE, "enter.S");
_Static_assert(MAILBOX == MAILBOX_GPA && SIPI_PAGE == PROBE_SIPI_PAGE && MAX_VCPUS == PROBE_VCPUS,
               "cpuid_only.S");
_Static_assert(offsetof(struct mailbox, command_seq) == MAILBOX_COMMAND_SEQ &&
                   offsetof(struct mailbox, count) == MAILBOX_COUNT &&
                   offsetof(struct mailbox, vcpus) == MAILBOX_VCPUS &&
                   offsetof(struct mailbox, cpuid_only) == MAILBOX_CPUID_ONLY &&
                   offsetof(struct mailbox, next) == MAILBOX_NEXT &&
                   offsetof(struct mailbox, state) == MAILBOX_STATE &&
                   offsetof(struct mailbox, done_seq) == MAILBOX_DONE_SEQ &&
                   offsetof(struct mailbox, boots) == MAILBOX_BOOTS &&
                   offsetof(struct mailbox, actions) == MAILBOX_ACTION_LIST &&
                   offsetof(struct mailbox, outcomes) == MAILBOX_OUTCOME_LIST,
               "cpuid_only.S");
_Static_assert(sizeof(struct probe_action) == ACTION_SIZE &&
                   offsetof(struct probe_action, vcpu) == ACTION_VCPU &&
                   offsetof(struct probe_action, args) == ACTION_ARG0 &&
                   offsetof(struct probe_action, args[1]) == ACTION_ARG1 && OP_CPUID == ACTION_CPUID,
               "cpuid_only.S");
_Static_assert(sizeof(struct outcome) == OUTCOME_SIZE && offsetof(struct outcome, regs) == OUTCOME_REGS &&
                   offsetof(struct outcome, rip_delta) == OUTCOME_RIP_DELTA && OUTCOME_OK == OUTCOME_IS_OK &&
                   OUTCOME_UNSUPPORTED == OUTCOME_IS_UNSUPPORTED,
               "cpuid_only.S");
_Static_assert(MAILBOX_MAGIC == MAILBOX_MAGIC_VALUE && PROBE_BOOTING == MAILBOX_STATE_BOOTING &&
                   PROBE_DONE == MAILBOX_STATE_DONE,
               "cpuid_only.S");
_Static_assert(CPUS == PROBE_CPUS && LOAD_BASE == PROBE_BASE, "mailbox.h");

#define APIC_EOI     0xb0
#define RFLAGS_FIXED 2u
#define RFLAGS_CF    1u
#define RFLAGS_IF    0x200u

/* What an instruction under test starts with and what it leaves. */
struct context {
    uint64_t gpr[GPRS]; /* RSP is the probe's own: it is neither set nor reported */
    uint64_t rip, rflags;
    uint8_t vector; /* why it ended */
    uint32_t error;
};

/* Compiler barrier; x86 keeps the order of stores and of loads. */
#define barrier() __asm__ volatile("" ::: "memory")

static inline struct mailbox *mailbox(void)
{
    return (struct mailbox *)(uintptr_t)MAILBOX_GPA;
}
static inline struct cpu *cpu_at(unsigned index)
{
    return (struct cpu *)(uintptr_t)(PROBE_CPUS + index * CPU_SIZE);
}
/* Where the instruction under test of a vCPU lies. */
static inline uint8_t *cpu_pad(const struct cpu *cpu)
{
    return (uint8_t *)(uintptr_t)(PROBE_PADS + cpu->index * 64);
}
static inline uint64_t rdtsc(void)
{
    uint32_t lo, hi;

    __asm__ volatile("lfence; rdtsc" : "=a"(lo), "=d"(hi)::"memory");
    return (uint64_t)hi << 32 | lo;
}
static inline void pause(void)
{
    __asm__ volatile("pause" ::: "memory");
}
static inline void outb(uint16_t port, uint8_t value)
{
    __asm__ volatile("outb %0, %1" ::"a"(value), "Nd"(port) : "memory");
}
static inline uint64_t rdmsr(uint32_t index)
{
    uint32_t lo, hi;

    __asm__ volatile("rdmsr" : "=a"(lo), "=d"(hi) : "c"(index) : "memory");
    return (uint64_t)hi << 32 | lo;
}
static inline void wrmsr(uint32_t index, uint64_t value)
{
    __asm__ volatile("wrmsr" ::"a"((uint32_t)value), "d"((uint32_t)(value >> 32)), "c"(index) : "memory");
}

#define MSR_APIC_BASE    0x1bu
#define APIC_BASE_X2APIC 0xc00u /* enabled, in x2APIC mode */
#define MSR_X2APIC       0x800u /* register at xAPIC offset n: this + n / 16 */

static inline bool is_x2apic(uint64_t apic_base)
{
    return (apic_base & APIC_BASE_X2APIC) == APIC_BASE_X2APIC;
}
/* A register of this vCPU's local APIC by its xAPIC offset. */
static inline void apic_write(const struct cpu *cpu, uint32_t offset, uint32_t value)
{
    if (cpu->x2apic)
        wrmsr(MSR_X2APIC + offset / 16, value);
    else
        *(volatile uint32_t *)(uintptr_t)(PROBE_MMIO_BASE + offset) = value;
}

/* Starts context in mode and returns at the first trap or interrupt, with context holding the state at that point. */
void cpu_enter(struct cpu *cpu, uint8_t mode, struct context *context);
/* As cpu_enter, but takes interrupts as events and goes on until the pad's closing int3 or a fault. */
void cpu_run_pad(struct cpu *cpu, uint8_t mode, struct context *context, bool ends_when_woken);
/* Leaves to the host and lets every pending interrupt in that the program's IF admits. */
void cpu_settle(struct cpu *cpu);
void cpu_log_event(struct cpu *cpu, uint8_t vector);
_Noreturn void cpu_panic(struct cpu *cpu);
void cpu_nmi(struct cpu *cpu);

/* The page table entry of a page of PROBE_WINDOW; false: it lies elsewhere. Nothing is flushed. */
bool window_map(uint64_t gva, uint64_t entry);
/* An empty window, once by the BSP; then TR of this vCPU. */
void window_build(void);
void tables_load(struct cpu *cpu);

/* Does guest action index on this vCPU and fills its outcome. */
void action_run(struct cpu *cpu, uint32_t index);
/* The action may have sent an interrupt, a kick or an INIT to any vCPU. */
bool action_may_wake(const struct probe_action *action);
bool action_is_host(const struct probe_action *action);

/* The BSP brings up the others, gives all their numbers, and does or hands over each guest action. */
void smp_start(struct cpu *bsp);
void smp_run(uint32_t index);
/* Pending interrupts of every vCPU are in, and those that were woken have ended their HLT. */
void smp_settle(void);
/* An AP's life: never returns. */
_Noreturn void smp_work(struct cpu *cpu);

#endif
