/* QEMU's system_reset: which registers it writes and with what. KVM itself knows no reset of a machine (RST-1).
 * spec QMU-7, QMU-8; QEMU flags specification S1-S4. */
#ifndef VMM_BOARD_RESET_H
#define VMM_BOARD_RESET_H

#include <stdbool.h>
#include "vmm/core/vm.h"
#include "vmm/pv/msr.h"

/* Registers, PV MSRs and TSC as the guest's firmware finds them; RAM is kept and kvmclock goes on. */
void board_system_reset(struct vm *vm);

/* QEMU writes the two clock registers always and the others only where the guest was shown their feature, so what a guest
 * used without being told is neither reset nor migrated (QMU-7, S4). */
bool vcpu_qemu_keeps(const struct vcpu *vcpu, const struct pv_msr *msr);

#endif
