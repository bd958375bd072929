/* CPUID as QEMU 7.2 answers it for one leaf. QEMU flags specification section 12. */
#include "vmm/cpuid/state.h"

#include <string.h>

static uint32_t word(const struct cpu_state *state, enum feature_word w)
{
    return (uint32_t)state->words[w];
}

/* Threads per package as 7.2 counts them: dies left out. */
static uint32_t package_threads(const struct cpu_state *state)
{
    return state->machine->topology.cores * state->machine->topology.threads;
}

static struct cpuid_regs vendor_leaf(const struct cpu_state *state, uint32_t eax)
{
    struct cpuid_regs regs = {.eax = eax};

    memcpy(&regs.ebx, state->vendor, 4);
    memcpy(&regs.edx, state->vendor + 4, 4);
    memcpy(&regs.ecx, state->vendor + 8, 4);
    return regs;
}

static uint32_t signature(const struct cpu_state *state)
{
    uint32_t family = (uint32_t)state_number(state, P_FAMILY);
    uint32_t model = (uint32_t)state_number(state, P_MODEL);
    uint32_t extended = family > 15 ? family - 15 : 0;

    return extended << 20 | (model & 0xf0) << 12 | (family - extended) << 8 | (model & 15) << 4 |
           (uint32_t)state_number(state, P_STEPPING);
}

static struct cpuid_regs leaf_1(const struct cpu_state *state)
{
    uint32_t n = package_threads(state), ecx = word(state, FW_1_ECX);

    if (!state_number(state, P_PMU))
        ecx &= ~(uint32_t)FEATURE_BIT(F_PDCM);
    return (struct cpuid_regs){
        .eax = signature(state),
        .ebx = state->place.apic_id << 24 | (n > 1 ? n << 16 : 0) | 0x0800,
        .ecx = ecx,
        .edx = word(state, FW_1_EDX) | (n > 1 ? FEATURE_BIT(F_HT) : 0),
    };
}

static struct cpuid_regs leaf_7(const struct cpu_state *state, uint32_t subleaf)
{
    if (subleaf == 0)
        return (struct cpuid_regs){state->level_func7, word(state, FW_7_0_EBX), word(state, FW_7_0_ECX),
                                   word(state, FW_7_0_EDX)};
    return (struct cpuid_regs){.eax = subleaf == 1 ? word(state, FW_7_1_EAX) : 0};
}

static struct cpuid_regs leaf_a(const struct cpu_state *state)
{
    if (!state_kvm(state) || !state_number(state, P_PMU))
        return (struct cpuid_regs){0};
    return supported_regs(&state->host->supported, 0xa, 0);
}

/* One level of leaf 0xB or 0x1F: shift to the next level, processors in this one. */
struct level {
    uint32_t shift, threads, type;
};

static struct cpuid_regs topology_leaf(const struct cpu_state *state, uint32_t subleaf,
                                       const struct level *levels, uint32_t count)
{
    struct cpuid_regs regs = {.ecx = subleaf & 0xff, .edx = state->place.apic_id};

    if (subleaf < count) {
        regs.eax = levels[subleaf].shift;
        regs.ebx = levels[subleaf].threads & 0xffff;
        regs.ecx |= levels[subleaf].type << 8;
    }
    return regs;
}

static struct cpuid_regs leaf_b(const struct cpu_state *state, uint32_t subleaf)
{
    const struct cpu_topology *t = &state->machine->topology;
    const struct level levels[] = {{state->layout.core_off, t->threads, 1},
                                   {state->layout.pkg_off, package_threads(state), 2}};

    if (!state_number(state, P_CPUID_0XB))
        return (struct cpuid_regs){0};
    return topology_leaf(state, subleaf, levels, 2);
}

static struct cpuid_regs leaf_1f(const struct cpu_state *state, uint32_t subleaf)
{
    const struct cpu_topology *t = &state->machine->topology;
    const struct level levels[] = {{state->layout.core_off, t->threads, 1},
                                   {state->layout.die_off, package_threads(state), 2},
                                   {state->layout.pkg_off, t->dies * package_threads(state), 5}};

    if (t->dies < 2)
        return (struct cpuid_regs){0};
    return topology_leaf(state, subleaf, levels, 3);
}

/* Intel PT: the capabilities that QEMU fixes for migration (L12). */
static struct cpuid_regs leaf_14(const struct cpu_state *state, uint32_t subleaf)
{
    if (!state_kvm(state) || !state_has(state, F_INTEL_PT))
        return (struct cpuid_regs){0};
    if (subleaf == 0)
        return (struct cpuid_regs){1, 0xf, 7 | word(state, FW_14_0_ECX), 0};
    return subleaf == 1 ? (struct cpuid_regs){0x02490002, 0x003f1fff, 0, 0} : (struct cpuid_regs){0};
}

/* AMX: palette 1 and its multiplier. Intel SDM vol. 1 ch. 18. */
static struct cpuid_regs leaf_amx(const struct cpu_state *state, uint32_t leaf, uint32_t subleaf)
{
    if (!state_has(state, F_AMX_TILE))
        return (struct cpuid_regs){0};
    if (leaf == 0x1e)
        return (struct cpuid_regs){.ebx = subleaf == 0 ? 0x4010 : 0};
    if (subleaf == 0)
        return (struct cpuid_regs){.eax = 1};
    return subleaf == 1 ? (struct cpuid_regs){0x04002000, 0x00080040, 0x10, 0} : (struct cpuid_regs){0};
}

static struct cpuid_regs leaf_80000001(const struct cpu_state *state)
{
    uint32_t ecx = word(state, FW_80000001_ECX);

    if (package_threads(state) > 1 && !state_vendor_is(state, VENDOR_INTEL))
        ecx |= FEATURE_BIT(F_CMP_LEGACY);
    return (struct cpuid_regs){.eax = signature(state), .ecx = ecx, .edx = word(state, FW_80000001_EDX)};
}

static struct cpuid_regs leaf_brand(const struct cpu_state *state, uint32_t part)
{
    struct cpuid_regs regs;

    memcpy(&regs, state->model_id + part * 16, 16);
    return regs;
}

static struct cpuid_regs leaf_80000008(const struct cpu_state *state)
{
    uint32_t n = package_threads(state);
    uint32_t virtual_bits = state_has(state, F_LA57) ? 57 : 48;

    return (struct cpuid_regs){
        .eax = state->phys_bits | (state_has(state, F_LM) ? virtual_bits << 8 : 0),
        .ebx = word(state, FW_80000008_EBX),
        .ecx = n > 1 ? state->layout.pkg_off << 12 | (n - 1) : 0,
    };
}

static struct cpuid_regs leaf_8000001e(const struct cpu_state *state)
{
    const struct cpu_topology *t = &state->machine->topology;
    uint32_t node = state->layout.die_off < 32 ? state->place.apic_id >> state->layout.die_off : 0;

    return (struct cpuid_regs){.eax = state->place.apic_id,
                               .ebx = (t->threads - 1) << 8 | state->place.core,
                               .ecx = (t->dies - 1) << 8 | (node & 0xff)};
}

static struct cpuid_regs tcg_leaf(const struct cpu_state *state, uint32_t leaf)
{
    if (state_kvm(state) || !state_number(state, P_TCG_CPUID) || leaf != 0x40000000)
        return (struct cpuid_regs){0};
    return (struct cpuid_regs){0x40000001, 0x54474354, 0x43544743, 0x47435447};
}

static struct cpuid_regs basic_leaf(const struct cpu_state *state, uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0:
        return vendor_leaf(state, state->level);
    case 1:
        return leaf_1(state);
    case 2:
        return cache_leaf_2(state);
    case 4:
        return cache_leaf_4(state, subleaf);
    case 5:
        return (struct cpuid_regs){.ecx = 3}; /* MONITOR exists, with extensions */
    case 6:
        return (struct cpuid_regs){.eax = word(state, FW_6_EAX)};
    case 7:
        return leaf_7(state, subleaf);
    case 0xa:
        return leaf_a(state);
    case 0xb:
        return leaf_b(state, subleaf);
    case 0xd:
        return xsave_leaf(state, subleaf);
    case 0x14:
        return leaf_14(state, subleaf);
    case 0x1d:
    case 0x1e:
        return leaf_amx(state, leaf, subleaf);
    case 0x1f:
        return leaf_1f(state, subleaf);
    default:
        return tcg_leaf(state, leaf);
    }
}

static struct cpuid_regs extended_leaf(const struct cpu_state *state, uint32_t leaf, uint32_t subleaf)
{
    switch (leaf) {
    case 0x80000000:
        return vendor_leaf(state, state->xlevel);
    case 0x80000001:
        return leaf_80000001(state);
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
        return leaf_brand(state, leaf - 0x80000002);
    case 0x80000005:
        return cache_leaf_80000005(state);
    case 0x80000006:
        return cache_leaf_80000006(state);
    case 0x80000007:
        return (struct cpuid_regs){.edx = word(state, FW_80000007_EDX)};
    case 0x80000008:
        return leaf_80000008(state);
    case 0x8000000a:
        if (!state_has(state, F_SVM))
            return (struct cpuid_regs){0};
        return (struct cpuid_regs){1, 0x10, 0, word(state, FW_SVM)};
    case 0x8000001d:
        return cache_leaf_8000001d(state, subleaf);
    case 0x8000001e:
        return leaf_8000001e(state);
    case 0xc0000000:
        return (struct cpuid_regs){.eax = state->xlevel2};
    case 0xc0000001:
        return (struct cpuid_regs){.eax = signature(state), .edx = word(state, FW_C0000001_EDX)};
    default:
        return (struct cpuid_regs){0};
    }
}

/* The highest leaf of the range that leaf is in. */
static uint32_t range_limit(const struct cpu_state *state, uint32_t leaf)
{
    if (leaf >= 0xc0000000)
        return state->xlevel2;
    if (leaf >= 0x80000000)
        return state->xlevel;
    return leaf >= 0x40000000 ? 0x40000001 : state->level;
}

struct cpuid_regs leaf_regs(const struct cpu_state *state, uint32_t leaf, uint32_t subleaf)
{
    if (leaf > range_limit(state, leaf))
        leaf = state->level; /* L2 */
    return leaf >= 0x80000000 ? extended_leaf(state, leaf, subleaf) : basic_leaf(state, leaf, subleaf);
}
