/* MSIs: KVM's decoding and QEMU's extended destination ids. spec MSI-1 .. MSI-5, QMU-10; QEMU flags specification K11. */
#include <errno.h>
#include "tests/apic_fixture.h"
#include "vmm/apic/msi.h"
#include "vmm/board/msi.h"

#define EXT_DEST_ID (1u << KVM_FEATURE_MSI_EXT_DEST_ID)

static void create(struct fake_vm *f, uint16_t vcpus, const uint32_t *ids, uint32_t features)
{
    apic_machine(f, IRQCHIP_SPLIT, vcpus, ids, features);
}

/* The vCPUs that have the vector, as bits. */
static unsigned holders(struct fake_vm *f, uint8_t vector)
{
    unsigned set = 0;

    for (unsigned i = 0; i < f->vm.config.vcpus; i++)
        set |= (unsigned)(f->vm.vcpus[i].apic.irr[vector / 32] >> vector % 32 & 1) << i;
    return set;
}

/* The vectors of section 15, and the edges of the rule. */
#define ADDRESS_CASE(name, from, to)                                                                         \
    Test(msi, MSI_5_and_K11_##name)                                                                          \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        create(&f, 1, NULL, EXT_DEST_ID);                                                                    \
        cr_assert(eq(u64, board_msi_address(&f.vm, from), to));                                              \
        create(&f, 1, NULL, ALL_FEATURES & ~EXT_DEST_ID);                                                    \
        cr_assert(eq(u64, board_msi_address(&f.vm, from), from), "without the feature nothing changes");     \
    }
ADDRESS_CASE(id_0x80, 0xfee80000, 0xfee80000)
ADDRESS_CASE(id_0xff, 0xfeeff000, 0xfeeff000)
ADDRESS_CASE(id_0x100, 0xfee00020, 0x100fee00000)
ADDRESS_CASE(id_0x1ff, 0xfeeff020, 0x100feeff000)
ADDRESS_CASE(id_0x1234, 0xfee34240, 0x1200fee34000)
ADDRESS_CASE(id_0x7fff, 0xfeefffe0, 0x7f00feeff000)
ADDRESS_CASE(bit_4_means_another_format, 0xfee00030, 0xfee00030)
ADDRESS_CASE(an_upper_half_is_left_alone, 0x100fee00020, 0x100fee00020)
ADDRESS_CASE(mode_and_hint_stay, 0xfee0002c, 0x100fee0000c)

Test(msi, MSI_5_vcpu_0_decides)
{
    FAKE_VM(f);
    create(&f, 2, NULL, 0);
    f.vm.vcpus[1].pv_features = EXT_DEST_ID;
    cr_assert(eq(u64, board_msi_address(&f.vm, 0xfee00020), 0xfee00020));
}

Test(msi, MSI_1_the_kernel_does_not_look_at_the_extended_id)
{
    FAKE_VM(f);
    struct lapic_message m;
    create(&f, 1, NULL, EXT_DEST_ID);
    cr_assert(eq(int, msi_decode(&f.vm, 0xfee34fe0, 0x90, &m), 0));
    cr_assert(eq(u32, m.destination, 0x34));
}

Test(msi, MSI_2_fields_of_address_and_data)
{
    FAKE_VM(f);
    struct lapic_message m;
    create(&f, 1, NULL, 0);
    cr_assert(eq(int, msi_decode(&f.vm, 0xfeeabffc, 0xffffc3a5, &m), 0));
    cr_assert(eq(u32, m.destination, 0xab));
    cr_assert(m.logical && m.lowest && m.level && m.asserted);
    cr_assert(eq(int, m.mode, APIC_REMOTE_READ));
    cr_assert(eq(u8, m.vector, 0xa5));
    cr_assert(eq(int, msi_decode(&f.vm, 0xfee00000, 0, &m), 0));
    cr_assert(not(m.logical || m.lowest || m.level));
    cr_assert(eq(int, msi_decode(&f.vm, 0xfee00004, 0x8000, &m), 0));
    cr_assert(m.logical && m.level);
    cr_assert(not(m.lowest));
    cr_assert(eq(int, msi_decode(&f.vm, 0xfee00008, 0x4000, &m), 0));
    cr_assert(m.lowest);
    cr_assert(not(m.logical || m.level));
}

Test(msi, MSI_2_without_32_bit_ids_the_upper_half_is_ignored)
{
    FAKE_VM(f);
    create(&f, 2, NULL, 0);
    cr_assert(eq(int, msi_send(&f.vm, 0xffffffff00000000 | 0xfee01000, 0x90), 1));
    cr_assert(eq(uint, holders(&f, 0x90), 2));
}

Test(msi, MSI_2_with_32_bit_ids_the_upper_half_extends_the_destination)
{
    static const uint32_t ids[] = {0, 0x23, 0x123, 0x12345623};
    FAKE_VM(f);
    create(&f, 4, ids, 0);
    all_to_x2apic(&f);
    cr_assert(eq(int, msi_send(&f.vm, 0x100fee23000, 0x90), 1));
    cr_assert(eq(uint, holders(&f, 0x90), 4)); /* known bug KB-52 */
    cr_assert(eq(int, msi_send(&f.vm, 0x12345600fee23000, 0x91), 1));
    cr_assert(eq(uint, holders(&f, 0x91), 8));
    cr_assert(eq(int, msi_send(&f.vm, 0xfee23000, 0x92), 1));
    cr_assert(eq(uint, holders(&f, 0x92), 2));
    cr_assert(eq(int, msi_send(&f.vm, 0x101fee23000, 0x93), -EINVAL));
    cr_assert(eq(uint, holders(&f, 0x93), 0));
}

Test(msi, MSI_3_a_guests_message_reaches_an_id_above_255)
{
    static const uint32_t ids[] = {0, 0x34, 0x1234};
    FAKE_VM(f);
    create(&f, 3, ids, EXT_DEST_ID);
    all_to_x2apic(&f);
    cr_assert(eq(int, board_msi_send(&f.vm, 0xfee34240, 0x90), 1));
    cr_assert(eq(uint, holders(&f, 0x90), 4));
    create(&f, 3, ids, 0);
    all_to_x2apic(&f);
    cr_assert(eq(int, board_msi_send(&f.vm, 0xfee34240, 0x90), 1));
    cr_assert(eq(uint, holders(&f, 0x90), 2), "MSI-1: the kernel knows nothing of bits 11:5");
}

Test(msi, UNH_9_delivery_mode_3_is_a_kick)
{
    FAKE_VM(f);
    create(&f, 2, NULL, 0);
    cr_assert(eq(int, msi_send(&f.vm, 0xfee01000, 0x300), 1));
    cr_assert(f.vm.vcpus[1].kicked);
    cr_assert(not(f.vcpu->kicked));
}

Test(msi, broadcast_and_nobody)
{
    FAKE_VM(f);
    create(&f, 3, NULL, 0);
    cr_assert(eq(int, msi_send(&f.vm, 0xfeeff000, 0x90), 3));
    cr_assert(eq(int, msi_send(&f.vm, 0xfee77000, 0x91), 0));
    cr_assert(eq(int, msi_send(&f.vm, 0xfeeff000, 0x700), 0), "ExtINT is not accepted");
}

Test(msi, a_redirection_hint_picks_one_that_is_enabled)
{
    FAKE_VM(f);
    create(&f, 3, NULL, 0);
    lapic_write(f.vcpu, APIC_SPIV, 0xff);
    cr_assert(eq(int, msi_send(&f.vm, 0xfeeff008, 0x90), 1));
    cr_assert(eq(uint, holders(&f, 0x90), 2), "0x90 % 2 of vCPUs 1 and 2");
    cr_assert(eq(int, msi_send(&f.vm, 0xfeeff008, 0x91), 1));
    cr_assert(eq(uint, holders(&f, 0x91), 4));
}

Test(msi, KB_08_a_cluster_that_does_not_exist_has_nobody)
{
    FAKE_VM(f);
    create(&f, 20, NULL, 0);
    all_to_x2apic(&f);
    lapic_send_ipi(f.vcpu, APIC_DEST_LOGICAL | APIC_INT_ASSERT | 0x90, 0xdead0001);
    lapic_send_ipi(f.vcpu, APIC_DEST_LOGICAL | APIC_INT_ASSERT | 0x90, 0x00020001);
    cr_assert(eq(uint, holders(&f, 0x90), 0));
    lapic_send_ipi(f.vcpu, APIC_DEST_LOGICAL | APIC_INT_ASSERT | 0x90, 0x00010009);
    cr_assert(eq(uint, holders(&f, 0x90), 1u << 16 | 1u << 19));
}

/* A guest's store outside of the local APIC's page, as QEMU's window takes it. */
static void store(struct fake_vm *f, uint64_t gpa, unsigned size, uint64_t value)
{
    bus_write(&f->vm.bus, BUS_MMIO, f->vcpu, gpa, size, value);
}

static void create_board(struct fake_vm *f, uint16_t vcpus, uint32_t features)
{
    create(f, vcpus, NULL, features);
    cr_assert(eq(int, board_interrupts_add(&f->vm), 0));
}

Test(msi, MSI_5_a_store_into_the_window_is_a_message)
{
    FAKE_VM(f);
    create_board(&f, 2, 0);
    store(&f, 0xfee01000, 4, 0x90);
    cr_assert(eq(uint, holders(&f, 0x90), 2));
    store(&f, 0xfeeff000, 4, 0x91);
    cr_assert(eq(uint, holders(&f, 0x91), 3));
    store(&f, 0xfee01020, 4, 0x92);
    cr_assert(eq(uint, holders(&f, 0x92), 2), "MSI-1: bits 11:5 mean nothing without the feature");
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, 0xfee01000, 4), 0xffffffff));
}

Test(msi, MSI_5_a_store_with_an_extended_id_needs_32_bit_ids)
{
    FAKE_VM(f);
    create_board(&f, 2, EXT_DEST_ID);
    store(&f, 0xfee01020, 4, 0x90);
    cr_assert(eq(uint, holders(&f, 0x90), 2), "MSI-2: the upper half is ignored");
    f.vm.apic_map.ids_32bit = true;
    store(&f, 0xfee01020, 4, 0x91);
    cr_assert(eq(uint, holders(&f, 0x91), 0), "id 0x101 is nobody's");
    store(&f, 0xfee01030, 4, 0x92);
    cr_assert(eq(uint, holders(&f, 0x92), 2), "bit 4: another format");
    store(&f, 0xfeeff020, 4, 0x93);
    cr_assert(eq(uint, holders(&f, 0x93), 0), "0x1ff is no broadcast");
}

Test(msi, MSI_2_a_wide_store_is_several_messages)
{
    FAKE_VM(f);
    create_board(&f, 2, 0);
    f.vm.vcpus[1].apic.ldr = 1u << 24;
    store(&f, 0xfee01000, 8, 0x9100000090); /* the second at ..4: logical */
    cr_assert(eq(uint, holders(&f, 0x90), 2));
    cr_assert(eq(uint, holders(&f, 0x91), 2));
    store(&f, 0xfee01002, 2, 0xff92);
    cr_assert(eq(uint, holders(&f, 0x92), 0), "data 0xff92: delivery mode 7 is accepted by nobody");
    store(&f, 0xfee01003, 2, 0x9493); /* unaligned: a byte each */
    cr_assert(eq(uint, holders(&f, 0x93), 2));
    cr_assert(eq(uint, holders(&f, 0x94), 2));
}

Test(msi, the_window_leaves_each_apic_its_page)
{
    FAKE_VM(f);
    create_board(&f, 2, 0);
    store(&f, 0xfee00080, 4, 0x20);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TASKPRI), 0x20));
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, 0xfee00080, 4), 0x20));
    store(&f, 0xfee00000, 4, 0x90);
    cr_assert(eq(uint, holders(&f, 0x90), 0));
    all_to_x2apic(&f);
    store(&f, 0xfee00000, 4, 0x91);
    cr_assert(eq(uint, holders(&f, 0x91), 0), "KVM's hole");
}

Test(msi, MSI_5_where_the_apic_has_gone_its_page_is_part_of_the_window)
{
    FAKE_VM(f);
    create_board(&f, 1, 0);
    cr_assert(eq(int, guest_wrmsr_on(f.vcpu, MSR_IA32_APICBASE, 0xfee01900), MSR_OK));
    store(&f, 0xfee00000, 4, 0x90);
    cr_assert(eq(uint, holders(&f, 0x90), 1), "a message to id 0");
    store(&f, 0xfee01080, 4, 0x30);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TASKPRI), 0x30));
}

Test(msi, MSI_2_ids_of_32_bits_may_be_on_without_such_an_id)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    struct lapic_message m;

    config.irqchip = IRQCHIP_SPLIT;
    config.ids_32bit = true;
    fake_vm_create(&f, &config, true);
    cr_assert(eq(int, msi_decode(&f.vm, 0x100fee01000, 0x90, &m), 0));
    cr_assert(eq(u32, m.destination, 0x101));
}
