/* Which feature bits a host supports, as QEMU 7.2 completes the kernel's answer. QEMU flags specification E8, K7, 12.12. */
#include "vmm/cpuid/supported.h"

/* TCG's fixed masks (12.12). The XSAVE components are not limited here; 1.EDX is repeated in 80000001.EDX. */
static const uint64_t tcg_words[FEATURE_WORDS] = {
    [FW_1_EDX] = 0x0fcbfbfd,
    [FW_1_ECX] = 0xf6d8320b,
    [FW_7_0_EBX] = 0x01d843a9,
    [FW_7_0_ECX] = 0x8001020c,
    [FW_80000001_EDX] = 0xec500800 | (0x0fcbfbfd & AMD_ALIAS_BITS),
    [FW_80000001_ECX] = 0x75,
    [FW_SVM] = 0x10010001,
    [FW_XSAVE] = 5,
    [FW_6_EAX] = 4,
    [FW_XCR0_LO] = 0xffffffff,
    [FW_XCR0_HI] = 0xffffffff,
};

/* What QEMU adds to the kernel's words whatever the kernel says. */
static const uint64_t kvm_additions[FEATURE_WORDS] = {
    [FW_1_EDX] = FEATURE_BIT(F_MCE) | FEATURE_BIT(F_MTRR) | FEATURE_BIT(F_MCA) | FEATURE_BIT(F_PAT),
    [FW_1_ECX] = FEATURE_BIT(F_HYPERVISOR),
    [FW_6_EAX] = FEATURE_BIT(F_ARAT),
    [FW_80000001_ECX] = FEATURE_BIT(F_TOPOEXT),
    [FW_KVM_HINTS] = FEATURE_BIT(F_KVM_HINT_DEDICATED),
};

bool supported_has(const struct cpuid_table *table, uint32_t leaf)
{
    for (uint32_t i = 0; i < table->count; i++)
        if (table->entries[i].leaf == leaf)
            return true;
    return false;
}

struct cpuid_regs supported_regs(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct cpuid_entry *entry = &table->entries[i];
        bool indexed = entry->flags & CPUID_FLAG_SIGNIFICANT_INDEX;

        if (entry->leaf == leaf && (!indexed || entry->subleaf == subleaf))
            return entry->regs;
    }
    return (struct cpuid_regs){0};
}

static uint32_t pick(struct cpuid_regs regs, enum cpuid_reg reg)
{
    return reg == REG_EAX ? regs.eax : reg == REG_EBX ? regs.ebx : reg == REG_ECX ? regs.ecx : regs.edx;
}

static uint64_t feature_msr(const struct cpuid_supported *host, uint32_t index)
{
    for (uint32_t i = 0; i < host->feature_msr_count; i++)
        if (host->feature_msrs[i].index == index)
            return host->feature_msrs[i].value;
    return 0;
}

/* What depends on the interrupt controller's place. */
static uint64_t adapt_to_irqchip(uint64_t bits, const struct cpuid_supported *host, enum irqchip irqchip,
                                 enum feature_word word)
{
    bool in_kernel = irqchip != IRQCHIP_NONE;

    if (word == FW_1_ECX) {
        bits = in_kernel ? bits : bits & ~FEATURE_BIT(F_X2APIC);
        if (in_kernel && host->extensions[EXT_TSC_DEADLINE_TIMER])
            bits |= FEATURE_BIT(F_TSC_DEADLINE);
    } else if (word == FW_KVM) {
        bits = in_kernel ? bits : bits & ~FEATURE_BIT(F_KVM_PV_UNHALT);
        bits = irqchip == IRQCHIP_SPLIT ? bits | FEATURE_BIT(F_KVM_MSI_EXT_DEST_ID) : bits;
    }
    return bits;
}

uint64_t supported_word(const struct cpuid_supported *host, enum irqchip irqchip, enum feature_word word)
{
    const struct feature_word_info *info = &feature_words[word];
    uint64_t bits;

    if (!accel_is_kvm(host->accel))
        return tcg_words[word];
    if (info->msr)
        return feature_msr(host, info->msr);
    bits = pick(supported_regs(&host->supported, info->leaf, info->subleaf), info->reg) | kvm_additions[word];
    if (word == FW_80000001_EDX)
        bits |= supported_word(host, irqchip, FW_1_EDX) & AMD_ALIAS_BITS;
    return adapt_to_irqchip(bits, host, irqchip, word);
}
