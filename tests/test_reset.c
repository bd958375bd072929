/* INIT and system reset: which registers go back, which stay, and that no shared page is written.
 * spec RST-*, QMU-7, QMU-8, POL-2, API-4. */
#include "tests/msr_fixture.h"
#include "vmm/board/reset.h"

Test(msr, POL_2_is_1_at_first_per_vcpu_kept_over_init_and_1_again_after_reset)
{
    FAKE_VM(f);
    uint64_t other;
    fake_vm_init_smp(&f, 2);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_POLL_CONTROL), 1));
    guest_wrmsr(&f, MSR_KVM_POLL_CONTROL, 0);
    vcpu_rdmsr(&f.vm.vcpus[1], MSR_KVM_POLL_CONTROL, &other, ORIGIN_GUEST);
    cr_assert(eq(u64, other, 1));
    vcpu_init(f.vcpu);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_POLL_CONTROL), 0));
    board_system_reset(&f.vm);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_POLL_CONTROL), 1));
}

Test(msr, RST_4_init_writes_to_no_shared_page)
{
    FAKE_VM(f);
    uint64_t stores;
    fake_vm_init(&f);
    turn_everything_on(&f);
    stores = f.vm.trace.total;
    cr_assert(lt(u64, 0, stores));
    vcpu_init(f.vcpu);
    cr_assert(eq(u64, f.vm.trace.total, stores));
}

Test(msr, API_4_init_hides_the_vector_and_keeps_it)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_INT, 0xf3);
    vcpu_init(f.vcpu);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_ASYNC_PF_INT), 0));
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x7009);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0xf3));
}

Test(msr, RST_2_and_3_init_resets_what_it_must_and_keeps_the_rest)
{
    static const struct {
        uint32_t index;
        uint64_t value, after;
    } rows[] = {{MSR_KVM_WALL_CLOCK, 0x2000, 0x2000}, {MSR_KVM_SYSTEM_TIME, 0x3001, 0},
                {MSR_KVM_STEAL_TIME, 0x4001, 0},      {MSR_KVM_PV_EOI_EN, 0x5001, 0},
                {MSR_KVM_POLL_CONTROL, 0, 0},         {MSR_KVM_ASYNC_PF_INT, 0xf3, 0},
                {MSR_KVM_ASYNC_PF_EN, 0x7009, 0}};
    FAKE_VM(f);
    fake_vm_init(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        guest_wrmsr(&f, rows[i].index, rows[i].value);
    f.vcpu->kicked = true;
    uint64_t stores = f.vm.trace.total;
    vcpu_init(f.vcpu);
    vcpu_enter(f.vcpu);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert(eq(u64, guest_rdmsr(&f, rows[i].index), rows[i].after));
    cr_assert(eq(u64, f.vm.trace.total, stores), "RST-4: INIT writes nothing");
    for (int kind = 0; kind < AREA_WALL_CLOCK; kind++)
        cr_assert(eq(u8, vcpu_area(f.vcpu, kind)->state, AREA_OFF));
    cr_assert(f.vcpu->kicked);
}

Test(msr, RST_3_init_keeps_what_no_register_shows)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    vcpu_set_enforce(f.vcpu, true);
    turn_everything_on(&f);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME, 0x2001);
    f.time.run_delay_ns[0] = 70;
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    f.vcpu->apf.next_id = 5;
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), 0));
    vcpu_init(f.vcpu);
    cr_assert(f.vm.clock.old_in_use);
    cr_assert(f.vcpu->clock.stop_pending);
    cr_assert(eq(u64, f.vcpu->steal.run_delay_ns, 70));
    cr_assert(eq(u8, f.vcpu->apf.vector, 0xf3));
    cr_assert(eq(u32, f.vcpu->apf.next_id, 5));
    cr_assert(f.vcpu->enforce);
    cr_assert(eq(u32, f.vcpu->pv_features, ALL_FEATURES));
}

Test(msr, RST_5_without_in_kernel_lapic_init_keeps_pv_eoi)
{
    FAKE_VM(f);
    start_without_lapic(&f);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x5001);
    vcpu_init(f.vcpu);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), 0x5001));
}

Test(msr, QMU_8_and_S2_system_reset_writes_every_msr_back) /* known bug KB-33 */
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x2001);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x3001);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x4001);
    guest_wrmsr(&f, MSR_KVM_POLL_CONTROL, 0);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x7009);
    board_system_reset(&f.vm);
    uint64_t stores = f.vm.trace.total;
    fake_advance(&f, 1000000000000);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, f.vm.trace.total, stores));
    for (size_t i = 0; i < TEN; i++)
        cr_assert(eq(u64, guest_rdmsr(&f, all_ten[i]), all_ten[i] == MSR_KVM_POLL_CONTROL));
    for (int kind = 0; kind < AREA_WALL_CLOCK; kind++)
        cr_assert(eq(u8, vcpu_area(f.vcpu, kind)->state, AREA_OFF));
}

/* Seen on QEMU 7.2.22 over Linux 6.1.0-56: what a guest used without being told stays after system_reset. */
Test(msr, QMU_7_and_S4_system_reset_skips_what_the_guest_was_not_shown)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_set_features(&f, 1u << KVM_FEATURE_PV_EOI);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x2001);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x3001);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x4001);
    guest_wrmsr(&f, MSR_KVM_POLL_CONTROL, 0);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_SYSTEM_TIME_NEW), 0), "the clock is always written");
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), 0));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_STEAL_TIME), 0x3001));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_POLL_CONTROL), 0));
    cr_assert(not(f.vm.clock.old_in_use), "the old register, but not by the guest (CLK-6)");
}

Test(msr, RST_1_a_system_reset_is_what_the_VMM_writes_and_no_more)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vcpu->apf.next_id = 9;
    f.vcpu->kicked = true;
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5001);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_STEAL_TIME), 0), "a register, so written");
    cr_assert(eq(u32, f.vcpu->apf.next_id, 9), "no register names it");
    cr_assert(f.vcpu->kicked);
}
