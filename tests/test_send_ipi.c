/* SEND_IPI: whom it reaches, by which ids and modes, and what it answers. spec IPI-*. */
#include "tests/hypercall_fixture.h"

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
    FAKE_VM(f);
    start_with_ids(&f, ids, 2);
    lapic_set_base(&f.vm.vcpus[1], f.vm.vcpus[1].apic.base_msr | APICBASE_EXTD);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0x123, 0x400), 1));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0x23, 0x400), 0));
}

/* Past the last of all ids a window does not begin anew at 0. */
Test(hypercall, IPI_4_a_window_at_the_last_ids_ends_there)
{
    static const uint32_t ids[] = {0, 0xfffffff8};
    FAKE_VM(f);
    start_with_ids(&f, ids, 2);
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    lapic_set_base(&f.vm.vcpus[1], f.vm.vcpus[1].apic.base_msr | APICBASE_EXTD);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0x400), 1));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 0x101, 0, 0xfffffff8, 0x400), 1));
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
    FAKE_VM(f);
    start_with_ids(&f, ids, 3);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0x23, 0x400), 1));
    cr_assert(f.vm.vcpus[1].apic.nmi_pending);
    cr_assert(not(f.vm.vcpus[2].apic.nmi_pending));
}

Test(hypercall,
     IPI_6_sparse_ids_above_255_and_more_than_64_targets) /* known bugs KB-04, KB-09, KB-10, KB-52 */
{
    FAKE_VM(f);
    uint32_t ids[200];
    for (unsigned i = 0; i < 200; i++)
        ids[i] = i < 100 ? i : 1000000 + 2 * i;
    start_with_ids(&f, ids, 200);
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
    static const uint32_t ids[] = {0, 0xfffffffe};
    FAKE_VM(f);
    start_with_ids(&f, ids, 2);
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
