/* The caches that QEMU's own models show, and the leaves that describe them. QEMU flags specification L5, L6, L14, L17, L18. */
#include "vmm/cpuid/state.h"

enum cache_type { CACHE_DATA = 1, CACHE_CODE = 2, CACHE_UNIFIED = 3 };

struct cache {
    uint8_t type, level, descriptor; /* descriptor: leaf 2's byte */
    bool self_init, inclusive, complex, no_invd_sharing;
    uint32_t kib, ways, sets;
    uint8_t lines_per_tag; /* AMD leaves */
};
#define LINE 64

/* The sets of every model that has none of its own. */
static const struct cache l1d = {CACHE_DATA, 1, 0x2c, true, false, false, true, 32, 8, 64, 0};
static const struct cache l1i = {CACHE_CODE, 1, 0x30, true, false, false, true, 32, 8, 64, 0};
static const struct cache l2 = {CACHE_UNIFIED, 2, 0x7d, true, false, false, true, 4096, 16, 4096, 0};
static const struct cache l3 = {CACHE_UNIFIED, 3, 0x4d, true, true, true, false, 16384, 16, 16384, 1};
static const struct cache amd_l1d = {CACHE_DATA, 1, 0, true, false, false, true, 64, 2, 512, 1};
static const struct cache amd_l1i = {CACHE_CODE, 1, 0, true, false, false, true, 64, 2, 512, 1};
static const struct cache amd_l2 = {CACHE_UNIFIED, 2, 0, false, false, false, false, 512, 16, 512, 1};

static bool l3_on(const struct cpu_state *state)
{
    return state_number(state, P_L3_CACHE);
}

/* AMD processors have neither leaf 2 nor 4; machines up to 6.0 show them all the same. */
static bool hidden_from_amd(const struct cpu_state *state)
{
    return state_vendor_is(state, VENDOR_AMD) && state_number(state, P_VENDOR_CPUID_ONLY);
}

struct cpuid_regs cache_leaf_2(const struct cpu_state *state)
{
    if (hidden_from_amd(state))
        return (struct cpuid_regs){0};
    return (struct cpuid_regs){.eax = 1,
                               .ecx = l3_on(state) ? l3.descriptor : 0,
                               .edx = (uint32_t)l1d.descriptor << 16 | l1i.descriptor << 8 | l2.descriptor};
}

static struct cpuid_regs geometry(const struct cache *cache, uint32_t sharing, uint32_t cores)
{
    return (struct cpuid_regs){
        .eax = cache->type | cache->level << 5 | (uint32_t)cache->self_init << 8 | (sharing - 1) << 14 |
               (cores - 1) << 26,
        .ebx = (LINE - 1) | (cache->ways - 1) << 22,
        .ecx = cache->sets - 1,
        .edx = (uint32_t)cache->no_invd_sharing | cache->inclusive << 1 | cache->complex << 2,
    };
}

struct cpuid_regs cache_leaf_4(const struct cpu_state *state, uint32_t subleaf)
{
    const struct cpu_topology *t = &state->machine->topology;
    uint32_t package = state->layout.die_off < 32 ? 1u << state->layout.die_off : 0;

    if (hidden_from_amd(state))
        return (struct cpuid_regs){0};
    switch (subleaf) {
    case 0:
        return geometry(&l1d, 1, t->cores);
    case 1:
        return geometry(&l1i, 1, t->cores);
    case 2:
        return geometry(&l2, t->threads, t->cores);
    case 3:
        return l3_on(state) ? geometry(&l3, package, t->cores) : (struct cpuid_regs){0};
    default:
        return (struct cpuid_regs){0};
    }
}

static uint32_t amd_l1(const struct cache *cache)
{
    return cache->kib << 24 | cache->ways << 16 | (uint32_t)cache->lines_per_tag << 8 | LINE;
}

struct cpuid_regs cache_leaf_80000005(void)
{
    return (struct cpuid_regs){0x01ff01ff, 0x01ff01ff, amd_l1(&amd_l1d), amd_l1(&amd_l1i)};
}

/* AMD's code for an associativity; both caches here have 16 ways. */
#define AMD_16_WAYS 8u

struct cpuid_regs cache_leaf_80000006(const struct cpu_state *state)
{
    return (struct cpuid_regs){
        .ebx = 0x42004200,
        .ecx = amd_l2.kib << 16 | AMD_16_WAYS << 12 | (uint32_t)amd_l2.lines_per_tag << 8 | LINE,
        .edx = l3_on(state) ? l3.kib / 512 << 18 | AMD_16_WAYS << 12 | (uint32_t)l3.lines_per_tag << 8 | LINE
                            : 0,
    };
}

struct cpuid_regs cache_leaf_8000001d(const struct cpu_state *state, uint32_t subleaf)
{
    const struct cpu_topology *t = &state->machine->topology;

    switch (subleaf) {
    case 0:
        return geometry(&amd_l1d, t->threads, 1);
    case 1:
        return geometry(&amd_l1i, t->threads, 1);
    case 2:
        return geometry(&amd_l2, t->threads, 1);
    case 3:
        return l3_on(state) ? geometry(&l3, t->cores * t->threads, 1) : (struct cpuid_regs){0};
    default:
        return (struct cpuid_regs){0};
    }
}
