/* From parsed flags, a machine and a host to the table that QEMU 7.2 gives KVM_SET_CPUID2, and what became of each
 * request. QEMU flags specification P5, P6, sections 4 to 9, 12 to 14. Pure: equal inputs, equal outputs. */
#ifndef VMM_CPUID_BUILD_H
#define VMM_CPUID_BUILD_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/cpuid_table.h"
#include "vmm/cpuid/flags.h"
#include "vmm/cpuid/message.h"
#include "vmm/cpuid/supported.h"
#include "vmm/cpuid/topology.h"

/* -global driver.name=value, as spans of the caller's string. */
struct cpu_global {
    const char *driver, *name, *value;
    uint32_t driver_len, name_len, value_len;
};

/* What the machine contributes. */
struct cpuid_machine {
    struct machine_type type;
    enum irqchip irqchip; /* in effect */
    struct cpu_topology topology;
    const struct cpu_global *globals;
    unsigned global_count;
};

struct cpuid_outcome {
    struct message error; /* kind CPU_OK: the table is valid */
    struct messages warnings;
    /* Feature bits, by word: what the flags asked for, what the guest can see of everything, and what was taken
     * away and why. Bits that the model asked for count as dropped too. */
    uint64_t asked[FEATURE_WORDS];
    uint64_t granted[FEATURE_WORDS];
    uint64_t unsupported[FEATURE_WORDS]; /* the host or accelerator lacks it (E2) */
    uint64_t dependent[FEATURE_WORDS];   /* another feature is off (E7) */
    uint64_t hidden[FEATURE_WORDS];      /* kvm=off, or not KVM (K17, K20) */
    bool local_apic;                     /* QEMU makes one: the feature is on, or there are other vCPUs */
    bool enforce_pv;                     /* kvm-pv-enforce-cpuid (K14) */
    bool enforce_hv;                     /* hv-enforce-cpuid, with Hyper-V's leaves */
    bool no_kvmclock_device;             /* the machine is old and CPU 0 shows no clock (C1) */
    bool migration_blocked;              /* invtsc at a rate that nobody asked for (H4) */
    enum irqchip irqchip;
    const char *not_modelled; /* what the table shows otherwise than QEMU's, and why; NULL: nothing */
    uint32_t vcpus, apic_id;
    uint32_t cores, threads; /* of a die, of a core */
    bool ids_32bit;   /* maxcpus makes room for APIC ids above 254: QEMU turns KVM's 32-bit ids on (T6) */
    uint64_t tsc_khz; /* the guest's rate; 0: unknown */
};

/* vcpu counts from 0. 0, or -EINVAL with outcome->error set and an empty table. Warnings that QEMU prints once are given
 * for vCPU 0 only. */
int cpuid_build(const struct cpu_flags *flags, const struct cpuid_machine *machine,
                const struct cpuid_supported *host, unsigned vcpu, struct cpuid_table *out,
                struct cpuid_outcome *outcome);

/* All of it from the strings that QEMU gets: -cpu, -machine ("pc,kernel-irqchip=split"), -smp ("2"). machine and smp may
 * be NULL (defaults); a NULL cpu is the machine's default. Returns as cpuid_build. */
int cpuid_for_flags(const char *cpu, const char *machine, const char *smp, const struct cpuid_supported *host,
                    unsigned vcpu, struct cpuid_table *out, struct cpuid_outcome *outcome);

#endif
