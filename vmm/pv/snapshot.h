/* The field lists of a snapshot. Internal to vmm/pv, and to the test that looks for forgotten fields. */
#ifndef VMM_PV_SNAPSHOT_H
#define VMM_PV_SNAPSHOT_H

#include "vmm/core/fields.h"
#include "vmm/core/vm.h"

#define SNAPSHOT_MAGIC   0x50414e53564d4d31ull
#define SNAPSHOT_VERSION 4u

/* Equal in both machines, or the snapshot is refused: QEMU migrates none of it either, source and destination have the same
 * command line and alike hosts. */
extern const struct field
    snapshot_config_fields[]; /* of struct vm_config; APIC ids stand in the vCPUs' sections */
extern const size_t snapshot_config_field_count;
extern const struct field snapshot_host_fields[]; /* of struct env */
extern const size_t snapshot_host_field_count;

extern const struct field snapshot_vcpu_fields[]; /* of struct vcpu; its faults and CPUID entries follow */
extern const size_t snapshot_vcpu_field_count;
extern const struct field snapshot_fault_fields[]; /* of struct apf_fault */
extern const size_t snapshot_fault_field_count;
extern const struct field snapshot_cpuid_fields[]; /* of struct cpuid_entry */
extern const size_t snapshot_cpuid_field_count;
extern const struct field snapshot_clock_fields[]; /* of struct vm_clock */
extern const size_t snapshot_clock_field_count;
extern const struct field snapshot_ioapic_fields[]; /* of struct ioapic */
extern const size_t snapshot_ioapic_field_count;
extern const struct field snapshot_hyperv_fields[]; /* of struct hyperv */
extern const size_t snapshot_hyperv_field_count;

#endif
