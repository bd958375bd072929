/* QEMU's clock policy around stop and cont (QEMU flags specification C2-C5). */
#include "fake_vm.h"
#include "vmm/board/kvmclock_device.h"

#define NEW    0x4b564d01u
#define RECORD 0x2000ull

static uint64_t vm_clock(struct fake_vm *f)
{
    struct clock_data data;

    vm_get_clock(&f->vm, &data);
    return data.clock;
}

static bool told_of_a_stop(struct fake_vm *f, unsigned vcpu, uint64_t gpa)
{
    vcpu_enter(&f->vm.vcpus[vcpu]);
    return clock_record(f, gpa).flags & PVCLOCK_GUEST_STOPPED;
}

Test(kvmclock_device, C2_the_first_cont_takes_the_clock_back_to_the_device_s_creation)
{
    FAKE_VM(f);
    struct kvmclock_device device = {0};
    uint64_t created;

    fake_vm_init(&f);
    created = vm_clock(&f);
    kvmclock_device_create(&device, &f.vm);
    fake_advance(&f, 300000000);
    kvmclock_device_running(&device, &f.vm);
    cr_assert(eq(u64, vm_clock(&f), created));
}

Test(kvmclock_device, C5_the_clock_stands_still_while_stopped_and_the_guest_is_told)
{
    FAKE_VM(f);
    struct kvmclock_device device = {0};
    uint64_t stopped_at;

    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, RECORD | 1);
    cr_assert(not(told_of_a_stop(&f, 0, RECORD)));
    stopped_at = vm_clock(&f);
    kvmclock_device_stopped(&device, &f.vm);
    fake_advance(&f, 5000000000);
    kvmclock_device_running(&device, &f.vm);
    cr_assert(eq(u64, vm_clock(&f), stopped_at));
    cr_assert(told_of_a_stop(&f, 0, RECORD));
    fake_advance(&f, 1000);
    cr_assert(eq(u64, vm_clock(&f), stopped_at + 1000));
}

Test(kvmclock_device, C3_a_repeated_stop_keeps_the_first_reading)
{
    FAKE_VM(f);
    struct kvmclock_device device = {0};
    uint64_t stopped_at;

    fake_vm_init(&f);
    stopped_at = vm_clock(&f);
    kvmclock_device_stopped(&device, &f.vm);
    fake_advance(&f, 1000000);
    kvmclock_device_stopped(&device, &f.vm);
    kvmclock_device_running(&device, &f.vm);
    cr_assert(eq(u64, vm_clock(&f), stopped_at));
}

Test(kvmclock_device, C4_and_QMU_9_vcpus_without_a_clock_are_skipped_and_the_others_told)
{
    FAKE_VM(f);
    struct kvmclock_device device = {0};
    uint64_t stopped_at;

    fake_vm_init_smp(&f, 3);
    guest_wrmsr_on(&f.vm.vcpus[0], NEW, RECORD | 1);
    guest_wrmsr_on(&f.vm.vcpus[2], NEW, (RECORD + 64) | 1);
    stopped_at = vm_clock(&f);
    kvmclock_device_stopped(&device, &f.vm);
    kvmclock_device_running(&device, &f.vm);
    cr_assert(eq(u64, vm_clock(&f), stopped_at), "set without flags");
    cr_assert(told_of_a_stop(&f, 0, RECORD));
    cr_assert(told_of_a_stop(&f, 2, RECORD + 64));
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, (RECORD + 128) | 1);
    cr_assert(not(told_of_a_stop(&f, 1, RECORD + 128)), "the stop was before its clock");
}

Test(kvmclock_device, C4_a_second_cont_changes_nothing)
{
    FAKE_VM(f);
    struct kvmclock_device device = {0};
    uint64_t now;

    fake_vm_init(&f);
    kvmclock_device_stopped(&device, &f.vm);
    kvmclock_device_running(&device, &f.vm);
    fake_advance(&f, 1000000);
    now = vm_clock(&f);
    kvmclock_device_running(&device, &f.vm);
    cr_assert(eq(u64, vm_clock(&f), now));
}

Test(kvmclock_device, C1_without_the_device_the_clock_goes_on_through_a_stop)
{
    FAKE_VM(f);
    struct kvmclock_device device = {.missing = true};
    uint64_t stopped_at;

    fake_vm_init(&f);
    kvmclock_device_create(&device, &f.vm);
    kvmclock_device_running(&device, &f.vm);
    guest_wrmsr(&f, NEW, RECORD | 1);
    stopped_at = vm_clock(&f);
    kvmclock_device_stopped(&device, &f.vm);
    fake_advance(&f, 300000000);
    kvmclock_device_running(&device, &f.vm);
    cr_assert(ge(u64, vm_clock(&f), stopped_at + 299999999));
    cr_assert(not(told_of_a_stop(&f, 0, RECORD)));
}
