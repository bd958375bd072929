/* Port and memory-mapped ranges: who answers where. See bus.h. */
#include "vmm/core/bus.h"

#include <errno.h>
#include <stddef.h>
#include "vmm/core/vm.h"

int bus_add(struct bus *bus, const struct bus_range *range)
{
    if (bus->count == BUS_RANGES)
        return -ENOSPC;
    bus->ranges[bus->count++] = *range;
    return 0;
}

static const struct bus_range *claimant(const struct bus *bus, enum bus_space space, uint64_t addr,
                                        unsigned size)
{
    for (unsigned i = bus->count; i-- > 0;) {
        const struct bus_range *r = &bus->ranges[i];
        uint64_t offset = addr - r->start;
        if (r->space == space && offset < r->size && size <= r->size - offset)
            return r;
    }
    return NULL;
}

uint64_t bus_read(struct bus *bus, enum bus_space space, struct vcpu *vcpu, uint64_t addr, unsigned size)
{
    const struct bus_range *r = claimant(bus, space, addr, size);
    uint64_t ones = size < 8 ? (1ull << 8 * size) - 1 : ~0ull;

    if (vcpu)
        vcpu_exit(vcpu);
    return r && r->read ? r->read(r->ctx, vcpu, addr - r->start, size) & ones : ones;
}

void bus_write(struct bus *bus, enum bus_space space, struct vcpu *vcpu, uint64_t addr, unsigned size,
               uint64_t value)
{
    const struct bus_range *r = claimant(bus, space, addr, size);

    if (vcpu)
        vcpu_exit(vcpu);
    if (r && r->write)
        r->write(r->ctx, vcpu, addr - r->start, size, value);
}
