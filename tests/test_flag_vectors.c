/* Replays the recorded QEMU 7.2 runs: exit status, messages, PV words and CPUID leaves. QEMU flags specification section 18;
 * decisions.md 25. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "tests/tcg_guest.h"
#include "vmm/cmd.h"

#define ARGS_MAX  32
#define LINES_MAX 256
#define LINE_LEN  400

/* One run of ours, in the vector's terms. */
struct run {
    struct vmm_options options;
    struct cpuid_machine machine;
    struct cpu_flags flags;
    struct cpuid_table first, last;
    struct cpuid_outcome outcome;
    bool help;
    int exit_code;
    unsigned line_count;
    char lines[LINES_MAX][LINE_LEN];
};

static char *read_file(const char *name, size_t *len)
{
    char path[512];
    FILE *file;
    char *text = malloc(4 << 20);

    snprintf(path, sizeof(path), "%s/%s", TEST_DATA, name);
    file = fopen(path, "rb");
    cr_assert(file != NULL && text != NULL, "%s", path);
    *len = fread(text, 1, (4 << 20) - 1, file);
    text[*len] = 0;
    fclose(file);
    return text;
}

static void add_line(struct run *run, const char *prefix, const char *text)
{
    size_t len;

    while (run->line_count < LINES_MAX) {
        len = strcspn(text, "\n");
        snprintf(run->lines[run->line_count++], LINE_LEN, "%s%.*s", prefix, (int)len, text);
        if (!text[len])
            return;
        text += len + 1;
        prefix = ""; /* QEMU prefixes only the first line of a message */
    }
}

static void add_warnings(struct run *run, const struct messages *warnings)
{
    for (uint32_t i = 0; i < messages_kept(warnings); i++) {
        const char *text = warnings->list[i].text;
        bool accel = strstr(text, "accelerator ") || !strncmp(text, "falling back", 12);
        if (!strstr(text, "CPUID.01H:ECX.pni")) /* noise of that host, not in the vectors */
            add_line(run, accel ? "" : "warning: ", text);
    }
}

static void fail(struct run *run, const struct message *error)
{
    run->exit_code = error->kind == CPU_QEMU_ABORTS ? -6 : 1;
    add_line(run, "", error->text);
}

/* All vCPUs, as QEMU creates them. */
static void run_cpus(struct run *run, const struct cpuid_supported *host)
{
    const char *cpu = run->options.cpu ? run->options.cpu : run->options.type.default_cpu;

    if (!cpu)
        return;
    cpu_flags_parse(&run->flags, cpu, strlen(cpu));
    if (run->flags.help)
        return;
    for (unsigned i = 0; i < run->machine.topology.cpus; i++) {
        int error =
            cpuid_build(&run->flags, &run->machine, host, i, i ? &run->last : &run->first, &run->outcome);
        add_warnings(run, &run->outcome.warnings);
        if (error) {
            fail(run, &run->outcome.error);
            return;
        }
    }
    if (run->machine.topology.cpus == 1)
        run->last = run->first;
}

static void run_line(struct run *run, int argc, char **argv, const char *accel,
                     const struct cpuid_supported *kvm)
{
    const struct cpuid_supported *host;

    memset(run, 0, sizeof(*run));
    if (!vmm_options_parse(&run->options, argc, argv, NULL, 0)) {
        add_warnings(run, &run->options.warnings);
        fail(run, &run->options.error);
        return;
    }
    if (!strcmp(accel, "explicit"))
        host = run->options.accel_given && run->options.accel == ACCEL_KVM ? kvm : cpuid_supported_tcg();
    else
        host = !strcmp(accel, "kvm") ? kvm : cpuid_supported_tcg();
    bool valid = vmm_options_resolve(&run->options, host, &run->machine);
    add_warnings(run, &run->options.warnings);
    if (!valid)
        fail(run, &run->options.error);
    else
        run_cpus(run, host);
}

struct check {
    unsigned failures;
    const char *name;
};

static void complain(struct check *check, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct check *check, const char *format, ...)
{
    va_list args;

    check->failures++;
    fprintf(stderr, "%s: ", check->name);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
}

static void check_leaves(struct check *check, const char *notes, const char *which,
                         const struct cpuid_table *table, bool tcg, bool in_guest)
{
    const char *at = strstr(notes, which);
    uint32_t leaf, subleaf;
    struct cpuid_regs want, have;
    int used;

    if (!at)
        return;
    at = strstr(at, "cpuid{") + 6;
    while (sscanf(at, "%" SCNx32 ".%" SCNx32 "=%" SCNx32 "/%" SCNx32 "/%" SCNx32 "/%" SCNx32 "%n", &leaf,
                  &subleaf, &want.eax, &want.ebx, &want.ecx, &want.edx, &used) == 6) {
        at += used;
        at += strspn(at, " ");
        if (in_guest && !cpuid_find(table, leaf, subleaf))
            continue; /* the kernel's answer above the range, not QEMU's table */
        have = tcg ? tcg_guest(table, leaf, subleaf) : supported_regs(table, leaf, subleaf);
        if (memcmp(&have, &want, sizeof(have)))
            complain(check, "leaf %x.%x: %08x/%08x/%08x/%08x, QEMU %08x/%08x/%08x/%08x", leaf, subleaf,
                     have.eax, have.ebx, have.ecx, have.edx, want.eax, want.ebx, want.ecx, want.edx);
    }
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

static void check_properties(struct check *check, const char *notes, const struct run *run)
{
    const char *at = strstr(notes, "property{");
    char name[32], want[32], have[32];
    int used;

    if (!at)
        return;
    at += strlen("property{");
    while (sscanf(at, " %31[^=]=%31[^,}]%n", name, want, &used) == 2) {
        if (property_value(run, name, have) && strcmp(have, want))
            complain(check, "property %s is %s, QEMU %s", name, have, want);
        at += used + (at[used] == ',');
    }
}

static void check_pv_word(struct check *check, const cJSON *vector, const char *key,
                          const struct cpuid_table *table, bool edx)
{
    const cJSON *want = cJSON_GetObjectItem(vector, key);
    uint32_t base = 0, have;

    for (uint32_t n = 0x40000000; n <= 0x40000100 && !base; n += 0x100)
        if (supported_regs(table, n, 0).ebx == 0x4b4d564b && supported_regs(table, n, 0).eax)
            base = n;
    if (cJSON_IsNull(want)) {
        if (base)
            complain(check, "a KVM leaf, QEMU has none");
        return;
    }
    have = edx ? supported_regs(table, base + 1, 0).edx : supported_regs(table, base + 1, 0).eax;
    if (!base || have != strtoul(want->valuestring, NULL, 0))
        complain(check, "%s is %08x, QEMU %s", key, have, want->valuestring);
}

static void check_lines(struct check *check, const cJSON *vector, const struct run *run)
{
    const cJSON *want = cJSON_GetObjectItem(vector, "stderr_contains"), *item;
    unsigned i = 0;

    cJSON_ArrayForEach(item, want)
    {
        if (strstr(item->valuestring, "Assertion")) /* where QEMU's source file stands */
            continue;
        if (i >= run->line_count || strncmp(run->lines[i], item->valuestring, strlen(item->valuestring)))
            complain(check, "says \"%s\", QEMU \"%s\"", i < run->line_count ? run->lines[i] : "",
                     item->valuestring);
        i++;
    }
    for (; i < run->line_count; i++)
        complain(check, "says \"%s\", QEMU nothing", run->lines[i]);
}

/* "[kernel-override: A , B]": what was changed in the kernel's answers. */
static bool apply_override(struct cpuid_supported *host, const char *text)
{
    uint32_t leaf, subleaf, mask, bits, number, value;
    char reg[4];

    if (sscanf(text, "supported CPUID %x.%x.%3s := (host & %x) | %x", &leaf, &subleaf, reg, &mask, &bits) ==
        5) {
        for (uint32_t i = 0; i < host->supported.count; i++) {
            struct cpuid_entry *entry = &host->supported.entries[i];
            uint32_t *regs[] = {&entry->regs.eax, &entry->regs.ebx, &entry->regs.ecx, &entry->regs.edx};
            uint32_t *which = regs[reg[1] - 'a'];
            if (entry->leaf == leaf && entry->subleaf == subleaf)
                *which = (*which & mask) | bits;
        }
        return true;
    }
    if (sscanf(text, "CHECK_EXTENSION(%u) := %u", &number, &value) == 2) {
        host->extensions[number] = (int32_t)value;
        return true;
    }
    if (sscanf(text, "ENABLE_CAP(%u) fails", &number) == 1) {
        host->extensions[number] = 0;
        return true;
    }
    if (!strncmp(text, "all Hyper-V", 11)) {
        host->extensions[EXT_HYPERV] = 1;
        return true;
    }
    return !strncmp(text, "SET_TSC_KHZ", 11); /* follows from CHECK_EXTENSION(60) */
}

static bool apply_overrides(struct cpuid_supported *host, const char *notes)
{
    const char *at = strstr(notes, "[kernel-override: "), *end;

    if (!at)
        return true;
    at += strlen("[kernel-override: ");
    end = strchr(at, ']');
    while (at < end) {
        if (!apply_override(host, at))
            return false;
        at = strstr(at, " , ");
        if (!at || at > end)
            return true;
        at += 3;
    }
    return true;
}

static void replay(const cJSON *vector, const struct cpuid_supported *recorded, struct check *check)
{
    static struct run run;
    static struct cpuid_supported host;
    const char *notes = cJSON_GetObjectItem(vector, "notes")->valuestring;
    const char *accel = cJSON_GetObjectItem(vector, "accel")->valuestring;
    int want = cJSON_GetObjectItem(vector, "exit_code")->valueint;
    char *argv[ARGS_MAX];
    int argc = 0;
    const cJSON *item;
    bool tcg = !strcmp(accel, "tcg"), in_guest = want == 43;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(vector, "args"))
    {
        argv[argc++] = item->valuestring;
    }
    host = *recorded;
    cr_assert(apply_overrides(&host, notes), "unknown override: %s", notes);
    run_line(&run, argc, argv, accel, &host);
    if (in_guest)
        want = 0; /* a guest ran and left; the table is what we can compare */
    if (run.exit_code != want)
        complain(check, "exit %d, QEMU %d", run.exit_code, want);
    check_lines(check, vector, &run);
    if (want || run.exit_code)
        return;
    if (strstr(notes, "property{")) { /* run without looking at CPUID */
        check_properties(check, notes, &run);
        return;
    }
    check_pv_word(check, vector, "kvm_features_eax", &run.first, false);
    check_pv_word(check, vector, "kvm_features_edx", &run.first, true);
    check_leaves(check, notes, "cpuid{", &run.first, tcg, in_guest);
    check_leaves(check, notes, "last cpu cpuid{", &run.last, tcg, in_guest);
}

static void name_vector(char name[512], unsigned line, const cJSON *vector)
{
    int used = snprintf(name, 512, "vector %u (%s)", line, cJSON_GetObjectItem(vector, "accel")->valuestring);
    const cJSON *item;

    cJSON_ArrayForEach(item, cJSON_GetObjectItem(vector, "args"))
    {
        if (used < 400)
            used += snprintf(name + used, 512 - used, " %.90s", item->valuestring);
    }
}

Test(flag_vectors, section_18_every_vector_gives_what_qemu_gave)
{
    size_t len;
    char *text = read_file("qemu-cpu-flags-host.json", &len), why[160], name[512];
    static struct cpuid_supported recorded;
    unsigned line = 0, failed = 0;

    cr_assert(supported_from_json(&recorded, text, len, why), "%s", why);
    free(text);
    text = read_file("qemu-cpu-flags-vectors.jsonl", &len);
    for (char *at = text; *at; at += strcspn(at, "\n") + 1) {
        cJSON *vector = cJSON_ParseWithLength(at, strcspn(at, "\n"));
        struct check check = {.name = name};
        cr_assert(vector != NULL, "line %u", line);
        name_vector(name, line, vector);
        replay(vector, &recorded, &check);
        failed += check.failures > 0;
        line++;
        cJSON_Delete(vector);
    }
    free(text);
    fprintf(stderr, "%u vectors, %u differ\n", line, failed);
    cr_assert(eq(u32, line, 585));
    cr_assert(eq(u32, failed, 0));
}
