/* QEMU's kvmclock device: what a VMM does with the guest's clock around stop and cont. QEMU flags specification C1-C9;
 * spec QMU-9. The kernel's half is vmm/pv. */
#ifndef VMM_BOARD_KVMCLOCK_DEVICE_H
#define VMM_BOARD_KVMCLOCK_DEVICE_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vm.h"

struct kvmclock_device {
    bool missing;      /* old machines without a clock have none: nobody touches the VM's clock then (C1) */
    bool valid;        /* clock_ns was read at a stop and not given back yet */
    uint64_t clock_ns; /* kvmclock of the VM */
    uint64_t host_tsc; /* env tsc then: the TSCs of the vCPUs are read at the same moment (C3) */
};

/* Reads the clock, which the first kvmclock_device_running() gives back (C2). */
void kvmclock_device_create(struct kvmclock_device *device, struct vm *vm);
/* The VM stopped, for whatever reason; a repeated stop keeps the first reading (C3). */
void kvmclock_device_stopped(struct kvmclock_device *device, struct vm *vm);
/* The VM goes on: its clock stood still meanwhile, and active guests are told that they were stopped (C4, C5). */
void kvmclock_device_running(struct kvmclock_device *device, struct vm *vm);

#endif
