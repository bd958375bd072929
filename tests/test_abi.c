/* Our numbers and layouts against the installed kernel headers, and the sizes of what those headers lack. spec 0.1, 0.2. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <linux/kvm.h>
#include <stddef.h>
#include "tests/abi_list.h"
#include "vmm/abi/pvclock.h"
#include "vmm/cpuid/supported.h"

extern const struct abi_fact abi_ours[], abi_linux[];

Test(abi, equals_the_kernel_headers)
{
    for (int i = 0; abi_ours[i].name; i++) {
        cr_assert(eq(str, (char *)abi_ours[i].name, (char *)abi_linux[i].name));
        cr_expect(eq(u64, abi_ours[i].value, abi_linux[i].value), "%s", abi_ours[i].name);
        cr_expect(eq(u64, abi_ours[i].size, abi_linux[i].size), "%s: size", abi_ours[i].name);
    }
}

/* asm/pvclock-abi.h is not installed; the kernel documents the layout in msr.rst. */
Test(abi, pvclock_layout)
{
    cr_assert(eq(sz, sizeof(struct pvclock_vcpu_time_info), 32));
    cr_assert(eq(sz, offsetof(struct pvclock_vcpu_time_info, tsc_timestamp), 8));
    cr_assert(eq(sz, offsetof(struct pvclock_vcpu_time_info, system_time), 16));
    cr_assert(eq(sz, offsetof(struct pvclock_vcpu_time_info, tsc_to_system_mul), 24));
    cr_assert(eq(sz, offsetof(struct pvclock_vcpu_time_info, tsc_shift), 28));
    cr_assert(eq(sz, offsetof(struct pvclock_vcpu_time_info, flags), 29));
    cr_assert(eq(sz, offsetof(struct pvclock_vcpu_time_info, pad), 30));
    cr_assert(eq(sz, sizeof(struct pvclock_wall_clock), 12));
    cr_assert(eq(sz, offsetof(struct pvclock_wall_clock, sec), 4));
    cr_assert(eq(sz, offsetof(struct pvclock_wall_clock, nsec), 8));
}

Test(abi, numbers_of_capabilities)
{
#define SAME(name) cr_expect(eq(int, EXT_##name, KVM_CAP_##name), #name)
    SAME(IRQCHIP);
    SAME(HYPERV);
    SAME(TSC_CONTROL);
    SAME(TSC_DEADLINE_TIMER);
    SAME(SPLIT_IRQCHIP);
    SAME(X2APIC_API);
    SAME(HYPERV_VP_INDEX);
    SAME(HYPERV_ENLIGHTENED_VMCS);
    SAME(ENFORCE_PV_FEATURE_CPUID);
}
