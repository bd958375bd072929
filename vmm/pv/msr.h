/* Model-specific registers: the PV table, then those of the CPU and the local APIC. spec GEN-*, 1.1. */
#ifndef VMM_PV_MSR_H
#define VMM_PV_MSR_H

#include <stdint.h>
#include "vmm/core/vcpu.h"

enum at_init { AT_INIT_KEEP, AT_INIT_RESET };

struct pv_msr {
    uint32_t index;
    const char *name;       /* Linux's */
    uint8_t feature;        /* CPUID bit that gates it */
    uint8_t at_init;        /* enum at_init */
    bool vm_wide;
    bool save;              /* belongs in a snapshot; restored in table order (SAV-4) */
    uint64_t at_create;
    uint64_t (*read)(struct vcpu *vcpu);
    enum msr_result (*write)(struct vcpu *vcpu, uint64_t value, enum origin origin);
};
/* CPUID, dispatch, reset, save/restore, tests, reports and the fuzz dictionary walk this table. */
extern const struct pv_msr pv_msrs[];
extern const unsigned pv_msr_count;
const struct pv_msr *pv_msr_find(uint32_t index);

/* Any MSR. On refusal *value and all state are unchanged, but see APF-7 and EOI-2. */
enum msr_result vcpu_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin);
enum msr_result vcpu_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin);

#endif
