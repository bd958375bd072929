/* QEMU 7.2's CPU models and how their names are found. QEMU flags specification M3, M7, M9, M10. */
#include "vmm/cpuid/models.h"

#include <string.h>

#define INTEL         "GenuineIntel"
#define AMD           "AuthenticAMD"
#define HYGON         "HygonGenuine"
#define FEATURES(...) ((const uint16_t[]){__VA_ARGS__, FEATURES_END})

#include "vmm/cpuid/models_data.inc"

const unsigned cpu_model_count = sizeof(cpu_models) / sizeof(cpu_models[0]);
const unsigned cpu_model_alias_count = sizeof(cpu_model_aliases) / sizeof(cpu_model_aliases[0]);

/* A search in either table: both begin their rows with the name. */
static const void *row_find(const void *table, unsigned count, size_t size, const char *name, size_t len)
{
    unsigned low = 0, high = count;

    while (low < high) {
        unsigned mid = (low + high) / 2;
        const char *const *row = (const void *)((const char *)table + mid * size);
        int order = name_compare(name, len, *row);

        if (order == 0)
            return row;
        if (order < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}
static_assert(offsetof(struct cpu_model, name) == 0, "row_find() reads the name there");
static_assert(offsetof(struct cpu_model_alias, name) == 0, "row_find() reads the name there");

const struct cpu_model *cpu_model_find(const char *name, size_t len, bool latest)
{
    const struct cpu_model_alias *alias =
        row_find(cpu_model_aliases, cpu_model_alias_count, sizeof(*alias), name, len);

    if (alias) {
        name = latest ? alias->latest : alias->model;
        len = strlen(name);
    }
    return row_find(cpu_models, cpu_model_count, sizeof(struct cpu_model), name, len);
}

void cpu_model_words(const struct cpu_model *model, uint64_t words[FEATURE_WORDS])
{
    const struct cpu_model *row = model;

    memset(words, 0, FEATURE_WORDS * sizeof(words[0]));
    while (row->version > 1)
        row--;
    for (; row <= model; row++) {
        for (const uint16_t *f = row->without; f && *f != FEATURES_END; f++)
            words[FEATURE_WORD(*f)] &= ~FEATURE_BIT(*f);
        for (const uint16_t *f = row->features; f && *f != FEATURES_END; f++)
            words[FEATURE_WORD(*f)] |= FEATURE_BIT(*f);
    }
}
