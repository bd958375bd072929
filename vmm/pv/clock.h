/* kvmclock: scaling, reading as a guest does, the VM's clock and each vCPU's record. spec CLK-*, STB-*.
 * The first part is pure arithmetic: judges and probes use it too. */
#ifndef VMM_PV_CLOCK_H
#define VMM_PV_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/abi/pvclock.h"

/* CLK-26: the factors that a host publishes for a TSC of khz (> 0): 2^31 <= mul < 2^32. */
void clock_scale(uint32_t khz, uint32_t *mul, int8_t *shift);
/* CLK-24: cycles to ns. |shift| >= 64 has no meaning: 0 is returned; snapshots that hold one are refused. */
uint64_t clock_scale_delta(uint64_t cycles, uint32_t mul, int8_t shift);
/* CLK-24: the time that a record gives at a TSC reading. */
uint64_t clock_read(const struct pvclock_vcpu_time_info *record, uint64_t tsc);
/* CLK-27: the rate that Linux derives from a record; 0 when mul is 0. */
uint64_t clock_khz(uint32_t mul, int8_t shift);
/* CLK-19: what the wall-clock record holds, from the host's realtime and kvmclock. */
void clock_wall(uint64_t realtime_ns, uint64_t kvmclock_ns, uint32_t *sec, uint32_t *nsec);

struct vcpu;
struct vm;

#define CLOCK_GLOBAL_DELAY_NS  100000000ull    /* CLK-14: other vCPUs follow a SYSTEM_TIME write */
#define CLOCK_SYNC_INTERVAL_NS 300000000000ull /* CLK-14: the periodic update */

void vm_clock_start(struct vm *vm);         /* kvmclock 0, guest TSC 0, one TSC generation */
void vm_clock_update_master(struct vm *vm); /* STB-2: decide, take a snapshot, request all records */
void vcpu_clock_update(struct vcpu *vcpu);  /* CLK-8 .. CLK-12: one record, if active */
void vcpu_clock_global_update(struct vcpu *vcpu);
/* A write of IA32_TSC by the VMM joins the current TSC generation or starts one (STB-3). */
void vcpu_tsc_synchronize(struct vcpu *vcpu, uint64_t value);

#endif
