/* What stands under the table builder: the answers of a kernel, of QEMU's TCG, or of our own vCPU.
 * QEMU flags specification E8, K7, 12.12. */
#ifndef VMM_CPUID_SUPPORTED_H
#define VMM_CPUID_SUPPORTED_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/cpuid_table.h"
#include "vmm/core/vm.h"
#include "vmm/cpuid/features.h"

/* soft: our vCPU; everything that QEMU decides for KVM holds for it too. */
enum cpuid_accel { ACCEL_SOFT, ACCEL_KVM, ACCEL_TCG };
static inline bool accel_is_kvm(enum cpuid_accel accel)
{
    return accel != ACCEL_TCG;
}

/* KVM_CHECK_EXTENSION numbers that decide something here. */
enum kvm_extension {
    EXT_IRQCHIP = 0,
    EXT_HYPERV = 44,
    EXT_TSC_CONTROL = 60,
    EXT_TSC_DEADLINE_TIMER = 72,
    EXT_SPLIT_IRQCHIP = 121,
    EXT_X2APIC_API = 129,
    EXT_HYPERV_VP_INDEX = 149,
    EXT_HYPERV_ENLIGHTENED_VMCS = 163,
    EXT_ENFORCE_PV_FEATURE_CPUID = 190,
};
#define SUPPORTED_EXTENSIONS 256
#define SUPPORTED_MSRS       32

struct cpuid_supported {
    enum cpuid_accel accel;                   /* how QEMU's rules see this host */
    struct cpuid_table supported;             /* KVM_GET_SUPPORTED_CPUID; unused for TCG */
    struct cpuid_table host;                  /* the processor's own leaves, for models host and max */
    struct cpuid_table hyperv;                /* KVM_GET_SUPPORTED_HV_CPUID; empty: not known */
    int32_t extensions[SUPPORTED_EXTENSIONS]; /* KVM_CHECK_EXTENSION by number; unused for TCG */
    uint32_t tsc_khz;                         /* 0: unknown */
    uint32_t feature_msr_count;
    struct {
        uint32_t index;
        uint64_t value;
    } feature_msrs[SUPPORTED_MSRS];
};

/* Our software vCPU. */
const struct cpuid_supported *cpuid_supported_soft(void);
/* QEMU 7.2 without KVM. */
const struct cpuid_supported *cpuid_supported_tcg(void);

/* The bits of one word that survive the filter. */
uint64_t supported_word(const struct cpuid_supported *host, enum irqchip irqchip, enum feature_word word);
bool supported_has(const struct cpuid_table *table, uint32_t leaf); /* any entry of it */
/* One entry's registers, zeros where there is none. */
struct cpuid_regs supported_regs(const struct cpuid_table *table, uint32_t leaf, uint32_t subleaf);

/* 1.EDX bits that AMD repeats in 80000001.EDX (L13). */
#define AMD_ALIAS_BITS 0x0183f3ffu

#endif
