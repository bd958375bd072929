/* What a guest reads of a CPUID table when QEMU's TCG answers. QEMU flags specification L2, L9. */
#ifndef DIFF_MODELS_TCG_GUEST_H
#define DIFF_MODELS_TCG_GUEST_H

#include "vmm/cpuid/supported.h"

/* The guest's view on TCG: absent leaves are zeros, above the range the highest basic leaf answers (L2). */
static inline struct cpuid_regs tcg_guest(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf)
{
    uint32_t level = supported_regs(table, 0, 0).eax, limit = level;
    struct cpuid_regs regs;

    if (leaf >= 0xc0000000)
        limit = supported_regs(table, 0xc0000000, 0).eax;
    else if (leaf >= 0x80000000)
        limit = supported_regs(table, 0x80000000, 0).eax;
    else if (leaf >= 0x40000000)
        limit = 0x40000001;
    if (leaf > limit)
        leaf = level;
    regs = supported_regs(table, leaf, subleaf);
    if (leaf == 0xb || leaf == 0x1f) { /* every subleaf shows itself and the id */
        uint32_t id = supported_regs(table, leaf, 0).edx;
        if (supported_regs(table, leaf, 0).ebx)
            regs.ecx |= subleaf & 0xff, regs.edx = id;
    }
    return regs;
}

#endif
