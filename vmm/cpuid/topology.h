/* -smp and APIC ids. QEMU flags specification section 13. */
#ifndef VMM_CPUID_TOPOLOGY_H
#define VMM_CPUID_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/cpuid/machine_type.h"
#include "vmm/cpuid/message.h"

struct cpu_topology {
    uint32_t cpus, maxcpus;                 /* present, possible */
    uint32_t sockets, dies, cores, threads; /* cores per die, threads per core; product is maxcpus (T3) */
};

/* False: *error is QEMU's. text may be empty or NULL: one CPU. */
bool topology_parse(struct cpu_topology *topology, const char *text, size_t len,
                    const struct machine_type *type, struct messages *warnings, struct message *error);

/* Bits of a field that numbers n things, n >= 1: ceil(log2 n), at most 32. */
unsigned topology_width(uint32_t n);

/* Bit positions of the levels in an APIC id (T5). */
struct apic_layout {
    unsigned core_off, die_off, pkg_off;
};
struct apic_layout topology_layout(const struct cpu_topology *topology);

/* Where CPU number index sits, and its APIC id. */
struct cpu_place {
    uint32_t thread, core, die, socket, apic_id;
};
struct cpu_place topology_place(const struct cpu_topology *topology, uint32_t index);

#endif
