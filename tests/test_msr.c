/* The MSR framework and the whole value matrix. spec GEN-*, 1.1; APF, API, STL, EOI, POL. */
#include "tests/msr_fixture.h"

Test(msr, SAV_1_the_table_holds_all_ten_and_not_migration_control)
{
    cr_assert(eq(ptr, (void *)pv_msr_find(MSR_KVM_MIGRATION_CONTROL), NULL));
    cr_assert(eq(uint, pv_msr_count, TEN));
    for (size_t i = 0; i < TEN; i++)
        cr_assert(ne(ptr, (void *)pv_msr_find(all_ten[i]), NULL));
}

/* One row: a write, what comes of it, what is read back. Each starts on a fresh machine with an in-kernel LAPIC. */
#define WRITE_ROW(name, index, value, want, readback)                                                        \
    Test(msr, name)                                                                                          \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init(&f);                                                                                    \
        cr_assert(eq(int, vcpu_wrmsr(f.vcpu, index, value, ORIGIN_GUEST), want));                            \
        cr_assert(eq(u64, guest_rdmsr(&f, index), readback));                                                \
        fake_vm_init(&f);                                                                                    \
        cr_assert(eq(int, vcpu_wrmsr(f.vcpu, index, value, ORIGIN_VMM), want),                               \
                  "SAV-2: same rules for the VMM");                                                          \
    }
WRITE_ROW(STL_1_bit_1, MSR_KVM_STEAL_TIME, 0x2, MSR_INVALID, 0)
WRITE_ROW(STL_1_bit_5, MSR_KVM_STEAL_TIME, 0x20, MSR_INVALID, 0)
WRITE_ROW(STL_1_all_reserved, MSR_KVM_STEAL_TIME, 0x3e, MSR_INVALID, 0)
WRITE_ROW(STL_1_all_reserved_and_enable, MSR_KVM_STEAL_TIME, 0x3f, MSR_INVALID, 0)
WRITE_ROW(STL_1_address_off, MSR_KVM_STEAL_TIME, 0x40, MSR_OK, 0x40)
WRITE_ROW(STL_1_address_on, MSR_KVM_STEAL_TIME, 0x41, MSR_OK, 0x41)
WRITE_ROW(STL_3_bad_address_is_accepted, MSR_KVM_STEAL_TIME, 0xfffffffffffff001, MSR_OK, 0xfffffffffffff001)
WRITE_ROW(EOI_1_off, MSR_KVM_PV_EOI_EN, 0x1000, MSR_OK, 0x1000)
WRITE_ROW(EOI_1_on, MSR_KVM_PV_EOI_EN, 0x1001, MSR_OK, 0x1001)
WRITE_ROW(EOI_1_bit_1_off, MSR_KVM_PV_EOI_EN, 0x1002, MSR_INVALID, 0)
WRITE_ROW(EOI_1_bit_1_on, MSR_KVM_PV_EOI_EN, 0x1003, MSR_INVALID, 0)
WRITE_ROW(EOI_1_four_byte_aligned, MSR_KVM_PV_EOI_EN, 0x1005, MSR_OK, 0x1005)
WRITE_ROW(EOI_2_bad_address_keeps_the_old_value, MSR_KVM_PV_EOI_EN, HOLE | 1, MSR_INVALID, 0)
WRITE_ROW(EOI_3_bad_address_off_is_stored, MSR_KVM_PV_EOI_EN, HOLE, MSR_OK, HOLE)
WRITE_ROW(POL_1_zero, MSR_KVM_POLL_CONTROL, 0, MSR_OK, 0)
WRITE_ROW(POL_1_one, MSR_KVM_POLL_CONTROL, 1, MSR_OK, 1)
WRITE_ROW(POL_1_two, MSR_KVM_POLL_CONTROL, 2, MSR_INVALID, 1)
WRITE_ROW(POL_1_top_bit, MSR_KVM_POLL_CONTROL, 1ull << 63, MSR_INVALID, 1)
WRITE_ROW(APF_vectors_zero, MSR_KVM_ASYNC_PF_EN, 0, MSR_OK, 0)
WRITE_ROW(APF_3_bit_0_alone, MSR_KVM_ASYNC_PF_EN, 1, MSR_OK, 1)
WRITE_ROW(APF_3_bit_3_alone, MSR_KVM_ASYNC_PF_EN, 8, MSR_OK, 8)
WRITE_ROW(APF_5_on_at_page_0, MSR_KVM_ASYNC_PF_EN, 9, MSR_OK, 9)
WRITE_ROW(APF_5_on_where_there_is_no_memory, MSR_KVM_ASYNC_PF_EN, HOLE | 9, MSR_INVALID, HOLE | 9)
WRITE_ROW(APF_1_bit_4, MSR_KVM_ASYNC_PF_EN, 0x10, MSR_INVALID, 0)
WRITE_ROW(APF_1_bit_5, MSR_KVM_ASYNC_PF_EN, 0x20, MSR_INVALID, 0)
WRITE_ROW(APF_1_reserved_with_enable, MSR_KVM_ASYNC_PF_EN, 0x31, MSR_INVALID, 0)
WRITE_ROW(APF_4_off_does_not_check_the_address, MSR_KVM_ASYNC_PF_EN, HOLE | 1, MSR_OK, HOLE | 1)
WRITE_ROW(APF_7_a_bad_address_is_refused_and_stored, MSR_KVM_ASYNC_PF_EN, 0x100000009, MSR_INVALID,
          0x100000009)
WRITE_ROW(APF_5_eight_bytes_must_be_there, MSR_KVM_ASYNC_PF_EN, (FAKE_RAM_SIZE - 64) | 9, MSR_OK,
          (FAKE_RAM_SIZE - 64) | 9)
WRITE_ROW(API_1_vector_ff, MSR_KVM_ASYNC_PF_INT, 0xff, MSR_OK, 0xff)
WRITE_ROW(API_1_low_vectors_are_not_refused, MSR_KVM_ASYNC_PF_INT, 3, MSR_OK, 3)
WRITE_ROW(API_1_bit_8, MSR_KVM_ASYNC_PF_INT, 0x100, MSR_INVALID, 0)
WRITE_ROW(API_1_bit_63, MSR_KVM_ASYNC_PF_INT, 1ull << 63, MSR_INVALID, 0)
WRITE_ROW(API_3_ack_ignores_other_bits_and_reads_0, MSR_KVM_ASYNC_PF_ACK, 0xfffffffffffffffe, MSR_OK, 0)
WRITE_ROW(API_3_ack_reads_0, MSR_KVM_ASYNC_PF_ACK, 1, MSR_OK, 0)
WRITE_ROW(CLK_2_system_time, MSR_KVM_SYSTEM_TIME, ~0ull, MSR_OK, ~0ull)
WRITE_ROW(CLK_17_wall_clock, MSR_KVM_WALL_CLOCK, ~0ull, MSR_OK, ~0ull)

Test(msr, GEN_6_and_SAV_2_every_reserved_bit_of_every_row)
{
    static const struct {
        uint32_t index;
        uint64_t reserved;
    } rows[] = {{MSR_KVM_STEAL_TIME, 0x3e},
                {MSR_KVM_PV_EOI_EN, 2},
                {MSR_KVM_ASYNC_PF_EN, 0x30},
                {MSR_KVM_ASYNC_PF_INT, ~0xffull},
                {MSR_KVM_POLL_CONTROL, ~1ull}};
    FAKE_VM(f);
    fake_vm_init(&f);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t before = guest_rdmsr(&f, rows[i].index);
        for (int bit = 0; bit < 64; bit++) {
            if (!(rows[i].reserved >> bit & 1))
                continue;
            cr_assert(eq(int, guest_wrmsr(&f, rows[i].index, 1ull << bit), MSR_INVALID));
            cr_assert(eq(int, vcpu_wrmsr(f.vcpu, rows[i].index, 1ull << bit, ORIGIN_VMM), MSR_INVALID));
            cr_assert(eq(u64, guest_rdmsr(&f, rows[i].index), before));
        }
    }
}

Test(msr, STL_2_a_host_without_sched_info_refuses_writes_and_answers_reads)
{
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.sched_info = false;
    fake_vm_create(&f, &config, true);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x41), MSR_INVALID));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_STEAL_TIME), 0));
}

Test(msr, APF_2_without_in_kernel_lapic_only_0_is_accepted)
{
    FAKE_VM(f);
    start_without_lapic(&f);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 1), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x40), MSR_INVALID), "off, but not 0");
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_ASYNC_PF_EN), 0), "nothing is stored");
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0), MSR_OK));
}

Test(msr, API_1_without_in_kernel_lapic_every_vector_is_refused)
{
    FAKE_VM(f);
    start_without_lapic(&f);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_INT, 0), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_INT, 0xf3), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_ACK, 1), MSR_OK));
}

Test(msr, EOI_2_a_refused_address_leaves_the_old_one_stale_until_slots_change)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6001);
    cr_assert(area_usable(vcpu_area(f.vcpu, AREA_PV_EOI)));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, HOLE | 1), MSR_INVALID));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), 0x6001));
    cr_assert(not(area_usable(vcpu_area(f.vcpu, AREA_PV_EOI))));
    memory_slot_add(&f.vm.memory, HOLE, 0x1000, 0);
    cr_assert(area_usable(vcpu_area(f.vcpu, AREA_PV_EOI)));
}

Test(msr, EOI_2_a_good_registration_ends_staleness)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6001);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, HOLE | 1);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6001);
    cr_assert(area_usable(vcpu_area(f.vcpu, AREA_PV_EOI)));
}

Test(msr, GEN_8_indices_above_the_block_are_unknown)
{
    FAKE_VM(f);
    uint64_t value;
    fake_vm_init(&f);
    for (uint32_t index = 0x4b564d08; index <= 0x4b564dff; index++) {
        cr_assert(eq(int, vcpu_rdmsr(f.vcpu, index, &value, ORIGIN_GUEST), MSR_UNSUPPORTED));
        cr_assert(eq(int, vcpu_wrmsr(f.vcpu, index, 0, ORIGIN_GUEST), MSR_UNSUPPORTED));
    }
}

Test(msr, GEN_9_two_names_of_one_value)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, 0x2000);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_WALL_CLOCK_NEW), 0x2000));
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK_NEW, 0x3000);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_WALL_CLOCK), 0x3000));
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME, 0x4001);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_SYSTEM_TIME_NEW), 0x4001));
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x5001);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_SYSTEM_TIME), 0x5001));
}

Test(msr, GEN_9_wall_clock_is_per_vm_and_system_time_per_vcpu)
{
    FAKE_VM(f);
    uint64_t value;
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, 0x2000);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME, 0x3001);
    vcpu_rdmsr(&f.vm.vcpus[1], MSR_KVM_WALL_CLOCK, &value, ORIGIN_GUEST);
    cr_assert(eq(u64, value, 0x2000));
    vcpu_rdmsr(&f.vm.vcpus[1], MSR_KVM_SYSTEM_TIME, &value, ORIGIN_GUEST);
    cr_assert(eq(u64, value, 0));
}

/* The instructions. */
static void set_wrmsr(struct vcpu *vcpu, uint64_t rcx, uint64_t rdx, uint64_t rax)
{
    vcpu->regs.gpr[RCX] = rcx;
    vcpu->regs.gpr[RDX] = rdx;
    vcpu->regs.gpr[RAX] = rax;
}

Test(msr, GEN_1_the_index_is_32_bits_and_the_value_two_halves)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    set_wrmsr(f.vcpu, 0xdeadbeef00000000 | MSR_KVM_SYSTEM_TIME, 0xaaaaaaaa00000001, 0xbbbbbbbb00002000);
    cr_assert(not(trapped(intercept_wrmsr(f.vcpu))));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_SYSTEM_TIME), 0x0000000100002000));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 0xbbbbbbbb00002000), "GEN-2: WRMSR changes no register");
}

Test(msr, GEN_1_above_cpl_0_it_is_gp_before_anything_happens)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    for (unsigned cpl = 1; cpl <= 3; cpl++) {
        cpu_mode(f.vcpu, true, true, cpl);
        set_wrmsr(f.vcpu, MSR_KVM_POLL_CONTROL, 0, 0);
        cr_assert(eq(u8, intercept_wrmsr(f.vcpu).vector, TRAP_GP));
        cr_assert(eq(u8, intercept_rdmsr(f.vcpu).vector, TRAP_GP));
        cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_POLL_CONTROL), 1));
    }
}

Test(msr, GEN_2_rdmsr_zero_extends_both_halves)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME, 0xfedcba9876543210);
    set_wrmsr(f.vcpu, MSR_KVM_SYSTEM_TIME, ~0ull, ~0ull);
    cr_assert(not(trapped(intercept_rdmsr(f.vcpu))));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 0x76543210));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RDX], 0xfedcba98));
}

Test(msr, GEN_3_a_failure_is_gp_0_and_changes_no_register)
{
    FAKE_VM(f);
    struct trap trap;
    fake_vm_init(&f);
    set_wrmsr(f.vcpu, MSR_KVM_MIGRATION_CONTROL, 5, 6);
    trap = intercept_rdmsr(f.vcpu);
    cr_assert(eq(u8, trap.vector, TRAP_GP));
    cr_assert(trap.has_error);
    cr_assert(eq(u32, trap.error, 0));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RDX], 5));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 6));
}

Test(msr, GEN_5_ignore_msrs_masks_unknown_and_gated_ones)
{
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.ignore_msrs = true;
    fake_vm_create(&f, &config, true);
    fake_set_features(&f, 0);
    vcpu_set_enforce(f.vcpu, true);
    set_wrmsr(f.vcpu, MSR_KVM_MIGRATION_CONTROL, 0, 1);
    cr_assert(not(trapped(intercept_wrmsr(f.vcpu))));
    set_wrmsr(f.vcpu, MSR_KVM_POLL_CONTROL, ~0ull, ~0ull);
    cr_assert(not(trapped(intercept_rdmsr(f.vcpu))));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 0));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RDX], 0));
}

Test(msr, GEN_6_ignore_msrs_does_not_mask_bad_values)
{
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.ignore_msrs = true;
    fake_vm_create(&f, &config, true);
    set_wrmsr(f.vcpu, MSR_KVM_STEAL_TIME, 0, 2);
    cr_assert(eq(u8, intercept_wrmsr(f.vcpu).vector, TRAP_GP));
}

Test(msr, GEN_4_the_gate_comes_before_the_value_and_ignore_msrs_after_both)
{
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.ignore_msrs = true;
    fake_vm_create(&f, &config, true);
    fake_set_features(&f, 1u << KVM_FEATURE_STEAL_TIME);
    vcpu_set_enforce(f.vcpu, true);
    set_wrmsr(f.vcpu, MSR_KVM_POLL_CONTROL, 0, 2);
    cr_assert(not(trapped(intercept_wrmsr(f.vcpu))), "closed: ignored before its value is looked at");
    set_wrmsr(f.vcpu, MSR_KVM_STEAL_TIME, 0, 2);
    cr_assert(eq(u8, intercept_wrmsr(f.vcpu).vector, TRAP_GP), "open: a bad value is not ignored");
}

/* One address bit that no CPU has: the address is bad, and is not cut to a good one. */
Test(msr, GEN_11_high_address_bits_make_it_bad)
{
    FAKE_VM(f);
    const uint64_t high = 1ull << 52;
    fake_vm_init(&f);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, high | 0x2001), MSR_OK));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_WALL_CLOCK_NEW, high | 0x3000), MSR_OK));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_STEAL_TIME, high | 0x4001), MSR_OK));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, high | 0x5001), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, high | 0x6009), MSR_INVALID));
    cr_assert(eq(u64, f.vm.trace.total, 0));
}

Test(msr, MIG_1_migration_control_is_gp_whatever_cpuid_says)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(f.vcpu->pv_features >> KVM_FEATURE_MIGRATION_CONTROL & 1);
    set_wrmsr(f.vcpu, MSR_KVM_MIGRATION_CONTROL, 0, 1);
    cr_assert(eq(u8, intercept_wrmsr(f.vcpu).vector, TRAP_GP));
    cr_assert(eq(u8, intercept_rdmsr(f.vcpu).vector, TRAP_GP));
}

/* The CPU's own registers. */
WRITE_ROW(CPU_MSR_lstar, MSR_LSTAR, 0xffffffff81000000, MSR_OK, 0xffffffff81000000)
WRITE_ROW(CPU_MSR_lstar_not_canonical, MSR_LSTAR, 0x0000800000000000, MSR_INVALID, 0)
WRITE_ROW(CPU_MSR_gs_base_not_canonical, MSR_GS_BASE, 1ull << 63, MSR_INVALID, 0)
WRITE_ROW(CPU_MSR_sysenter_is_made_canonical, MSR_IA32_SYSENTER_EIP, 0x0000800000000000, MSR_OK,
          0xffff800000000000)
WRITE_ROW(CPU_MSR_pat, MSR_IA32_CR_PAT, 0x0606060606060606, MSR_OK, 0x0606060606060606)
WRITE_ROW(CPU_MSR_pat_reserved_type, MSR_IA32_CR_PAT, 0x0606060606060602, MSR_INVALID, 0x0007040600070406)
WRITE_ROW(CPU_MSR_mtrr_default, MSR_MTRRdefType, 0xc06, MSR_OK, 0xc06)
WRITE_ROW(CPU_MSR_mtrr_default_reserved, MSR_MTRRdefType, 0x1006, MSR_INVALID, 0)
WRITE_ROW(CPU_MSR_mtrr_mask_beyond_the_address_width, 0x201, 1ull << 40, MSR_INVALID, 0)
WRITE_ROW(CPU_MSR_mtrr_base, 0x20e, 0x80000006, MSR_OK, 0x80000006)
WRITE_ROW(CPU_MSR_mtrr_fixed, 0x26f, 0x0606060606060606, MSR_OK, 0x0606060606060606)
WRITE_ROW(CPU_MSR_mtrr_fixed_reserved_type, 0x250, 7, MSR_INVALID, 0)
WRITE_ROW(CPU_MSR_tsc_aux_is_32_bits, MSR_TSC_AUX, 1ull << 32, MSR_INVALID, 0)
WRITE_ROW(CPU_MSR_efer_reserved, MSR_EFER, 2, MSR_INVALID, 0)

Test(msr, CPU_MSR_efer_lma_follows_the_cpu_and_not_the_write)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_EFER, EFER_LME | EFER_LMA), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_EFER), EFER_LME));
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_EFER, EFER_SCE), MSR_INVALID),
              "LME may not change while paging is on");
    cr_assert(eq(int, guest_wrmsr(&f, MSR_EFER, EFER_SCE | EFER_LME), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_EFER), EFER_SCE | EFER_LME | EFER_LMA));
}

Test(msr, CPU_MSR_efer_needs_the_cpuid_bits)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true); /* no CPUID at all */
    cr_assert(eq(int, guest_wrmsr(&f, MSR_EFER, EFER_NXE), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_EFER, EFER_LME), MSR_INVALID));
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_EFER, EFER_NXE, ORIGIN_VMM), MSR_OK));
}

Test(msr, CPU_MSR_mtrrcap_is_read_only)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_MTRRcap), 0x508));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_MTRRcap, 0x508), MSR_INVALID));
}
