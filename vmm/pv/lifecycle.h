/* Create, INIT, save and restore of everything above the bare core; a reset of the machine is the board's. spec RST-*, SAV-*. */
#ifndef VMM_PV_LIFECYCLE_H
#define VMM_PV_LIFECYCLE_H

#include <stddef.h>
#include <stdint.h>
#include "vmm/core/vm.h"

/* After vm_create: PV state as a new vCPU has it, clock at 0, local APICs reset, APs waiting for SIPI. */
void vm_start(struct vm *vm);
/* A clean VM again as after vm_start, RAM zero: for fuzzing; costs what was dirtied. */
void vm_renew(struct vm *vm);
/* INIT through the local APIC (RST-2, RST-3); the vCPU then waits for SIPI unless it is the BSP. */
void vcpu_init(struct vcpu *vcpu);
void vcpu_sipi(struct vcpu *vcpu, uint8_t vector); /* ignored unless it waits (RST-6) */
/* Whoever restarts the vCPU ends what it asked (SAV-12) and what it waited for; the host's scheduler decides as before. */
void vcpu_drop_exit(struct vcpu *vcpu);

/* Host work whose time has come (deferred and periodic clock updates, CLK-14; local APIC timers): call after time moved. */
void vm_host_events(struct vm *vm);
/* The host's scheduler put the vCPU back on a CPU (STL-5): its steal record is updated at the next entry. */
void vcpu_load(struct vcpu *vcpu);

/* KVM_GET_CLOCK, KVM_SET_CLOCK, KVM_KVMCLOCK_CTRL. */
struct clock_data {
    uint64_t clock;
    uint32_t flags;
    uint64_t realtime, host_tsc;
};
void vm_get_clock(struct vm *vm, struct clock_data *data);      /* SAV-6 */
int vm_set_clock(struct vm *vm, const struct clock_data *data); /* SAV-7: -EINVAL on flags */
int vcpu_kvmclock_ctrl(struct vcpu *vcpu);                      /* CLK-20, CLK-21: -EINVAL when not active */

/* Snapshot of state and RAM, transparent: a restored VM goes on as if nothing happened. *out is malloc'ed. 0,
 * -ENOMEM. */
int vm_save(struct vm *vm, uint8_t **out, size_t *len);
/* Hostile input: refused whole with *message naming the field, the VM unchanged. -EINVAL, -ENOMEM. The VM must have been made
 * as the one that was saved: a difference in vm_config, APIC ids, TSC rate or clock source is refused like any other. */
int vm_restore(struct vm *vm, const uint8_t *data, size_t len, char message[160]);

#endif
