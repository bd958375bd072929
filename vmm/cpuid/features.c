/* Lookups in the tables of feature words and names. QEMU flags specification sections 5 (E3) and 17. */
#include "vmm/cpuid/features.h"

#include <inttypes.h>
#include <stdio.h>

const struct feature_word_info feature_words[FEATURE_WORDS] = {
    [FW_1_EDX] = {.leaf = 1, .reg = REG_EDX},
    [FW_1_ECX] = {.leaf = 1, .reg = REG_ECX},
    [FW_7_0_EBX] = {.leaf = 7, .reg = REG_EBX},
    [FW_7_0_ECX] = {.leaf = 7, .reg = REG_ECX},
    [FW_7_0_EDX] = {.leaf = 7, .reg = REG_EDX},
    [FW_7_1_EAX] = {.leaf = 7, .subleaf = 1, .reg = REG_EAX},
    [FW_80000001_EDX] = {.leaf = 0x80000001, .reg = REG_EDX},
    [FW_80000001_ECX] = {.leaf = 0x80000001, .reg = REG_ECX},
    [FW_80000007_EDX] = {.leaf = 0x80000007, .reg = REG_EDX},
    [FW_80000008_EBX] = {.leaf = 0x80000008, .reg = REG_EBX},
    [FW_C0000001_EDX] = {.leaf = 0xc0000001, .reg = REG_EDX},
    [FW_KVM] = {.leaf = 0x40000001, .reg = REG_EAX},
    [FW_KVM_HINTS] = {.leaf = 0x40000001, .reg = REG_EDX},
    [FW_SVM] = {.leaf = 0x8000000a, .reg = REG_EDX},
    [FW_XSAVE] = {.leaf = 0xd, .subleaf = 1, .reg = REG_EAX},
    [FW_6_EAX] = {.leaf = 6, .reg = REG_EAX},
    [FW_XCR0_LO] = {.leaf = 0xd, .reg = REG_EAX},
    [FW_XCR0_HI] = {.leaf = 0xd, .reg = REG_EDX},
    [FW_ARCH_CAPABILITIES] = {.msr = 0x10a},
    [FW_CORE_CAPABILITY] = {.msr = 0xcf},
    [FW_PERF_CAPABILITIES] = {.msr = 0x345},
    [FW_VMX_PROCBASED] = {.msr = 0x48e},
    [FW_VMX_SECONDARY] = {.msr = 0x48b},
    [FW_VMX_PINBASED] = {.msr = 0x48d},
    [FW_VMX_EXIT] = {.msr = 0x48f},
    [FW_VMX_ENTRY] = {.msr = 0x490},
    [FW_VMX_MISC] = {.msr = 0x485},
    [FW_VMX_EPT_VPID] = {.msr = 0x48c},
    [FW_VMX_BASIC] = {.msr = 0x480},
    [FW_VMX_VMFUNC] = {.msr = 0x491},
    [FW_14_0_ECX] = {.leaf = 0x14, .reg = REG_ECX},
    [FW_12_0_EAX] = {.leaf = 0x12, .reg = REG_EAX},
    [FW_12_0_EBX] = {.leaf = 0x12, .reg = REG_EBX},
    [FW_12_1_EAX] = {.leaf = 0x12, .subleaf = 1, .reg = REG_EAX},
    [FW_XSS] = {.leaf = 0xd, .subleaf = 1, .reg = REG_ECX},
};

/* A plain loop: most names part at the first byte or two, and flags fuzzing lives off this. */
int name_compare(const char *name, size_t len, const char *row)
{
    for (size_t i = 0; i < len; i++)
        if (name[i] != row[i] || !row[i])
            return row[i] ? (uint8_t)name[i] - (uint8_t)row[i] : 1;
    return row[len] ? -1 : 0;
}

const struct feature_name *feature_find(const char *name, size_t len)
{
    unsigned low = 0, high = feature_name_count;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        int order = name_compare(name, len, feature_names[mid].name);

        if (order == 0)
            return &feature_names[mid];
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

const char *feature_bit_name(enum feature_word word, unsigned bit)
{
    for (unsigned i = 0; i < feature_name_count; i++) {
        const struct feature_name *row = &feature_names[i];
        if (row->word == word && !row->alias && (row->bits >> bit & 1))
            return row->name;
    }
    return NULL;
}

const char *feature_set_name(enum feature_word word, uint64_t bits, unsigned bit)
{
    for (unsigned i = 0; i < feature_name_count; i++) {
        const struct feature_name *row = &feature_names[i];
        uint64_t set = row->word == word && !row->alias ? row->bits & bits : 0;
        if (set >> bit & 1)
            return set & ((1ull << bit) - 1) ? NULL : row->name;
    }
    return NULL;
}

uint64_t feature_named_bits(enum feature_word word)
{
    uint64_t bits = 0;

    for (unsigned i = 0; i < feature_name_count; i++)
        if (feature_names[i].word == word)
            bits |= feature_names[i].bits;
    return bits;
}

int feature_describe(enum feature_word word, unsigned bit, char text[FEATURE_TEXT_LEN])
{
    static const char *const regs[] = {"EAX", "EBX", "ECX", "EDX"};
    const struct feature_word_info *info = &feature_words[word];
    const char *name = feature_bit_name(word, bit);
    const char *dot = name ? "." : "";

    if (!name)
        name = "";
    if (info->msr)
        return snprintf(text, FEATURE_TEXT_LEN, "MSR(%" PRIX32 "H)%s%s [bit %u]", info->msr, dot, name, bit);
    return snprintf(text, FEATURE_TEXT_LEN, "CPUID.%02" PRIX32 "H:%s%s%s [bit %u]", info->leaf,
                    regs[info->reg], dot, name, bit);
}
