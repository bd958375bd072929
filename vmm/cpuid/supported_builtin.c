/* The two hosts that we know by heart: our software vCPU and QEMU 7.2's TCG. */
#include "vmm/cpuid/supported.h"

#define INDEXED CPUID_FLAG_SIGNIFICANT_INDEX

/* What vmm/cpu executes and vmm/pv serves. Grows with them. */
static const struct cpuid_supported soft = {
    .accel = ACCEL_SOFT,
    .supported =
        {
            .count = 12,
            .entries =
                {
                    {0x0, 0, 0, {0x0000000d, 0x756e6547, 0x6c65746e, 0x49656e69}},
                    {0x1,
                     0,
                     0,
                     {0x00060fb1, 0x00000800, 0x80a02001, 0x078bfbff}}, /* pni cx16 x2apic popcnt */
                    {0x6, 0, 0, {0x00000004, 0, 0, 0}},
                    {0x7, 0, INDEXED, {0, 0x00000002, 0, 0}}, /* tsc-adjust */
                    {0xd, 0, INDEXED, {0, 0, 0, 0}},
                    {0x80000000, 0, 0, {0x80000008, 0, 0, 0}},
                    {0x80000001, 0, 0, {0, 0, 0x00000001, 0x28100800}}, /* lahf-lm; syscall nx rdtscp lm */
                    {0x80000007, 0, 0, {0, 0, 0, 0x00000100}},          /* invtsc */
                    {0x80000008, 0, 0, {0x00003028, 0, 0, 0}},
                    {0x8000000a, 0, 0, {0, 0, 0, 0}},
                    {0x40000000, 0, 0, {0x40000001, 0x4b4d564b, 0x564b4d56, 0x0000004d}},
                    {0x40000001, 0, 0, {0x01007efb, 0, 0, 0}},
                },
        },
    .host =
        {
            .count = 3,
            .entries =
                {
                    {0x0, 0, 0, {0x0000000d, 0x756e6547, 0x6c65746e, 0x49656e69}},
                    {0x1, 0, 0, {0x00060fb1, 0x00000800, 0x80a02001, 0x078bfbff}},
                    {0x80000008, 0, 0, {0x00003028, 0, 0, 0}},
                },
        },
    .extensions = {[EXT_IRQCHIP] = 1,
                   [EXT_HYPERV] = 1,
                   [EXT_HYPERV_VP_INDEX] = 1,
                   [EXT_TSC_CONTROL] = 1,
                   [EXT_TSC_DEADLINE_TIMER] = 1,
                   [EXT_SPLIT_IRQCHIP] = 1,
                   [EXT_X2APIC_API] = 3,
                   [EXT_ENFORCE_PV_FEATURE_CPUID] = 1},
    .tsc_khz = 2100000,
};

static const struct cpuid_supported tcg = {.accel = ACCEL_TCG};

const struct cpuid_supported *cpuid_supported_soft(void)
{
    return &soft;
}

const struct cpuid_supported *cpuid_supported_tcg(void)
{
    return &tcg;
}
