/* Lookup in a CPUID table, as KVM's kvm_find_cpuid_entry does. See cpuid_table.h. */
#include "vmm/core/cpuid_table.h"

#include <stddef.h>

const struct cpuid_entry *cpuid_find(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct cpuid_entry *e = &table->entries[i];
        if (e->leaf == leaf && (e->subleaf == subleaf || !(e->flags & CPUID_FLAG_SIGNIFICANT_INDEX)))
            return e;
    }
    return NULL;
}
