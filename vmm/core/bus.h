/* What answers outside RAM: port and memory-mapped ranges of the board and of the local APIC. */
#ifndef VMM_CORE_BUS_H
#define VMM_CORE_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct vcpu;

enum bus_space { BUS_PIO, BUS_MMIO };

struct bus_range {
    uint64_t start, size;
    uint8_t space; /* enum bus_space */
    /* size is 1, 2, 4 or 8 bytes, offset counts from start. */
    uint64_t (*read)(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size);
    void (*write)(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size, uint64_t value);
    void *ctx;
};

#define BUS_RANGES 32
struct bus {
    struct bus_range ranges[BUS_RANGES];
    unsigned count;
};

/* Later ranges win where they overlap. -ENOSPC when full. */
int bus_add(struct bus *bus, const struct bus_range *range);
/* Unclaimed: reads give all ones, writes vanish, as on a PC. With a vCPU the access is its VM exit (vcpu_exit). */
uint64_t bus_read(struct bus *bus, enum bus_space space, struct vcpu *vcpu, uint64_t addr, unsigned size);
void bus_write(struct bus *bus, enum bus_space space, struct vcpu *vcpu, uint64_t addr, unsigned size,
               uint64_t value);

#endif
