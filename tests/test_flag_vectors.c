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
#include "diff/models/tcg_guest.h"
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

/* "24-27 54": is the line among them? */
static bool listed(const char *lines, unsigned line)
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

static void replay_vector(const char *text, size_t len, unsigned line, const struct cpuid_supported *recorded,
                          unsigned *differ)
{
    char name[512];
    struct check check = {.name = name};
    cJSON *vector = cJSON_ParseWithLength(text, len);

    cr_assert(vector != NULL, "line %u", line);
    name_vector(name, line, vector);
    replay(vector, recorded, &check);
    *differ += check.failures > 0;
    cJSON_Delete(vector);
}

/* lines: which of them, counted from 0; NULL: all. Returns how many. */
static unsigned replay_vectors(const char *lines)
{
    static struct cpuid_supported recorded;
    size_t len;
    char *text = read_file("qemu-cpu-flags-host.json", &len), why[160];
    unsigned line = 0, replayed = 0, differ = 0;

    cr_assert(supported_from_json(&recorded, text, len, why), "%s", why);
    free(text);
    text = read_file("qemu-cpu-flags-vectors.jsonl", &len);
    for (char *at = text; *at; at += len + 1, line++) {
        len = strcspn(at, "\n");
        if (lines && !listed(lines, line))
            continue;
        replay_vector(at, len, line, &recorded, &differ);
        replayed++;
    }
    free(text);
    fprintf(stderr, "%u vectors, %u differ\n", replayed, differ);
    cr_assert(eq(u32, differ, 0));
    return replayed;
}

Test(flag_vectors, section_18_every_vector_gives_what_qemu_gave)
{
    cr_assert(eq(u32, replay_vectors(NULL), 585));
}

/* The vectors that show one rule: command lines whose outcome would be another without it. */
#define VECTORS(rule, lines)                                                                                 \
    Test(flag_vectors, rule##_as_qemu_did)                                                                   \
    {                                                                                                        \
        cr_assert(replay_vectors(lines) > 0);                                                                \
    }
VECTORS(P1, "424")
VECTORS(P2, "45-47")
VECTORS(P3, "430-437 443-445")
VECTORS(P4, "49 243 247")
VECTORS(P5, "238 241-242")
VECTORS(P6, "239-240")
VECTORS(P7, "236-240 245-246 254 428")
VECTORS(P8, "5 39 48 137 161")
VECTORS(G1, "24-27")
VECTORS(G2, "28-31")
VECTORS(G3, "19-23")
VECTORS(G4, "6-8 16-18 47")
VECTORS(G5, "32-37")
VECTORS(G6, "15 38 127")
VECTORS(G7, "1 86 124 131 143")
VECTORS(G8, "42-43 101 122 136 463 473 476 519 560")
VECTORS(G9, "54-56")
VECTORS(G10, "66-68")
VECTORS(G11, "61-62 65 68")
VECTORS(G12, "190-191 195-196 198 465")
VECTORS(G13, "87-88 156-157 175 182 206")
VECTORS(G14, "48 50-52 260-262")
VECTORS(V1, "2-14")
VECTORS(V2, "76-77 96 114 117")
VECTORS(V3, "83-85 89-92 95 174")
VECTORS(V4, "78 93-94 113 120 158-159")
VECTORS(V5, "78 115-120 158-159 170 172-173 177-179")
VECTORS(V6, "79 535")
VECTORS(V7, "151-155")
VECTORS(V8, "136 156 243-244 247")
VECTORS(V9, "133-150 223-235 446-448 451-454")
VECTORS(V11, "447 449-450 456")
VECTORS(R1, "57-63 281-282 415-416 421 461 489 493")
VECTORS(R2, "417-420 422-423 576")
VECTORS(R3, "574 576")
VECTORS(R6, "57 59 244 249-251")
VECTORS(R7, "58 60 63")
VECTORS(R8, "65-69 252-253")
VECTORS(E1, "191-193 427")
VECTORS(E2, "192-194 258 505-506")
VECTORS(E3, "193 248 300-302 311 507 512 571")
VECTORS(E4, "288 350 507")
VECTORS(E5, "194-195 279 290 479 506 517")
VECTORS(E6, "197-198 516-517")
VECTORS(E7, "287 300-305 316 327")
VECTORS(E8, "289 488 500 556 558-559 562")
VECTORS(E9, "107 312 318")
VECTORS(M1, "256 429 458")
VECTORS(M2, "70 286")
VECTORS(M3, "215 222 376 501")
VECTORS(M4, "460 561")
VECTORS(M5, "216 500-501 514-515 530")
VECTORS(M6, "468 562")
VECTORS(M7, "71 218-219 284-285 461 550")
VECTORS(M8, "462 554")
VECTORS(M9, "261 339 427 552")
VECTORS(K1, "459 496-498 558-559")
VECTORS(K2, "458-459 462")
VECTORS(K3, "458 477 502")
VECTORS(K4, "470-471 512-513")
VECTORS(K5, "460 500-501 514-515")
VECTORS(K6, "507-508 510-511")
VECTORS(K7, "467 478 480 488 574")
VECTORS(K8, "458 478-482 485 489-492 574")
VECTORS(K9, "483-484")
VECTORS(K10, "436-442 482 493-495")
VECTORS(K12, "564")
VECTORS(K13, "487-488 569-570")
VECTORS(K14, "518 520")
VECTORS(K15, "563")
VECTORS(K17, "465-466 509 532")
VECTORS(K18, "466")
VECTORS(K20, "264-265 319")
VECTORS(K21, "266-267")
VECTORS(K22, "176 268-269 276-277")
VECTORS(H1, "270 469")
VECTORS(H2, "467")
VECTORS(H3, "523-526 565 567-568")
VECTORS(Y1, "532-535 545 547")
VECTORS(Y2, "533-534 566")
VECTORS(Y3, "532")
VECTORS(Y4, "540-542 545 548-549")
VECTORS(Y5, "536 538 543 546")
VECTORS(S6, "487")
VECTORS(L1, "79-82 97-108 297-299 306-315 320-325 327 351")
VECTORS(L2, "81-82 283")
VECTORS(L3, "102-104 129 132")
VECTORS(L4, "109-111 115 117-118 263 345 347-348")
VECTORS(L5, "325-326 332 337-338 344 554-555")
VECTORS(L6, "332 346-348 372 573")
VECTORS(L7, "341 350 376")
VECTORS(L8, "108 295 311 336")
VECTORS(L9, "333 346-348")
VECTORS(L10, "327 347 351 358")
VECTORS(L11, "293-294 308 355")
VECTORS(L12, "312 320 341")
VECTORS(L13, "72-75 129 132 325-326 343 345")
VECTORS(L14, "326 331-332 338 350")
VECTORS(L15, "72 160 162-163 334 336 342 347")
VECTORS(L16, "162-163 165-169 334-335 551-553")
VECTORS(L17, "303-305 317 351-353")
VECTORS(L18, "202-204 331 340 344 350")
VECTORS(L19, "342-343 378 386")
VECTORS(T1, "384 395 404 409-412")
VECTORS(T2, "387 389-391 403 405-406")
VECTORS(T3, "354 361 572")
VECTORS(T4, "328 382 384-385 392-393 397-402")
VECTORS(T5, "347-348 352 374")
VECTORS(T6, "328-330")
VECTORS(N3, "557")
