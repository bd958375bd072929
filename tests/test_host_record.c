/* The host record: the JSON of a real one, hostile JSON, and the way back. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/machine/host_record.h"

/* The shape of the record behind the recorded CPUID vectors, cut to a few rows. */
#define LEAF(leaf, ebx)                                                                                      \
    "{\"leaf\":\"" leaf "\",\"subleaf\":\"0x0\",\"flags\":1,\"eax\":\"0x20\",\"ebx\":\"" ebx                 \
    "\",\"ecx\":\"0x6c65746e\",\"edx\":\"0x49656e69\"}"
#define RECORD(khz, supported, host, extensions, msrs, more)                                                 \
    "{\"kernel_release\":\"6.18\",\"kvm_flavour\":\"software (kvm_pvm)\",\"tsc_khz\":" khz                   \
    ",\"supported_cpuid\":[" supported "],\"host_cpuid\":[" host "],\"check_extension\":" extensions         \
    ",\"feature_msrs\":" msrs more "}"
#define GOOD                                                                                                 \
    RECORD("2100000", LEAF("0x0", "0x756e6547") "," LEAF("0x1", "0x01020800"), LEAF("0x0", "0x756e6547"),    \
           "{\"0\":1,\"10\":32764,\"9999\":1}", "{\"0x10a\":\"0x400000000c08e0eb\"}", "")

static int parse(struct host_record *record, const char *text, char message[160])
{
    return host_record_from_json(record, text, strlen(text), message);
}

Test(host_record, a_real_record_is_read)
{
    static struct host_record r;
    char message[160] = "";

    cr_assert(eq(int, parse(&r, GOOD, message), 0), "%s", message);
    cr_assert(eq(str, r.kernel_release, "6.18"));
    cr_assert(eq(str, r.flavour, "software (kvm_pvm)"));
    cr_assert(eq(u32, r.tsc_khz, 2100000));
    cr_assert(eq(u32, r.supported.count, 2));
    cr_assert(eq(u32, r.supported.entries[0].flags, 1));
    cr_assert(eq(u32, r.supported.entries[1].regs.ebx, 0x00020800), "the APIC id of leaf 1 must be masked");
    cr_assert(eq(int, r.extensions[10], 32764));
    cr_assert(eq(u64, r.feature_msrs[0].value, 0x400000000c08e0ebull));
    cr_assert(r.native_vmcall, "GenuineIntel without a native key");
    cr_assert(not(r.microcode[0] || r.hypervisor[0]), "older records have neither");
}

Test(host_record, to_json_and_back_is_the_identity)
{
    static struct host_record a, b;
    char message[160] = "";
    char *text;

    cr_assert(eq(int, parse(&a, GOOD, message), 0));
    a.native_vmcall = false;
    strcpy(a.clocksource, "tsc");
    strcpy(a.microcode, "0x1000065");
    strcpy(a.hypervisor, "TCGTCGTCGTCG");
    cr_assert(eq(int, host_record_to_json(&a, &text), 0));
    cr_assert(eq(int, parse(&b, text, message), 0), "%s", message);
    cr_assert(eq(int, memcmp(&a, &b, sizeof(a)), 0));
    free(text);
}

Test(host_record, this_host_answers_or_says_why_not)
{
    static struct host_record r;
    int fd;
    int err = host_record_read(&r, &fd);

    cr_assert(le(int, err, 0));
    cr_assert(err || r.supported.count > 0);
    cr_assert(err || fd >= 0);
}

#define REFUSED(name, words, ...)                                                                            \
    Test(host_record, refused_##name)                                                                        \
    {                                                                                                        \
        static struct host_record r;                                                                         \
        char message[160] = "";                                                                              \
        cr_assert(eq(int, parse(&r, __VA_ARGS__, message), -EINVAL));                                        \
        cr_assert(strstr(message, words) != NULL, "%s", message);                                            \
    }
#define L0 LEAF("0x0", "0x756e6547")
REFUSED(empty, "not a JSON object", "")
REFUSED(list, "not a JSON object", "[]")
REFUSED(cut_short, "not a JSON object", "{\"tsc_khz\":1")
REFUSED(no_rate, "tsc_khz", "{}")
REFUSED(negative_rate, "tsc_khz", RECORD("-5", L0, L0, "{}", "{}", ""))
REFUSED(leaf_too_wide, "supported_cpuid", RECORD("1", LEAF("0x100000000", "0x0"), L0, "{}", "{}", ""))
REFUSED(leaf_not_hex, "supported_cpuid", RECORD("1", LEAF("12", "0x0"), L0, "{}", "{}", ""))
REFUSED(leaf_negative, "supported_cpuid", RECORD("1", LEAF("0x-1", "0x0"), L0, "{}", "{}", ""))
REFUSED(leaf_empty, "host_cpuid", RECORD("1", L0, LEAF("0x", "0x0"), "{}", "{}", ""))
REFUSED(extension_name, "check_extension", RECORD("1", L0, L0, "{\"x\":1}", "{}", ""))
REFUSED(extension_list, "check_extension", RECORD("1", L0, L0, "[1]", "{}", ""))
REFUSED(msr_value, "feature_msrs", RECORD("1", L0, L0, "{}", "{\"0x1\":1}", ""))
REFUSED(native, "native", RECORD("1", L0, L0, "{}", "{}", ",\"native\":\"int3\""))

Test(host_record, refused_too_many_leaves)
{
    static struct host_record r;
    char message[160] = "";
    size_t room = 256 + (CPUID_ENTRIES + 1) * (sizeof(L0) + 1);
    char *text = malloc(room);
    char *end = stpcpy(text, "{\"tsc_khz\":1,\"supported_cpuid\":[" L0);

    for (int i = 0; i < CPUID_ENTRIES; i++)
        end = stpcpy(end, "," L0);
    strcpy(end, "],\"host_cpuid\":[],\"check_extension\":{},\"feature_msrs\":{}}");
    cr_assert(eq(int, parse(&r, text, message), -EINVAL));
    cr_assert(strstr(message, "supported_cpuid") != NULL, "%s", message);
    free(text);
}
