/* The software vCPU: runs guest instructions from a vCPU's registers and RAM until something needs its owner.
 * Intel SDM vol. 2 and 3. It knows no paravirtual feature: what KVM would see as an exit, its caller sees too. */
#ifndef VMM_CPU_CPU_H
#define VMM_CPU_CPU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/core/trap.h"
#include "vmm/core/vcpu.h"

enum cpu_exit_reason {
    CPU_EXIT_BUDGET, /* the instructions asked for were executed */
    CPU_EXIT_EVENT,  /* an instruction was executed that may make an interrupt deliverable: look again */
    CPU_EXIT_PAUSE,  /* likewise, and the guest spins: another vCPU should run */
    /* The instruction at RIP is the owner's: act, then cpu_finish(). */
    CPU_EXIT_HLT,
    CPU_EXIT_CPUID,
    CPU_EXIT_RDMSR,
    CPU_EXIT_WRMSR,
    CPU_EXIT_RDTSC,
    CPU_EXIT_RDTSCP,
    CPU_EXIT_VMCALL,
    CPU_EXIT_VMMCALL,
    /* The vCPU cannot go on. */
    CPU_EXIT_SHUTDOWN,      /* triple fault */
    CPU_EXIT_UNIMPLEMENTED, /* text names the instruction; RIP is at it and nothing changed */
    CPU_EXIT_REASONS
};

struct cpu_exit {
    enum cpu_exit_reason reason;
    uint8_t length;    /* bytes of the instruction that is the owner's */
    uint64_t executed; /* instructions, that one included */
    char text[160];
};

enum cpu_event_kind { EVENT_EXCEPTION, EVENT_INTERRUPT, EVENT_NMI };

struct code_cache; /* decoded blocks, shared by the vCPUs of one VM */
struct cpu;        /* one vCPU's TLB and working state; vcpu->tlb points to it */

/* -ENOMEM. The memory must outlive it. */
int code_cache_create(struct code_cache **cache, struct memory *mem);
void code_cache_destroy(struct code_cache *cache); /* after its CPUs */
/* Somebody other than a guest instruction wrote [gpa, gpa+len): blocks decoded from there are forgotten. */
void code_cache_written(struct code_cache *cache, uint64_t gpa, uint64_t len);
void code_cache_flush(struct code_cache *cache);

/* -ENOMEM. Both must outlive it; destroy before the cache. */
int cpu_create(struct cpu **cpu, struct code_cache *cache, struct vcpu *vcpu);
void cpu_destroy(struct cpu *cpu);
/* Executes at most budget instructions; registers are in vcpu->regs before and after. Exceptions of the guest's own
 * making are delivered inside. The owner looks at interrupts before each call. */
void cpu_run(struct cpu *cpu, uint64_t budget, struct cpu_exit *exit);
/* Ends the owner's instruction: RIP past it, interrupt shadow off, the single-step trap if TF is set (HC-6).
 * False: that trap shut the vCPU down. */
bool cpu_finish(struct cpu *cpu, unsigned length);
/* Delivers through the IDT, double faults included. False: triple fault. */
bool cpu_deliver(struct cpu *cpu, enum cpu_event_kind kind, struct trap trap);
/* No NMI is being handled: another may be delivered. */
bool cpu_nmi_open(const struct cpu *cpu);
/* Stores at *linear* RIP with the guest's privilege (HC-11); the trap is the guest's page fault. */
struct trap cpu_patch(struct cpu *cpu, const uint8_t *bytes, unsigned len);
void cpu_tlb_flush(struct cpu *cpu);
/* The instruction at CS:RIP as "address: bytes  text"; for traces and reports. */
void cpu_describe(struct cpu *cpu, char *text, size_t size);

#endif
