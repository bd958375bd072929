/* Exit status, messages, PV words, and the machine-readable parts of the notes, one function each. */
#include "tests/vector_compare.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/models/tcg_guest.h"
#include "tests/fake_vm.h"

#define EXIT_IN_GUEST 43 /* a guest read CPUID and MSRs, and left by the debug-exit port */

/* No vector is here because its values depend on the host: that host is recorded (qemu-cpu-flags-host.json) and our tables
 * are built over it. Nor is one here for its kernel-override: the override is made in what was recorded. */
#define QOM_ONLY "the run read properties and no CPUID: null means unknown here; the properties are compared"
const struct not_compared not_compared[] = {
    {"427", "property min-level",
     "how QEMU keeps what it was asked for; its outcome, property level, is compared"},
    {"431 439-443 457", "kvm_features_eax", QOM_ONLY},
    {"431 439-443 457", "kvm_features_edx", QOM_ONLY},
    {"487", "assertion",
     "names a place in QEMU's source; the exit status, SIGABRT, and the lines before are compared"},
    {"577 579-580 582-583", "leaf 40000010.0",
     "above the KVM leaves, where Linux shows leaf 0xd of the guest's own table (zeros); the recording kernel "
     "showed what the CPU under it has"},
};
const unsigned not_compared_count = sizeof(not_compared) / sizeof(not_compared[0]);
static_assert(sizeof(not_compared) / sizeof(not_compared[0]) <= NOT_COMPARED_MAX,
              "struct check has room for all");

bool lines_have(const char *lines, unsigned line)
{
    unsigned first, last;
    int used;

    while (sscanf(lines, " %u%n", &first, &used) == 1) {
        lines += used;
        last = first;
        if (*lines == '-')
            sscanf(lines, "-%u%n", &last, &used), lines += used;
        if (first <= line && line <= last)
            return true;
    }
    return false;
}

/* Something differs at this part: a failure, unless the table excuses it. */
static void differs(struct check *check, const char *part, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void differs(struct check *check, const char *part, const char *format, ...)
{
    va_list args;

    for (unsigned i = 0; i < not_compared_count; i++)
        if (!strcmp(not_compared[i].part, part) && lines_have(not_compared[i].lines, check->line)) {
            check->excused[i] = true;
            return;
        }
    check->failures++;
    fprintf(stderr, "%s: %s: ", check->name, part);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

/* One of the machine-readable parts of the notes. */
struct part {
    const char *text; /* behind its prefix */
    const struct run *run;
    bool tcg;
    struct vcpu *guest; /* the vCPU that the guest read, or NULL: the table was looked at */
};

static void check_leaf(struct check *check, const struct part *part, const struct cpuid_table *table,
                       uint32_t leaf, uint32_t subleaf, struct cpuid_regs want)
{
    struct cpuid_regs have;
    char name[40];

    if (part->guest)
        have = vcpu_cpuid(part->guest, leaf, subleaf);
    else
        have = part->tcg ? tcg_guest(table, leaf, subleaf) : supported_regs(table, leaf, subleaf);
    snprintf(name, sizeof(name), "leaf %x.%x", leaf, subleaf);
    if (memcmp(&have, &want, sizeof(have)))
        differs(check, name, "%08x/%08x/%08x/%08x, QEMU %08x/%08x/%08x/%08x", have.eax, have.ebx, have.ecx,
                have.edx, want.eax, want.ebx, want.ecx, want.edx);
}

/* "0.0=0000000d/68747541/444d4163/69746e65 1.0=...}" */
static void check_leaves(struct check *check, const struct part *part, const struct cpuid_table *table)
{
    const char *at = part->text;
    uint32_t leaf, subleaf;
    struct cpuid_regs want;
    int used;

    while (sscanf(at, "%" SCNx32 ".%" SCNx32 "=%" SCNx32 "/%" SCNx32 "/%" SCNx32 "/%" SCNx32 " %n", &leaf,
                  &subleaf, &want.eax, &want.ebx, &want.ecx, &want.edx, &used) == 6) {
        at += used;
        check_leaf(check, part, table, leaf, subleaf, want);
    }
    if (*at != '}')
        differs(check, "cpuid", "cannot be read: %.40s", at);
}

static void check_first(struct check *check, const struct part *part)
{
    check_leaves(check, part, &part->run->first);
}

static void check_last(struct check *check, const struct part *part)
{
    check_leaves(check, part, &part->run->last);
}

/* What QEMU shows of a property after start: "level=5", "avx=true", "tsc-frequency=1000". */
static bool property_value(const struct run *run, const char *name, char value[32])
{
    const struct feature_name *feature = feature_find(name, strlen(name));
    uint32_t eax = supported_regs(&run->first, 1, 0).eax;
    unsigned long number = 0;

    if (feature) {
        bool on = (run->outcome.granted[feature->word] & feature->bits) == feature->bits;
        snprintf(value, 32, "%s", run->options.type.default_cpu ? on ? "true" : "false" : "null");
        return true;
    }
    if (!strcmp(name, "level"))
        number = supported_regs(&run->first, 0, 0).eax;
    else if (!strcmp(name, "family"))
        number = (eax >> 8 & 15) + (eax >> 20 & 0xff);
    else if (!strcmp(name, "model"))
        number = (eax >> 4 & 15) | (eax >> 12 & 0xf0);
    else if (!strcmp(name, "stepping"))
        number = eax & 15;
    else if (!strcmp(name, "tsc-frequency"))
        number = (unsigned long)run->outcome.tsc_khz * 1000;
    else
        return false;
    snprintf(value, 32, "%lu", number);
    return true;
}

/* "avx=false, level=13}" */
static void check_properties(struct check *check, const struct part *part)
{
    char name[32], part_name[48], want[32], have[32];
    const char *at = part->text;
    int used;

    while (sscanf(at, " %31[^=]=%31[^,}]%n", name, want, &used) == 2) {
        snprintf(part_name, sizeof(part_name), "property %s", name);
        if (!property_value(part->run, name, have))
            differs(check, part_name, "we do not have it");
        else if (strcmp(have, want))
            differs(check, part_name, "%s, QEMU %s", have, want);
        at += used + (at[used] == ',');
    }
    if (*at != '}')
        differs(check, "property", "cannot be read: %.40s", at);
}

/* "11=0 4b564d08=GP}": as the guest read them. */
static void check_msrs(struct check *check, const struct part *part)
{
    const char *at = part->text;
    char name[24], want[24], have[24];
    uint32_t index;
    int used;

    while (sscanf(at, "%" SCNx32 "=%23[^ }] %n", &index, want, &used) == 2) {
        uint64_t value;

        at += used;
        if (part->guest && vcpu_rdmsr(part->guest, index, &value, ORIGIN_GUEST) == MSR_OK)
            snprintf(have, sizeof(have), "%" PRIx64, value);
        else
            snprintf(have, sizeof(have), "GP");
        snprintf(name, sizeof(name), "msr %x", index);
        if (strcmp(have, want))
            differs(check, name, "%s, QEMU %s", have, want);
    }
    if (*at != '}')
        differs(check, "msr", "cannot be read: %.40s", at);
}

/* "0, 1, 8]": of the vCPUs that are there, in order. */
static void check_apic_ids(struct check *check, const struct part *part)
{
    const struct cpu_topology *topology = &part->run->machine.topology;
    const char *at = part->text;
    unsigned want, count = 0;
    int used;

    for (; sscanf(at, " %u%n", &want, &used) == 1; count++) {
        uint32_t have = topology_place(topology, count).apic_id;

        at += used + (at[used] == ',');
        if (have != want)
            differs(check, "apic_ids", "vCPU %u has %u, QEMU %u", count, have, want);
    }
    if (*at != ']' || count != topology->cpus)
        differs(check, "apic_ids", "of %u vCPUs, QEMU has %u", topology->cpus, count);
}

/* "4, highest ids={"core-id": 1, "socket-id": 1, "thread-id": 0}": where the last possible CPU sits. */
static void check_possible(struct check *check, const struct part *part)
{
    const struct cpu_topology *topology = &part->run->machine.topology;
    struct cpu_place place = topology_place(topology, topology->maxcpus - 1);
    char have[200], die[24] = "";

    if (topology->dies > 1)
        snprintf(die, sizeof(die), "\"die-id\": %u, ", place.die);
    snprintf(have, sizeof(have), "%u, highest ids={\"core-id\": %u, %s\"socket-id\": %u, \"thread-id\": %u}",
             topology->maxcpus, place.core, die, place.socket, place.thread);
    if (strncmp(part->text, have, strlen(have)))
        differs(check, "possible cpus", "%s, QEMU %.*s", have, (int)strcspn(part->text, ";"), part->text);
}

static uint32_t kvm_base(const struct cpuid_table *table)
{
    for (uint32_t base = KVM_CPUID_SIGNATURE; base <= KVM_CPUID_SIGNATURE + 0x100; base += 0x100)
        if (supported_regs(table, base, 0).ebx == KVM_SIGNATURE_EBX && supported_regs(table, base, 0).eax)
            return base;
    return 0;
}

static void check_base(struct check *check, const struct part *part)
{
    uint32_t have = kvm_base(&part->run->first), want = (uint32_t)strtoul(part->text, NULL, 0);

    if (have != want)
        differs(check, "base", "%x, QEMU %x", have, want);
}

static void made_before(struct check *check, const struct part *part)
{
    (void)check, (void)part;
}

static const struct {
    const char *prefix;
    void (*check)(struct check *check, const struct part *part);
} parts[] = {
    {"cpuid{", check_first},
    {"first cpu cpuid{", check_first},
    {"last cpu cpuid{", check_last},
    {"property{", check_properties},
    {"msr{", check_msrs},
    {"apic_ids=[", check_apic_ids},
    {"possible cpus=", check_possible},
    {"KVM leaves at base ", check_base},
    {"[kernel-override: ", made_before}, /* apply_overrides() */
};

static void check_part(struct check *check, struct part part)
{
    size_t len = strcspn(part.text, ";");

    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
        if (!strncmp(part.text, parts[i].prefix, strlen(parts[i].prefix))) {
            part.text += strlen(parts[i].prefix);
            parts[i].check(check, &part);
            return;
        }
    if (strcspn(part.text, "={[") < len) /* prose has none of them */
        differs(check, "notes", "nothing reads this part: %.*s", (int)len, part.text);
}

static void check_notes(struct check *check, const char *notes, struct part part)
{
    for (part.text = notes; *part.text; part.text += strspn(part.text, "; ")) {
        check_part(check, part);
        part.text += strcspn(part.text, ";");
    }
}

/* What a guest of this run reads, on a KVM as bare as the recorded one. */
static void check_in_guest(struct check *check, const char *notes, struct part part)
{
    FAKE_VM(f);

    fake_vm_init(&f);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &part.run->first), 0));
    vcpu_set_enforce(f.vcpu, part.run->outcome.enforce_pv);
    part.guest = f.vcpu;
    check_notes(check, notes, part);
}

static void check_pv_word(struct check *check, const cJSON *vector, const char *key,
                          const struct cpuid_table *table, bool edx)
{
    const char *want = cJSON_GetStringValue(cJSON_GetObjectItem(vector, key));
    uint32_t base = kvm_base(table);
    struct cpuid_regs regs = supported_regs(table, base + 1, 0);
    char have[16] = "none";

    if (base)
        snprintf(have, sizeof(have), "0x%08x", edx ? regs.edx : regs.eax);
    if (strcmp(have, want ? want : "none"))
        differs(check, key, "%s, QEMU %s", have, want ? want : "none");
}

/* The recording lost blanks at the end of a line. */
static bool same_line(const char *have, const char *want)
{
    size_t len = strlen(want);

    return !strncmp(have, want, len) && !have[len + strspn(have + len, " ")];
}

static void check_lines(struct check *check, const cJSON *vector, const struct run *run)
{
    const cJSON *want;
    unsigned i = 0;

    cJSON_ArrayForEach(want, cJSON_GetObjectItem(vector, "stderr_contains"))
    {
        bool assertion = strstr(want->valuestring, ": Assertion `");

        if (assertion || i >= run->line_count || !same_line(run->lines[i], want->valuestring))
            differs(check, assertion ? "assertion" : "stderr", "\"%s\", QEMU \"%s\"",
                    i < run->line_count ? run->lines[i] : "", want->valuestring);
        i += !assertion;
    }
    for (; i < run->line_count; i++)
        differs(check, "stderr", "\"%s\", QEMU nothing", run->lines[i]);
}

static void check_outcome(struct check *check, const cJSON *vector, const struct run *run)
{
    const char *notes = cJSON_GetObjectItem(vector, "notes")->valuestring;
    int want = cJSON_GetObjectItem(vector, "exit_code")->valueint;
    struct part part = {.run = run, .tcg = !strcmp(cJSON_GetObjectItem(vector, "accel")->valuestring, "tcg")};

    if (run->exit_code != (want == EXIT_IN_GUEST ? 0 : want))
        differs(check, "exit_code", "%d, QEMU %d", run->exit_code, want);
    check_lines(check, vector, run);
    if (!run->exit_code) {
        check_pv_word(check, vector, "kvm_features_eax", &run->first, false);
        check_pv_word(check, vector, "kvm_features_edx", &run->first, true);
    }
    if (want == EXIT_IN_GUEST)
        check_in_guest(check, notes, part);
    else
        check_notes(check, notes, part);
}

void vector_compare(struct check *check, const cJSON *vector, const struct run *run)
{
    check_outcome(check, vector, run);
    for (unsigned i = 0; i < not_compared_count; i++)
        if (lines_have(not_compared[i].lines, check->line) && !check->excused[i]) {
            check->failures++;
            fprintf(stderr, "%s: %s is equal: strike it from not_compared\n", check->name,
                    not_compared[i].part);
        }
}
