/* The table of feature names, for lookup by name. QEMU flags specification section 17. */
#include "vmm/cpuid/features.h"

#define FEATURE(id, name, word, bit)                 {name, word, FEATURE_BIT(id), false},
#define FEATURE_PAIR(id, name, word, bit, id2, bit2) {name, word, FEATURE_BIT(id) | FEATURE_BIT(id2), false},
#define ALIAS(name, id)                              {name, FEATURE_WORD(id), FEATURE_BIT(id), true},
#define UNNAMED(id, word, bit)

const struct feature_name feature_names[] = {
#include "vmm/cpuid/feature_table.inc"
};

const unsigned feature_name_count = sizeof(feature_names) / sizeof(feature_names[0]);
static_assert(sizeof(feature_names) / sizeof(feature_names[0]) <= FEATURE_NAMES_MAX,
              "bitmaps are sized by it");
