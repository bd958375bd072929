/* The host under a reference in words, from records of hardware, of a guest, of the box, and from none. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include "diff/report/host_facts.h"

static struct host_record host; /* large */

static void add_leaf(uint32_t leaf, uint32_t eax, uint32_t ebx, uint32_t ecx, uint32_t edx)
{
    host.host.entries[host.host.count++] =
        (struct cpuid_entry){.leaf = leaf, .regs = {.eax = eax, .ebx = ebx, .ecx = ecx, .edx = edx}};
}

/* "GenuineIntel" with a version and leaf 1 ECX. */
static void intel(uint32_t version, uint32_t features)
{
    memset(&host, 0, sizeof(host));
    add_leaf(0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69);
    add_leaf(1, version, 0, features, 0);
}

static void says(void (*say)(const struct host_record *, struct text *), const char *want)
{
    struct text text = {0};

    say(&host, &text);
    cr_assert(eq(str, text.bytes ? text.bytes : "", (char *)want));
    text_free(&text);
}

Test(report_host, a_CPU_by_brand_vendor_and_version)
{
    intel(0x50657, 0);
    says(host_cpu, "GenuineIntel family 6 model 85 stepping 7");
    add_leaf(0x80000002, 0x20202020, 0x20202020, 0x6e6f6558, 0x20202020); /* "        Xeon    " */
    add_leaf(0x80000003, 0x20555043, 0, 0, 0);                            /* "CPU " */
    add_leaf(0x80000004, 0, 0, 0, 0);
    says(host_cpu, "Xeon CPU, GenuineIntel family 6 model 85 stepping 7");
}

Test(report_host, extended_families_are_added_and_extended_models_count_from_family_6)
{
    intel(0x00a20f12, 0);
    says(host_cpu, "GenuineIntel family 25 model 33 stepping 2");
    intel(0x000f0512, 0);
    says(host_cpu, "GenuineIntel family 5 model 1 stepping 2");
}

Test(report_host, microcode_is_as_the_host_shows_it)
{
    intel(0x50657, 0);
    says(host_microcode, "not known");
    strcpy(host.microcode, "0x1000065");
    says(host_microcode, "0x1000065");
}

Test(report_host, KVM_on_hardware_is_not_nested)
{
    intel(0x50657, 0);
    cr_assert(eq(int, host_nesting(&host), NESTING_NONE));
    says(host_nesting_words, "no: KVM has the hardware to itself");
}

Test(report_host, KVM_in_a_guest_is_nested_and_in_what)
{
    intel(0x50657, HOST_RECORD_HYPERVISOR);
    cr_assert(eq(int, host_nesting(&host), NESTING_NESTED));
    says(host_nesting_words,
         "yes: the kernel with this KVM is itself a guest (L1) of a hypervisor whose name is "
         "not known; the compared guest is L2");
    strcpy(host.hypervisor, "TCGTCGTCGTCG");
    says(host_nesting_words, "yes: the kernel with this KVM is itself a guest (L1) of QEMU's TCG, a CPU in "
                             "software; the compared guest is L2");
    strcpy(host.hypervisor, "Microsoft Hv");
    says(host_nesting_words,
         "yes: the kernel with this KVM is itself a guest (L1) of Hyper-V; the compared guest is L2");
    strcpy(host.hypervisor, "new one");
    says(host_nesting_words,
         "yes: the kernel with this KVM is itself a guest (L1) of new one; the compared guest is L2");
}

Test(report_host, QEMU_without_KVM_and_no_record_at_all)
{
    memset(&host, 0, sizeof(host));
    cr_assert(eq(int, host_nesting(&host), NESTING_UNKNOWN));
    says(host_cpu, "");
    says(host_microcode, "");
    says(host_nesting_words, "");
    host.tcg = true;
    cr_assert(eq(int, host_nesting(&host), NESTING_NO_KVM));
    says(host_nesting_words, "no KVM: QEMU's TCG translates the guest itself");
}
