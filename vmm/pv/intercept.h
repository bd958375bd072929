/* What KVM does when a guest instruction exits to it. Each call acts on vcpu->regs as that instruction would, except
 * that RIP is the caller's: an interpreter and the direct machine share every line of this. */
#ifndef VMM_PV_INTERCEPT_H
#define VMM_PV_INTERCEPT_H

#include <stdbool.h>
#include "vmm/core/trap.h"
#include "vmm/core/vcpu.h"
#include "vmm/core/vm.h"

/* A trap: RIP stays and no register changed (GEN-3). NO_TRAP: done, advance RIP. TRAP_RETRY: the VMM is asked
 * (vcpu->msr_exit) and answers by vcpu_answer_msr(); then as with HC_EXIT below, or an exception is to be delivered. */
struct trap intercept_cpuid(struct vcpu *vcpu);
struct trap intercept_rdmsr(struct vcpu *vcpu);
struct trap intercept_wrmsr(struct vcpu *vcpu);

/* done: advance RIP by 3, clear the interrupt shadow. rewrite: store the native instruction's 3 bytes
 * (hypercall_bytes) at *linear* RIP with guest privilege and run again at the same RIP (HC-10, HC-11). trap: deliver.
 * exit: the VMM is asked (vcpu->hypercall) and answers by vcpu_answer_hypercall(); then the next run begins with what done
 * says, and takes vcpu->answered back. */
enum hc_outcome { HC_DONE, HC_REWRITE, HC_TRAP, HC_EXIT };
enum hc_outcome intercept_hypercall(struct vcpu *vcpu, enum hc_insn insn, struct trap *trap);
extern const uint8_t hypercall_bytes[2][3]; /* by enum hc_insn */
void vcpu_answer_hypercall(struct vcpu *vcpu, uint64_t answer);
/* refuse: #GP(0). Else the access is over; value is what a guest that reads gets. SAV-12 */
void vcpu_answer_msr(struct vcpu *vcpu, bool refuse, uint64_t value);

/* HLT at CPL 0: the vCPU halts; the next vcpu_enter wakes it at once if a kick was latched (UNH-5). RIP is the caller's. */
void vcpu_halt(struct vcpu *vcpu);

/* INIT and SIPI that have arrived take effect. vcpu_enter() does it by itself. */
void vcpu_accept_init(struct vcpu *vcpu);

/* After vcpu_enter(), where RFLAGS and the interrupt shadow let interrupts in: takes the one to deliver from the local APIC.
 * Its vector, or -1. The entry that injects it may offer a PV EOI (EOI-4). */
int vcpu_take_interrupt(struct vcpu *vcpu);

/* Before each instruction, or when vcpu->requests is not 0: work that waits for the next entry, in GEN-10's order.
 * For a halted or waiting vCPU too: INIT, SIPI, a kick or an interrupt may make it runnable. True: it may execute. */
bool vcpu_enter(struct vcpu *vcpu);

#endif
