/* What the host under QEMU decides: its caches, and its kernel's Hyper-V. QEMU flags specification L5, L6, section 9.
 * Numbers were read by guests of QEMU 7.2.22: caches on a Xeon, Hyper-V on Linux 6.1's KVM. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include "vmm/cpuid/build.h"

static struct cpuid_supported host;
static struct cpuid_table table;
static struct cpuid_outcome outcome;

static void add(struct cpuid_table *to, uint32_t number, uint32_t subleaf, struct cpuid_regs regs)
{
    uint32_t flags = number == 4 ? CPUID_FLAG_SIGNIFICANT_INDEX : 0;

    to->entries[to->count++] = (struct cpuid_entry){number, subleaf, flags, regs};
}

static void setup(void)
{
    host = *cpuid_supported_soft();
    host.extensions[EXT_HYPERV] = host.extensions[EXT_HYPERV_VP_INDEX] = 1;
}

TestSuite(cpuid_host, .init = setup);

static void add_caches(void)
{
    add(&host.host, 0x80000000, 0, (struct cpuid_regs){.eax = 0x80000008});
    add(&host.host, 2, 0, (struct cpuid_regs){0x00feff01, 0xf0, 0, 0});
    add(&host.host, 4, 0, (struct cpuid_regs){0x04000121, 0x02c0003f, 0x3f, 0});
    add(&host.host, 4, 1, (struct cpuid_regs){0x04000122, 0x03c0003f, 0x3f, 0});
    add(&host.host, 4, 2, (struct cpuid_regs){0x04000143, 0x03c0003f, 0x7ff, 0});
    add(&host.host, 4, 3, (struct cpuid_regs){0x04004163, 0x03c0003f, 0x77fff, 0});
    add(&host.host, 0x80000006, 0, (struct cpuid_regs){.ecx = 0x08007040});
}

/* Linux 6.1's, on kvm-amd. */
static void add_hyperv(void)
{
    add(&host.hyperv, 0x40000000, 0, (struct cpuid_regs){0x40000082, 0x756e694c, 0x564b2078, 0x7648204d});
    add(&host.hyperv, 0x40000001, 0, (struct cpuid_regs){.eax = 0x31237648});
    add(&host.hyperv, 0x40000002, 0, (struct cpuid_regs){0x3839, 0xa0000, 0, 0});
    add(&host.hyperv, 0x40000003, 0, (struct cpuid_regs){0x2aff, 0x830, 0, 0x80d12});
    add(&host.hyperv, 0x40000004, 0, (struct cpuid_regs){0x40e2c, 0xfff, 0, 0});
    add(&host.hyperv, 0x40000005, 0, (struct cpuid_regs){0x400, 0x40, 0, 0});
    add(&host.hyperv, 0x4000000a, 0, (struct cpuid_regs){0x80000, 1, 0, 0});
}

static int build(const char *cpu, const char *machine, const char *smp)
{
    return cpuid_for_flags(cpu, machine, smp, &host, 0, &table, &outcome);
}

static void expect(uint32_t leaf, uint32_t subleaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    struct cpuid_regs regs = supported_regs(&table, leaf, subleaf);

    cr_assert(eq(u32, regs.eax, eax), "%x.%x eax", leaf, subleaf);
    cr_assert(eq(u32, regs.ebx, ebx), "%x.%x ebx", leaf, subleaf);
    cr_assert(eq(u32, regs.ecx, ecx), "%x.%x ecx", leaf, subleaf);
    cr_assert(eq(u32, regs.edx, edx), "%x.%x edx", leaf, subleaf);
}

Test(cpuid_host, L6_the_hosts_caches_among_the_guests_processors)
{
    static const struct {
        const char *smp;
        uint32_t l1, l3; /* EAX of the data cache and of the L3 */
    } cases[] = {
        {"1", 0x121, 0x163},
        {"4,cores=4", 0x0c000121, 0x0c004163},
        {"6,cores=3,threads=2", 0x0c000121, 0x0c004163},
        {"2,dies=2,cores=1,threads=1", 0x121, 0x4163},
        {"8,sockets=2,cores=2,threads=2", 0x04000121, 0x04004163},
        {"2,sockets=2,cores=2147483649", 0xfc000121, 0xfc004163}, /* wraps to 2: QEMU takes it */
    };

    add_caches();
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        cr_assert(eq(int, build("host,host-cache-info", NULL, cases[i].smp), 0));
        cr_assert(outcome.not_modelled == NULL);
        expect(4, 0, cases[i].l1, 0x02c0003f, 0x3f, 0);
        expect(4, 3, cases[i].l3, 0x03c0003f, 0x77fff, 0);
    }
}

Test(cpuid_host, L5_the_hosts_caches_are_shown_whatever_the_vendor)
{
    add_caches();
    cr_assert(eq(int, build("max,host-cache-info,vendor=AuthenticAMD", NULL, NULL), 0));
    expect(2, 0, 0x00feff01, 0xf0, 0, 0);
    expect(0x80000005, 0, 0, 0, 0, 0); /* in the host's range, and nothing there */
    expect(0x80000006, 0, 0, 0, 0x08007040, 0);
    cr_assert(eq(int, build("max", NULL, NULL), 0));
    expect(0x80000006, 0, 0, 0x42004200, 0x02008140, 0x00808140);
}

Test(cpuid_host, L5_caches_that_are_not_known_are_said_to_be)
{
    cr_assert(eq(int, build("host,host-cache-info", NULL, NULL), 0));
    cr_assert(outcome.not_modelled != NULL);
    expect(0x80000006, 0, 0, 0x42004200, 0x02008140, 0x00808140);
}

Test(cpuid_host, Y4_synic_brings_the_hypercalls_of_messages)
{
    cr_assert(eq(int, build("kvm64,hv-relaxed,hv-vpindex,hv-synic", NULL, NULL), 0));
    expect(0x40000003, 0, 0x64, 0x30, 0, 8);
    cr_assert(eq(int, build("kvm64,hv-synic", "pc-i440fx-3.0", NULL),
                 0)); /* the kernel's alone: no index, no messages */
    expect(0x40000003, 0, 0x24, 0, 0, 8);
    cr_assert(ne(int, build("kvm64,hv-synic", NULL, NULL), 0));
}

Test(cpuid_host, Y4_a_nested_flag_brings_its_leaf)
{
    cr_assert(eq(int, build("kvm64,hv-vapic,hv-emsr-bitmap", NULL, NULL), 0));
    cr_assert(eq(u32, supported_regs(&table, 0x40000000, 0).eax, 0x4000000a));
    expect(0x4000000a, 0, 0x80000, 0, 0, 0);
}

Test(cpuid_host, Y4_the_debugger_has_leaves_of_its_own)
{
    cr_assert(eq(int, build("kvm64,hv-relaxed,hv-vpindex,hv-synic,hv-syndbg", NULL, NULL), 0));
    expect(0x40000000, 0, 0x40000082, 0x7263694d, 0x666f736f, 0x76482074);
    expect(0x40000003, 0, 0x64, 0x30, 0, 0x808);
    expect(0x40000080, 0, 0, 0x7263694d, 0x666f736f, 0x53562074);
    expect(0x40000081, 0, 0x31235356, 0, 0, 0);
    expect(0x40000082, 0, 2, 0, 0, 0);
    expect(0x40000100, 0, 0x40000101, 0x4b4d564b, 0x564b4d56, 0x4d);
}

Test(cpuid_host, Y5_passthrough_takes_what_the_kernel_has)
{
    add_hyperv();
    cr_assert(eq(int, build("kvm64,hv-passthrough", NULL, NULL), 0), "%s", outcome.error.text);
    expect(0x40000000, 0, 0x40000082, 0x756e694c, 0x564b2078, 0x7648204d);
    expect(0x40000002, 0, 0x3839, 0xa0000, 0, 0);
    expect(0x40000003, 0, 0x2aff, 0x30, 0, 0x80d18);
    expect(0x40000004, 0, 0xe24, 0xfff, 0, 0); /* hv-avic is among them: no advice to use the APIC's MSRs */
    expect(0x40000005, 0, 0x400, 0x40, 0, 0);
    expect(0x4000000a, 0, 0x80000, 0, 0, 0);
}

Test(cpuid_host, Y4_core_sharing_is_as_the_kernel_says_where_that_is_asked)
{
    add_hyperv();
    cr_assert(eq(int, build("kvm64,hv-relaxed,hv-no-nonarch-coresharing=auto", NULL, NULL), 0));
    cr_assert(eq(u32, supported_regs(&table, 0x40000004, 0).eax, 0x40020));
    host.hyperv.count = 0;
    cr_assert(eq(int, build("kvm64,hv-relaxed,hv-no-nonarch-coresharing=auto", NULL, NULL), 0));
    cr_assert(eq(u32, supported_regs(&table, 0x40000004, 0).eax, 0x20));
}

Test(cpuid_host, Y5_passthrough_needs_to_know_the_kernel)
{
    cr_assert(ne(int, build("kvm64,hv-passthrough", NULL, NULL), 0));
    cr_assert(strstr(outcome.error.text, "is not modelled") != NULL);
}

Test(cpuid_host, Y5_a_flag_that_the_kernel_lacks_is_refused_before_its_needs)
{
    add_hyperv();
    cr_assert(ne(int, build("kvm64,hv-tlbflush-direct", NULL, NULL), 0));
    cr_assert(eq(str, outcome.error.text,
                 "Hyper-V direct TLB flush (hv-tlbflush-direct) is not supported by kernel"));
    cr_assert(ne(int, build("kvm64,hv-stimer", NULL, NULL), 0));
    cr_assert(eq(str, outcome.error.text,
                 "Hyper-V synthetic timers (hv-stimer) requires Hyper-V clocksources (hv-time)"));
}
