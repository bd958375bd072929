/* When a kvmclock record is written again, and from which times: snapshots, delays, TSC writes. spec CLK-11 .. 15. */
#include "tests/clock_fixture.h"

Test(clock, CLK_11_factors_are_those_of_the_host_rate)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u64,
                 clock_khz(clock_record(&f, 0x2000).tsc_to_system_mul, clock_record(&f, 0x2000).tsc_shift),
                 FAKE_KHZ));
}

Test(clock, CLK_11_another_rate_gives_other_factors)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    f.vm.env.tsc_khz = 1000000;
    guest_wrmsr(&f, NEW, 0x2001);
    r = clock_record(&f, 0x2000);
    cr_assert(eq(u32, r.tsc_to_system_mul, 0x80000000));
    cr_assert(eq(int, r.tsc_shift, 1));
}

Test(clock, CLK_12_with_master_clock_the_times_stay_until_the_next_snapshot)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info first, second;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    first = clock_record(&f, 0x2000);
    fake_advance(&f, 1000000);
    guest_wrmsr(&f, NEW, 0x2001);
    second = clock_record(&f, 0x2000);
    cr_assert(eq(u32, second.version, first.version + 2));
    cr_assert(eq(u64, second.system_time, first.system_time));
    cr_assert(eq(u64, second.tsc_timestamp, first.tsc_timestamp));
}

Test(clock, CLK_12_without_master_clock_each_update_samples_afresh)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, false);
    fake_advance(&f, 5000);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u64, clock_record(&f, 0x2000).system_time, 5000));
    fake_advance(&f, 1000000);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u64, clock_record(&f, 0x2000).system_time, 1005000));
    cr_assert(eq(u64, clock_record(&f, 0x2000).tsc_timestamp, vcpu_tsc(f.vcpu)));
}

Test(clock, CLK_13_the_clock_is_0_when_the_machine_starts)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, 123456);
    guest_wrmsr(&f, NEW, 0x2001);
    struct pvclock_vcpu_time_info r = clock_record(&f, 0x2000);
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), 123456));
}

Test(clock, CLK_13_a_new_snapshot_does_not_start_it_again)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 123456);
    vm_clock_update_master(&f.vm);
    vcpu_enter(f.vcpu);
    r = clock_record(&f, 0x2000);
    cr_assert(eq(u64, r.system_time, 123456));
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), 123456));
}

Test(clock, CLK_14_one_write_updates_every_vcpu_100_ms_later)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS);
    vcpu_enter(f.vcpu);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS - 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    fake_advance(&f, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 6));
}

Test(clock, CLK_14_an_update_on_its_way_is_not_put_off_by_another_write)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS - 1);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    fake_advance(&f, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS); /* that one served both */
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
}

Test(clock, CLK_14_set_clock_and_ctrl_update_at_the_next_entry)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    vm_set_clock(&f.vm, &(struct clock_data){.clock = 5});
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
    vcpu_enter(f.vcpu);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    cr_assert(eq(u32, ram_u32(&f, 0x3000), 4));
    vcpu_kvmclock_ctrl(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    vcpu_enter(f.vcpu);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 6));
    cr_assert(eq(u32, ram_u32(&f, 0x3000), 4), "the ioctl is one vCPU's");
}

Test(clock, CLK_14_days_cost_one_periodic_update)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    fake_advance(&f, 86400ull * 4 * 1000000000);
    vcpu_enter(f.vcpu);
    vm_host_events(&f.vm);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 6));
}

Test(clock, CLK_14_days_without_an_update_read_right) /* known bug KB-37 */
{
    FAKE_VM(f);
    const uint64_t days = 86400ull * 10 * 1000000000;
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    r = clock_record(&f, 0x2000);
    f.time.tsc += days / 1000000 * FAKE_KHZ;
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), days));
}

Test(clock, CLK_15_writing_the_tsc_moves_it_without_an_update)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr(&f, MSR_IA32_TSC, 50000);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC), 50000));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 50000));
}

Test(clock, CLK_15_writing_tsc_adjust_requests_an_update)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr(&f, MSR_IA32_TSC_ADJUST, 777);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC), 777));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 777));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
}

Test(clock, CLK_15_without_the_cpuid_bit_tsc_adjust_is_ignored)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_IA32_TSC_ADJUST, 777), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 0));
}
