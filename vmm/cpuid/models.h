/* CPU models as data. QEMU flags specification section 6; every row is QEMU 7.2's definition before accelerator changes. */
#ifndef VMM_CPUID_MODELS_H
#define VMM_CPUID_MODELS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/cpuid/features.h"

enum model_kind {
    MODEL_NAMED,
    MODEL_BASE, /* nothing set, no accelerator defaults (M7) */
    MODEL_MAX,  /* everything the accelerator supports (M3, M4) */
    MODEL_HOST, /* max, and KVM only (M2) */
};

/* One cache as leaves 2, 4, 80000005, 80000006 and 8000001D describe it. Lines are 64 bytes, in one partition. */
struct cache {
    uint16_t ways;
    uint32_t sets;
    uint8_t descriptor;    /* leaf 2's byte; 0xff: leaf 2 has none for it */
    uint8_t lines_per_tag; /* leaves 80000005 and 80000006 */
    bool self_init, no_invd_sharing, inclusive, complex_indexing;
};
struct cpu_caches {
    struct cache l1d, l1i, l2, l3;
};

struct cpu_model {
    const char *name; /* with its version: "EPYC-v2" */
    enum model_kind kind;
    uint8_t version;    /* from 1; from 2 on, features are changes against the row before */
    const char *vendor; /* 12 bytes; NULL: twelve NULs */
    uint16_t family;
    uint8_t model, stepping;
    uint32_t level, xlevel;          /* minimum levels; raised by features (L1) */
    const char *model_id;            /* brand string */
    const struct cpu_caches *caches; /* NULL: the ones that QEMU gives every model without its own (L18) */
    const uint16_t *features;        /* enum feature, ended by FEATURES_END; NULL: none */
    const uint16_t *without;         /* taken away from the row before */
};
#define FEATURES_END UINT16_MAX

/* Another name of a version: kept for compatibility, or the model without a version, which is the machine's choice (M9). */
struct cpu_model_alias {
    const char *name;
    const char *model;  /* what it means on all machines but microvm */
    const char *latest; /* what it means there */
};

extern const struct cpu_model cpu_models[]; /* sorted by name */
extern const unsigned cpu_model_count;
extern const struct cpu_model_alias cpu_model_aliases[]; /* sorted by name */
extern const unsigned cpu_model_alias_count;

/* Exact, case-sensitive (G4, G14). latest: as microvm resolves names. NULL: no such model. */
const struct cpu_model *cpu_model_find(const char *name, size_t len, bool latest);
/* The feature words of one row of cpu_models. */
void cpu_model_words(const struct cpu_model *model, uint64_t words[FEATURE_WORDS]);

#endif
