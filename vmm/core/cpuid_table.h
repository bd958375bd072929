/* A CPUID table as KVM_SET_CPUID2 takes it: entries in order, found by leaf and, where flagged, by subleaf. */
#ifndef VMM_CORE_CPUID_TABLE_H
#define VMM_CORE_CPUID_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#define CPUID_ENTRIES                256 /* KVM_MAX_CPUID_ENTRIES; QEMU stops at 100 (N4) */
#define CPUID_FLAG_SIGNIFICANT_INDEX 1u

/* XSAVE state components, in leaf 0xd and in XCR0. Intel SDM vol. 1, 13.1. */
#define XSAVE_X87 (1u << 0)
#define XSAVE_SSE (1u << 1)
#define XSAVE_AVX (1u << 2)

struct cpuid_regs {
    uint32_t eax, ebx, ecx, edx;
};

struct cpuid_entry {
    uint32_t leaf, subleaf;
    uint32_t flags; /* CPUID_FLAG_* (KVM's numbers) */
    struct cpuid_regs regs;
};

struct cpuid_table {
    uint32_t count;
    struct cpuid_entry entries[CPUID_ENTRIES];
};

/* The entry for leaf (and subleaf where it matters), or NULL. */
const struct cpuid_entry *cpuid_find(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf);

#endif
