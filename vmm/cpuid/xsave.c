/* XSAVE state components and leaf 0xD. QEMU flags specification L11; Intel SDM vol. 1 ch. 13. */
#include "vmm/cpuid/state.h"

#define XSAVE_HEADER_END 0x240
#define ALIGN_64         2u /* ECX of a component's leaf: the compacted format aligns it */

static const struct {
    uint8_t number;
    uint16_t feature;
    uint32_t size, offset; /* of the standard format; TCG knows no offset for AMX */
} components[] = {
    {2, F_AVX, 0x100, 0x240},     /* AVX */
    {3, F_MPX, 0x40, 0x3c0},      /* BNDREGS */
    {4, F_MPX, 0x40, 0x400},      /* BNDCSR */
    {5, F_AVX512F, 0x40, 0x440},  /* opmask */
    {6, F_AVX512F, 0x200, 0x480}, /* ZMM_Hi256 */
    {7, F_AVX512F, 0x400, 0x680}, /* Hi16_ZMM */
    {9, F_PKU, 8, 0xa80},         /* PKRU */
    {17, F_AMX_TILE, 0x40, 0},    /* XTILECFG */
    {18, F_AMX_TILE, 0x2000, 0},  /* XTILEDATA */
};
#define COMPONENTS (sizeof(components) / sizeof(components[0]))

uint64_t xsave_components(const struct cpu_state *state)
{
    uint64_t mask = XSAVE_X87 | XSAVE_SSE; /* in the first 0x240 bytes, and never off */

    if (!state_has(state, F_XSAVE))
        return 0;
    for (size_t i = 0; i < COMPONENTS; i++)
        if (state_has(state, components[i].feature))
            mask |= 1ull << components[i].number;
    return mask;
}

#define XSS_ARCH_LBR (1u << 15)

uint64_t xsave_supervisor_components(const struct cpu_state *state)
{
    return state_has(state, F_XSAVE) && state_has(state, F_ARCH_LBR) ? XSS_ARCH_LBR : 0;
}

/* KVM lays the components out as the processor does. */
static struct cpuid_regs component_regs(const struct cpu_state *state, size_t i)
{
    struct cpuid_regs regs = {0};

    if (state_kvm(state))
        regs = supported_regs(&state->host->supported, 0xd, components[i].number);
    if (!regs.eax)
        regs = (struct cpuid_regs){components[i].size, components[i].offset, 0, 0};
    return regs;
}

static uint64_t enabled(const struct cpu_state *state)
{
    return state->words[FW_XCR0_LO] | state->words[FW_XCR0_HI] << 32;
}

static uint32_t area_size(const struct cpu_state *state, bool compacted)
{
    uint32_t size = XSAVE_HEADER_END;

    for (size_t i = 0; i < COMPONENTS; i++) {
        struct cpuid_regs regs = component_regs(state, i);
        uint32_t start = compacted ? size : regs.ebx, end;

        if (compacted && (regs.ecx & ALIGN_64))
            start = (start + 63) & ~63u;
        end = start + regs.eax;

        if ((enabled(state) >> components[i].number & 1) && end > size)
            size = end;
    }
    return size;
}

static struct cpuid_regs component_leaf(const struct cpu_state *state, uint32_t subleaf)
{
    for (size_t i = 0; i < COMPONENTS; i++)
        if (components[i].number == subleaf && (enabled(state) >> subleaf & 1))
            return component_regs(state, i);
    return (struct cpuid_regs){0};
}

struct cpuid_regs xsave_leaf(const struct cpu_state *state, uint32_t subleaf)
{
    uint32_t size;

    if (!state_has(state, F_XSAVE))
        return (struct cpuid_regs){0};
    if (subleaf == 0) {
        size = area_size(state, false);
        return (struct cpuid_regs){.eax = (uint32_t)state->words[FW_XCR0_LO],
                                   .ebx = state_kvm(state) ? size : XSAVE_HEADER_END,
                                   .ecx = size,
                                   .edx = (uint32_t)state->words[FW_XCR0_HI]};
    }
    if (subleaf == 1)
        return (struct cpuid_regs){.eax = (uint32_t)state->words[FW_XSAVE], .ebx = area_size(state, true)};
    return component_leaf(state, subleaf);
}
