/* What KVM does when a guest instruction exits to it. Each call acts on vcpu->regs as that instruction would, except
 * that RIP is the caller's: an interpreter and the direct machine share every line of this. */
#ifndef VMM_PV_INTERCEPT_H
#define VMM_PV_INTERCEPT_H

#include "vmm/core/trap.h"
#include "vmm/core/vcpu.h"
#include "vmm/core/vm.h"

/* A trap: RIP stays and no register changed (GEN-3). NO_TRAP: done, advance RIP. */
struct trap intercept_cpuid(struct vcpu *vcpu);
struct trap intercept_rdmsr(struct vcpu *vcpu);
struct trap intercept_wrmsr(struct vcpu *vcpu);

/* done: advance RIP by 3, clear the interrupt shadow. rewrite: store the native instruction's 3 bytes
 * (hypercall_bytes) at *linear* RIP with guest privilege and run again at the same RIP (HC-10, HC-11). trap: deliver. */
enum hc_outcome { HC_DONE, HC_REWRITE, HC_TRAP };
enum hc_outcome intercept_hypercall(struct vcpu *vcpu, enum hc_insn insn, struct trap *trap);
extern const uint8_t hypercall_bytes[2][3]; /* by enum hc_insn */

/* Work that waits for the next entry, in GEN-10's order. Cheap when vcpu->requests is 0. */
void vcpu_enter(struct vcpu *vcpu);

#endif
