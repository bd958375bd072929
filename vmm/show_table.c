/* Prints a CPUID table for people: registers, and below them what their bits say. QEMU flags specification section 17. */
#include "vmm/show_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/cpuid/features.h"

#define INDENT   10
#define LINE_END 110

/* Where KVM's leaves begin: beside those of Hyper-V they stand at 0x40000100 (H4). 0: there are none. */
static uint32_t find_kvm_base(const struct cpuid_table *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        const struct cpuid_entry *e = &table->entries[i];

        if ((e->leaf & ~0x100u) == 0x40000000 && e->regs.ebx == KVM_SIGNATURE_EBX)
            return e->leaf;
    }
    return 0;
}

static bool holds_word(const struct cpuid_entry *e, const struct feature_word_info *info, uint32_t kvm_base)
{
    uint32_t leaf = info->leaf;

    if (leaf == 0x40000001)
        leaf = kvm_base ? kvm_base + 1 : 0;
    return leaf && e->leaf == leaf && e->subleaf == info->subleaf;
}

/* One word's set bits, wrapped. */
static void show_bits(const char *reg, enum feature_word word, uint32_t bits)
{
    int column = printf("      %s:", reg);
    char text[32];

    for (unsigned bit = 0; bit < 32; bit++) {
        const char *name = feature_set_name(word, bits, bit);

        if (!name && (!(bits >> bit & 1) || feature_bit_name(word, bit)))
            continue;
        if (!name) {
            snprintf(text, sizeof(text), "bit%u", bit);
            name = text;
        }
        if (column + (int)strlen(name) >= LINE_END)
            column = printf("\n%*s", INDENT, "") - 1;
        column += printf(" %s", name);
    }
    putchar('\n');
}

static void show_names(const struct cpuid_entry *e, uint32_t kvm_base)
{
    static const char *const reg_names[] = {"eax", "ebx", "ecx", "edx"};
    const uint32_t regs[] = {e->regs.eax, e->regs.ebx, e->regs.ecx, e->regs.edx};

    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        const struct feature_word_info *info = &feature_words[w];

        if (regs[info->reg] && feature_named_bits(w) && holds_word(e, info, kvm_base))
            show_bits(reg_names[info->reg], w, regs[info->reg]);
    }
}

void show_table(const struct cpuid_table *table, bool with_names)
{
    uint32_t kvm_base = find_kvm_base(table);

    printf("  leaf       subleaf    eax        ebx        ecx        edx\n");
    for (uint32_t i = 0; i < table->count; i++) {
        const struct cpuid_entry *e = &table->entries[i];

        printf("  0x%08" PRIx32 " 0x%08" PRIx32 " 0x%08" PRIx32 " 0x%08" PRIx32 " 0x%08" PRIx32
               " 0x%08" PRIx32 "\n",
               e->leaf, e->subleaf, e->regs.eax, e->regs.ebx, e->regs.ecx, e->regs.edx);
        if (with_names)
            show_names(e, kvm_base);
    }
}
