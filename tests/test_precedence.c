/* Whose word counts, what the filter takes, and what it says. QEMU flags specification sections 4 to 6 and K1, K10, K12. */
#include "tests/cpuid_fixture.h"

static const struct cpuid_supported *soft(void)
{
    return cpuid_supported_soft();
}

static const struct cpuid_supported *tcg(void)
{
    return cpuid_supported_tcg();
}

static uint32_t warnings(const struct cpuid_supported *host, const char *cpu, const char *machine)
{
    struct built b;

    build_on(&b, host, cpu, machine, NULL, 0);
    cr_assert(eq(int, b.result, 0), "%s: %s", cpu, b.outcome.error.text);
    return b.outcome.warnings.total;
}

Test(precedence, R1_a_global_beats_the_machine)
{
    struct built b;

    BUILD_LINE(&b, tcg(), "-machine", "pc-i440fx-6.0", "-cpu", "qemu64");
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x663));
    BUILD_LINE(&b, tcg(), "-machine", "pc-i440fx-6.0", "-cpu", "qemu64", "-global", "cpu.family=5");
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x563));
    BUILD_LINE(&b, tcg(), "-machine", "pc-i440fx-6.0", "-cpu", "qemu64,family=4", "-global", "cpu.family=5");
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x463));
}

Test(precedence, R2_a_bad_global_of_the_used_type_is_fatal)
{
    struct built b;

    BUILD_LINE(&b, tcg(), "-cpu", "qemu64", "-global", "cpu.foo=1");
    cr_assert(eq(str, b.outcome.error.text,
                 "can't apply global cpu.foo=1: Property 'qemu64-x86_64-cpu.foo' not found"));
    BUILD_LINE(&b, tcg(), "-cpu", "qemu64", "-global", "x86_64-cpu.level=x");
    cr_assert(eq(str, b.outcome.error.text,
                 "can't apply global x86_64-cpu.level=x: Parameter 'level' expects uint64"));
    BUILD_LINE(&b, tcg(), "-cpu", "qemu64", "-global", "kvm64-x86_64-cpu.foo=1");
    cr_assert(eq(int, b.result, 0), "another model's");
}

Test(precedence, E1_machines_up_to_2_4_do_not_check)
{
    cr_assert(eq(u32, warnings(tcg(), "qemu64,+vmx", "pc-i440fx-2.4"), 0));
    cr_assert(eq(u32, warnings(tcg(), "qemu64,+vmx", "pc-i440fx-2.5"), 1));
}

Test(precedence, E3_how_a_bit_is_written)
{
    static const struct {
        enum feature_word word;
        unsigned bit;
        const char *text;
    } rows[] = {
        {FW_1_ECX, 5, "CPUID.01H:ECX.vmx [bit 5]"},
        {FW_7_1_EAX, 4, "CPUID.07H:EAX.avx-vnni [bit 4]"},
        {FW_SVM, 0, "CPUID.8000000AH:EDX.npt [bit 0]"},
        {FW_KVM, 3, "CPUID.40000001H:EAX.kvmclock [bit 3]"},
        {FW_KVM, 20, "CPUID.40000001H:EAX [bit 20]"},
        {FW_ARCH_CAPABILITIES, 0, "MSR(10AH).rdctl-no [bit 0]"},
        {FW_ARCH_CAPABILITIES, 63, "MSR(10AH) [bit 63]"},
    };
    char text[FEATURE_TEXT_LEN];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        feature_describe(rows[i].word, rows[i].bit, text);
        cr_expect(eq(str, text, (char *)rows[i].text));
    }
}

Test(precedence, E4_words_in_their_order_and_bits_in_theirs)
{
    static const char *const order[] = {"EDX.ds ",     "ECX.dtes64 ",   "ECX.vmx ",      "EBX.hle ",
                                        "ECX.rdpid ",  "EDX.md-clear ", "EAX.avx-vnni ", "ECX.xop ",
                                        "EDX.invtsc ", "EBX.ibpb ",     "EDX.xstore ",   "EDX.nrip-save "};
    struct built b;

    build_on(
        &b, tcg(),
        "qemu64,+svm,+nrip-save,+xstore,+ibpb,+invtsc,+xop,+avx-vnni,+md-clear,+rdpid,+hle,+vmx,+dtes64,+ds",
        NULL, NULL, 0);
    cr_assert(eq(u32, b.outcome.warnings.total, sizeof(order) / sizeof(order[0])));
    for (uint32_t i = 0; i < b.outcome.warnings.total; i++)
        cr_expect(strstr(b.outcome.warnings.list[i].text, order[i]) != NULL, "%s",
                  b.outcome.warnings.list[i].text);
}

Test(precedence, E7_is_told_even_without_check)
{
    cr_assert(eq(u32, warnings(tcg(), "qemu64,+npt,-svm,check=off", NULL), 1));
}

/* Each pair: with the first off, the second is lost; with it on, it is not. */
#define PAIR(name, from, to, word)                                                                           \
    Test(precedence, E7_##name)                                                                              \
    {                                                                                                        \
        static const char all[] = "+vmx,+vmx-secondary-ctls,+svm,+intel-pt";                                 \
        const struct feature_name *feature = feature_find(to, sizeof(to) - 1);                               \
        char cpu[160];                                                                                       \
        struct built b;                                                                                      \
        snprintf(cpu, sizeof(cpu), "qemu64,check=off,%s,-%s,+%s", all, from, to);                            \
        build_on(&b, soft(), cpu, NULL, NULL, 0);                                                            \
        cr_assert(eq(u64, b.outcome.dependent[word], feature->bits), "%s", cpu);                             \
        snprintf(cpu, sizeof(cpu), "qemu64,check=off,%s,+%s,+%s", all, from, to);                            \
        build_on(&b, soft(), cpu, NULL, NULL, 0);                                                            \
        cr_assert(zero(u64, b.outcome.dependent[word]), "%s", cpu);                                          \
    }
PAIR(arch_capabilities, "arch-capabilities", "rdctl-no", FW_ARCH_CAPABILITIES)
PAIR(core_capability, "core-capability", "split-lock-detect", FW_CORE_CAPABILITY)
PAIR(pdcm, "pdcm", "full-width-write", FW_PERF_CAPABILITIES)
PAIR(vmx, "vmx", "vmx-nmi-exit", FW_VMX_PINBASED)
PAIR(lm, "lm", "vmx-entry-ia32e-mode", FW_VMX_ENTRY)
PAIR(secondary_controls, "vmx-secondary-ctls", "vmx-desc-exit", FW_VMX_SECONDARY)
PAIR(xsaves, "xsaves", "vmx-xsaves", FW_VMX_SECONDARY)
PAIR(rdrand, "rdrand", "vmx-rdrand-exit", FW_VMX_SECONDARY)
PAIR(invpcid, "invpcid", "vmx-invpcid-exit", FW_VMX_SECONDARY)
PAIR(rdseed, "rdseed", "vmx-rdseed-exit", FW_VMX_SECONDARY)
PAIR(rdtscp, "rdtscp", "vmx-rdtscp-exit", FW_VMX_SECONDARY)
PAIR(mpx_exit, "mpx", "vmx-exit-clear-bndcfgs", FW_VMX_EXIT)
PAIR(mpx_entry, "mpx", "vmx-entry-load-bndcfgs", FW_VMX_ENTRY)
PAIR(intel_pt, "intel-pt", "intel-pt-lip", FW_14_0_ECX)
PAIR(ept, "vmx-ept", "vmx-page-walk-4", FW_VMX_EPT_VPID)
PAIR(vpid, "vmx-vpid", "vmx-invvpid", FW_VMX_EPT_VPID)
PAIR(vmfunc, "vmx-vmfunc", "vmx-eptp-switching", FW_VMX_VMFUNC)
PAIR(svm, "svm", "nrip-save", FW_SVM)

/* A kernel that has nothing: what is left is what QEMU adds. */
Test(precedence, E8_what_is_added_to_the_kernels_words)
{
    static struct cpuid_supported host = {.accel = ACCEL_KVM};
    const uint64_t basic = FEATURE_BIT(F_MTRR) | FEATURE_BIT(F_PAT) | FEATURE_BIT(F_MCE) | FEATURE_BIT(F_MCA);
    const uint64_t hypervisor = FEATURE_BIT(F_HYPERVISOR), deadline = FEATURE_BIT(F_TSC_DEADLINE);

    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        uint64_t want = w == FW_1_EDX          ? basic
                        : w == FW_1_ECX        ? hypervisor
                        : w == FW_6_EAX        ? FEATURE_BIT(F_ARAT)
                        : w == FW_80000001_ECX ? FEATURE_BIT(F_TOPOEXT)
                        : w == FW_80000001_EDX ? basic & AMD_ALIAS_BITS
                        : w == FW_KVM_HINTS    ? 1
                                               : 0;
        cr_expect(eq(u64, supported_word(&host, IRQCHIP_KERNEL, w), want), "word %u", w);
    }
    host.extensions[EXT_TSC_DEADLINE_TIMER] = 1;
    cr_assert(eq(u64, supported_word(&host, IRQCHIP_KERNEL, FW_1_ECX), hypervisor | deadline));
    cr_assert(eq(u64, supported_word(&host, IRQCHIP_SPLIT, FW_1_ECX), hypervisor | deadline));
    cr_assert(eq(u64, supported_word(&host, IRQCHIP_NONE, FW_1_ECX), hypervisor));
    host_answers(&host.supported, 1, 0, 0, (struct cpuid_regs){.ecx = 1 << 21}); /* x2apic */
    cr_assert(eq(u64, supported_word(&host, IRQCHIP_KERNEL, FW_1_ECX), hypervisor | deadline | 1 << 21));
    cr_assert(eq(u64, supported_word(&host, IRQCHIP_NONE, FW_1_ECX), hypervisor));
}

/* Section 12.12. */
Test(precedence, E8_what_TCG_has)
{
    static const struct {
        enum feature_word word;
        uint64_t bits;
    } rows[] = {{FW_1_EDX, 0x0fcbfbfd},
                {FW_1_ECX, 0xf6d8320b},
                {FW_7_0_EBX, 0x01d843a9},
                {FW_7_0_ECX, 0x8001020c},
                {FW_7_0_EDX, 0},
                {FW_7_1_EAX, 0},
                {FW_80000001_ECX, 0x75},
                {FW_80000001_EDX, 0xec500800 | (0x0fcbfbfd & 0x0183f3ff)},
                {FW_SVM, 0x10010001},
                {FW_XSAVE, 5},
                {FW_6_EAX, 4},
                {FW_KVM, 0},
                {FW_KVM_HINTS, 0},
                {FW_80000007_EDX, 0},
                {FW_80000008_EBX, 0}};

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_expect(eq(u64, supported_word(tcg(), IRQCHIP_NONE, rows[i].word), rows[i].bits), "word %d",
                  rows[i].word);
}

Test(precedence, M2_our_own_vcpu_counts_as_kvm)
{
    struct built b;

    build_on(&b, soft(), "host", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0));
    build_on(&b, tcg(), "host", NULL, NULL, 0);
    cr_assert(eq(str, b.outcome.error.text, "CPU model 'host' requires KVM or HVF"));
}

/* A processor that differs from its kernel's answer in all that M4 takes from one or the other. */
Test(precedence, M4_the_processors_identity_and_the_kernels_levels)
{
    static struct cpuid_supported host;
    struct built b;

    host = *soft();
    host_answers(&host.host, 1, 0, 0,
                 (struct cpuid_regs){.eax = 0x01a30fa4}); /* family 15 + 26, model 0x3a */
    host_answers(&host.host, 0x80000000, 0, 0, (struct cpuid_regs){.eax = 0x8000001f});
    host_answers(&host.host, 0x80000002, 0, 0, (struct cpuid_regs){.eax = 0x756f7279}); /* "your" */
    host_answers(&host.supported, 0, 0, 0, (struct cpuid_regs){.eax = 0x17});
    host_answers(&host.supported, 0x80000000, 0, 0, (struct cpuid_regs){.eax = 0x80000009});
    host_answers(&host.supported, 0xa, 0, 0, (struct cpuid_regs){.eax = 2});
    build_on(&b, &host, "host", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0), "%s", b.outcome.error.text);
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x01a30fa4));
    cr_assert(eq(u32, leaf(&b, 0, 0).eax, 0x17));
    cr_assert(eq(u32, leaf(&b, 0x80000000, 0).eax, 0x80000009));
    cr_assert(eq(u32, leaf(&b, 0x80000002, 0).eax, 0x756f7279));
    cr_assert(eq(u32, leaf(&b, 0xa, 0).eax, 2), "a PMU");
}

/* What the same name is on machines that differ only in their choice. */
Test(precedence, M9_names_without_a_version)
{
    struct built b;

    build_on(&b, tcg(), "Haswell,check=off,x-force-features", "pc", NULL, 0);
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x306c4));
    cr_assert(eq(u32, leaf(&b, 7, 0).ebx >> 4 & 1, 1), "hle");
    build_on(&b, tcg(), "Haswell,check=off,x-force-features", "microvm", NULL, 0);
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x306c1));
    cr_assert(eq(u32, leaf(&b, 7, 0).ebx >> 4 & 1, 0), "no hle");
    build_on(&b, tcg(), "Haswell,check=off", "pc-i440fx-2.8", NULL, 0);
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x306c1));
    build_on(&b, tcg(), "Haswell,check=off", "pc-i440fx-2.9", NULL, 0);
    cr_assert(eq(u32, leaf(&b, 1, 0).eax, 0x306c4));
    build_on(&b, tcg(), "Skylake-Server-v1,check=off", "pc-i440fx-2.11", NULL, 0);
    cr_assert(eq(u32, leaf(&b, 7, 0).ebx >> 23 & 1, 1), "a version is no name that old machines knew");
}

/* A kernel that supports all that KVM's defaults switch off. */
Test(precedence, K1_what_kvm_takes_from_named_models)
{
    static struct cpuid_supported host;
    static const struct {
        const char *machine;
        bool svm, x2apic;
    } rows[] = {{"pc", false, true},
                {"pc-i440fx-2.2", false, true},
                {"pc-i440fx-2.1", true, true},
                {"pc-i440fx-2.0", true, true},
                {"pc-i440fx-1.7", true, false}};
    struct built b;

    host = *soft();
    host_answers(&host.supported, 1, 0, 0, (struct cpuid_regs){.ecx = 0xffffffff, .edx = 0xffffffff});
    host_answers(&host.supported, 0x80000001, 0, 0,
                 (struct cpuid_regs){.ecx = 0xffffffff, .edx = 0xffffffff});
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        build_on(&b, &host, "qemu64", rows[i].machine, NULL, 0);
        cr_assert(eq(u32, leaf(&b, 0x80000001, 0).ecx >> 2 & 1, rows[i].svm), "%s: svm", rows[i].machine);
        cr_assert(eq(u32, leaf(&b, 1, 0).ecx >> 21 & 1, rows[i].x2apic), "%s: x2apic", rows[i].machine);
    }
    build_on(&b, &host, "EPYC", NULL, NULL, 0);
    cr_assert(zero(u32, leaf(&b, 1, 0).ecx >> 3 & 1), "monitor");
    build_on(&b, &host, "core2duo", NULL, NULL, 0);
    cr_assert(zero(u32, leaf(&b, 1, 0).edx >> 22 & 1), "acpi");
}

Test(precedence, K7_unhalt_needs_a_local_apic_in_the_kernel)
{
    const uint64_t unhalt = FEATURE_BIT(F_KVM_PV_UNHALT), wide = FEATURE_BIT(F_KVM_MSI_EXT_DEST_ID);

    cr_assert(eq(u64, supported_word(soft(), IRQCHIP_KERNEL, FW_KVM) & (unhalt | wide), unhalt));
    cr_assert(eq(u64, supported_word(soft(), IRQCHIP_SPLIT, FW_KVM) & (unhalt | wide), unhalt | wide));
    cr_assert(eq(u64, supported_word(soft(), IRQCHIP_NONE, FW_KVM) & (unhalt | wide), 0));
}

Test(precedence, K10_only_q35_was_split_in_4_0)
{
    struct built b;

    build_on(&b, soft(), "qemu64", "pc-i440fx-4.0", NULL, 0);
    cr_assert(eq(int, b.outcome.irqchip, IRQCHIP_KERNEL));
}

Test(precedence, K10_a_mode_that_is_none_matters_to_kvm_alone)
{
    struct built b;

    build_on(&b, soft(), "qemu64", "pc,kernel-irqchip=auto", NULL, 0);
    cr_assert(eq(str, b.outcome.error.text,
                 "-accel kvm: can't apply global kvm-accel.kernel-irqchip=auto: "
                 "Parameter 'kernel-irqchip' does not accept value 'auto'"));
    build_on(&b, tcg(), "qemu64", "pc,kernel-irqchip=auto", NULL, 0);
    cr_assert(eq(int, b.result, 0));
    build_on(&b, soft(), "qemu64", "pc,kernel-irqchip=auto,kernel-irqchip=on", NULL, 0);
    cr_assert(eq(int, b.result, 0), "the last one counts");
}

Test(precedence, K12_a_machine_that_is_split_by_itself)
{
    static struct cpuid_supported host;
    struct built b;

    host = *soft();
    host.extensions[EXT_SPLIT_IRQCHIP] = 0;
    build_on(&b, &host, "qemu64", "microvm", NULL, 0);
    cr_assert(
        eq(str, b.outcome.error.text, "-accel kvm: Could not enable split irqchip mode: Invalid argument"));
}

Test(precedence, K22_TCG_has_nothing_to_enforce)
{
    struct built b;

    build_on(&b, tcg(), "qemu64,kvm-pv-enforce-cpuid", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0));
    cr_assert(not(b.outcome.enforce_pv));
}

Test(precedence, K22_a_vendor_id_of_12_characters_fits)
{
    cr_assert(eq(u32, warnings(tcg(), "qemu64,hv-vendor-id=123456789012", NULL), 0));
    cr_assert(eq(u32, warnings(tcg(), "qemu64,hv-vendor-id=1234567890123", NULL), 1));
}

Test(precedence, H3_the_window_ends_where_it_is_said_to)
{
    static struct cpuid_supported host;
    struct built b;

    host = *soft();
    host.extensions[EXT_TSC_CONTROL] = 0;
    build_on(&b, &host, "qemu64,tsc-freq=2099475k", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0));
    build_on(&b, &host, "qemu64,tsc-freq=2099474k", NULL, NULL, 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_REFUSED));
}

Test(precedence, V11_the_rate_in_kHz_is_cut_off_and_0_is_the_hosts)
{
    struct built b;

    build_on(&b, soft(), "qemu64,tsc-freq=1999", NULL, NULL, 0);
    cr_assert(eq(u64, b.outcome.tsc_khz, 1));
    build_on(&b, soft(), "qemu64,tsc-freq=999", NULL, NULL, 0);
    cr_assert(eq(u64, b.outcome.tsc_khz, 2100000));
}
