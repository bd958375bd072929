/* Clock records that host and guest share. Linux asm/pvclock-abi.h; spec 0.2. */
#ifndef VMM_ABI_PVCLOCK_H
#define VMM_ABI_PVCLOCK_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct pvclock_vcpu_time_info {
    uint32_t version; /* odd: being written */
    uint32_t pad0;
    uint64_t tsc_timestamp; /* guest TSC at system_time */
    uint64_t system_time;   /* ns */
    uint32_t tsc_to_system_mul;
    int8_t tsc_shift;
    uint8_t flags;
    uint8_t pad[2];
};
static_assert(sizeof(struct pvclock_vcpu_time_info) == 32, "layout belongs to the guest");
static_assert(offsetof(struct pvclock_vcpu_time_info, tsc_timestamp) == 8, "layout belongs to the guest");
static_assert(offsetof(struct pvclock_vcpu_time_info, tsc_to_system_mul) == 24,
              "layout belongs to the guest");
static_assert(offsetof(struct pvclock_vcpu_time_info, flags) == 29, "layout belongs to the guest");

#define PVCLOCK_TSC_STABLE_BIT (1u << 0)
#define PVCLOCK_GUEST_STOPPED  (1u << 1)

struct pvclock_wall_clock {
    uint32_t version;
    uint32_t sec, nsec;
};
static_assert(sizeof(struct pvclock_wall_clock) == 12, "layout belongs to the guest");

#endif
