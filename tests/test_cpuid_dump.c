/* The raw dump read with other eyes: Debian's cpuid must find in it the features that we granted, by its own names.
 * cpuid(1); the names on the right are those of its version 20230120. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include "vmm/cpuid/build.h"

/* Our name, the heading it stands under there ("": its name is enough), and its name there. */
static const struct row {
    const char *ours, *heading, *theirs;
} rows[] = {
    {"kvmclock", "(0x40000001/eax)", "kvmclock available at MSR 0x11"},
    {"kvmclock", "(0x40000001/eax)", "kvmclock available at MSR 0x4b564d00"},
    {"kvm-nopiodelay", "(0x40000001/eax)", "delays unnecessary for PIO ops"},
    {"kvm-mmu", "(0x40000001/eax)", "mmu_op"},
    {"kvm-asyncpf", "(0x40000001/eax)", "async pf enable available by MSR"},
    {"kvm-steal-time", "(0x40000001/eax)", "steal clock supported"},
    {"kvm-pv-eoi", "(0x40000001/eax)", "guest EOI optimization enabled"},
    {"kvm-pv-unhalt", "(0x40000001/eax)", "guest spinlock optimization enabled"},
    {"kvm-pv-tlb-flush", "(0x40000001/eax)", "guest TLB flush optimization enabled"},
    {"kvm-pv-ipi", "(0x40000001/eax)", "guest send IPI optimization enabled"},
    {"kvm-poll-control", "(0x40000001/eax)", "host HLT poll disable at MSR 0x4b564d05"},
    {"kvm-pv-sched-yield", "(0x40000001/eax)", "guest sched yield optimization enabled"},
    {"kvm-asyncpf-int", "(0x40000001/eax)", "guest uses intrs for page ready APF evs"},
    {"kvm-msi-ext-dest-id", "(0x40000001/eax)", "extended destination ID"},
    {"kvmclock-stable-bit", "(0x40000001/eax)", "stable: no guest per-cpu warps expected"},
    {"kvm-hint-dedicated", "(0x40000001/edx)", "realtime hint: no unbound preemption"},
    {"fpu", "(1/edx)", "x87 FPU on chip"},
    {"vme", "(1/edx)", "VME: virtual-8086 mode enhancement"},
    {"pae", "(1/edx)", "PAE: physical address extensions"},
    {"apic", "(1/edx)", "APIC on chip"},
    {"mca", "(1/edx)", "MCA: machine check architecture"},
    {"clflush", "(1/edx)", "CLFLUSH instruction"},
    {"acpi", "(1/edx)", "ACPI: thermal monitor and clock ctrl"},
    {"sse2", "(1/edx)", "SSE2 extensions"},
    {"ss", "(1/edx)", "SS: self snoop"},
    {"pni", "(1/ecx)", "PNI/SSE3: Prescott New Instructions"},
    {"pclmulqdq", "(1/ecx)", "PCLMULDQ instruction"},
    {"monitor", "(1/ecx)", "MONITOR/MWAIT"},
    {"vmx", "(1/ecx)", "VMX: virtual machine extensions"},
    {"fma", "(1/ecx)", "FMA instruction"},
    {"cx16", "(1/ecx)", "CMPXCHG16B instruction"},
    {"pcid", "(1/ecx)", "PCID: process context identifiers"},
    {"sse4.2", "(1/ecx)", "SSE4.2 extensions"},
    {"x2apic", "(1/ecx)", "x2APIC: extended xAPIC support"},
    {"popcnt", "(1/ecx)", "POPCNT instruction"},
    {"tsc-deadline", "(1/ecx)", "time stamp counter deadline"},
    {"aes", "(1/ecx)", "AES instruction"},
    {"xsave", "(1/ecx)", "XSAVE/XSTOR states"},
    {"avx", "(1/ecx)", "AVX: advanced vector extensions"},
    {"rdrand", "(1/ecx)", "RDRAND instruction"},
    {"hypervisor", "(1/ecx)", "hypervisor guest status"},
    {"arat", "", "ARAT always running APIC timer"},
    {"fsgsbase", "", "FSGSBASE instructions"},
    {"tsc-adjust", "", "IA32_TSC_ADJUST MSR supported"},
    {"hle", "", "HLE hardware lock elision"},
    {"avx2", "", "AVX2: advanced vector extensions 2"},
    {"smep", "", "SMEP supervisor mode exec protection"},
    {"erms", "", "enhanced REP MOVSB/STOSB"},
    {"invpcid", "", "INVPCID instruction"},
    {"rtm", "", "RTM: restricted transactional memory"},
    {"mpx", "", "MPX: intel memory protection extensions"},
    {"avx512f", "", "AVX512F: AVX-512 foundation instructions"},
    {"rdseed", "", "RDSEED instruction"},
    {"smap", "", "SMAP: supervisor mode access prevention"},
    {"clwb", "", "CLWB instruction"},
    {"sha-ni", "", "SHA instructions"},
    {"avx512vl", "", "AVX512VL: vector length"},
    {"avx512vbmi", "", "AVX512VBMI: vector byte manipulation"},
    {"umip", "", "UMIP: user-mode instruction prevention"},
    {"pku", "", "PKU protection keys for user-mode"},
    {"gfni", "", "GFNI: Galois Field New Instructions"},
    {"la57", "", "LA57: 57-bit addrs & 5-level paging"},
    {"rdpid", "", "RDPID: read processor ID supported"},
    {"fsrm", "", "fast short REP MOV"},
    {"md-clear", "", "VERW MD_CLEAR microcode support"},
    {"spec-ctrl", "", "IBRS/IBPB: indirect branch restrictions"},
    {"arch-capabilities", "", "IA32_ARCH_CAPABILITIES MSR"},
    {"xsaveopt", "", "XSAVEOPT instruction"},
    {"xsavec", "", "XSAVEC instruction"},
    {"xsaves", "", "XSAVES/XRSTORS instructions"},
    {"syscall", "(0x80000001/edx)", "SYSCALL and SYSRET instructions"},
    {"pdpe1gb", "(0x80000001/edx)", "1-GB large page support"},
    {"rdtscp", "(0x80000001/edx)", "RDTSCP"},
    {"lahf-lm", "(0x80000001/ecx)", "LAHF/SAHF supported in 64-bit mode"},
    {"abm", "(0x80000001/ecx)", "LZCNT advanced bit manipulation"},
    {"3dnowprefetch", "(0x80000001/ecx)", "3DNow! PREFETCH/PREFETCHW instructions"},
    {"svm", "AMD feature flags", "SVM: secure virtual machine"},
    {"sse4a", "AMD feature flags", "SSE4A support"},
    {"osvw", "AMD feature flags", "OS visible workaround"},
    {"topoext", "AMD feature flags", "topology extensions"},
    {"perfctr-core", "AMD feature flags", "core performance counter extensions"},
    {"invtsc", "(0x80000007/edx)", "TscInvariant"},
    {"clzero", "(0x80000008/ebx)", "CLZERO instruction"},
    {"wbnoinvd", "(0x80000008/ebx)", "WBNOINVD instruction"},
    {"ibpb", "(0x80000008/ebx)", "IBPB: indirect branch prediction barrier"},
    {"amd-ssbd", "(0x80000008/ebx)", "SSBD: speculative store bypass disable"},
    {"npt", "(0x8000000a/edx)", "nested paging"},
    {"nrip-save", "(0x8000000a/edx)", "NRIP save"},
};
#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void run(const char *command, char *out, size_t size)
{
    FILE *pipe = popen(command, "r");
    size_t len;

    cr_assert(pipe != NULL);
    len = fread(out, 1, size - 1, pipe);
    out[len] = 0;
    cr_assert(eq(int, pclose(pipe), 0), "%s", command); /* ci/setup installs cpuid: without it this fails */
}

/* "true", "false", or NULL where the tool says nothing of it. */
static const char *said_of(const struct row *row, const char *text)
{
    char heading[160] = "";
    static char value[160];

    for (const char *line = text; *line; line += strcspn(line, "\n"), line += *line == '\n') {
        int len = (int)strcspn(line, "\n");
        const char *name = line + strspn(line, " ");
        size_t indent = (size_t)(name - line), want = strlen(row->theirs);

        if (indent == 3)
            snprintf(heading, sizeof(heading), "%.*s", len, line);
        if (!strstr(heading, row->heading) || strncmp(name, row->theirs, want) ||
            name[want + strspn(name + want, " ")] != '=')
            continue;
        if (sscanf(name + want, " = %150s", value) == 1)
            return value;
    }
    return NULL;
}

static bool granted(const char *name, const struct cpuid_outcome *outcome)
{
    const struct feature_name *feature = feature_find(name, strlen(name));

    cr_assert(feature != NULL, "%s", name);
    return outcome->granted[feature->word] & feature->bits;
}

/* All that the tool names in this table is as we granted it; at least so many rows were named, so many of them true. */
static void agree(const char *host, const struct cpuid_supported *supported, const char *cpu,
                  unsigned named_min, unsigned true_min)
{
    static struct cpuid_table table;
    static struct cpuid_outcome outcome;
    static char text[1 << 20];
    char command[1200];
    unsigned named = 0, on = 0;

    snprintf(command, sizeof(command),
             "%s cpuid --format cpuid --supported %s -cpu '%s' 2>/dev/null | cpuid -f -", PV_VMM, host, cpu);
    run(command, text, sizeof(text));
    cr_assert(eq(int, cpuid_for_flags(cpu, NULL, NULL, supported, 0, &table, &outcome), 0));
    for (size_t i = 0; i < ROWS; i++) {
        const char *said = said_of(&rows[i], text);

        if (!said)
            continue;
        named++;
        on += !strcmp(said, "true");
        cr_assert(eq(str, (char *)said, granted(rows[i].ours, &outcome) ? "true" : "false"), "%s: %s", cpu,
                  rows[i].ours);
    }
    cr_assert(ge(uint, named, named_min), "%s", cpu);
    cr_assert(ge(uint, on, true_min), "%s", cpu);
}

#define ALL_PV                                                                                               \
    ",kvm-pv-unhalt=on,kvm-pv-tlb-flush=on,kvm-pv-ipi=on,kvm-poll-control=on,kvm-pv-sched-yield=on,"         \
    "kvm-asyncpf-int=on,kvm-hint-dedicated=on"

#define AGREE(test, host, supported, cpu, named, on)                                                         \
    Test(cpuid_dump, test)                                                                                   \
    {                                                                                                        \
        agree(host, supported(), cpu, named, on);                                                            \
    }
// clang-format off
AGREE(of_the_default, "soft", cpuid_supported_soft, "qemu64", 60, 19)
AGREE(of_every_pv_flag, "soft", cpuid_supported_soft, "kvm64" ALL_PV, 60, 26)
AGREE(of_no_pv_flag, "soft", cpuid_supported_soft, "kvm64,kvmclock=off,kvm-nopiodelay=off,kvm-asyncpf=off,kvm-steal-time=off,kvm-pv-eoi=off,kvmclock-stable-bit=off", 60, 10)
AGREE(of_the_host, "soft", cpuid_supported_soft, "host,migratable=off", 60, 25)
AGREE(of_each_pv_flag_unfiltered, "soft", cpuid_supported_soft, "qemu64,x-force-features=on,kvm-mmu=on,kvm-msi-ext-dest-id=on", 60, 20)
AGREE(of_max_without_kvm, "qemu-7.2-tcg", cpuid_supported_tcg, "max", 50, 35)
AGREE(of_an_amd_model, "soft", cpuid_supported_soft, "EPYC-Milan,vendor=AuthenticAMD,x-force-features=on,+svm,+invtsc", 75, 50)
AGREE(of_an_older_amd_model, "soft", cpuid_supported_soft, "Opteron_G5,vendor=AuthenticAMD,x-force-features=on", 60, 30)
AGREE(of_an_intel_model, "soft", cpuid_supported_soft, "Icelake-Server-v6,x-force-features=on", 60, 50)
AGREE(of_an_intel_model_with_hle, "soft", cpuid_supported_soft, "Haswell-v1,x-force-features=on", 60, 40)
AGREE(of_a_model_of_another_vendor, "soft", cpuid_supported_soft, "Dhyana,vendor=HygonGenuine,x-force-features=on", 60, 39)
AGREE(of_an_old_model, "soft", cpuid_supported_soft, "pentium3", 25, 12)
// clang-format on

static void expect_line(const char *options, const char *line)
{
    static char text[1 << 20];
    char command[600];

    snprintf(command, sizeof(command), "%s cpuid --format cpuid %s 2>/dev/null | cpuid -f -", PV_VMM,
             options);
    run(command, text, sizeof(text));
    cr_assert(strstr(text, line) != NULL, "%s: %s", options, line);
}

Test(cpuid_dump, of_names_numbers_and_places)
{
    expect_line("-cpu kvm64", "hypervisor_id (0x40000000) = \"KVMKVMKVM\\0\\0\\0\"");
    expect_line("-cpu qemu64,vendor=AuthenticAMD", "vendor_id = \"AuthenticAMD\"");
    expect_line("-cpu EPYC,vendor=AuthenticAMD,x-force-features=on", "brand = \"AMD EPYC Processor");
    expect_line("-cpu EPYC-Milan,vendor=AuthenticAMD,x-force-features=on", "AMD EPYC (3rd Gen) (Milan");
    expect_line("-cpu Icelake-Server,x-force-features=on", "Intel Xeon");
    expect_line("-smp 4,threads=2 -cpu EPYC,vendor=AuthenticAMD",
                "(multi-processing synth) = multi-core (c=4)");
    expect_line("-smp 8,sockets=2,cores=2,threads=2 -cpu kvm64", "process local APIC physical ID = 0x7 (7)");
}
