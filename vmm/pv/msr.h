/* Model-specific registers: the PV table, then those of the CPU and the local APIC. spec GEN-*, 1.1. */
#ifndef VMM_PV_MSR_H
#define VMM_PV_MSR_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vcpu.h"

struct pv_msr {
    uint32_t index;
    const char *name; /* Linux's */
    uint8_t feature;  /* CPUID bit that gates it */
    bool vm_wide;
    bool save;                          /* belongs in a migration stream; restored in table order (SAV-4) */
    uint64_t at_create;                 /* QEMU writes the same at system reset (QMU-8) */
    void (*at_init)(struct vcpu *vcpu); /* INIT: value 0, feature off, nothing written; NULL: INIT keeps it */
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

/* The MSRs of the CPU itself that are plain storage with rules: dictionaries walk this list. */
struct cpu_msr {
    uint32_t index, count; /* count registers in a row, one storage word each */
    const char *name;
    uint16_t offset; /* of the first word in struct vcpu */
    /* Refuses, or adjusts *value to what is stored; NULL: any value. */
    enum msr_result (*check)(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin);
};
extern const struct cpu_msr cpu_msrs[];
extern const unsigned cpu_msr_count;
enum msr_result cpu_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value);
enum msr_result cpu_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin);

#endif
