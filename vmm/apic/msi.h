/* Message-signalled interrupts as the kernel decodes them. Intel SDM vol. 3 11.11; spec MSI-2. */
#ifndef VMM_APIC_MSI_H
#define VMM_APIC_MSI_H

#include <stdint.h>
#include "vmm/apic/lapic.h"

/* What a route's address and data say. -EINVAL: with 32-bit ids the address bits 39:32 must be 0. Nothing else is checked:
 * without 32-bit ids the upper half does not count. */
int msi_decode(const struct vm *vm, uint64_t address, uint32_t data, struct lapic_message *message);
/* Sends it: how many APICs accepted, or -EINVAL. A device's own address goes through vmm/board/msi.h first. */
int msi_send(struct vm *vm, uint64_t address, uint32_t data);

#endif
