/* Decoding and sending of message-signalled interrupts. See msi.h. */
#include "vmm/apic/msi.h"

#include <errno.h>

int msi_decode(const struct vm *vm, uint64_t address, uint32_t data, struct lapic_message *message)
{
    uint32_t high = (uint32_t)(address >> 32);
    bool wide = vm->apic_map.ids_32bit;

    if (wide && (high & 0xff))
        return -EINVAL;
    *message = (struct lapic_message){
        .destination = (address >> 12 & 0xff) | (wide ? high : 0),
        .logical = address >> 2 & 1,
        .lowest = address >> 3 & 1,
        .mode = (enum apic_mode)(data >> 8 & 7),
        .vector = (uint8_t)data,
        .level = data >> 15 & 1,
        .asserted = true, /* bit 14 does not count */
    };
    return 0;
}

int msi_send(struct vm *vm, uint64_t address, uint32_t data)
{
    struct lapic_message message;
    int err = msi_decode(vm, address, data, &message);

    return err ? err : (int)lapic_deliver(vm, &message);
}
