/* Hyper-V's guest interface beside KVM's: where CPUID shows it, its registers answer, and once a guest has identified itself
 * hypercall instructions are Hyper-V's. TLFS 6.0; KVM's hyperv.c; spec HC-9, EOI-17.
 *
 * Not implemented, so answered as by a machine without them: the registers ICR, VP_RUNTIME and REFERENCE_TSC (KVM has them
 * always) and what hv-synic, hv-stimer, hv-syndbg and hv-evmcs add. A write of RESET or CRASH_CTL that asks the VMM for
 * something is accepted and not passed on. */
#ifndef VMM_PV_HYPERV_H
#define VMM_PV_HYPERV_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/trap.h"
#include "vmm/core/vcpu.h"

/* KVM_CAP_HYPERV_ENFORCE_CPUID: a guest gets only what leaves 0x40000003 and 0x40000004 show. */
void vcpu_set_hv_enforce(struct vcpu *vcpu, bool on);
/* CPUID shows the interface. */
bool hyperv_shown(const struct vcpu *vcpu);

/* KVM leaves this range to its Hyper-V code, whose refusals are all "invalid", so ignore_msrs excuses none (GEN-6). */
bool hyperv_has_msr(uint32_t index);
enum msr_result hyperv_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin);
enum msr_result hyperv_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin);

/* HC-9: the next hypercall instruction is one of Hyper-V's. */
bool hyperv_takes_hypercalls(const struct vcpu *vcpu);
/* The native instruction. NO_TRAP: done, the result is in the registers; else nothing changed. */
struct trap hyperv_hypercall(struct vcpu *vcpu);

/* Registers that QEMU saves, restores and clears at reset, in its order: those of the VM through vCPU 0 alone. What
 * this vCPU does not show is neither written into values nor loaded. */
#define HYPERV_SAVED 11
struct hyperv_saved {
    uint64_t values[HYPERV_SAVED];
};
void hyperv_save(struct vcpu *vcpu, struct hyperv_saved *saved);
/* False: *index was refused, which ends QEMU (S6). */
bool hyperv_load(struct vcpu *vcpu, const struct hyperv_saved *saved, uint32_t *index);
void hyperv_power_on(struct vcpu *vcpu);
void hyperv_system_reset(struct vcpu *vcpu);

#endif
