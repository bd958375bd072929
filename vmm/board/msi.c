/* QEMU's policy for MSIs and interrupt controllers (msi.h). */
#include "vmm/board/msi.h"

#include "vmm/abi/kvm_para.h"
#include "vmm/apic/ioapic.h"
#include "vmm/apic/lapic.h"
#include "vmm/apic/msi.h"

#define EXT_DEST_FIELD    0xff0ull /* bits 11:4 of the address */
#define REMAPPABLE_FORMAT (1ull << 4)
#define MSI_WINDOW_SIZE   0x100000u
#define EXT_DEST_SHIFT    35 /* id bits 14:8 go from 11:5 to 46:40 */

uint64_t board_msi_address(const struct vm *vm, uint64_t address)
{
    uint64_t field = address & EXT_DEST_FIELD;

    if (!(vm->vcpus[0].pv_features >> KVM_FEATURE_MSI_EXT_DEST_ID & 1))
        return address;
    if (address >> 32 || !field || (field & REMAPPABLE_FORMAT))
        return address;
    return (address & ~EXT_DEST_FIELD) | field << EXT_DEST_SHIFT;
}

int board_msi_send(struct vm *vm, uint64_t address, uint32_t data)
{
    return msi_send(vm, board_msi_address(vm, address), data);
}

static uint64_t window_read(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size)
{
    uint64_t value;

    (void)ctx;
    return lapic_mmio_read(vcpu, LAPIC_GPA + offset, size, &value) ? value : ~0ull;
}

/* QEMU makes naturally aligned accesses of at most 4 bytes of what the guest stored, each of them a message. */
static void window_write(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size, uint64_t value)
{
    if (lapic_mmio_write(vcpu, LAPIC_GPA + offset, size, value))
        return;
    for (unsigned done = 0, part; done < size; done += part) {
        part = 4;
        while (part > size - done || (offset + done) % part)
            part /= 2;
        board_msi_send(ctx, LAPIC_GPA + offset + done,
                       (uint32_t)(value >> 8 * done & ((1ull << 8 * part) - 1)));
    }
}

int board_interrupts_add(struct vm *vm)
{
    const struct bus_range window = {.start = LAPIC_GPA,
                                     .size = MSI_WINDOW_SIZE,
                                     .space = BUS_MMIO,
                                     .read = window_read,
                                     .write = window_write,
                                     .ctx = vm};
    int err = lapic_map(vm);

    vm->ioapic.msi_address = board_msi_address;
    if (!err)
        err = ioapic_map(vm);
    return err ? err : bus_add(&vm->bus, &window);
}
