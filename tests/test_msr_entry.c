/* What a write leaves for the next entry, in which order, and the specification's steps over many registers.
 * spec GEN-10, SAV-3, SAV-13, STL, section 23. */
#include "tests/msr_fixture.h"

Test(msr, GEN_10_deferred_work_waits_for_the_entry_and_has_an_order)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    vcpu_wrmsr(f.vcpu, MSR_KVM_ASYNC_PF_EN, 0x7009, ORIGIN_GUEST);
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    vcpu_wrmsr(f.vcpu, MSR_KVM_STEAL_TIME, 0x5041, ORIGIN_GUEST);
    vcpu_wrmsr(f.vcpu, MSR_KVM_SYSTEM_TIME_NEW, 0x2001, ORIGIN_GUEST);
    cr_assert(eq(u64, f.vm.trace.total, 0));
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, f.vm.trace.ring[0].kind, AREA_CLOCK));
    cr_assert(eq(u8, f.vm.trace.ring[3].kind, AREA_STEAL));
    cr_assert(eq(u8, f.vm.trace.ring[f.vm.trace.total - 1].kind, AREA_ASYNC_PF));
}

Test(msr, GEN_10_the_master_clock_is_decided_before_the_record_is_written)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME, 0x2001); /* turns it off: CLK-6 */
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2), "nothing is left for the next entry");
}

/* Not through kvmclock_ctrl or a load of the vCPU, which would update the records too. */
Test(msr, SAV_3_a_write_of_the_vmm_is_served_at_the_next_entry)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    vcpu_wrmsr(f.vcpu, MSR_KVM_SYSTEM_TIME, 0x2001, ORIGIN_VMM);
    vcpu_wrmsr(f.vcpu, MSR_KVM_STEAL_TIME, 0x3001, ORIGIN_VMM);
    cr_assert(eq(u64, f.vm.trace.total, 0));
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
    cr_assert(eq(u32, ram_u32(&f, 0x3008), 2));
    cr_assert(not(f.vm.clock.old_in_use), "but for CLK-6");
}

Test(msr, SAV_13_the_records_of_a_vcpu_that_does_not_enter_are_still)
{
    FAKE_VM(f);
    uint64_t stores;
    fake_vm_init_smp(&f, 2);
    turn_everything_on(&f);
    stores = f.vm.trace.total;
    fake_advance(&f, 3600 * 1000000000ull); /* periodic updates fall due */
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(eq(u64, f.vm.trace.total, stores));
    vcpu_enter(f.vcpu);
    cr_assert(lt(u64, stores, f.vm.trace.total));
}

/* Section 23, in its order, on one machine. */
Test(msr, VEC_all_steps_in_order)
{
    FAKE_VM(f);
    uint8_t crossing[12];
    fake_vm_init(&f);
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    for (size_t i = 0; i < TEN; i++) /* 1 */
        cr_assert(eq(u64, guest_rdmsr(&f, all_ten[i]), all_ten[i] == MSR_KVM_POLL_CONTROL));
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME, 0x2001); /* 2 */
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_SYSTEM_TIME_NEW), 0x2001));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x3001); /* 3 */
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_SYSTEM_TIME), 0x3001));
    cr_assert(eq(u8, clock_record(&f, 0x3000).flags, PVCLOCK_TSC_STABLE_BIT));
    uint32_t version = ram_u32(&f, 0x3000);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x3000); /* 4 */
    cr_assert(eq(u32, ram_u32(&f, 0x3000), version));
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK_NEW, 0x2ffe); /* 5 */
    ram_read(&f, 0x2ffe, crossing, sizeof(crossing));
    cr_assert(ne(int, crossing[4] | crossing[5] | crossing[6], 0));
    uint64_t stores = f.vm.trace.total;
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK_NEW, 0); /* 6 */
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_WALL_CLOCK_NEW), 0));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0xffffffff00000001), MSR_OK)); /* 7 */
    cr_assert(eq(u64, f.vm.trace.total, stores));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5041), MSR_OK)); /* 8 */
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5003), MSR_INVALID));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_STEAL_TIME), 0x5041));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6001), MSR_OK)); /* 9 */
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6003), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x8000000000000001), MSR_INVALID));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), 0x6001));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_POLL_CONTROL, 2), MSR_INVALID)); /* 10 */
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_POLL_CONTROL, 0), MSR_OK));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_POLL_CONTROL, 1), MSR_OK));
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_INT, 0xf3); /* 11 */
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x7009);
    cr_assert(eq(u32, ram_u32(&f, 0x7004), 0xffffffff));
    cr_assert(eq(int, lapic_pending(f.vcpu), 0xf3));
    lapic_take(f.vcpu, 0xf3);
    lapic_write(f.vcpu, APIC_EOI, 0);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x7009); /* 12 */
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    ram_put_u32(&f, 0x7004, 0); /* 13 */
    vcpu_enter(f.vcpu);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1), "clearing the token alone does nothing (APF-16)");
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_ACK, 1);
    cr_assert(eq(u32, ram_u32(&f, 0x7004), 0xffffffff));
    cr_assert(eq(int, lapic_pending(f.vcpu), 0xf3));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x8000000000000009), MSR_INVALID)); /* 14 */
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_ASYNC_PF_EN), 0x8000000000000009));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_MIGRATION_CONTROL, 0), MSR_UNSUPPORTED)); /* 15 */
    cr_assert(eq(int, guest_wrmsr(&f, 0x4b564dff, 0), MSR_UNSUPPORTED));
}

Test(msr, APF_14_with_the_apic_software_disabled_nothing_is_lost) /* known bug KB-18 */
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_INT, 0xf3);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x7009);
    cr_assert(eq(u32, ram_u32(&f, 0x7004), 0));
    lapic_write(f.vcpu, APIC_SPIV, 0x1ff);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x7004), 0xffffffff));
    cr_assert(eq(int, lapic_pending(f.vcpu), 0xf3));
}

Test(msr, APF_15_a_completion_wakes_a_halted_vcpu)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    vcpu_wrmsr(f.vcpu, MSR_KVM_ASYNC_PF_EN, 0x7009, ORIGIN_VMM);
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u32, ram_u32(&f, 0x7004), 0xffffffff));
}

/* Steal time's record. */
Test(msr, STL_6_the_vector_of_the_specification)
{
    FAKE_VM(f);
    struct kvm_steal_time st;
    fake_vm_init(&f);
    memset(&st, 0xaa, sizeof(st));
    st.steal = 100;
    st.version = 7;
    st.flags = 5;
    st.preempted = 3;
    ram_write(&f, 0x5040, &st, sizeof(st));
    f.time.run_delay_ns[0] = 500669;
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5041);
    ram_read(&f, 0x5040, &st, sizeof(st));
    cr_assert(eq(u64, st.steal, 500769));
    cr_assert(eq(u32, st.version, 10));
    cr_assert(eq(u32, st.flags, 5));
    cr_assert(eq(u8, st.preempted, 0));
    for (int i = 0; i < 3; i++)
        cr_assert(eq(u8, st.u8_pad[i], 0xaa));
    for (int i = 0; i < 11; i++)
        cr_assert(eq(u32, st.pad[i], 0xaaaaaaaa));
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 1));
}

Test(msr, STL_7_re_enabling_credits_nothing_twice)
{
    FAKE_VM(f);
    uint64_t steal;
    fake_vm_init(&f);
    f.time.run_delay_ns[0] = 1000;
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5041);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0);
    f.time.run_delay_ns[0] = 1500;
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5041);
    ram_read(&f, 0x5040, &steal, sizeof(steal));
    cr_assert(eq(u64, steal, 1500));
}

Test(msr, STL_3_a_moved_area_leaves_the_old_address_alone) /* known bug KB-15 */
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5041);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x6041);
    ram_fill(&f, 0x5040, 0x55, 64);
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x5040 + 8), 0x55555555));
    cr_assert(eq(u32, ram_u32(&f, 0x6040 + 8), 4));
}

Test(msr, TLB_4_without_the_flush_feature_the_byte_is_cleared_and_nothing_flushed) /* known bug KB-16 */
{
    FAKE_VM(f);
    uint8_t preempted = 3;
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 1u << KVM_FEATURE_STEAL_TIME);
    vcpu_set_enforce(f.vcpu, true);
    ram_write(&f, 0x5050, &preempted, 1);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5041);
    ram_read(&f, 0x5050, &preempted, 1);
    cr_assert(eq(u8, preempted, 0));
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 0));
}
