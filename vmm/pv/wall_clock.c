/* MSR_KVM_WALL_CLOCK: the time of day at kvmclock 0, written once, in the WRMSR itself. spec CLK-17 .. CLK-19. */
#include "vmm/core/record.h"
#include "vmm/core/vm.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/features.h"
#include "vmm/pv/lifecycle.h"

uint64_t wall_clock_rdmsr(struct vcpu *vcpu)
{
    return vcpu->vm->clock.wall_msr;
}

/* No area_usable() here: a record that lies half outside RAM is written by half. */
static void publish(struct vm *vm, struct area *area)
{
    struct pvclock_wall_clock wall;
    struct clock_data now;
    uint32_t version;

    if (!gpa_read(&vm->memory, area->gpa, &version, sizeof(version)))
        return;
    wall.version = record_odd(version);
    if (!area_write_partial(area, 0, &wall.version, sizeof(wall.version)))
        return;
    vm_get_clock(vm, &now);
    clock_wall(vm->env.realtime_ns(vm->env.ctx), now.clock, &wall.sec, &wall.nsec);
    area_write_partial(area, 0, &wall, sizeof(wall));
    wall.version++;
    area_write_partial(area, 0, &wall.version, sizeof(wall.version));
}

enum msr_result wall_clock_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    struct vm *vm = vcpu->vm;

    (void)origin; /* a restore rewrites guest memory, as in KVM (SAV-3) */
    vm->clock.wall_msr = value;
    if (!value)
        return MSR_OK;
    area_register(&vm->wall_area, value, sizeof(struct pvclock_wall_clock));
    publish(vm, &vm->wall_area);
    area_unregister(&vm->wall_area);
    return MSR_OK;
}
