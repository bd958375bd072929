/* What the VMM says and asks of kvmclock: KVM_GET_CLOCK, KVM_SET_CLOCK, KVM_KVMCLOCK_CTRL. spec SAV-6 .. 9, CLK-20, 21. */
#include <errno.h>
#include "tests/clock_fixture.h"

Test(clock, CLK_20_a_stop_is_told_once_and_stays_until_the_guest_clears_it)
{
    FAKE_VM(f);
    const uint64_t flags = 0x2000 + offsetof(struct pvclock_vcpu_time_info, flags);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), 0));
    vcpu_enter(f.vcpu);
    cr_assert(stopped(&f, 0x2000));
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(stopped(&f, 0x2000), "a second update must not lose it");
    ram_fill(&f, flags, 0, 1);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(not(stopped(&f, 0x2000)), "the host must not set it again");
}

Test(clock, CLK_20_a_stop_waits_for_a_record_that_can_be_written)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, HOLE | 1);
    vcpu_kvmclock_ctrl(f.vcpu);
    vcpu_enter(f.vcpu);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(stopped(&f, 0x2000));
}

Test(clock, CLK_20_a_stop_of_one_vcpu_stays_in_its_own_record) /* known bug KB-39, third variant */
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    vcpu_kvmclock_ctrl(f.vcpu);
    vcpu_enter(f.vcpu);
    fake_advance(&f, CLOCK_SYNC_INTERVAL_NS);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(not(stopped(&f, 0x3000)));
}

Test(clock, CLK_21_ctrl_is_refused_unless_the_clock_is_active)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), -EINVAL));
    guest_wrmsr(&f, NEW, HOLE | 1); /* a bad address counts as active */
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), 0));
    guest_wrmsr(&f, NEW, HOLE); /* bit 0 decides */
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), -EINVAL));
}

Test(clock, SAV_9_the_guests_clock_lies_between_two_readings_of_the_vms)
{
    FAKE_VM(f);
    struct clock_data before, after;
    struct pvclock_vcpu_time_info r;
    uint64_t read;
    fake_vm_init(&f);
    fake_advance(&f, 5000000000);
    vm_set_clock(&f.vm, &(struct clock_data){.clock = 77000000000});
    fake_advance(&f, 1000000);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 1234567);
    vm_get_clock(&f.vm, &before);
    fake_advance(&f, 1000);
    r = clock_record(&f, 0x2000);
    read = clock_read(&r, vcpu_tsc(f.vcpu));
    fake_advance(&f, 1000);
    vm_get_clock(&f.vm, &after);
    cr_assert(ge(u64, before.clock, 77000000000));
    cr_assert(le(u64, before.clock, 77002234567), "it counts from the value that was set");
    cr_assert(le(u64, before.clock, read));
    cr_assert(le(u64, read, after.clock));
}

Test(clock, SAV_6_get_clock_with_master_clock_carries_realtime_and_tsc)
{
    FAKE_VM(f);
    struct clock_data data;
    fake_vm_init(&f);
    fake_advance(&f, 1000000);
    vm_get_clock(&f.vm, &data);
    cr_assert(eq(u64, data.clock, 1000000));
    cr_assert(eq(u32, data.flags, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC));
    cr_assert(eq(u64, data.realtime, f.time.realtime_ns));
    cr_assert(eq(u64, data.host_tsc, f.time.tsc));
}

Test(clock, SAV_6_get_clock_without_master_clock_has_no_flags)
{
    FAKE_VM(f);
    struct clock_data data;
    fake_vm_create(&f, &fake_config, false);
    fake_advance(&f, 31);
    vm_get_clock(&f.vm, &data);
    cr_assert(eq(u64, data.clock, 31));
    cr_assert(eq(u32, data.flags, 0));
}

Test(clock, SAV_7_set_clock_refuses_unknown_flags)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    for (uint32_t flags = 0; flags < 32; flags++)
        cr_assert(eq(int, vm_set_clock(&f.vm, &(struct clock_data){.clock = 5, .flags = flags}),
                     flags & ~0xeu ? -EINVAL : 0));
}

Test(clock, SAV_7_a_small_value_right_after_start_stays_small) /* known bug KB-35 */
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 999);
    vm_set_clock(&f.vm, &(struct clock_data){.clock = 0});
    vcpu_enter(f.vcpu);
    r = clock_record(&f, 0x2000);
    cr_assert(eq(u64, r.system_time, 0));
    fake_advance(&f, 2000);
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), 2000));
}

Test(clock, SAV_7_elapsed_realtime_is_added_and_never_subtracted)
{
    FAKE_VM(f);
    struct clock_data data = {.clock = 1000, .flags = KVM_CLOCK_REALTIME}, now;
    fake_vm_init(&f);
    data.realtime = f.time.realtime_ns - 300;
    vm_set_clock(&f.vm, &data);
    vm_get_clock(&f.vm, &now);
    cr_assert(eq(u64, now.clock, 1300));
    data.realtime = f.time.realtime_ns + 300;
    vm_set_clock(&f.vm, &data);
    vm_get_clock(&f.vm, &now);
    cr_assert(eq(u64, now.clock, 1000));
    data.realtime = f.time.realtime_ns - 300;
    data.flags = KVM_CLOCK_HOST_TSC;
    vm_set_clock(&f.vm, &data);
    vm_get_clock(&f.vm, &now);
    cr_assert(eq(u64, now.clock, 1000), "nobody asked for it");
}

Test(clock, SAV_8_the_flags_that_may_be_set_are_0xe)
{
    FAKE_VM(f);
    struct clock_data data = {0};
    fake_vm_init(&f);
    vm_get_clock(&f.vm, &data);
    for (int bit = 0; bit < 32; bit++) {
        data.flags = 1u << bit;
        cr_assert(eq(int, vm_set_clock(&f.vm, &data), 0xe >> bit & 1 ? 0 : -EINVAL), "bit %d", bit);
    }
}
