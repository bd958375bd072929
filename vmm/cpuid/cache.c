/* The leaves that describe a model's caches. QEMU flags specification L5, L6, L14, L17, L18. */
#include "vmm/cpuid/state.h"

enum cache_type { CACHE_DATA = 1, CACHE_CODE = 2, CACHE_UNIFIED = 3 };
#define LINE 64u

/* What QEMU shows of every model that has no caches of its own, in leaves 2 and 4 and in the AMD leaves. */
#define LEGACY_L3                                                                                            \
    {                                                                                                        \
        .ways = 16, .sets = 16384, .descriptor = 0x4d, .lines_per_tag = 1, .self_init = true,                \
        .inclusive = true, .complex_indexing = true                                                          \
    }
static const struct cpu_caches legacy = {
    .l1d = {.ways = 8, .sets = 64, .descriptor = 0x2c, .self_init = true, .no_invd_sharing = true},
    .l1i = {.ways = 8, .sets = 64, .descriptor = 0x30, .self_init = true, .no_invd_sharing = true},
    .l2 = {.ways = 16, .sets = 4096, .descriptor = 0x7d, .self_init = true, .no_invd_sharing = true},
    .l3 = LEGACY_L3,
};
static const struct cpu_caches legacy_amd = {
    .l1d = {.ways = 2, .sets = 512, .lines_per_tag = 1, .self_init = true, .no_invd_sharing = true},
    .l1i = {.ways = 2, .sets = 512, .lines_per_tag = 1, .self_init = true, .no_invd_sharing = true},
    .l2 = {.ways = 16, .sets = 512, .lines_per_tag = 1},
    .l3 = LEGACY_L3,
};

static const struct cpu_caches *caches_of(const struct cpu_state *state, const struct cpu_caches *otherwise)
{
    return state_number(state, P_LEGACY_CACHE) ? otherwise : state->model->caches;
}

static bool l3_on(const struct cpu_state *state)
{
    return state_number(state, P_L3_CACHE);
}

/* host-cache-info shows the caches of the processor under QEMU, whatever the vendor; where those are known. */
static bool host_caches(const struct cpu_state *state)
{
    return state_number(state, P_HOST_CACHE_INFO) && supported_has(&state->host->host, 2);
}

void cache_check_host(struct cpu_state *state)
{
    if (state_number(state, P_HOST_CACHE_INFO) && !host_caches(state))
        state->outcome->not_modelled =
            "host-cache-info: the caches of the processor under QEMU are not known here, the model's are shown";
}

static struct cpuid_regs host_leaf(const struct cpu_state *state, uint32_t leaf, uint32_t subleaf)
{
    const struct cpuid_table *host = &state->host->host;

    if (leaf > supported_regs(host, leaf & 0x80000000, 0).eax)
        return (struct cpuid_regs){0};
    return supported_regs(host, leaf, subleaf);
}

/* The largest of the ids that n things need. 64 bits: absurd counts get as far as this (T4). */
static uint32_t id_mask(uint32_t n)
{
    return (uint32_t)((1ull << topology_width(n)) - 1);
}

#define SHARING_SHIFT 14
#define SHARING_MASK  0xfffu
#define CORES_SHIFT   26

/* The host's cache, among the guest's processors: cores of a package, and no more of them share it than there are. Seen
 * on 7.2.22: cores of one die, threads of all. */
static struct cpuid_regs host_leaf_4(const struct cpu_state *state, uint32_t subleaf)
{
    const struct cpu_topology *t = &state->machine->topology;
    uint32_t package = t->dies * t->cores * t->threads;
    struct cpuid_regs regs = host_leaf(state, 4, subleaf);

    if (!(regs.eax & 0x1f))
        return regs;
    regs.eax &= (1u << CORES_SHIFT) - 1;
    regs.eax |= id_mask(t->cores) << CORES_SHIFT;
    if ((regs.eax >> SHARING_SHIFT & SHARING_MASK) + 1 > package) {
        regs.eax &= ~(SHARING_MASK << SHARING_SHIFT);
        regs.eax |= id_mask(package) << SHARING_SHIFT;
    }
    return regs;
}

/* AMD processors have neither leaf 2 nor 4; machines up to 6.0 show them all the same. */
static bool hidden_from_amd(const struct cpu_state *state)
{
    return state_vendor_is(state, VENDOR_AMD) && state_number(state, P_VENDOR_CPUID_ONLY);
}

struct cpuid_regs cache_leaf_2(const struct cpu_state *state)
{
    const struct cpu_caches *caches = caches_of(state, &legacy);

    if (host_caches(state))
        return host_leaf(state, 2, 0);
    if (hidden_from_amd(state))
        return (struct cpuid_regs){0};
    return (struct cpuid_regs){.eax = 1,
                               .ecx = l3_on(state) ? caches->l3.descriptor : 0,
                               .edx = (uint32_t)caches->l1d.descriptor << 16 |
                                      (uint32_t)caches->l1i.descriptor << 8 | caches->l2.descriptor};
}

static struct cpuid_regs geometry(const struct cache *cache, enum cache_type type, uint32_t level,
                                  uint32_t sharing, uint32_t cores)
{
    return (struct cpuid_regs){
        .eax = (uint32_t)type | level << 5 | (uint32_t)cache->self_init << 8 | (sharing - 1) << 14 |
               (cores - 1) << 26,
        .ebx = (LINE - 1) | (cache->ways - 1u) << 22,
        .ecx = cache->sets - 1,
        .edx = (uint32_t)cache->no_invd_sharing | (uint32_t)cache->inclusive << 1 |
               (uint32_t)cache->complex_indexing << 2,
    };
}

/* Leaves 4 and 8000001D: a subleaf per cache. sharing: logical processors behind each level's cache. */
static struct cpuid_regs cache_subleaf(const struct cpu_caches *caches, uint32_t subleaf,
                                       const uint32_t sharing[3], uint32_t cores)
{
    switch (subleaf) {
    case 0:
        return geometry(&caches->l1d, CACHE_DATA, 1, sharing[0], cores);
    case 1:
        return geometry(&caches->l1i, CACHE_CODE, 1, sharing[0], cores);
    case 2:
        return geometry(&caches->l2, CACHE_UNIFIED, 2, sharing[1], cores);
    case 3:
        return geometry(&caches->l3, CACHE_UNIFIED, 3, sharing[2], cores);
    default:
        return (struct cpuid_regs){0};
    }
}

struct cpuid_regs cache_leaf_4(const struct cpu_state *state, uint32_t subleaf)
{
    const struct cpu_topology *t = &state->machine->topology;
    uint32_t package = state->layout.die_off < 32 ? 1u << state->layout.die_off : 0;

    if (host_caches(state))
        return host_leaf_4(state, subleaf);
    if (hidden_from_amd(state) || (subleaf == 3 && !l3_on(state)))
        return (struct cpuid_regs){0};
    return cache_subleaf(caches_of(state, &legacy), subleaf, (uint32_t[]){1, t->threads, package}, t->cores);
}

/* l3-cache=off hides the L3 cache everywhere but here. */
struct cpuid_regs cache_leaf_8000001d(const struct cpu_state *state, uint32_t subleaf)
{
    const struct cpu_topology *t = &state->machine->topology;

    if (host_caches(state))
        return host_leaf(state, 0x8000001d, subleaf);
    return cache_subleaf(caches_of(state, &legacy_amd), subleaf,
                         (uint32_t[]){t->threads, t->threads, t->cores * t->threads}, 1);
}

static uint32_t kib(const struct cache *cache)
{
    return cache->ways * cache->sets * LINE / 1024;
}

static uint32_t amd_l1(const struct cache *cache)
{
    return kib(cache) << 24 | (uint32_t)cache->ways << 16 | (uint32_t)cache->lines_per_tag << 8 | LINE;
}

struct cpuid_regs cache_leaf_80000005(const struct cpu_state *state)
{
    const struct cpu_caches *caches = caches_of(state, &legacy_amd);

    if (host_caches(state))
        return host_leaf(state, 0x80000005, 0);
    return (struct cpuid_regs){0x01ff01ff, 0x01ff01ff, amd_l1(&caches->l1d), amd_l1(&caches->l1i)};
}

/* AMD's code for an associativity. AMD APM vol. 3, CPUID Fn8000_0006. */
static uint32_t amd_ways(uint32_t ways)
{
    static const uint8_t codes[][2] = {{2, 2},    {4, 4},    {8, 6},    {16, 8},   {32, 0xa},
                                       {48, 0xb}, {64, 0xc}, {96, 0xd}, {128, 0xe}};

    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        if (codes[i][0] == ways)
            return codes[i][1];
    return 0;
}

struct cpuid_regs cache_leaf_80000006(const struct cpu_state *state)
{
    const struct cpu_caches *caches = caches_of(state, &legacy_amd);
    const struct cache *l2 = &caches->l2, *l3 = &caches->l3;

    if (host_caches(state))
        return host_leaf(state, 0x80000006, 0);
    return (struct cpuid_regs){
        .ebx = 0x42004200,
        .ecx = kib(l2) << 16 | amd_ways(l2->ways) << 12 | (uint32_t)l2->lines_per_tag << 8 | LINE,
        .edx = l3_on(state)
                   ? kib(l3) / 512 << 18 | amd_ways(l3->ways) << 12 | (uint32_t)l3->lines_per_tag << 8 | LINE
                   : 0,
    };
}
