/* The stable bit, and what makes it wrong: the old register, other TSCs. spec STB, CLK-6, CLK-16. */
#include "tests/clock_fixture.h"

Test(clock, CLK_6_the_old_msr_on_vcpu_0_turns_the_stable_flag_off)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
    guest_wrmsr(&f, OLD, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
}

Test(clock, CLK_6_the_vmm_and_other_vcpus_do_not_touch_the_flag)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr_on(&f.vm.vcpus[1], OLD, 0x2001);
    vcpu_wrmsr(f.vcpu, OLD, 0x3001, ORIGIN_VMM);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
    cr_assert(eq(u8, clock_record(&f, 0x3000).flags, PVCLOCK_TSC_STABLE_BIT));
}

Test(clock, STB_1_the_cpuid_bit_does_not_decide_the_flag)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 1u << KVM_FEATURE_CLOCKSOURCE2);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
}

Test(clock, STB_2_no_tsc_clocksource_no_stable_flag)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, false);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_2_a_backwards_host_tsc_turns_it_off)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vm.clock.backwards_tsc = true;
    vm_clock_update_master(&f.vm);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_2_the_old_register_on_vcpu_0_turns_it_off)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, OLD, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_2_one_vcpu_of_another_tsc_generation_turns_it_off)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    vcpu_wrmsr(&f.vm.vcpus[1], MSR_IA32_TSC, 100ull * FAKE_KHZ * 1000, ORIGIN_VMM);
    vcpu_enter(&f.vm.vcpus[1]);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_3_a_vmm_tsc_write_far_off_starts_a_generation_that_all_must_join)
{
    FAKE_VM(f);
    const uint64_t far = 100ull * FAKE_KHZ * 1000;
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, far, ORIGIN_VMM);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
    fake_advance(&f, 1000);
    vcpu_wrmsr(&f.vm.vcpus[1], MSR_IA32_TSC, far + 5, ORIGIN_VMM);
    vcpu_enter(&f.vm.vcpus[1]);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
    cr_assert(eq(u8, clock_record(&f, 0x3000).flags, PVCLOCK_TSC_STABLE_BIT));
    cr_assert(eq(i64, f.vcpu->tsc_offset, f.vm.vcpus[1].tsc_offset), "joining takes the generation's offset");
}

Test(clock, STB_3_zero_and_within_a_second_join)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    int64_t offset = f.vcpu->tsc_offset;
    fake_advance(&f, 50000000000);
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 0, ORIGIN_VMM);
    cr_assert(eq(i64, f.vcpu->tsc_offset, offset));
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, FAKE_KHZ * 1000ull - 1, ORIGIN_VMM);
    cr_assert(eq(i64, f.vcpu->tsc_offset, offset));
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 2 * FAKE_KHZ * 1000ull - 1, ORIGIN_VMM);
    cr_assert(ne(i64, f.vcpu->tsc_offset, offset), "a whole second above does not join");
    offset = f.vcpu->tsc_offset;
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 10 * FAKE_KHZ * 1000ull, ORIGIN_VMM);
    cr_assert(ne(i64, f.vcpu->tsc_offset, offset));
    offset = f.vcpu->tsc_offset;
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 9 * FAKE_KHZ * 1000ull, ORIGIN_VMM);
    cr_assert(ne(i64, f.vcpu->tsc_offset, offset), "a whole second below is as far as one above");
}

Test(clock, STB_3_a_guest_tsc_write_does_not_change_matching)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, MSR_IA32_TSC, 1ull << 50);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
}

Test(clock, STB_2_stable_records_agree_across_vcpus_with_different_tsc) /* known bug KB-34 */
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info a, b;
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, MSR_IA32_TSC, 1ull << 40);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    fake_advance(&f, 123456789);
    a = clock_record(&f, 0x2000);
    b = clock_record(&f, 0x3000);
    cr_assert(eq(u64, clock_read(&a, vcpu_tsc(f.vcpu)), clock_read(&b, vcpu_tsc(&f.vm.vcpus[1]))));
}

Test(clock, STB_4_a_toggle_reaches_every_record_before_its_vcpu_runs)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    guest_wrmsr(&f, OLD, 0x2001);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(eq(u8, clock_record(&f, 0x3000).flags, 0));
}

Test(clock, CLK_16_a_vcpu_reads_its_own_time_from_anothers_record)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info mine, other;
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 987654321);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    mine = clock_record(&f, 0x2000);
    other = clock_record(&f, 0x3000);
    cr_assert(eq(u64, clock_read(&other, vcpu_tsc(f.vcpu)), clock_read(&mine, vcpu_tsc(f.vcpu))));
    cr_assert(eq(u32, mine.version, 2), "each record has its own version");
}

Test(clock, STB_5_the_retired_flag_is_never_set)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    ram_fill(&f, 0x2000, 0xff, sizeof(struct pvclock_vcpu_time_info));
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags & 4, 0));
}
