/* Hypercall mechanics and each number's result. spec HC-*, UNH-*, IPI-*, YLD-1, PAIR-*, GPA-*, VPI-1, MMU-1. */
#include "tests/fake_vm.h"
#include "vmm/pv/hypercall.h"

#define ENOSYS_64 0xfffffffffffffc18ull
#define ENOSYS_32 0x00000000fffffc18ull

static void start(struct fake_vm *f)
{
    fake_vm_init(f);
    cpu_mode(f->vcpu, true, true, 0);
}

static void start_smp(struct fake_vm *f, uint16_t vcpus)
{
    fake_vm_init_smp(f, vcpus);
    cpu_mode(f->vcpu, true, true, 0);
}

/* The same call in each mode and at each CPL: RAX given, RAX wanted. */
#define MODE_ROW(name, paging_long, cs_l, cpl, nr, want)                                                     \
    Test(hypercall, name)                                                                                    \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init(&f);                                                                                    \
        cpu_mode(f.vcpu, paging_long, cs_l, cpl);                                                            \
        cr_assert(eq(u64, hypercall(f.vcpu, nr, 0, 0, 0, 0), want));                                         \
    }
MODE_ROW(HC_7_poll_irq_in_64_bit_code, true, true, 0, 1, 0)
MODE_ROW(HC_7_mmu_op, true, true, 0, 2, ENOSYS_64)
MODE_ROW(HC_7_number_0, true, true, 0, 0, ENOSYS_64)
MODE_ROW(HC_7_number_13, true, true, 0, 13, ENOSYS_64)
MODE_ROW(HC_7_all_ones_of_32_bits, true, true, 0, 0xffffffff, ENOSYS_64)
MODE_ROW(HC_3_64_bit_code_compares_all_of_rax, true, true, 0, 0x100000005, ENOSYS_64)
MODE_ROW(HC_2_32_bit_code_cuts_rax, false, false, 0, 0xffffffff00000001, 0)
MODE_ROW(HC_2_32_bit_code_cuts_the_result, false, false, 0, 0xffffffff00000063, ENOSYS_32)
MODE_ROW(HC_2_compatibility_mode_is_not_wide, true, false, 0, 0xffffffff00000001, 0) /* known bug KB-28 */
MODE_ROW(HC_2_compatibility_mode_result, true, false, 0, 99, ENOSYS_32)
MODE_ROW(HC_5_cpl_3, true, true, 3, 1, ~0ull) /* known bug KB-27 */
MODE_ROW(HC_5_cpl_1, true, true, 1, 1, ~0ull)
MODE_ROW(HC_5_cpl_2, true, true, 2, 1, ~0ull)
MODE_ROW(HC_5_cpl_3_unknown_number, true, true, 3, 99, ~0ull)
MODE_ROW(HC_5_cpl_3_compatibility, true, false, 3, 1, 0xffffffff)
MODE_ROW(HC_5_cpl_3_32_bit, false, false, 3, 1, 0xffffffff)
MODE_ROW(MMU_1_mmu_op_at_cpl_0, true, true, 0, 2, ENOSYS_64)
MODE_ROW(MMU_1_mmu_op_at_cpl_3, true, true, 3, 2, ~0ull)

Test(hypercall, HC_4_the_cpl_is_checked_before_anything_is_done)
{
    FAKE_VM(f);
    start(&f);
    cpu_mode(f.vcpu, true, true, 3);
    ram_fill(&f, 0x2000, 0xaa, 64);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), ~0ull));
    cr_assert(not(f.vcpu->kicked));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, 0, 0), ~0ull));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 0xaaaaaaaa));
}

/* Paging is on and all of RAM is zero: no linear address leads anywhere. */
Test(hypercall, HC_8_memory_is_named_by_physical_address)
{
    FAKE_VM(f);
    start(&f);
    f.vcpu->regs.seg[SREG_DS].base = 0x10000; /* nor has a segment a say */
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, 0, 0), 0));
    cr_assert(ne(u32, ram_u32(&f, 0x2000), 0));
}

#define NUMBER_ROW(nr)                                                                                       \
    Test(hypercall, HC_7_number_##nr##_is_unknown)                                                           \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        start(&f);                                                                                           \
        cr_assert(eq(u64, hypercall(f.vcpu, nr, 0, 0, 0, 0), ENOSYS_64));                                    \
    }
NUMBER_ROW(3)
NUMBER_ROW(4)
NUMBER_ROW(6)
NUMBER_ROW(7)
NUMBER_ROW(8)
NUMBER_ROW(14)

Test(hypercall, HC_15_real_mode_is_cpl_0_and_32_bits)
{
    FAKE_VM(f);
    fake_vm_init(&f);                          /* as after power-on */
    f.vcpu->regs.seg[SREG_SS].access = 0x00f3; /* whatever DPL is left behind */
    cr_assert(eq(u64, hypercall(f.vcpu, 0xffffffff00000001, 0, 0, 0, 0), 0));
    cr_assert(eq(u64, hypercall(f.vcpu, 99, 0, 0, 0, 0), ENOSYS_32));
}

Test(hypercall, HC_5_virtual_8086_mode_is_cpl_3)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cpu_mode(f.vcpu, false, false, 0);
    f.vcpu->regs.rflags |= RFLAGS_VM;
    cr_assert(eq(u64, hypercall(f.vcpu, 1, 0, 0, 0, 0), 0xffffffff));
}

Test(hypercall, HC_1_only_rax_changes)
{
    FAKE_VM(f);
    struct cpu_regs before;
    struct trap trap;
    start(&f);
    for (int i = 0; i < GPRS; i++)
        f.vcpu->regs.gpr[i] = 0x1111111111111111ull * (unsigned)(i + 1);
    f.vcpu->regs.gpr[RAX] = 77;
    before = f.vcpu->regs;
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMCALL, &trap), HC_DONE));
    before.gpr[RAX] = ENOSYS_64;
    cr_assert(zero(int, memcmp(&before, &f.vcpu->regs, sizeof(before))));
}

/* SEND_IPI tells all four apart. */
Test(hypercall, HC_1_number_in_rax_arguments_in_rbx_rcx_rdx_rsi)
{
    FAKE_VM(f);
    struct trap trap;
    uint64_t *gpr;
    start_smp(&f, 4);
    gpr = f.vcpu->regs.gpr;
    gpr[RAX] = KVM_HC_SEND_IPI;
    gpr[RBX] = 1; /* nobody: an id near the end */
    gpr[RCX] = 1; /* id 1, once the window has wrapped */
    gpr[RDX] = 0xffffffc1;
    gpr[RSI] = 0xfd;
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMCALL, &trap), HC_DONE));
    cr_assert(eq(u64, gpr[RAX], 1));
    for (unsigned i = 0; i < 4; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), i == 1 ? 0xfd : -1));
}

Test(hypercall, HC_2_32_bit_code_cuts_the_arguments)
{
    const uint64_t high = 0xffffffff00000000;
    FAKE_VM(f);
    start(&f);
    cpu_mode(f.vcpu, true, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, high | 0x2000, high, high, high), 0));
    cr_assert(ne(u32, ram_u32(&f, 0x2000), 0));
}

/* The other vendor's instruction. */
#define FOREIGN_ROW(name, native_form, insn, paging_long, cs_l, cpl, quirk, want, want_vector)               \
    Test(hypercall, name)                                                                                    \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        struct vm_config config = fake_config;                                                               \
        struct trap trap;                                                                                    \
        config.native = native_form;                                                                         \
        config.fix_hypercall_quirk = quirk;                                                                  \
        fake_vm_create(&f, &config, true);                                                                   \
        cpu_mode(f.vcpu, paging_long, cs_l, cpl);                                                            \
        f.vcpu->regs.gpr[RAX] = 1;                                                                           \
        cr_assert(eq(int, intercept_hypercall(f.vcpu, insn, &trap), want));                                  \
        cr_assert(eq(u8, trap.vector, want_vector));                                                         \
        cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 1));                                                        \
    }
FOREIGN_ROW(HC_10_vmmcall_on_intel_is_rewritten, HC_VMCALL, HC_VMMCALL, true, true, 0, true, HC_REWRITE,
            TRAP_NONE)
FOREIGN_ROW(HC_10_vmcall_on_amd_is_rewritten, HC_VMMCALL, HC_VMCALL, true, true, 0, true, HC_REWRITE,
            TRAP_NONE)
FOREIGN_ROW(HC_12_vmmcall_at_cpl_3_is_rewritten, HC_VMCALL, HC_VMMCALL, true, true, 3, true, HC_REWRITE,
            TRAP_NONE)
FOREIGN_ROW(HC_12_vmcall_at_cpl_3_is_gp, HC_VMMCALL, HC_VMCALL, true, true, 3, true, HC_TRAP, TRAP_GP)
FOREIGN_ROW(HC_13_quirk_off_is_ud, HC_VMCALL, HC_VMMCALL, true, true, 0, false, HC_TRAP, TRAP_UD)
FOREIGN_ROW(HC_13_quirk_off_is_ud_on_amd, HC_VMMCALL, HC_VMCALL, true, true, 0, false, HC_TRAP, TRAP_UD)
FOREIGN_ROW(HC_13_cpl_is_checked_before_the_quirk, HC_VMMCALL, HC_VMCALL, true, true, 3, false, HC_TRAP,
            TRAP_GP)
FOREIGN_ROW(HC_10_vmmcall_in_compatibility_mode, HC_VMCALL, HC_VMMCALL, true, false, 0, true, HC_REWRITE,
            TRAP_NONE)

Test(hypercall, HC_12_foreign_vmmcall_in_real_mode_is_ud)
{
    FAKE_VM(f);
    struct trap trap;
    fake_vm_init(&f);
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMMCALL, &trap), HC_TRAP));
    cr_assert(eq(u8, trap.vector, TRAP_UD));
}

Test(hypercall, HC_10_foreign_vmcall_in_real_mode_is_rewritten)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    struct trap trap;
    config.native = HC_VMMCALL;
    fake_vm_create(&f, &config, true);
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMCALL, &trap), HC_REWRITE));
}

Test(hypercall, HC_1_bytes_of_both_forms)
{
    cr_assert(zero(int, memcmp(hypercall_bytes[HC_VMCALL], "\x0f\x01\xc1", 3)));
    cr_assert(zero(int, memcmp(hypercall_bytes[HC_VMMCALL], "\x0f\x01\xd9", 3)));
}

/* SEND_IPI: 4 vCPUs, ids 0..3, all enabled. The specification's table. */
#define IPI_ROW(name, a0, a1, a2, a3, want)                                                                  \
    Test(hypercall, IPI_##name)                                                                              \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        start_smp(&f, 4);                                                                                    \
        cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, a0, a1, a2, a3), want));                        \
    }
IPI_ROW(5_all_four, 0xf, 0, 0, 0xfd, 4)
IPI_ROW(1_ids_1_and_3, 0x5, 0, 1, 0xfd, 2)
IPI_ROW(1_full_window, ~0ull, ~0ull, 0, 0xfd, 4)
IPI_ROW(5_nobody, 0, 0, 0, 0xfd, 0)
IPI_ROW(2_logical_is_einval, 0xf, 0, 0, 0x8fd, (uint64_t)-22)
IPI_ROW(2_shorthand_is_einval, 0xf, 0, 0, 0x400fd, (uint64_t)-22)
IPI_ROW(2_the_other_shorthand_bit, 0xf, 0, 0, 0x800fd, (uint64_t)-22)
IPI_ROW(8_nmi, 0xf, 0, 0, 0x400, 4)
IPI_ROW(8_level_deassert, 0xf, 0, 0, 0x80fd, 0)
IPI_ROW(8_level_assert, 0xf, 0, 0, 0xc0fd, 4)
IPI_ROW(8_extint, 0xf, 0, 0, 0x7fd, 0)
IPI_ROW(8_kicks, 0xf, 0, 0, 0x300, 4)
IPI_ROW(8_lowest_is_not_arbitrated, 0xf, 0, 0, 0x1fd, 4)
IPI_ROW(8_smi, 0xf, 0, 0, 0x200, 4)
IPI_ROW(8_init_level_deassert, 0xf, 0, 0, 0x8500, 0)
IPI_ROW(8_init, 0x8, 0, 0, 0x500, 1)
IPI_ROW(8_sipi, 0x8, 0, 0, 0x610, 1)
IPI_ROW(9_low_vector_counts, 0xf, 0, 0, 0x05, 4)
IPI_ROW(3_level_without_assert, 0xf, 0, 0, 0x80fd, 0)
IPI_ROW(3_assert_without_level, 0xf, 0, 0, 0x40fd, 4)
IPI_ROW(3_ignored_bits, 0xf, 0, 0, 0xfffffffffff330fd, 4)
IPI_ROW(6_beyond_the_table, 0xf, 0xf, 256, 0xfd, 0)
IPI_ROW(6_high_half_wraps, 0xf, 0xf, 0xffffffc0, 0xfd, 4)
IPI_ROW(1_min_is_32_bits, 0xf, 0, 1ull << 32, 0xfd, 4)
IPI_ROW(6_last_id_of_the_table, ~0ull, ~0ull, 255, 0xfd, 0)

Test(hypercall, IPI_2_nothing_is_sent_by_a_refused_call)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 3, 0, 0, 0x8fd);
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 3, 0, 0, 0x800fd);
    for (unsigned i = 0; i < 2; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), -1));
}

/* The delivery status, a reserved bit, a destination: what an ICR has besides. */
Test(hypercall, IPI_3_the_vector_that_arrives_is_that_of_the_low_byte)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 2, 0, 0, 0xff000000fff330fd);
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[1]), 0xfd));
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
}

Test(hypercall, IPI_1_window_of_32_in_32_bit_code_wraps)
{
    FAKE_VM(f);
    start_smp(&f, 4);
    cpu_mode(f.vcpu, false, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 0, 1, 0xffffffe0, 0xfd), 1));
    cr_assert(eq(int, lapic_pending(f.vcpu), 0xfd));
}

Test(hypercall, IPI_1_32_bit_code_names_32_ids_per_half)
{
    FAKE_VM(f);
    start_smp(&f, 64);
    cpu_mode(f.vcpu, true, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, ~0ull, ~0ull, 0, 0xfd), 64));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1ull << 32, 1, 0, 0x40), 1));
    cr_assert(eq(u32, f.vm.vcpus[32].apic.irr[2] & 1, 1));
}

Test(hypercall, IPI_5_only_the_listed_get_it)
{
    FAKE_VM(f);
    start_smp(&f, 4);
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 0x5, 0, 1, 0xfd);
    for (unsigned i = 0; i < 4; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), i == 1 || i == 3 ? 0xfd : -1));
}

Test(hypercall, IPI_5_counts_who_accepted_and_not_who_was_named)
{
    FAKE_VM(f);
    start_smp(&f, 4);
    f.vm.vcpus[2].apic.svr = 0xff;
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 0xf, 0, 0, 0xfd), 3));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 0x4, 0, 0, 0xfd), 0));
}

Test(hypercall, IPI_7_without_in_kernel_lapic)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    config.irqchip = IRQCHIP_NONE;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(
        eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0xfd), (uint64_t)-95)); /* known bug KB-53 */
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0x8fd), (uint64_t)-22),
              "IPI-2 comes first");
}

Test(hypercall, IPI_9_level_assert_sets_tmr_and_edge_clears_it)
{
    FAKE_VM(f);
    start(&f);
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0xc0fd);
    cr_assert(eq(u32, f.vcpu->apic.tmr[7], 1u << 29));
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0xfd);
    cr_assert(eq(u32, f.vcpu->apic.tmr[7], 0));
}

Test(hypercall, IPI_9_counts_although_already_pending)
{
    FAKE_VM(f);
    start_smp(&f, 4);
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 0xf, 0, 0, 0xfd);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 0xf, 0, 0, 0xfd), 4));
}

Test(hypercall, IPI_10_software_disabled_apics_take_only_the_other_modes)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    f.vm.vcpus[1].apic.svr = 0xff;
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 3, 0, 0, 0xfd), 1));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 3, 0, 0, 0x400), 2));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 3, 0, 0, 0x300), 2));
}

Test(hypercall, IPI_4_a_hardware_disabled_apic_is_not_in_the_table)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    guest_wrmsr_on(&f.vm.vcpus[1], MSR_IA32_APICBASE, LAPIC_GPA);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 3, 0, 0, 0x400), 1));
}

Test(hypercall, IPI_4_ff_has_no_broadcast_meaning)
{
    FAKE_VM(f);
    start_smp(&f, 4);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0xff, 0xfd), 0));
}

Test(hypercall, IPI_4_a_changed_xapic_id_is_the_one_that_counts)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 2, 0, 0, 0xfd), 1));
    lapic_write(&f.vm.vcpus[1], APIC_ID, 9u << 24);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 2, 0, 0, 0xfd), 0));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 9, 0xfd), 1));
}

Test(hypercall, IPI_4_an_x2apic_is_in_the_table_by_all_32_bits)
{
    static const uint32_t ids[] = {0, 0x123};
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.vcpus = 2;
    config.apic_ids = ids;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    lapic_set_base(&f.vm.vcpus[1], f.vm.vcpus[1].apic.base_msr | APICBASE_EXTD);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0x123, 0x400), 1));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0x23, 0x400), 0));
}

Test(hypercall, IPI_11_duplicate_ids_by_version)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    config.vcpus = 2;
    for (int version = KVM_6_12; version <= KVM_6_1; version++) {
        config.version = (enum kvm_version)version;
        fake_vm_create(&f, &config, true);
        cpu_mode(f.vcpu, true, true, 0);
        f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
        lapic_write(&f.vm.vcpus[1], APIC_ID, 0);
        cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0xfd),
                     version == KVM_6_1 ? 1 : (uint64_t)-95));
    }
}

Test(hypercall, IPI_11_with_32_bit_ids_duplicates_do_not_matter)
{
    static const uint32_t ids[] = {0, 0x23, 0x123}; /* as xAPICs the last two are 0x23 */
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.vcpus = 3;
    config.apic_ids = ids;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0x23, 0x400), 1));
    cr_assert(f.vm.vcpus[1].apic.nmi_pending);
    cr_assert(not(f.vm.vcpus[2].apic.nmi_pending));
}

Test(hypercall,
     IPI_6_sparse_ids_above_255_and_more_than_64_targets) /* known bugs KB-04, KB-09, KB-10, KB-52 */
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    uint32_t ids[200];
    config.vcpus = 200;
    config.apic_ids = ids;
    for (unsigned i = 0; i < 200; i++)
        ids[i] = i < 100 ? i : 1000000 + 2 * i;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    for (unsigned i = 0; i < 200; i++) {
        lapic_set_base(&f.vm.vcpus[i], f.vm.vcpus[i].apic.base_msr | (i < 100 ? 0 : APICBASE_EXTD));
        f.vm.vcpus[i].apic.svr |= APIC_SPIV_APIC_ENABLED;
    }
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, ~0ull, ~0ull, 0, 0xfd), 100));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, ~0ull, ~0ull, 1000200, 0xfd), 64));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, ~0ull, ~0ull, 0xffffffff, 0xfd), 37),
              "the high half wraps: ids 63 to 99");
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[163]), 0xfd));
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[164]), -1));
}

Test(hypercall, IPI_6_a_half_ends_at_the_last_id_and_does_not_wrap)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    const uint32_t ids[] = {0, 0xfffffffe};
    config.vcpus = 2;
    config.apic_ids = ids;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    for (unsigned i = 0; i < 2; i++)
        f.vm.vcpus[i].apic.svr |= APIC_SPIV_APIC_ENABLED;
    lapic_set_base(&f.vm.vcpus[1], f.vm.vcpus[1].apic.base_msr | APICBASE_EXTD);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, ~0ull, 0, 0xfffffff0, 0xfd), 1));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 0, 1, 0xffffffc0, 0xfd), 1),
              "the window's base does wrap");
}

Test(hypercall, IPI_12_an_error_is_sign_extended_to_the_width_of_the_form)
{
    FAKE_VM(f);
    start(&f);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0x8fd), 0xffffffffffffffea));
    cpu_mode(f.vcpu, true, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0x8fd), 0xffffffea));
}

/* KICK_CPU. */
Test(hypercall, UNH_1_returns_0_target_or_not)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, ~0ull, 1, 0, 0), 0));
    cr_assert(f.vm.vcpus[1].kicked);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 77, 0, 0), 0));
}

Test(hypercall, UNH_1_only_the_low_32_bits_name_the_target)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0xabcd00000001, 0, 0);
    cr_assert(f.vm.vcpus[1].kicked);
    cr_assert(not(f.vcpu->kicked));
}

Test(hypercall, UNH_2_hardware_enable_decides_and_software_enable_does_not)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    f.vm.vcpus[1].apic.svr = 0xff;
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(f.vm.vcpus[1].kicked);
    f.vm.vcpus[1].kicked = false;
    guest_wrmsr_on(&f.vm.vcpus[1], MSR_IA32_APICBASE, LAPIC_GPA);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(not(f.vm.vcpus[1].kicked));
}

Test(hypercall, UNH_3_ff_is_everybody)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0xff, 0, 0);
    for (int i = 0; i < 3; i++)
        cr_assert(f.vm.vcpus[i].kicked);
}

Test(hypercall, UNH_3_all_ones_is_nobody_while_the_quirk_is_in_place)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0xffffffff, 0, 0);
    for (int i = 0; i < 3; i++)
        cr_assert(not(f.vm.vcpus[i].kicked));
}

static void to_x2apic(struct fake_vm *f, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++)
        lapic_set_base(&f->vm.vcpus[i], f->vm.vcpus[i].apic.base_msr | APICBASE_EXTD);
}

/* Who is kicked by a1, as bits; their marks are taken away again. */
static unsigned kicked_by(struct fake_vm *f, uint64_t a1)
{
    unsigned set = 0;

    cr_assert(eq(u64, hypercall(f->vcpu, KVM_HC_KICK_CPU, 0, a1, 0, 0), 0));
    for (unsigned i = 0; i < f->vm.config.vcpus; i++) {
        set |= (unsigned)f->vm.vcpus[i].kicked << i;
        f->vm.vcpus[i].kicked = false;
    }
    return set;
}

Test(hypercall, UNH_3_ff_reaches_x2apics_while_the_quirk_is_in_place)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    to_x2apic(&f, 1, 2);
    cr_assert(eq(uint, kicked_by(&f, 0xff), 7));
    cr_assert(eq(uint, kicked_by(&f, 0xffffffff), 0));
    cr_assert(eq(uint, kicked_by(&f, 2), 4));
}

Test(hypercall, UNH_3_with_32_bit_ids_all_ones_is_everybody_and_ff_an_id)
{
    static const uint32_t ids[] = {0, 0xff, 0x1ff, 0x123};
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.vcpus = 4;
    config.apic_ids = ids;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(uint, kicked_by(&f, 0x123), 8), "in xAPIC mode it is known by its large id");
    cr_assert(eq(uint, kicked_by(&f, 0x23), 8), "and by the small one");
    to_x2apic(&f, 0, 3);
    cr_assert(eq(uint, kicked_by(&f, 0x123), 8));
    cr_assert(eq(uint, kicked_by(&f, 0x23), 0));
    cr_assert(eq(uint, kicked_by(&f, 0xff), 2));
    cr_assert(eq(uint, kicked_by(&f, 0xffffffff), 15));
}

Test(hypercall, UNH_4_a_halted_target_wakes_without_an_interrupt)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    struct vcpu *target = &f.vm.vcpus[1];
    vcpu_halt(target);
    cr_assert(not(vcpu_enter(target)));
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(vcpu_enter(target));
    cr_assert(not(target->kicked), "the mark is used up");
    vcpu_halt(target);
    cr_assert(not(vcpu_enter(target)));
}

Test(hypercall, UNH_5_a_kick_is_latched_once)
{
    FAKE_VM(f);
    start(&f);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0); /* UNH-8: itself */
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(f.vcpu->kicked);
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu));
    vcpu_halt(f.vcpu);
    cr_assert(not(vcpu_enter(f.vcpu)));
}

Test(hypercall, UNH_8_a_vcpu_may_kick_itself)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0);
    cr_assert(not(f.vm.vcpus[1].kicked));
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu), "its next HLT falls through");
}

Test(hypercall,
     UNH_6_init_between_kick_and_wake_keeps_the_mark) /* known bug KB-41, as 6.1 and 6.12 still behave */
{
    FAKE_VM(f);
    start(&f);
    vcpu_halt(f.vcpu);
    vcpu_enter(f.vcpu);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0);
    lapic_accept(f.vcpu, APIC_INIT, 0, false, true);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(f.vcpu->kicked);
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu));
}

Test(hypercall, UNH_7_a_target_that_waits_for_sipi_is_not_started)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    f.vm.vcpus[1].mp_state = MP_WAIT_SIPI;
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(not(vcpu_enter(&f.vm.vcpus[1])));
}

Test(hypercall, UNH_9_mode_3_by_icr_and_by_send_ipi_kick_too)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    vcpu_set_enforce(f.vcpu, false);
    lapic_write(f.vcpu, APIC_ICR2, 1u << 24);
    lapic_write(f.vcpu, APIC_ICR, 0x300);
    cr_assert(f.vm.vcpus[1].kicked);
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 2, 0x300);
    cr_assert(f.vm.vcpus[2].kicked);
}

Test(hypercall, UNH_12_without_in_kernel_lapic_no_effect)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    config.irqchip = IRQCHIP_NONE;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), 0));
    cr_assert(not(f.vcpu->kicked));
}

/* VAPIC_POLL_IRQ. */
Test(hypercall, VPI_1_returns_0_whatever_is_enforced)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 0);
    vcpu_set_enforce(f.vcpu, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_VAPIC_POLL_IRQ, ~0ull, ~0ull, ~0ull, ~0ull), 0));
}

/* An offer of PV EOI shows the exit: it is withdrawn at any (EOI-9). */
Test(hypercall, VPI_1_the_exit_is_its_effect)
{
    FAKE_VM(f);
    start_smp(&f, 1);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6001);
    lapic_accept(f.vcpu, APIC_FIXED, 0x50, false, true);
    vcpu_enter(f.vcpu);
    cr_assert(eq(int, vcpu_take_interrupt(f.vcpu), 0x50));
    cr_assert(eq(u32, ram_u32(&f, 0x6000), 1));
    hypercall(f.vcpu, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0, 0);
    cr_assert(eq(u32, ram_u32(&f, 0x6000), 0));
}

Test(hypercall, YLD_1_always_0)
{
    FAKE_VM(f);
    start(&f);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SCHED_YIELD, 0, 0, 0, 0), 0));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SCHED_YIELD, ~0ull, 1, 2, 3), 0));
}

/* CLOCK_PAIRING. */
#define PAIR_ROW(name, a0, a1, want)                                                                         \
    Test(hypercall, PAIR_4_##name)                                                                           \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        start(&f);                                                                                           \
        cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, a0, a1, 0, 0), (uint64_t)(want)));         \
    }
PAIR_ROW(good, 0x2000, 0, 0)
PAIR_ROW(unknown_clock, 0x2000, 1, -95)
PAIR_ROW(no_memory, HOLE, 0, -14)
PAIR_ROW(type_is_checked_before_memory, HOLE, 1, -95)
PAIR_ROW(end_of_ram, FAKE_RAM_SIZE - 32, 0, -14)
PAIR_ROW(clock_type_is_64_bits, 0x2000, 1ull << 32, -95)

Test(hypercall, PAIR_1_is_open_whatever_is_enforced_and_takes_two_arguments)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 0);
    vcpu_set_enforce(f.vcpu, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, ~0ull, ~0ull), 0));
    cr_assert(ne(u32, ram_u32(&f, 0x2000), 0));
}

Test(hypercall, PAIR_2_the_clock_type_is_checked_before_anything_is_written)
{
    FAKE_VM(f);
    start(&f);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 1, 0, 0), (uint64_t)-95));
    cr_assert(eq(u64, f.vm.trace.total, 0));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 0));
}

Test(hypercall, PAIR_3_all_64_bytes_are_written)
{
    FAKE_VM(f);
    struct kvm_clock_pairing pairing;
    start(&f);
    ram_fill(&f, 0x2ff0, 0xaa, 80);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2ff1, 0, 0, 0), 0)); /* crosses, unaligned */
    ram_read(&f, 0x2ff1, &pairing, sizeof(pairing));
    cr_assert(eq(i64, pairing.sec, 1700000000));
    cr_assert(eq(i64, pairing.nsec, 123456789));
    cr_assert(eq(u64, pairing.tsc, vcpu_tsc(f.vcpu)));
    cr_assert(eq(u32, pairing.flags, 0));
    for (int i = 0; i < 9; i++)
        cr_assert(eq(u32, pairing.pad[i], 0)); /* known bug KB-51 */
    cr_assert(eq(u32, ram_u32(&f, 0x3031), 0xaaaaaaaa));
}

Test(hypercall, PAIR_2_needs_a_tsc_clocksource)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, false);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, 0, 0), (uint64_t)-95));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, HOLE, 0, 0, 0), (uint64_t)-95),
              "before the memory is looked at");
}

Test(hypercall, PAIR_4_32_bit_code_cuts_the_address)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cpu_mode(f.vcpu, true, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0xffffffff00002000, 0, 0, 0), 0));
}

#define GPA_ROW(name, a0, a1, a2)                                                                            \
    Test(hypercall, GPA_1_and_7_capability_off_##name)                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        start(&f);                                                                                           \
        cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_MAP_GPA_RANGE, a0, a1, a2, 0), ENOSYS_64));               \
    }
GPA_ROW(good, 0x1000, 1, 0)
GPA_ROW(unaligned, 0x1001, 1, 0)
GPA_ROW(no_pages, 0, 0, 0)

Test(hypercall, GPA_1_cpuid_bit_16_does_not_matter)
{
    FAKE_VM(f);
    start(&f);
    cr_assert(f.vcpu->pv_features >> KVM_FEATURE_HC_MAP_GPA_RANGE & 1);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_MAP_GPA_RANGE, 0x1000, 1, 0, 0), ENOSYS_64));
    fake_set_features(&f, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_MAP_GPA_RANGE, 0x1000, 1, 0, 0), ENOSYS_64));
}
