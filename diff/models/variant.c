/* The variants and the leaves, as tables. QEMU flags specification sections 7.1 and 12. */
#include "diff/models/variant.h"

#include <stdio.h>
#include <string.h>
#include "vmm/cpuid/features.h"

const struct variant variants[] = {
    {"plain", "as it is", PV_AS_THEY_ARE, "", "1", true},
    {"pv-on", "every PV flag on", PV_ALL_ON, "", "1", true},
    {"pv-off", "every PV flag off", PV_ALL_OFF, "", "1", true},
    {"smp", "-smp 2x2x2", PV_AS_THEY_ARE, "", "8,sockets=2,cores=2,threads=2", true},
    {"forced", "unfiltered", PV_AS_THEY_ARE, ",x-force-features=on", "1", false}, /* the definition itself */
    {"intel-dies", "as Intel's, -smp 1x2x1x2", PV_AS_THEY_ARE, ",vendor=GenuineIntel",
     "4,dies=2,cores=1,threads=2", false},
    {"amd-no-l3", "as AMD's, no L3, -smp 1x3x1", PV_AS_THEY_ARE, ",vendor=AuthenticAMD,l3-cache=off",
     "3,cores=3", false},
    {"hyper-v", "with Hyper-V's flags", PV_AS_THEY_ARE,
     ",hv-relaxed,hv-vapic,hv-time,hv-crash,hv-reset,hv-vpindex,hv-runtime,hv-synic,hv-stimer,hv-frequencies,"
     "hv-reenlightenment,hv-tlbflush,hv-ipi,hv-stimer-direct,hv-xmm-input,hv-spinlocks=0x1fff",
     "2", false},
    {"hyper-v-nested", "with Hyper-V's nested ones", PV_AS_THEY_ARE, ",hv-vapic,hv-emsr-bitmap", "1", false},
    {"hyper-v-debug", "with Hyper-V's debugger", PV_AS_THEY_ARE, ",hv-relaxed,hv-vpindex,hv-synic,hv-syndbg",
     "1", false},
    {"hyper-v-all", "with all of Hyper-V there is", PV_AS_THEY_ARE, ",hv-passthrough", "2", false},
    {"host-cache", "with the host's caches", PV_AS_THEY_ARE, ",host-cache-info=on",
     "8,sockets=2,cores=2,threads=2", false},
};
const unsigned variant_count = sizeof(variants) / sizeof(variants[0]);

const struct variant *variant_find(const char *name)
{
    for (unsigned i = 0; i < variant_count; i++)
        if (!strcmp(variants[i].name, name))
            return &variants[i];
    return NULL;
}

/* One name for each flag of the KVM leaf. */
static bool is_pv_flag(const struct feature_name *name)
{
    return (name->word == FW_KVM || name->word == FW_KVM_HINTS) && !name->alias;
}

void variant_cpu(const struct variant *variant, const char *model, char cpu[VARIANT_CPU_MAX])
{
    size_t used = (size_t)snprintf(cpu, VARIANT_CPU_MAX, "%.200s%s", model, variant->items);

    for (unsigned i = 0; i < feature_name_count && variant->pv != PV_AS_THEY_ARE; i++)
        if (is_pv_flag(&feature_names[i]) && used < VARIANT_CPU_MAX)
            used += (size_t)snprintf(cpu + used, VARIANT_CPU_MAX - used, ",%s=%s", feature_names[i].name,
                                     variant->pv == PV_ALL_ON ? "on" : "off");
}

static const struct {
    uint32_t first, last; /* leaves */
    uint32_t subleaf;     /* the last one of each */
} ranges[] = {
    {0x0, 0x3, 0},
    {0x4, 0x4, 4},
    {0x5, 0x6, 0},
    {0x7, 0x7, 2},
    {0x8, 0xa, 0},
    {0xb, 0xb, 3},
    {0xc, 0xc, 0},
    {0xd, 0xd, 19},
    {0xe, 0x11, 0},
    {0x12, 0x12, 2},
    {0x13, 0x13, 0},
    {0x14, 0x14, 2},
    {0x15, 0x1c, 0},
    {0x1d, 0x1d, 2},
    {0x1e, 0x1e, 1},
    {0x1f, 0x1f, 4},
    {0x20, 0x25, 0},
    {0x40000000, 0x40000011, 0},
    {0x40000080, 0x40000083, 0},
    {0x40000100, 0x40000102, 0},
    {0x80000000, 0x8000001c, 0},
    {0x8000001d, 0x8000001d, 5},
    {0x8000001e, 0x80000022, 0},
    {0xc0000000, 0xc0000005, 0},
};

unsigned reads_list(struct cpuid_read reads[READS_MAX])
{
    unsigned count = 0;

    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        for (uint32_t leaf = ranges[i].first; leaf <= ranges[i].last; leaf++)
            for (uint32_t subleaf = 0; subleaf <= ranges[i].subleaf && count < READS_MAX; subleaf++)
                reads[count++] = (struct cpuid_read){leaf, subleaf};
    return count;
}
