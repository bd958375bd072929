/* QEMU's kvmclock device (kvmclock_device.h): QEMU flags specification C2-C5. */
#include <assert.h>
#include "vmm/board/kvmclock_device.h"
#include "vmm/pv/lifecycle.h"

static void read_clock(struct kvmclock_device *device, struct vm *vm)
{
    struct clock_data data;

    vm_get_clock(vm, &data);
    device->clock_ns = data.clock;
    device->host_tsc = vm->env.tsc(vm->env.ctx);
    device->valid = true;
}

void kvmclock_device_create(struct kvmclock_device *device, struct vm *vm)
{
    read_clock(device, vm);
}

void kvmclock_device_stopped(struct kvmclock_device *device, struct vm *vm)
{
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        vcpu_exit(&vm->vcpus[i]); /* stopping is an exit of each (EOI-10) */
    if (!device->valid)
        read_clock(device, vm);
}

void kvmclock_device_running(struct kvmclock_device *device, struct vm *vm)
{
    /* No flags: neither the host's time nor its TSC at the reading takes part (QMU-9). */
    const struct clock_data data = {.clock = device->clock_ns};
    int err;

    if (!device->valid || device->missing)
        return;
    err = vm_set_clock(vm, &data);
    assert(!err); /* refused only for its flags (SAV-7) */
    (void)err;
    device->valid = false;
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        vcpu_kvmclock_ctrl(
            &vm->vcpus[i]); /* -EINVAL: this one never enabled its clock; QEMU ignores it too */
}
