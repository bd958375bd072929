/* Reads QEMU's CPU models: definitions over QMP, bits without a name from its warnings, caches from a guest under TCG.
 * QEMU flags specification section 5 (E3, E7), M10, L18. */
#include "tests/model_rows.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/machine.h"

/* TCG turns vme off in every model before anybody can ask. These, and no others, never had it: so says a QEMU on KVM,
 * which test_models asks where there is one. */
static const char *const without_vme[] = {"qemu32-v1", "qemu64-v1"};

/* Features that hide others while they are off (E7): each is asked for with all the others on. */
static const uint16_t revealing[] = {
    F_ARCH_CAPABILITIES,
    F_CORE_CAPABILITY,
    F_PDCM,
    F_VMX,
    F_LM,
    F_VMX_SECONDARY_CTLS,
    F_XSAVES,
    F_RDRAND,
    F_INVPCID,
    F_MPX,
    F_RDSEED,
    F_INTEL_PT,
    F_RDTSCP,
    F_VMX_EPT,
    F_VMX_VPID,
    F_VMX_VMFUNC,
    F_SVM,
};
#define REVEALING (sizeof(revealing) / sizeof(revealing[0]))

_Noreturn void fail(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("gen_models: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    exit(3);
}

static const char *name_of(uint16_t feature)
{
    return feature_bit_name(FEATURE_WORD(feature), feature % 64);
}

/* The definition's properties with all revealing features on but one (or none). */
static cJSON *reveal(struct qemu_query *qemu, const char *model, int but)
{
    cJSON *changes = cJSON_CreateObject(), *props;
    char why[QMP_ERROR];

    for (unsigned i = 0; i < REVEALING; i++)
        if (revealing[i] != but)
            cJSON_AddBoolToObject(changes, name_of(revealing[i]), true);
    props = qemu_query_model(qemu, model, changes, why);
    if (!props)
        fail("%s: %s", model, why);
    return props;
}

static bool is_on(const cJSON *props, const char *name)
{
    return cJSON_IsTrue(cJSON_GetObjectItem(props, name));
}

static void set_bits(struct model_row *row, const struct feature_name *feature, const cJSON *props)
{
    row->words[feature->word] &= ~feature->bits;
    if (is_on(props, feature->name))
        row->words[feature->word] |= feature->bits;
}

static void read_features(struct model_row *row, struct qemu_query *qemu)
{
    cJSON *props = reveal(qemu, row->name, -1);

    for (unsigned i = 0; i < feature_name_count; i++)
        if (!feature_names[i].alias)
            set_bits(row, &feature_names[i], props);
    cJSON_Delete(props);
    for (unsigned i = 0; i < REVEALING; i++) {
        const char *name = name_of(revealing[i]);

        props = reveal(qemu, row->name, revealing[i]);
        set_bits(row, feature_find(name, strlen(name)), props);
        cJSON_Delete(props);
    }
    row->words[FW_1_EDX] |= FEATURE_BIT(F_VME);
    for (unsigned i = 0; i < sizeof(without_vme) / sizeof(without_vme[0]); i++)
        if (!strcmp(row->name, without_vme[i]))
            row->words[FW_1_EDX] &= ~FEATURE_BIT(F_VME);
}

/* One line of QEMU's stderr: a bit that the filter took and had no name for. */
static void read_warning(struct model_row *row, const char *line)
{
    unsigned leaf, bit;
    char reg[4];

    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        static const char *const regs[] = {"EAX", "EBX", "ECX", "EDX"};
        const struct feature_word_info *info = &feature_words[w];
        bool msr = sscanf(line, "MSR(%xH) [bit %u]", &leaf, &bit) == 2 && leaf == info->msr;
        bool cpuid = sscanf(line, "CPUID.%xH:%3s [bit %u]", &leaf, reg, &bit) == 3 && !info->msr &&
                     leaf == info->leaf && !info->subleaf && !strcmp(reg, regs[info->reg]);

        if (msr || cpuid)
            row->words[w] |= 1ull << bit;
    }
}

/* Bits without a name are no properties, but the filter warns of them; enforce ends QEMU after that. A version, being
 * a list of properties, cannot change them. */
static void read_unnamed(struct model_row *row)
{
    static const char asks[] = "requested feature: ";
    struct child child = {.out_fd = -1};
    struct args args = {0};
    char cpu[512];
    int used = snprintf(cpu, sizeof(cpu), "%s,enforce", row->name);

    for (unsigned i = 0; i < REVEALING; i++)
        used += snprintf(cpu + used, sizeof(cpu) - (size_t)used, ",+%s", name_of(revealing[i]));
    args_add(&args, "qemu-system-x86_64");
    args_add(&args, "-nodefaults");
    args_add(&args, "-display");
    args_add(&args, "none");
    args_add(&args, "-machine");
    args_add(&args, "isapc"); /* starts fastest */
    args_add(&args, "-cpu");
    args_add(&args, cpu);
    if (child_start(&child, &args, NULL, 0, true) || child_wait(&child, 30000))
        fail("%s: no answer", cpu);
    child_alive(&child); /* collects the rest */
    for (const char *at = child.text; at && (at = strstr(at, asks)); at += strlen(asks))
        read_warning(row, at + strlen(asks));
    child_kill(&child);
    args_free(&args);
}

static void inherit_unnamed(struct model_row *row, const struct model_row *before)
{
    for (unsigned w = 0; w < FEATURE_WORDS; w++)
        row->words[w] |= before->words[w] & ~feature_named_bits(w);
}

static uint32_t number(const cJSON *props, const char *name)
{
    return (uint32_t)cJSON_GetNumberValue(cJSON_GetObjectItem(props, name));
}

static void copy_text(char *to, size_t size, const cJSON *props, const char *name)
{
    snprintf(to, size, "%s", cJSON_GetStringValue(cJSON_GetObjectItem(props, name)));
}

static void read_identity(struct model_row *row, struct qemu_query *qemu)
{
    cJSON *changes = cJSON_CreateObject(), *props;
    char why[QMP_ERROR];

    cJSON_AddBoolToObject(changes, "full-cpuid-auto-level", false); /* or features raise the level */
    props = qemu_query_model(qemu, row->name, changes, why);
    if (!props)
        fail("%s: %s", row->name, why);
    copy_text(row->vendor, sizeof(row->vendor), props, "vendor");
    copy_text(row->model_id, sizeof(row->model_id), props, "model-id");
    row->family = number(props, "family");
    row->model = number(props, "model");
    row->stepping = number(props, "stepping");
    if (row->kind == MODEL_NAMED) {
        row->level = number(props, "min-level");
        row->xlevel = number(props, "min-xlevel");
    }
    row->own_caches = !is_on(props, "legacy-cache");
    cJSON_Delete(props);
}

/* "EPYC-v2" is 2; a name without a version is none of the rows but base, host and max. */
static unsigned version_of(const char *name)
{
    const char *at = strrchr(name, '-');

    return at && at[1] == 'v' && isdigit((unsigned char)at[2]) && !at[3] ? (unsigned)(at[2] - '0') : 0;
}

static enum model_kind kind_of(const char *name)
{
    return !strcmp(name, "base")   ? MODEL_BASE
           : !strcmp(name, "max")  ? MODEL_MAX
           : !strcmp(name, "host") ? MODEL_HOST
                                   : MODEL_NAMED;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct model_row *)a)->name, ((const struct model_row *)b)->name);
}

unsigned rows_read(struct model_row rows[ROWS_MAX], struct qemu_query *qemu, const cJSON *models)
{
    unsigned count = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, models)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(item, "name"));
        struct model_row *row = &rows[count];

        if (kind_of(name) == MODEL_NAMED && !version_of(name))
            continue;
        if (count == ROWS_MAX)
            fail("more than %u models", ROWS_MAX);
        snprintf(row->name, sizeof(row->name), "%s", name);
        row->kind = kind_of(name);
        row->version = version_of(name);
        if (row->kind == MODEL_NAMED || row->kind == MODEL_MAX)
            read_identity(row, qemu);
        if (row->kind == MODEL_NAMED)
            read_features(row, qemu);
        count++;
    }
    qsort(rows, count, sizeof(*rows), by_name);
    for (unsigned i = 0; i < count; i++)
        if (rows[i].version == 1)
            read_unnamed(&rows[i]);
        else if (rows[i].version)
            inherit_unnamed(&rows[i], &rows[i - 1]);
    return count;
}

/* What the guest reads, in this order. The vendor is changed for it: AMD's own shows no leaf 2. */
static const uint32_t cache_leaves[][2] = {{2, 0},          {0x80000005, 0}, {0x80000006, 0}, {0x8000001d, 0},
                                           {0x8000001d, 1}, {0x8000001d, 2}, {0x8000001d, 3}};
#define CACHE_LEAVES (sizeof(cache_leaves) / sizeof(cache_leaves[0]))

static struct cache cache_of(const uint64_t geometry[4], uint32_t amd, uint32_t descriptor)
{
    if (geometry[1] % (1 << 22) != 63)
        fail("a cache whose lines are not 64 bytes, or with partitions");
    return (struct cache){.ways = (uint16_t)((geometry[1] >> 22) + 1),
                          .sets = (uint32_t)geometry[2] + 1,
                          .descriptor = descriptor & 0xff,
                          .lines_per_tag = amd >> 8 & 0xf,
                          .self_init = geometry[0] >> 8 & 1,
                          .no_invd_sharing = geometry[3] & 1,
                          .inclusive = geometry[3] >> 1 & 1,
                          .complex_indexing = geometry[3] >> 2 & 1};
}

static void read_caches(struct model_row *row, struct machine *machine)
{
    char cpu[96];
    struct run_item item = {
        .flags = {.name = row->name, .cpu = cpu, .machine = "pc", .smp = "1", .memory = "64M"},
        .program_count = 1};
    struct run_result result;
    const struct outcome *o;
    struct program program;

    snprintf(cpu, sizeof(cpu), "%.39s,vendor=GenuineIntel,check=off", row->name);
    program_init(&program);
    for (unsigned i = 0; i < CACHE_LEAVES; i++)
        program_add(&program,
                    &(struct action){.op = OP_CPUID,
                                     .args = {{.value = cache_leaves[i][0]}, {.value = cache_leaves[i][1]}}});
    item.programs = &program;
    if (machine_run(machine, &item, 1, &result) || *result.error ||
        result.transcripts[0].count != CACHE_LEAVES)
        fail("%s: %s", row->name, result.error);
    o = result.transcripts[0].outcomes;
    row->caches.l1d = cache_of(o[3].regs, (uint32_t)o[1].regs[2], (uint32_t)(o[0].regs[3] >> 16));
    row->caches.l1i = cache_of(o[4].regs, (uint32_t)o[1].regs[3], (uint32_t)(o[0].regs[3] >> 8));
    row->caches.l2 = cache_of(o[5].regs, (uint32_t)o[2].regs[2], (uint32_t)o[0].regs[3]);
    row->caches.l3 = cache_of(o[6].regs, (uint32_t)o[2].regs[3], (uint32_t)o[0].regs[2]);
    run_result_free(&result, 1);
    program_free(&program);
}

void rows_read_caches(struct model_row *rows, unsigned count)
{
    struct machine *machine;
    char why[240];

    if (machine_open(&machine, MACHINE_QEMU_TCG, NEED_CPUID, NULL, NULL, why))
        fail("%s", why);
    for (unsigned i = 0; i < count; i++)
        if (rows[i].own_caches)
            read_caches(&rows[i], machine);
    machine_close(machine);
}
