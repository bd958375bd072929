/* Feature words and the names of their bits: the vocabulary of -cpu. QEMU flags specification section 17. */
#ifndef VMM_CPUID_FEATURES_H
#define VMM_CPUID_FEATURES_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* In the order in which QEMU 7.2 filters, and so warns (E4). */
enum feature_word {
    FW_1_EDX,
    FW_1_ECX,
    FW_7_0_EBX,
    FW_7_0_ECX,
    FW_7_0_EDX,
    FW_7_1_EAX,
    FW_80000001_EDX,
    FW_80000001_ECX,
    FW_80000007_EDX,
    FW_80000008_EBX,
    FW_C0000001_EDX,
    FW_KVM,       /* 40000001 EAX: the paravirtual features */
    FW_KVM_HINTS, /* 40000001 EDX */
    FW_SVM,       /* 8000000A EDX */
    FW_XSAVE,     /* D.1 EAX */
    FW_6_EAX,
    FW_XCR0_LO, /* D.0 EAX: derived from other features, no names */
    FW_XCR0_HI, /* D.0 EDX */
    FW_ARCH_CAPABILITIES,
    FW_CORE_CAPABILITY,
    FW_PERF_CAPABILITIES,
    FW_VMX_PROCBASED,
    FW_VMX_SECONDARY,
    FW_VMX_PINBASED,
    FW_VMX_EXIT,
    FW_VMX_ENTRY,
    FW_VMX_MISC,
    FW_VMX_EPT_VPID,
    FW_VMX_BASIC,
    FW_VMX_VMFUNC,
    FW_14_0_ECX,
    FW_12_0_EAX,
    FW_12_0_EBX,
    FW_12_1_EAX,
    FW_XSS, /* D.1 ECX: derived as FW_XCR0_LO is */
    FEATURE_WORDS,
};

/* Every bit that we speak of: F_AVX512F is bit 16 of FW_7_0_EBX. */
#define FEATURE(id, name, word, bit)                 id = (word)*64 + (bit),
#define FEATURE_PAIR(id, name, word, bit, id2, bit2) id = (word)*64 + (bit), id2 = (word)*64 + (bit2),
#define ALIAS(name, id)
#define UNNAMED(id, word, bit) id = (word)*64 + (bit),
enum feature {
#include "vmm/cpuid/feature_table.inc"
};
#undef FEATURE
#undef FEATURE_PAIR
#undef ALIAS
#undef UNNAMED
#define FEATURE_WORD(feature) ((feature) / 64)
#define FEATURE_BIT(feature)  (1ull << (feature) % 64)

enum cpuid_reg { REG_EAX, REG_EBX, REG_ECX, REG_EDX };

/* Where a word lives: a CPUID register, or a capability MSR. */
struct feature_word_info {
    uint32_t leaf, subleaf; /* CPUID only */
    uint32_t msr;           /* non-zero: an MSR of this index instead */
    uint8_t reg;            /* enum cpuid_reg */
};
extern const struct feature_word_info feature_words[FEATURE_WORDS];

struct feature_name {
    const char *name;
    uint8_t word;  /* enum feature_word */
    uint64_t bits; /* one bit; kvmclock and vmx-invept-single-context have two */
    bool alias;    /* another row is the canonical name of these bits */
};
extern const struct feature_name feature_names[];
extern const unsigned feature_name_count;
#define FEATURE_NAMES_MAX 384

/* Byte order of a span and a string, as the tables are sorted. */
int name_compare(const char *name, size_t len, const char *row);
/* The row, or NULL. Exact and case-sensitive (G4). */
const struct feature_name *feature_find(const char *name, size_t len);
/* The canonical name of one bit, or NULL: such a bit cannot be asked for. */
const char *feature_bit_name(enum feature_word word, unsigned bit);
/* The same where it is set in bits and no lower set bit has that name (kvmclock is bits 0 and 3): lists name it once. */
const char *feature_set_name(enum feature_word word, uint64_t bits, unsigned bit);
/* The bits of a word that have a name. */
uint64_t feature_named_bits(enum feature_word word);
/* As in QEMU's warnings: "CPUID.01H:ECX.vmx [bit 5]", "MSR(10AH).rdctl-no [bit 0]". Returns the length. */
#define FEATURE_TEXT_LEN 96
int feature_describe(enum feature_word word, unsigned bit, char text[FEATURE_TEXT_LEN]);

#endif
