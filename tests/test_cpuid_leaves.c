/* The leaves one by one: values worked out from the formulas of QEMU flags specification section 12, and the limits of 14. */
#include "tests/cpuid_fixture.h"

#define TCG cpuid_supported_tcg()

/* A KVM that has what ours lacks: Intel PT, AMX, AVX-VNNI, MPX, AVX-512, a PMU, AMD's topology. */
static const struct cpuid_supported *rich(void)
{
    static struct cpuid_supported host;

    host = *cpuid_supported_soft();
    host_answers(&host.supported, 1, 0, 0, (struct cpuid_regs){0x60fb1, 0x800, 0x9ca0a001, 0x078bfbff});
    host_answers(&host.supported, 7, 0, CPUID_FLAG_SIGNIFICANT_INDEX,
                 (struct cpuid_regs){1, 0x02014002, 0, 1u << 24});
    host_answers(&host.supported, 7, 1, CPUID_FLAG_SIGNIFICANT_INDEX, (struct cpuid_regs){.eax = 1 << 4});
    host_answers(&host.supported, 0xa, 0, 0, (struct cpuid_regs){0x07300404, 0, 0, 0x603});
    host_answers(&host.supported, 0xd, 0, CPUID_FLAG_SIGNIFICANT_INDEX, (struct cpuid_regs){.eax = 0x600ff});
    host_answers(&host.supported, 0xd, 2, CPUID_FLAG_SIGNIFICANT_INDEX,
                 (struct cpuid_regs){0x100, 0x340, 0, 0});
    host_answers(&host.supported, 0x14, 0, CPUID_FLAG_SIGNIFICANT_INDEX,
                 (struct cpuid_regs){.ecx = 1u << 31});
    return &host;
}

/* As rich, but AMD, with 1.EDX repeated in 80000001.EDX. */
static const struct cpuid_supported *amd(void)
{
    static struct cpuid_supported host;
    const struct cpuid_regs vendor = {0xd, 0x68747541, 0x444d4163, 0x69746e65};

    host = *cpuid_supported_soft();
    host_answers(&host.supported, 0, 0, 0, vendor);
    host_answers(&host.host, 0, 0, 0, vendor);
    host_answers(&host.supported, 0x80000001, 0, 0, (struct cpuid_regs){0, 0, 1, 0x2993fbff});
    return &host;
}

LEAF(L1_spec_ctrl_raises_no_level, TCG, "486,+spec-ctrl,check=off", NULL, NULL, 0, 0, 0, 1, 0x756e6547,
     0x6c65746e, 0x49656e69)
LEAF(L1_svm_raises_the_extended_level, TCG, "486,+svm", NULL, NULL, 0, 0x80000000, 0, 0x8000000a, 0x756e6547,
     0x6c65746e, 0x49656e69)

LEAF(L4_ht_cannot_be_taken_away, TCG, "kvm64,-ht", NULL, "2", 0, 1, 0, 0xf61, 0x00020800, 0x80002001,
     0x178bfbfd)
LEAF(L4_without_pmu_no_pdcm, rich(), "qemu64,+pdcm", NULL, NULL, 0, 1, 0, 0x60fb1, 0x800, 0x80202001,
     0x078bfbfd)
LEAF(L4_with_pmu_pdcm, rich(), "qemu64,+pdcm,+pmu", NULL, NULL, 0, 1, 0, 0x60fb1, 0x800, 0x8020a001,
     0x078bfbfd)

LEAF(L6_an_L2_that_does_not_initialise_itself, TCG, "EPYC,vendor=GenuineIntel,check=off", NULL, NULL, 0, 4, 2,
     0x43, 0x01c0003f, 0x3ff, 0)

LEAF(L7_no_leaf_A_without_pmu, rich(), "qemu64", NULL, NULL, 0, 0xa, 0, 0, 0, 0, 0)
LEAF(L7_leaf_A_is_the_kernels, rich(), "qemu64,+pmu", NULL, NULL, 0, 0xa, 0, 0x07300404, 0, 0, 0x603)

LEAF(L8_subleaf_1_is_in_eax, rich(), "qemu64,+avx-vnni", NULL, NULL, 0, 7, 1, 1 << 4, 0, 0, 0)

LEAF(L9_no_leaf_B_up_to_2_6, TCG, "kvm64,level=0xb", "pc-i440fx-2.6", NULL, 0, 0xb, 0, 0, 0, 0, 0)
LEAF(L9_leaf_B_from_2_7, TCG, "kvm64,level=0xb", "pc-i440fx-2.7", NULL, 0, 0xb, 0, 0, 1, 0x100, 0)

Test(cpuid_leaves, L10_one_die_has_no_leaf_1F)
{
    struct built b;

    build_on(&b, TCG, "kvm64,level=0x20", NULL, NULL, 0);
    cr_assert(cpuid_find(&b.table, 0x1f, 0) == NULL);
    build_on(&b, TCG, "kvm64,level=0x20", NULL, "4,dies=2", 0);
    cr_assert(cpuid_find(&b.table, 0x1f, 0) != NULL);
}

#define BIG "qemu64,check=off,x-force-features,+xsave,+avx,+mpx,+avx512f,+pku"
LEAF(L11_without_xsave_nothing, TCG, "qemu64,+avx", NULL, NULL, 0, 0xd, 0, 0, 0, 0, 0)
LEAF(L11_all_components, TCG, BIG, NULL, NULL, 0, 0xd, 0, 0x2ff, 0x240, 0xa88, 0)
LEAF(L11_AVX, TCG, BIG, NULL, NULL, 0, 0xd, 2, 0x100, 0x240, 0, 0)
LEAF(L11_BNDREGS, TCG, BIG, NULL, NULL, 0, 0xd, 3, 0x40, 0x3c0, 0, 0)
LEAF(L11_BNDCSR, TCG, BIG, NULL, NULL, 0, 0xd, 4, 0x40, 0x400, 0, 0)
LEAF(L11_opmask, TCG, BIG, NULL, NULL, 0, 0xd, 5, 0x40, 0x440, 0, 0)
LEAF(L11_ZMM_Hi256, TCG, BIG, NULL, NULL, 0, 0xd, 6, 0x200, 0x480, 0, 0)
LEAF(L11_Hi16_ZMM, TCG, BIG, NULL, NULL, 0, 0xd, 7, 0x400, 0x680, 0, 0)
LEAF(L11_PKRU, TCG, BIG, NULL, NULL, 0, 0xd, 9, 8, 0xa80, 0, 0)
LEAF(L11_compacted, TCG, BIG ",+xsavec", NULL, NULL, 0, 0xd, 1, 2, 0xa08, 0, 0)
LEAF(L11_KVM_takes_the_processors_layout, rich(), "qemu64,+xsave,+avx", NULL, NULL, 0, 0xd, 0, 7, 0x440,
     0x440, 0)

LEAF(L12_intel_pt, rich(), "qemu64,+intel-pt", NULL, NULL, 0, 0x14, 0, 1, 0xf, 7, 0)
LEAF(L12_intel_pt_with_lip, rich(), "qemu64,+intel-pt,+intel-pt-lip", NULL, NULL, 0, 0x14, 0, 1, 0xf,
     0x80000007, 0)
LEAF(L12_intel_pt_subleaf_1, rich(), "qemu64,+intel-pt", NULL, NULL, 0, 0x14, 1, 0x02490002, 0x003f1fff, 0, 0)
LEAF(L12_no_intel_pt, rich(), "qemu64,level=0x1e", NULL, NULL, 0, 0x14, 0, 0, 0, 0, 0)
LEAF(L12_no_amx, rich(), "qemu64,level=0x1e", NULL, NULL, 0, 0x1d, 0, 0, 0, 0, 0)
LEAF(L12_no_amx_multiplier, rich(), "qemu64,level=0x1e", NULL, NULL, 0, 0x1e, 0, 0, 0, 0, 0)
LEAF(L12_amx, rich(), "qemu64,level=0x1e,+xsave,+amx-tile", NULL, NULL, 0, 0x1d, 0, 1, 0, 0, 0)

LEAF(L13_amd_repeats_what_is_left_of_1_EDX, amd(), "host,migratable=off,-vme", NULL, NULL, 0, 0x80000001, 0,
     0x60fb1, 0, 1, 0x2993fbfd)
LEAF(L13_syscall_is_no_alias_of_sep, TCG, "qemu64,-sep", NULL, NULL, 0, 0x80000001, 0, 0x60fb1, 0, 5,
     0x2193fbfd)

LEAF(L14_a_short_brand_leaves_nothing_of_the_old, TCG, "qemu64,model-id=ab", NULL, NULL, 0, 0x80000002, 0,
     0x6261, 0, 0, 0)

LEAF(L15_one_thread_in_two_dies, TCG, "kvm64", NULL, "2,dies=2,cores=1,threads=1", 0, 0x80000008, 0, 0x3028,
     0, 0, 0)

LEAF(L16_a_limit_below_the_host, cpuid_supported_soft(), "qemu64,host-phys-bits,host-phys-bits-limit=39",
     NULL, NULL, 0, 0x80000008, 0, 0x3027, 0, 0, 0)
LEAF(L16_a_limit_above_the_host, cpuid_supported_soft(), "qemu64,host-phys-bits,host-phys-bits-limit=50",
     NULL, NULL, 0, 0x80000008, 0, 0x3028, 0, 0, 0)

Test(cpuid_leaves, L16_fewer_bits_than_the_host_warn_too)
{
    struct built b;

    build_on(&b, cpuid_supported_soft(), "qemu64,phys-bits=39", NULL, NULL, 0);
    cr_assert(eq(u32, b.outcome.warnings.total, 1));
    cr_assert(eq(str, b.outcome.warnings.list[0].text,
                 "Host physical bits (40) does not match phys-bits property (39)"));
}

LEAF(L18_the_legacy_L2_of_amd, TCG, "qemu64,xlevel=0x8000001d", NULL, NULL, 0, 0x8000001d, 2, 0x43,
     0x03c0003f, 0x1ff, 0)

Test(cpuid_leaves, L19_topoext_allows_threads)
{
    struct built b;

    build_on(&b, cpuid_supported_soft(), "qemu64,vendor=AuthenticAMD", NULL, "2,threads=2", 0);
    cr_assert(eq(u32, b.outcome.warnings.total, 1));
    build_on(&b, cpuid_supported_soft(), "qemu64,vendor=AuthenticAMD,+topoext", NULL, "2,threads=2", 0);
    cr_assert(eq(u32, b.outcome.warnings.total, 0));
}

/* 64 cores make leaf 4 look like an extended limit; QEMU 7.2 on KVM says "unsupported xlevel value: 0xfc000121". */
Test(cpuid_leaves, L2_a_range_out_of_range_shows_the_last_basic_leaf)
{
    struct built b;

    build_on(&b, cpuid_supported_soft(), "kvm64,level=4,xlevel=8", NULL, "1,maxcpus=64,cores=64", 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_QEMU_ABORTS));
    build_on(&b, TCG, "kvm64,level=4,xlevel=8", NULL, "1,maxcpus=64,cores=64", 0);
    cr_assert(eq(int, b.result, 0), "TCG makes no list");
}

Test(cpuid_leaves, N1_hyper_v_stands_before_kvm)
{
    static struct cpuid_supported host;
    struct built b;

    host = *cpuid_supported_soft();
    host.extensions[EXT_HYPERV] = 1;
    build_on(&b, &host, "qemu64,hv-relaxed", NULL, NULL, 0);
    for (uint32_t i = 0; i < 8; i++)
        cr_assert(eq(u32, b.table.entries[i].leaf, i < 6 ? 0x40000000 + i : 0x40000100 + i - 6), "entry %u",
                  i);
}

Test(cpuid_leaves, N3_every_subleaf_of_7_up_to_its_level)
{
    struct built b;

    build_on(&b, cpuid_supported_soft(), "qemu64,level-func7=3", NULL, NULL, 0);
    cr_assert(cpuid_find(&b.table, 7, 3) != NULL);
    cr_assert(cpuid_find(&b.table, 7, 4) == NULL);
    cr_assert(eq(u32, b.table.count, 26));
}

Test(cpuid_leaves, N4_a_hundred_entries_are_not_too_many)
{
    struct built b;

    build_on(&b, cpuid_supported_soft(), "qemu64,level-func7=77", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0));
    cr_assert(eq(u32, b.table.count, 100));
    build_on(&b, cpuid_supported_soft(), "qemu64,level-func7=78", NULL, NULL, 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_QEMU_ABORTS));
}
