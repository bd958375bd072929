/* What QEMU carries from one process on KVM to the next, and what KVM lets it carry: everything else begins anew, unlike in a
 * snapshot of ours (vm_save). spec SAV-3, SAV-5, QMU-6 .. QMU-9; QEMU flags specification S1-S5, C3-C9. */
#ifndef VMM_BOARD_MIGRATE_H
#define VMM_BOARD_MIGRATE_H

#include "vmm/board/kvmclock_device.h"
#include "vmm/core/vm.h"

struct migration; /* a VM on its way: RAM, CPUs, their PV registers, the clock */

/* Stops the VM if it runs. A clock that was read at an earlier stop counts from there (C6). -ENOMEM. */
int board_migrate_save(struct vm *vm, struct kvmclock_device *clock, struct migration **out);
/* Into a machine that has just been started (vm_start, vm_renew) with the same vCPUs, CPUID and ROM. It runs on from
 * kvmclock_device_running(clock, vm) (C9). -ENOMEM, or -EINVAL with *message: where QEMU would end itself (S6); the machine
 * is of no use then. */
int board_migrate_load(const struct migration *migration, struct vm *vm, struct kvmclock_device *clock,
                       char message[160]);
void board_migrate_free(struct migration *migration);

/* Both, from one machine to another. */
int board_migrate(struct vm *from, struct kvmclock_device *from_clock, struct vm *to,
                  struct kvmclock_device *to_clock, char message[160]);

#endif
