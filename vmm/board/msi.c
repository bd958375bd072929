/* QEMU's policy for MSIs and interrupt controllers (msi.h). */
#include "vmm/board/msi.h"

#include "vmm/abi/kvm_para.h"
#include "vmm/apic/ioapic.h"
#include "vmm/apic/lapic.h"
#include "vmm/apic/msi.h"

#define EXT_DEST_FIELD    0xff0ull /* bits 11:4 of the address */
#define REMAPPABLE_FORMAT (1ull << 4)
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

int board_interrupts_add(struct vm *vm)
{
    int err = lapic_map(vm);

    vm->ioapic.msi_address = board_msi_address;
    return err ? err : ioapic_map(vm);
}
