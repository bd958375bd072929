/* Writes vmm/cpuid/models_data.inc from a real QEMU. QEMU flags specification M9, M10, L18.
 * Usage: build/dev/bin/gen_models >vmm/cpuid/models_data.inc; test_models compares. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/model_rows.h"

#define COLUMNS    118
#define FEATURES_N (FEATURE_WORDS * 64)

static const char *const ids[FEATURES_N] = {
#define FEATURE(id, name, word, bit)                 [id] = #id,
#define FEATURE_PAIR(id, name, word, bit, id2, bit2) [id] = #id, [id2] = #id2,
#define ALIAS(name, id)
#define UNNAMED(id, word, bit) [id] = #id,
#include "vmm/cpuid/feature_table.inc"
};

/* "EPYC-Rome-v2" shows the caches of EPYC_ROME. */
static void print_caches_name(const char *model)
{
    for (const char *c = model; *c && strcmp(c + 1, strrchr(model, '-') + 1); c++)
        putchar(*c == '-' ? '_' : tolower((unsigned char)*c));
}

static void print_cache(const char *level, const struct cache *c)
{
    printf("    .%s = {.ways = %u, .sets = %u, .descriptor = 0x%02x, .lines_per_tag = %u%s%s%s%s},\n", level,
           c->ways, c->sets, c->descriptor, c->lines_per_tag, c->self_init ? ", .self_init = true" : "",
           c->no_invd_sharing ? ", .no_invd_sharing = true" : "", c->inclusive ? ", .inclusive = true" : "",
           c->complex_indexing ? ", .complex_indexing = true" : "");
}

static bool same_cache(const struct cache *a, const struct cache *b)
{
    return a->ways == b->ways && a->sets == b->sets && a->descriptor == b->descriptor &&
           a->lines_per_tag == b->lines_per_tag && a->self_init == b->self_init &&
           a->no_invd_sharing == b->no_invd_sharing && a->inclusive == b->inclusive &&
           a->complex_indexing == b->complex_indexing;
}

static bool same_caches(const struct cpu_caches *a, const struct cpu_caches *b)
{
    return same_cache(&a->l1d, &b->l1d) && same_cache(&a->l1i, &b->l1i) && same_cache(&a->l2, &b->l2) &&
           same_cache(&a->l3, &b->l3);
}

/* Each set once, under the name of the first model that has it. */
static void print_caches(struct model_row *rows, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        const struct cpu_caches *caches = &rows[i].caches;

        if (!rows[i].own_caches)
            continue;
        for (unsigned k = 0; k < i && !rows[i].caches_name; k++)
            if (rows[k].own_caches && same_caches(&rows[k].caches, caches))
                rows[i].caches_name = rows[k].caches_name;
        if (rows[i].caches_name)
            continue;
        rows[i].caches_name = rows[i].name;
        printf("static const struct cpu_caches ");
        print_caches_name(rows[i].name);
        printf("_caches = {\n");
        print_cache("l1d", &caches->l1d);
        print_cache("l1i", &caches->l1i);
        print_cache("l2", &caches->l2);
        print_cache("l3", &caches->l3);
        printf("};\n");
    }
}

/* A list of features, word by word, each on lines of its own. */
static void print_features(const char *member, const uint64_t words[FEATURE_WORDS])
{
    int column = 0;

    printf("        .%s = FEATURES(", member);
    for (unsigned f = 0, last_word = FEATURE_WORDS; f < FEATURES_N; f++) {
        if (!(words[FEATURE_WORD(f)] & FEATURE_BIT(f)))
            continue;
        if (!ids[f])
            fail("bit %u of word %u has no name", f % 64, f / 64);
        if (FEATURE_WORD(f) != last_word || column + 2 + (int)strlen(ids[f]) > COLUMNS)
            column = printf("%s\n            %s", last_word == FEATURE_WORDS ? "" : ",", ids[f]) - 2;
        else
            column += printf(", %s", ids[f]);
        last_word = FEATURE_WORD(f);
    }
    printf("),\n");
}

static bool any(const uint64_t words[FEATURE_WORDS])
{
    for (unsigned w = 0; w < FEATURE_WORDS; w++)
        if (words[w])
            return true;
    return false;
}

static const char *vendor_macro(const char *vendor)
{
    static const char *const vendors[][2] = {
        {"GenuineIntel", "INTEL"}, {"AuthenticAMD", "AMD"}, {"HygonGenuine", "HYGON"}};

    for (unsigned i = 0; i < sizeof(vendors) / sizeof(vendors[0]); i++)
        if (!strcmp(vendor, vendors[i][0]))
            return vendors[i][1];
    fail("a vendor without a name in models.c: %s", vendor);
}

static void print_identity(const struct model_row *row)
{
    printf("        .vendor = %s, .family = %u, .model = %u, .stepping = %u", vendor_macro(row->vendor),
           row->family, row->model, row->stepping);
    if (row->level)
        printf(", .level = 0x%x", row->level);
    if (row->xlevel)
        printf(", .xlevel = 0x%x", row->xlevel);
    printf(",\n        .model_id = \"%s\",\n", row->model_id);
    if (row->own_caches) {
        printf("        .caches = &");
        print_caches_name(row->caches_name);
        printf("_caches,\n");
    }
}

static void print_changes(const struct model_row *row, const struct model_row *before)
{
    uint64_t added[FEATURE_WORDS], removed[FEATURE_WORDS];

    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        added[w] = row->words[w] & ~before->words[w];
        removed[w] = before->words[w] & ~row->words[w];
    }
    if (any(added))
        print_features("features", added);
    if (any(removed))
        print_features("without", removed);
}

static void print_row(const struct model_row *row)
{
    static const char *const kinds[] = {[MODEL_BASE] = "BASE", [MODEL_MAX] = "MAX", [MODEL_HOST] = "HOST"};

    printf("    {\n        .name = \"%s\"", row->name);
    if (row->kind != MODEL_NAMED)
        printf(", .kind = MODEL_%s", kinds[row->kind]);
    if (row->version)
        printf(", .version = %u", row->version);
    printf(",\n");
    if (row->kind == MODEL_NAMED || row->kind == MODEL_MAX)
        print_identity(row);
    else
        printf("        .model_id = \"\",\n");
    if (row->version == 1)
        print_features("features", row->words);
    else if (row->version)
        print_changes(row, row - 1);
    printf("    },\n");
}

struct alias {
    const char *name, *model, *latest;
};

static int by_alias(const void *a, const void *b)
{
    return strcmp(((const struct alias *)a)->name, ((const struct alias *)b)->name);
}

static const char *alias_of(const cJSON *models, const char *name)
{
    const cJSON *item;

    cJSON_ArrayForEach(item, models)
    {
        if (!strcmp(cJSON_GetStringValue(cJSON_GetObjectItem(item, "name")), name))
            return cJSON_GetStringValue(cJSON_GetObjectItem(item, "alias-of"));
    }
    return NULL;
}

static void print_aliases(const cJSON *models, const cJSON *on_microvm)
{
    struct alias aliases[ROWS_MAX];
    unsigned count = 0;
    const cJSON *item;

    cJSON_ArrayForEach(item, models)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(item, "name"));
        if (alias_of(models, name) && count < ROWS_MAX)
            aliases[count++] = (struct alias){name, alias_of(models, name), alias_of(on_microvm, name)};
    }
    qsort(aliases, count, sizeof(aliases[0]), by_alias);
    printf("\nconst struct cpu_model_alias cpu_model_aliases[] = {\n");
    for (unsigned i = 0; i < count; i++)
        printf("    {\"%s\", \"%s\", \"%s\"},\n", aliases[i].name, aliases[i].model, aliases[i].latest);
    printf("};\n");
}

static cJSON *definitions(struct qemu_query *qemu, const char *machine)
{
    char why[QMP_ERROR];
    cJSON *models = NULL;

    if (!qemu_query_open(qemu, machine, "tcg", why))
        models = qemu_query_models(qemu, why);
    if (!models)
        fail("%s", why);
    return models;
}

int main(void)
{
    static struct model_row rows[ROWS_MAX];
    struct qemu_query qemu, microvm;
    cJSON *models = definitions(&qemu, "pc"), *latest = definitions(&microvm, "microvm");
    unsigned count = rows_read(rows, &qemu, models);

    rows_read_caches(rows, count);
    printf(
        "/* Every CPU model of QEMU %s,\n"
        " * as defined, before accelerator and machine change it. Generated, not edited:\n"
        " *     build/dev/bin/gen_models >vmm/cpuid/models_data.inc\n"
        " * test_models compares. Definitions: query-cpu-model-expansion; caches: CPUID in a TCG guest. */\n\n",
        qemu.qmp.version);
    print_caches(rows, count);
    printf("\nconst struct cpu_model cpu_models[] = {\n");
    for (unsigned i = 0; i < count; i++)
        print_row(&rows[i]);
    printf("};\n");
    print_aliases(models, latest);
    cJSON_Delete(models);
    cJSON_Delete(latest);
    qemu_query_close(&qemu);
    qemu_query_close(&microvm);
    return fflush(stdout) ? 1 : 0;
}
