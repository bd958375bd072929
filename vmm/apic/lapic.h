/* The local APIC: registers, interprocessor interrupts, INIT and SIPI. Intel SDM vol. 3 ch. 11. */
#ifndef VMM_APIC_LAPIC_H
#define VMM_APIC_LAPIC_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vm.h"

#define LAPIC_GPA 0xfee00000ull

void lapic_reset(struct vcpu *vcpu); /* power-on and INIT; the base MSR survives INIT */
/* Registers by xAPIC offset (multiple of 16), 32 bits. Unknown offsets read 0 and set ESR. */
uint32_t lapic_read(struct vcpu *vcpu, uint32_t offset);
void lapic_write(struct vcpu *vcpu, uint32_t offset, uint32_t value);
/* IA32_APIC_BASE and, in x2APIC mode, 0x800..0x8ff. */
enum msr_result lapic_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value);
enum msr_result lapic_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value);
/* Claims 0xfee00000 on vm->bus; accesses go to the accessing vCPU's APIC. */
int lapic_map(struct vm *vm);

/* One message to one APIC: delivery mode as in the ICR (0 fixed .. 7). True: accepted (IPI-8). */
bool lapic_accept(struct vcpu *target, unsigned mode, uint8_t vector, bool level, bool assert_level);
/* Highest deliverable vector, or -1: software-enabled, above the processor priority. */
int lapic_pending(const struct vcpu *vcpu);
/* The CPU takes it: IRR -> ISR. */
void lapic_take(struct vcpu *vcpu, uint8_t vector);
struct vcpu *lapic_find(struct vm *vm, uint32_t apic_id);

#endif
