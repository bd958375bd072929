/* Hypercalls: mechanics (HC-*) and the table of numbers. */
#ifndef VMM_PV_HYPERCALL_H
#define VMM_PV_HYPERCALL_H

#include <stdint.h>
#include "vmm/core/vcpu.h"
#include "vmm/core/vm.h"

#define HC_UNGATED 0xff
struct hypercall {
    uint32_t nr;
    const char *name; /* Linux's: KVM_HC_KICK_CPU */
    uint8_t feature;  /* CPUID bit that gates it, or HC_UNGATED (ENF-4) */
    int64_t (*call)(struct vcpu *vcpu, const uint64_t args[4], bool wide); /* wide: 64-bit form (HC-2) */
};
extern const struct hypercall hypercalls[];
extern const unsigned hypercall_count;
const struct hypercall *hypercall_find(uint64_t nr);

#endif
