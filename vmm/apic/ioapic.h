/* The I/O APIC: 24 pins that become messages to local APICs. Intel 82093AA; where KVM's (irqchip kernel) and QEMU's own
 * (split, none) differ, as each of them. */
#ifndef VMM_APIC_IOAPIC_H
#define VMM_APIC_IOAPIC_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vm.h"

#define IOAPIC_GPA 0xfec00000ull

void ioapic_reset(struct vm *vm); /* all pins masked, id 0 */
/* Claims its page on vm->bus. -ENOSPC. */
int ioapic_map(struct vm *vm);
/* A device drives a pin (0 .. IOAPIC_PINS - 1; others are ignored). */
void ioapic_set_pin(struct vm *vm, unsigned pin, bool high);
/* A level-triggered vector was EOIed: remote IRR of its pins ends, and a line that is still high interrupts again. */
void ioapic_eoi(struct vm *vm, uint8_t vector);
/* EOI-7: an entry would send this vector to the vCPU and wants to hear of the EOI. */
bool ioapic_wants_eoi(const struct vcpu *vcpu, uint8_t vector);

#endif
