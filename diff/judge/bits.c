/* Bit names, from the vocabulary of -cpu. The KVM leaf is explained at every base (CPU-5). */
#include "diff/judge/bits.h"

#include <stdio.h>
#include "vmm/cpuid/features.h"

const char *const cpuid_register_names[4] = {"eax", "ebx", "ecx", "edx"};

/* Bits that QEMU has no word for, or only a derived one. */
static const struct {
    uint32_t leaf;
    uint8_t reg, bit;
    const char *name;
} other_names[] = {
    {0x00000001, REGISTER_ECX, 27, "osxsave"},
    {0x00000007, REGISTER_ECX, 4, "ospke"},
    {0x40000001, REGISTER_EAX, 10, "kvm-asyncpf-vmexit"},
};

static uint32_t canonical_leaf(uint32_t leaf)
{
    return (leaf & 0xffff00ffu) == 0x40000001u ? 0x40000001u : leaf;
}

static int find_word(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg)
{
    for (int word = 0; word < FEATURE_WORDS; word++)
        if (!feature_words[word].msr && feature_words[word].leaf == canonical_leaf(leaf) &&
            feature_words[word].subleaf == subleaf && feature_words[word].reg == reg)
            return word;
    return -1;
}

const char *cpuid_bit_name(uint32_t leaf, uint32_t subleaf, enum cpuid_register reg, unsigned bit)
{
    int word = find_word(leaf, subleaf, reg);
    const char *name = word < 0 ? NULL : feature_bit_name((enum feature_word)word, bit);

    for (unsigned i = 0; !name && i < sizeof(other_names) / sizeof(other_names[0]); i++)
        if (other_names[i].leaf == canonical_leaf(leaf) && other_names[i].reg == reg &&
            other_names[i].bit == bit)
            name = other_names[i].name;
    return name;
}

const char *cpuid_bits_text(struct check_list *list, uint32_t leaf, uint32_t subleaf, enum cpuid_register reg,
                            uint32_t mask)
{
    char text[400] = "";
    size_t used = 0;

    if (find_word(leaf, subleaf, reg) < 0)
        return "";
    for (unsigned bit = 0; bit < 32 && used < sizeof(text) - 40; bit++) {
        const char *name = cpuid_bit_name(leaf, subleaf, reg, bit);

        if (!(mask >> bit & 1))
            continue;
        used +=
            (size_t)(name ? snprintf(text + used, sizeof(text) - used, "%s%s", used ? ", " : "", name)
                          : snprintf(text + used, sizeof(text) - used, "%sbit %u", used ? ", " : "", bit));
    }
    return check_text(list, "%s", text);
}
