/* The I/O APIC: registers, pins, EOI. Intel 82093AA; known bugs KB-07, KB-09, KB-10; spec EOI-7, MSI-3, MSI-4. */
#include "tests/apic_fixture.h"
#include "vmm/apic/ioapic.h"
#include "vmm/board/msi.h"
#include "vmm/board/reset.h"

#define MASKED     0x10000u
#define LEVEL      0x8000u
#define REMOTE_IRR 0x4000u
#define LOGICAL    0x800u

static void create(struct fake_vm *f, enum irqchip irqchip, uint16_t vcpus, const uint32_t *ids)
{
    apic_machine(f, irqchip, vcpus, ids, ALL_FEATURES);
    cr_assert(eq(int, board_interrupts_add(&f->vm), 0));
}

static void mmio_put(struct fake_vm *f, uint64_t offset, unsigned size, uint64_t value)
{
    bus_write(&f->vm.bus, BUS_MMIO, f->vcpu, IOAPIC_GPA + offset, size, value);
}
static uint64_t mmio_get(struct fake_vm *f, uint64_t offset, unsigned size)
{
    return bus_read(&f->vm.bus, BUS_MMIO, f->vcpu, IOAPIC_GPA + offset, size);
}
static void io_write(struct fake_vm *f, uint8_t reg, uint32_t value)
{
    mmio_put(f, 0, 4, reg);
    mmio_put(f, 0x10, 4, value);
}
static uint32_t io_read(struct fake_vm *f, uint8_t reg)
{
    mmio_put(f, 0, 4, reg);
    return (uint32_t)mmio_get(f, 0x10, 4);
}
static void route(struct fake_vm *f, unsigned pin, uint32_t low, uint32_t high)
{
    io_write(f, (uint8_t)(0x11 + 2 * pin), high);
    io_write(f, (uint8_t)(0x10 + 2 * pin), low);
}
static uint32_t low_half(struct fake_vm *f, unsigned pin)
{
    return io_read(f, (uint8_t)(0x10 + 2 * pin));
}
static void take_and_eoi(struct vcpu *vcpu, uint8_t vector)
{
    cr_assert(eq(int, lapic_pending(vcpu), vector));
    lapic_take(vcpu, vector);
    lapic_eoi(vcpu);
}

/* Each row was read from KVM's and QEMU's own. */
#define REGISTER_CASE(reg, want_kernel, want_split)                                                          \
    Test(ioapic, register_##reg##_after_reset)                                                               \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        create(&f, IRQCHIP_KERNEL, 1, NULL);                                                                 \
        cr_assert(eq(u32, io_read(&f, reg), want_kernel));                                                   \
        create(&f, IRQCHIP_SPLIT, 1, NULL);                                                                  \
        cr_assert(eq(u32, io_read(&f, reg), want_split));                                                    \
    }
REGISTER_CASE(0x00, 0, 0)
REGISTER_CASE(0x01, 0x00170011, 0x00170020)
REGISTER_CASE(0x02, 0, 0)
REGISTER_CASE(0x03, 0xffffffff, 0)
REGISTER_CASE(0x0f, 0xffffffff, 0)
REGISTER_CASE(0x10, MASKED, MASKED)
REGISTER_CASE(0x11, 0, 0)
REGISTER_CASE(0x3e, MASKED, MASKED)
REGISTER_CASE(0x3f, 0, 0)

Test(ioapic, KB_07_select_values_beyond_the_pins_name_nothing)
{
    FAKE_VM(f);
    for (int chip = IRQCHIP_KERNEL; chip <= IRQCHIP_SPLIT; chip++) {
        create(&f, (enum irqchip)chip, 1, NULL);
        struct ioapic before = f.vm.ioapic;
        for (unsigned reg = 0x40; reg <= 0xff; reg++) {
            cr_assert(eq(u32, io_read(&f, (uint8_t)reg), chip == IRQCHIP_KERNEL ? UINT32_MAX : 0));
            io_write(&f, (uint8_t)reg, 0x12345678);
        }
        before.select = 0xff;
        cr_assert(zero(memcmp(&before, &f.vm.ioapic, sizeof(before))));
    }
}

Test(ioapic, id_has_4_bits_and_arbitration_follows_it)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    io_write(&f, 0, 0xffffffff);
    cr_assert(eq(u32, io_read(&f, 0), 0x0f000000));
    cr_assert(eq(u32, io_read(&f, 2), 0x0f000000));
    io_write(&f, 1, 0);
    io_write(&f, 2, 0);
    cr_assert(eq(u32, io_read(&f, 1), 0x00170011));
    cr_assert(eq(u32, io_read(&f, 2), 0x0f000000));
}

Test(ioapic, status_and_remote_irr_are_read_only)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 20, 0xffffffff, 0xffffffff);
    cr_assert(eq(u32, low_half(&f, 20), 0xffffafff));
    cr_assert(eq(u32, io_read(&f, 0x39), 0xffffffff));
}

Test(ioapic, widths_and_holes_as_each_implementation_has_them)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    mmio_put(&f, 0, 4, 0x1ff01);
    cr_assert(eq(u64, mmio_get(&f, 0, 4), 1), "8 bits of it");
    cr_assert(eq(u64, mmio_get(&f, 0x10, 1), 0x11));
    cr_assert(eq(u64, mmio_get(&f, 0x10, 8), 0x00170011));
    cr_assert(eq(u64, mmio_get(&f, 0x12, 2), 0));
    cr_assert(eq(u64, mmio_get(&f, 0x100, 4), 0));
    create(&f, IRQCHIP_SPLIT, 1, NULL);
    mmio_put(&f, 0, 2, 1);
    cr_assert(eq(u64, mmio_get(&f, 0x10, 1), 0));
    cr_assert(eq(u64, mmio_get(&f, 0x10, 8), 0x00170020));
    cr_assert(eq(u64, mmio_get(&f, 0x100, 4), 1), "the registers repeat");
}

Test(ioapic, an_edge_delivers_once_and_a_masked_one_is_lost)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 4, 0x44, 0);
    ioapic_set_pin(&f.vm, 4, true);
    take_and_eoi(f.vcpu, 0x44);
    ioapic_set_pin(&f.vm, 4, true);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1), "still high: no edge");
    ioapic_set_pin(&f.vm, 4, false);
    route(&f, 4, MASKED | 0x44, 0);
    ioapic_set_pin(&f.vm, 4, true);
    route(&f, 4, 0x44, 0);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    ioapic_set_pin(&f.vm, 24, true);
    ioapic_set_pin(&f.vm, UINT32_MAX, true);
}

Test(ioapic, a_level_interrupts_again_at_eoi_until_the_line_falls)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | REMOTE_IRR | 0x49));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMR + 0x20), 1u << 9));
    lapic_take(f.vcpu, 0x49);
    ioapic_set_pin(&f.vm, 9, true);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_IRR + 0x20), 0), "remote IRR holds it back");
    lapic_eoi(f.vcpu);
    take_and_eoi(f.vcpu, 0x49);
    lapic_take(f.vcpu, 0x49);
    ioapic_set_pin(&f.vm, 9, false);
    lapic_eoi(f.vcpu);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | 0x49));
}

Test(ioapic, a_level_that_was_high_while_masked_comes_when_it_is_opened)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 9, MASKED | LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    route(&f, 9, LEVEL | 0x49, 0);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x49));
}

Test(ioapic, an_entry_made_edge_loses_its_remote_irr)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    route(&f, 9, 0x49, 0);
    cr_assert(eq(u32, low_half(&f, 9), 0x49));
}

Test(ioapic, the_eoi_of_another_vector_or_of_an_edge_ends_nothing)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    lapic_take(f.vcpu, 0x49);
    lapic_accept(f.vcpu, APIC_FIXED, 0x61, false, true);
    take_and_eoi(f.vcpu, 0x61);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | REMOTE_IRR | 0x49));
}

Test(ioapic, the_eoi_register_is_that_of_version_0x20)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_SPLIT, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    ioapic_set_pin(&f.vm, 9, false);
    mmio_put(&f, 0x40, 4, 0x49);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | 0x49));
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    mmio_put(&f, 0x40, 4, 0x49);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | REMOTE_IRR | 0x49));
}

Test(ioapic, remote_irr_without_anybody_who_accepts)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 7u << 24);
    ioapic_set_pin(&f.vm, 9, true);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | 0x49));
    create(&f, IRQCHIP_SPLIT, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 7u << 24);
    ioapic_set_pin(&f.vm, 9, true);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | REMOTE_IRR | 0x49));
}

Test(ioapic, delivery_modes_reach_the_target)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 2, NULL);
    route(&f, 3, APIC_NMI << 8, 1u << 24);
    ioapic_set_pin(&f.vm, 3, true);
    cr_assert(f.vm.vcpus[1].apic.nmi_pending);
    cr_assert(not(f.vcpu->apic.nmi_pending));
    route(&f, 5, APIC_INIT << 8, 1u << 24);
    ioapic_set_pin(&f.vm, 5, true);
    cr_assert(f.vm.vcpus[1].apic.init_pending);
}

Test(ioapic, EOI_7_level_and_rtc_vectors_of_this_vcpu_want_their_eoi)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 2, NULL);
    route(&f, 9, MASKED | LEVEL | 0x49, 0);
    route(&f, 10, 0x4a, 0);
    route(&f, 8, 0x48, 0);
    cr_assert(lapic_eoi_exits(f.vcpu, 0x49));
    cr_assert(not(lapic_eoi_exits(&f.vm.vcpus[1], 0x49)), "not sent there");
    cr_assert(not(lapic_eoi_exits(f.vcpu, 0x4a)), "edge");
    cr_assert(lapic_eoi_exits(f.vcpu, 0x48), "the RTC's pin");
    cr_assert(not(lapic_eoi_exits(f.vcpu, 0x60)), "no pin has it");
    create(&f, IRQCHIP_SPLIT, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 0);
    route(&f, 8, 0x48, 0);
    cr_assert(lapic_eoi_exits(f.vcpu, 0x49));
    cr_assert(not(lapic_eoi_exits(f.vcpu, 0x48)), "only KVM's own tracks the RTC");
}

Test(ioapic, directed_eoi_does_not_stop_the_broadcast) /* KVM offers the bit and does not act on it */
{
    FAKE_VM(f);
    create(&f, IRQCHIP_SPLIT, 1, NULL);
    lapic_write(f.vcpu, APIC_SPIV, 0x11ff);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_SPIV), 0x11ff));
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    ioapic_set_pin(&f.vm, 9, false);
    take_and_eoi(f.vcpu, 0x49);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | 0x49));
}

Test(ioapic, KB_09_KB_10_a_level_reaches_sparse_and_high_ids_and_ends_there)
{
    static uint32_t ids[200];
    FAKE_VM(f);
    for (unsigned i = 0; i < 200; i++)
        ids[i] = i < 199 ? i : 250;
    create(&f, IRQCHIP_KERNEL, 200, ids);
    struct vcpu *last = &f.vm.vcpus[199];
    route(&f, 9, LEVEL | 0x49, 250u << 24);
    ioapic_set_pin(&f.vm, 9, true);
    ioapic_set_pin(&f.vm, 9, false);
    for (unsigned i = 0; i < 199; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), -1));
    cr_assert(lapic_eoi_exits(last, 0x49));
    take_and_eoi(last, 0x49);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | 0x49));
}

Test(ioapic, KB_10_lowest_priority_among_more_than_64)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 130, NULL);
    route(&f, 9, APIC_LOWEST << 8 | 0x81, 0xffu << 24);
    ioapic_set_pin(&f.vm, 9, true);
    for (unsigned i = 0; i < 130; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), i == 0x81 % 130 ? 0x81 : -1));
}

Test(ioapic, MSI_3_bits_55_to_49_of_an_entry_are_id_bits_14_to_8_in_split)
{
    static const uint32_t ids[] = {0, 0x23, 0x123};
    FAKE_VM(f);
    create(&f, IRQCHIP_SPLIT, 3, ids);
    all_to_x2apic(&f);
    route(&f, 9, 0x49, 0x23u << 24 | 1u << 17);
    ioapic_set_pin(&f.vm, 9, true);
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[1]), -1));
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[2]), 0x49));
}

Test(ioapic, MSI_4_the_kernels_own_uses_8_bits)
{
    static const uint32_t ids[] = {0, 0x23, 0x123};
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 3, ids);
    all_to_x2apic(&f);
    route(&f, 9, 0x49, 0x23u << 24 | 1u << 17);
    ioapic_set_pin(&f.vm, 9, true);
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[1]), 0x49));
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[2]), -1));
}

Test(ioapic, system_reset_masks_all_pins)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    io_write(&f, 0, 0x05000000);
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    board_system_reset(&f.vm);
    cr_assert(eq(u32, low_half(&f, 9), MASKED));
    cr_assert(eq(u32, io_read(&f, 0), 0));
}

Test(ioapic, save_and_restore_keep_a_level_in_service)
{
    FAKE_VM(f);
    uint8_t *data;
    size_t len;
    char message[160];
    create(&f, IRQCHIP_KERNEL, 1, NULL);
    route(&f, 9, LEVEL | 0x49, 0);
    ioapic_set_pin(&f.vm, 9, true);
    lapic_take(f.vcpu, 0x49);
    cr_assert(eq(int, vm_save(&f.vm, &data, &len), 0));
    vm_renew(&f.vm);
    cr_assert(eq(int, vm_restore(&f.vm, data, len, message), 0));
    free(data);
    cr_assert(eq(u32, low_half(&f, 9), LEVEL | REMOTE_IRR | 0x49));
    lapic_eoi(f.vcpu);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x49), "the line is still high");
}
