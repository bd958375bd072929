/* Hyper-V flags on a kernel with Hyper-V and on one without. QEMU flags specification section 9. */
#include "tests/cpuid_fixture.h"

static const struct cpuid_supported *hyperv(void)
{
    static struct cpuid_supported host;

    host = *cpuid_supported_soft();
    host.extensions[EXT_HYPERV] = host.extensions[EXT_HYPERV_VP_INDEX] =
        host.extensions[EXT_HYPERV_ENLIGHTENED_VMCS] = 1;
    return &host;
}

static const struct cpuid_supported *without(void)
{
    static struct cpuid_supported host;

    host = *cpuid_supported_soft();
    host.extensions[EXT_HYPERV] = host.extensions[EXT_HYPERV_VP_INDEX] =
        host.extensions[EXT_HYPERV_ENLIGHTENED_VMCS] = 0;
    return &host;
}

static bool on(const struct cpuid_supported *host, const char *cpu)
{
    struct built b;

    build_on(&b, host, cpu, NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0), "%s: %s", cpu, b.outcome.error.text);
    return leaf(&b, 0x40000001, 0).eax == 0x31237648;
}

Test(hyperv_flags, Y1_what_turns_it_on)
{
    cr_assert(on(hyperv(), "qemu64,hv-spinlocks=0x1fff"));
    cr_assert(on(hyperv(), "qemu64,hv-crash"));
    cr_assert(not(on(hyperv(), "qemu64,hv-vendor-id=x")));
    cr_assert(not(on(hyperv(), "qemu64,hv-version-id-build=7")));
    cr_assert(not(on(hyperv(), "qemu64,hv-enforce-cpuid")));
    cr_assert(not(on(hyperv(), "qemu64,hv-no-nonarch-coresharing=on")));
}

Test(hyperv_flags, Y1_without_the_capability_flags_are_inert)
{
    static const char *const flags[] = {"hv-relaxed", "hv-spinlocks=1", "hv-reset", "hv-runtime",
                                        "hv-stimer",  "hv-frequencies", "hv-evmcs", "hv-passthrough"};
    char cpu[64];

    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        snprintf(cpu, sizeof(cpu), "qemu64,%s", flags[i]);
        cr_assert(not(on(without(), cpu)), "%s", cpu);
    }
}

/* flag, how QEMU ends, message */
#define WITHOUT(name, flag, end, words)                                                                      \
    Test(hyperv_flags, Y1_without_the_capability_##name)                                                     \
    {                                                                                                        \
        struct built b;                                                                                      \
        build_on(&b, without(), "qemu64," flag, NULL, NULL, 0);                                              \
        cr_assert(eq(int, b.outcome.error.kind, end));                                                       \
        cr_assert(eq(str, b.outcome.error.text, words));                                                     \
    }
WITHOUT(hv_time, "hv-time", CPU_QEMU_ABORTS, "error: failed to set MSR 0x40000021 to 0x0")
WITHOUT(hv_vapic, "hv-vapic", CPU_QEMU_ABORTS, "error: failed to set MSR 0x40000073 to 0x0")
WITHOUT(hv_synic, "hv-synic", CPU_QEMU_ABORTS, "error: failed to set MSR 0x40000081 to 0x0")
WITHOUT(hv_vpindex, "hv-vpindex", CPU_REFUSED, "kernel doesn't allow setting HyperV VP_INDEX")

#define HV_LEAF(name, flags, machine, number, eax, ebx, ecx, edx)                                            \
    LEAF(name, hyperv(), "qemu64," flags, machine, NULL, 0, number, 0, eax, ebx, ecx, edx)
HV_LEAF(Y4_identity, "hv-relaxed", NULL, 0x40000002, 0x3839, 0xa0000, 0, 0)
HV_LEAF(Y4_identity_up_to_6_1, "hv-relaxed", "pc-i440fx-6.1", 0x40000002, 0x1bbc, 0x60001, 0, 0)
HV_LEAF(Y4_identity_from_6_2, "hv-relaxed", "pc-i440fx-6.2", 0x40000002, 0x3839, 0xa0000, 0, 0)
HV_LEAF(Y4_service_pack_and_branch,
        "hv-relaxed,hv-version-id-spack=3,hv-version-id-sbranch=4,hv-version-id-snumber=5", NULL, 0x40000002,
        0x3839, 0xa0000, 3, 0x04000005)
HV_LEAF(Y4_time, "hv-time", NULL, 0x40000003, 0x222, 0, 0, 8)
HV_LEAF(Y4_vapic, "hv-vapic", NULL, 0x40000003, 0x30, 0, 0, 8)
HV_LEAF(Y4_vapic_is_advised, "hv-vapic", NULL, 0x40000004, 8, 0xffffffff, 0, 0)
HV_LEAF(Y4_but_not_with_avic, "hv-vapic,hv-avic", NULL, 0x40000004, 0x200, 0xffffffff, 0, 0)
HV_LEAF(Y4_coresharing_auto, "hv-relaxed,hv-no-nonarch-coresharing=auto", NULL, 0x40000004, 0x20, 0xffffffff,
        0, 0)
HV_LEAF(Y4_coresharing_on, "hv-relaxed,hv-no-nonarch-coresharing=on", NULL, 0x40000004, 0x40020, 0xffffffff,
        0, 0)
HV_LEAF(Y4_limits, "hv-relaxed", NULL, 0x40000005, 0xffffffff, 0x40, 0, 0)
HV_LEAF(Y4_limits_up_to_2_10, "hv-relaxed", "pc-i440fx-2.10", 0x40000005, 0x40, 0x40, 0, 0)
HV_LEAF(Y4_limits_from_2_11, "hv-relaxed", "pc-i440fx-2.11", 0x40000005, 0xffffffff, 0x40, 0, 0)
HV_LEAF(Y4_the_last_leaf_with_evmcs, "hv-vapic,hv-evmcs", NULL, 0x40000000, 0x4000000a, 0x7263694d,
        0x666f736f, 0x76482074)

/* Each flag with all that it needs but one; the one that is missed is named. */
#define NEEDS(name, flags, words)                                                                            \
    Test(hyperv_flags, Y5_##name)                                                                            \
    {                                                                                                        \
        struct built b;                                                                                      \
        build_on(&b, hyperv(), "qemu64," flags, NULL, NULL, 0);                                              \
        cr_assert(eq(str, b.outcome.error.text, "Hyper-V " words));                                          \
    }
NEEDS(stimer_time, "hv-stimer,hv-synic,hv-vpindex",
      "synthetic timers (hv-stimer) requires Hyper-V clocksources (hv-time)")
NEEDS(stimer_synic, "hv-stimer,hv-time",
      "synthetic timers (hv-stimer) requires Hyper-V synthetic interrupt controller (hv-synic)")
NEEDS(stimer_direct, "hv-stimer-direct,hv-synic,hv-vpindex,hv-time",
      "direct mode synthetic timers (hv-stimer-direct) requires Hyper-V synthetic timers (hv-stimer)")
NEEDS(synic, "hv-synic",
      "synthetic interrupt controller (hv-synic) requires Hyper-V VP_INDEX MSR (hv-vpindex)")
NEEDS(tlbflush, "hv-tlbflush",
      "paravirtualized TLB flush (hv-tlbflush) requires Hyper-V VP_INDEX MSR (hv-vpindex)")
NEEDS(ipi, "hv-ipi", "paravirtualized IPI (hv-ipi) requires Hyper-V VP_INDEX MSR (hv-vpindex)")
NEEDS(tlbflush_ext, "hv-tlbflush-ext,hv-vpindex",
      "Extended gva ranges for TLB flush hypercalls (hv-tlbflush-ext) requires Hyper-V "
      "paravirtualized TLB flush (hv-tlbflush)")
NEEDS(tlbflush_direct, "hv-tlbflush-direct,hv-tlbflush,hv-vpindex",
      "direct TLB flush (hv-tlbflush-direct) requires Hyper-V virtual APIC (hv-vapic)")
NEEDS(evmcs, "hv-evmcs", "enlightened VMCS (hv-evmcs) requires Hyper-V virtual APIC (hv-vapic)")
