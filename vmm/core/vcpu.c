/* One virtual CPU: its CPUID, feature gate, time stamp counter, and registers at reset. See vcpu.h. */
#include "vmm/core/vcpu.h"

#include <errno.h>
#include <string.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/core/vm.h"

struct area *vcpu_area(struct vcpu *vcpu, enum area_kind kind)
{
    if (kind == AREA_WALL_CLOCK)
        return &vcpu->vm->wall_area;
    if (kind == AREA_CLOCK_PAIRING)
        return &vcpu->vm->pairing_area;
    if (kind == AREA_HYPERV)
        return &vcpu->vm->hyperv_area;
    return &vcpu->areas[kind];
}

uint64_t vcpu_tsc(const struct vcpu *vcpu)
{
    const struct env *env = &vcpu->vm->env;

    return env->tsc(env->ctx) + (uint64_t)vcpu->tsc_offset;
}

/* CPU-4: the signature's leaf in steps of 0x100; EAX is not looked at. */
static uint32_t find_pv_base(const struct cpuid_table *table)
{
    for (uint32_t base = KVM_CPUID_SIGNATURE; base < KVM_BASE_LIMIT; base += KVM_BASE_STEP) {
        const struct cpuid_entry *e = cpuid_find(table, base, 0);
        if (e && e->regs.ebx == KVM_SIGNATURE_EBX && e->regs.ecx == KVM_SIGNATURE_ECX &&
            e->regs.edx == KVM_SIGNATURE_EDX)
            return base;
    }
    return 0;
}

/* CPU-5, CPU-6: without the leaf the cached words stay what they were, as in every kernel up to 6.12. */
static void refresh_pv_words(struct vcpu *vcpu)
{
    const struct cpuid_entry *e;

    vcpu->pv_base = find_pv_base(&vcpu->cpuid);
    if (!vcpu->pv_base)
        return;
    e = cpuid_find(&vcpu->cpuid, vcpu->pv_base | KVM_CPUID_FEATURES, 0);
    if (!e)
        return;
    vcpu->pv_features = e->regs.eax;
    vcpu->pv_hints = e->regs.edx;
}

enum cpuid_reg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX };
static const struct {
    uint32_t leaf;
    uint8_t reg; /* enum cpuid_reg */
    uint8_t bit;
    uint16_t cap; /* enum cpu_cap */
} cap_bits[] = {
    {0x00000001, CPUID_ECX, 21, CAP_X2APIC},    {0x00000001, CPUID_ECX, 24, CAP_TSC_DEADLINE},
    {0x00000007, CPUID_EBX, 1, CAP_TSC_ADJUST}, {0x00000007, CPUID_ECX, 22, CAP_TSC_AUX},
    {0x80000001, CPUID_ECX, 2, CAP_SVM},        {0x80000001, CPUID_EDX, 20, CAP_NX},
    {0x80000001, CPUID_EDX, 25, CAP_FFXSR},     {0x80000001, CPUID_EDX, 27, CAP_TSC_AUX},
    {0x80000001, CPUID_EDX, 29, CAP_LONG_MODE},
};

static uint32_t cpuid_reg(const struct cpuid_regs *regs, enum cpuid_reg reg)
{
    switch (reg) {
    case CPUID_EAX:
        return regs->eax;
    case CPUID_EBX:
        return regs->ebx;
    case CPUID_ECX:
        return regs->ecx;
    default:
        return regs->edx;
    }
}

/* By the 12 letters of leaf 0: EBX, EDX, ECX. */
static uint32_t vendor_cap(const struct cpuid_entry *basic)
{
#define LETTERS(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
    static const struct {
        uint32_t ebx, edx, ecx, cap;
    } vendors[] = {
        {LETTERS('G', 'e', 'n', 'u'), LETTERS('i', 'n', 'e', 'I'), LETTERS('n', 't', 'e', 'l'), CAP_INTEL},
        {LETTERS('A', 'u', 't', 'h'), LETTERS('e', 'n', 't', 'i'), LETTERS('c', 'A', 'M', 'D'), CAP_AMD},
        {LETTERS('A', 'M', 'D', 'i'), LETTERS('s', 'b', 'e', 't'), LETTERS('t', 'e', 'r', '!'), CAP_AMD},
        {LETTERS('H', 'y', 'g', 'o'), LETTERS('n', 'G', 'e', 'n'), LETTERS('u', 'i', 'n', 'e'), CAP_AMD},
    };

    for (size_t i = 0; basic && i < sizeof(vendors) / sizeof(vendors[0]); i++)
        if (basic->regs.ebx == vendors[i].ebx && basic->regs.edx == vendors[i].edx &&
            basic->regs.ecx == vendors[i].ecx)
            return vendors[i].cap;
    return 0;
}

void vcpu_refresh_caps(struct vcpu *vcpu)
{
    const struct cpuid_table *table = &vcpu->cpuid;
    const struct cpuid_entry *sizes = cpuid_find(table, 0x80000008, 0);
    const struct cpuid_entry *e = NULL;
    uint8_t bits = sizes ? (uint8_t)sizes->regs.eax : 0;

    vcpu->caps = vendor_cap(cpuid_find(table, 0, 0));
    for (size_t i = 0; i < sizeof(cap_bits) / sizeof(cap_bits[0]); i++) {
        if (i == 0 || cap_bits[i].leaf != cap_bits[i - 1].leaf) /* the rows lie leaf by leaf */
            e = cpuid_find(table, cap_bits[i].leaf, 0);
        if (e && cpuid_reg(&e->regs, cap_bits[i].reg) >> cap_bits[i].bit & 1)
            vcpu->caps |= cap_bits[i].cap;
    }
    /* KVM takes 36 where the leaf is missing; more than 52 has no meaning in page tables. */
    vcpu->phys_bits = !bits ? 36 : bits > 52 ? 52 : bits;
}

/* CPU-8: where HLT does not exit, no kick can end it. Linux 6.1 looks for the leaf where the table before had it, so the
 * first table keeps the bit. (Its later refreshes, at CR4 or XCR0 writes, are not modelled.) */
static void hide_unhalt(const struct vcpu *vcpu, struct cpuid_table *table)
{
    uint32_t base;

    if (!vcpu->vm->config.hlt_in_guest)
        return;
    base = vcpu->vm->config.version == KVM_6_1 ? vcpu->pv_base : find_pv_base(table);
    if (!base)
        return;
    for (uint32_t i = 0; i < table->count; i++)
        if (table->entries[i].leaf == (base | KVM_CPUID_FEATURES))
            table->entries[i].regs.eax &= ~(1u << KVM_FEATURE_PV_UNHALT);
}

static bool same_table(const struct cpuid_table *a, const struct cpuid_table *b)
{
    return a->count == b->count && !memcmp(a->entries, b->entries, a->count * sizeof(a->entries[0]));
}

static void table_copy(struct cpuid_table *to, const struct cpuid_table *from)
{
    to->count = from->count;
    memcpy(to->entries, from->entries, from->count * sizeof(from->entries[0]));
}

/* CPU-9. What KVM changed in the table at the first time, it changes before it compares. */
static int set_again(const struct vcpu *vcpu, const struct cpuid_table *table)
{
    struct cpuid_table copy;

    table_copy(&copy, table);
    hide_unhalt(vcpu, &copy);
    return same_table(&vcpu->cpuid, &copy) ? 0 : -EINVAL;
}

int vcpu_set_cpuid(struct vcpu *vcpu, const struct cpuid_table *table)
{
    if (table->count > CPUID_ENTRIES)
        return -EINVAL;
    if (vcpu->has_run)
        return set_again(vcpu, table);
    table_copy(&vcpu->cpuid, table);
    hide_unhalt(vcpu, &vcpu->cpuid);
    refresh_pv_words(vcpu);
    vcpu_refresh_caps(vcpu);
    return 0;
}

void vcpu_set_enforce(struct vcpu *vcpu, bool on)
{
    vcpu->enforce = on;
    if (on)
        refresh_pv_words(vcpu);
}

/* CPU-10: what a leaf without an entry answers; *leaf becomes the one that is looked at. */
static const struct cpuid_entry *out_of_range(const struct vcpu *vcpu, uint32_t *leaf, uint32_t subleaf)
{
    const struct cpuid_entry *basic = cpuid_find(&vcpu->cpuid, 0, 0), *class_entry;
    uint32_t class_leaf;

    if (!basic || (vcpu->caps & CAP_AMD))
        return NULL;
    if (*leaf >= 0x40000000 && *leaf <= 0x4fffffff)
        class_leaf = *leaf & 0xffffff00;
    else if (*leaf >= 0xc0000000)
        class_leaf = 0xc0000000;
    else
        class_leaf = *leaf & 0x80000000;
    class_entry = cpuid_find(&vcpu->cpuid, class_leaf, 0);
    if (class_entry && *leaf <= class_entry->regs.eax)
        return NULL;
    *leaf = basic->regs.eax;
    return cpuid_find(&vcpu->cpuid, *leaf, subleaf);
}

static uint32_t with_bit(uint32_t value, unsigned bit, bool set)
{
    return set ? value | 1u << bit : value & ~(1u << bit);
}

/* Size of the standard-format XSAVE area for the components that XCR0 enables: leaf 0xd, EBX. */
static uint32_t xsave_size(const struct vcpu *vcpu)
{
    uint32_t size = 576;

    for (unsigned i = 2; i < 63; i++) {
        const struct cpuid_entry *e;
        if (!(vcpu->regs.xcr0 >> i & 1))
            continue;
        e = cpuid_find(&vcpu->cpuid, 0xd, i);
        if (e && e->regs.eax + e->regs.ebx > size)
            size = e->regs.eax + e->regs.ebx;
    }
    return size;
}

/* What an SGX enclave may ask of XCR0, SGX or not: KVM up to 6.3 ties it to what the guest has of XSAVE (Linux commit
 * 275a87244ec8 ended that). */
static struct cpuid_regs enclave_components(const struct vcpu *vcpu, struct cpuid_regs r)
{
    const struct cpuid_entry *e = cpuid_find(&vcpu->cpuid, 0xd, 0);

    r.ecx = (r.ecx & (e ? e->regs.eax : 0)) | XSAVE_X87 | XSAVE_SSE;
    r.edx &= e ? e->regs.edx : 0;
    return r;
}

/* Bits that follow the CPU's state and not the table. KVM: kvm_update_cpuid_runtime. */
static struct cpuid_regs runtime_bits(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf,
                                      struct cpuid_regs r)
{
    if (leaf == 1) {
        if (r.ecx >> 26 & 1)
            r.ecx = with_bit(r.ecx, 27, vcpu->regs.cr4 & CR4_OSXSAVE);
        r.edx = with_bit(r.edx, 9, vcpu->apic.base_msr & APICBASE_ENABLE);
    } else if (leaf == 7 && subleaf == 0 && (r.ecx >> 3 & 1)) {
        r.ecx = with_bit(r.ecx, 4, vcpu->regs.cr4 & CR4_PKE);
    } else if (leaf == 0xd && subleaf == 0) {
        r.ebx = xsave_size(vcpu);
    } else if (leaf == 0x12 && subleaf == 1 && vcpu->vm->config.version == KVM_6_1) {
        r = enclave_components(vcpu, r);
    }
    return r;
}

struct cpuid_regs vcpu_cpuid(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_entry *e = cpuid_find(&vcpu->cpuid, leaf, subleaf);

    if (!e)
        e = out_of_range(vcpu, &leaf, subleaf);
    if (e)
        return runtime_bits(vcpu, leaf, subleaf, e->regs);
    /* Topology leaves: CL comes back and EDX is the x2APIC id even for a subleaf that does not exist. */
    if (leaf == 0xb || leaf == 0x1f) {
        e = cpuid_find(&vcpu->cpuid, leaf, 1);
        if (e)
            return (struct cpuid_regs){.ecx = subleaf & 0xff, .edx = e->regs.edx};
    }
    return (struct cpuid_regs){0};
}

/* Intel SDM vol. 3 table 10-1. */
#define DATA_AT_RESET                                                                                        \
    {                                                                                                        \
        .access = 0x0093, .limit = 0xffff                                                                    \
    }
static const struct cpu_regs regs_at_reset = {
    .rip = 0xfff0,
    .rflags = 2,
    .seg = {[SREG_ES] = DATA_AT_RESET,
            [SREG_CS] = {.selector = 0xf000, .access = 0x009b, .limit = 0xffff, .base = 0xffff0000},
            [SREG_SS] = DATA_AT_RESET,
            [SREG_DS] = DATA_AT_RESET,
            [SREG_FS] = DATA_AT_RESET,
            [SREG_GS] = DATA_AT_RESET},
    .tr = {.access = 0x008b, .limit = 0xffff},
    .ldtr = {.access = 0x0082, .limit = 0xffff},
    .gdtr.limit = 0xffff,
    .idtr.limit = 0xffff,
    .cr0 = 0x60000010,
    .xcr0 = 1,
    .dr6 = 0xffff0ff0,
    .dr7 = 0x400,
    .pat = 0x0007040600070406,
    .misc_enable = MISC_ENABLE_FAST_STRING,
};

void vcpu_regs_reset(struct vcpu *vcpu)
{
    const struct cpuid_entry *version = cpuid_find(&vcpu->cpuid, 1, 0);

    vcpu->regs = regs_at_reset;
    vcpu->regs.gpr[RDX] = version ? version->regs.eax : 0x600;
}
