/* QEMU's half of MSIs: the extended destination id, and where the I/O APIC lies. spec MSI-3, MSI-5; QEMU flags
 * specification K11. */
#ifndef VMM_BOARD_MSI_H
#define VMM_BOARD_MSI_H

#include <stdint.h>
#include "vmm/core/vm.h"

/* A device's address as it goes to the kernel: with kvm-msi-ext-dest-id on vCPU 0, bits 11:5 move to 46:40. */
uint64_t board_msi_address(const struct vm *vm, uint64_t address);
/* A device sends an MSI: how many APICs accepted, or -EINVAL (the kernel refuses the address). */
int board_msi_send(struct vm *vm, uint64_t address, uint32_t data);
/* The local APICs, the I/O APIC and the window through which devices send MSIs, on the bus: call it before other devices
 * are added. A CPU's store into the window outside its APIC's page is a message too, as with QEMU. -ENOSPC. */
int board_interrupts_add(struct vm *vm);

#endif
