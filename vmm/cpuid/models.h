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

struct cpu_model {
    const char *name;
    enum model_kind kind;
    const char *vendor; /* 12 bytes; NULL: twelve NULs */
    uint16_t family;
    uint8_t model, stepping;
    uint32_t level, xlevel; /* minimum levels; raised by features (L1) */
    const char *model_id;   /* brand string */
    uint64_t words[FEATURE_WORDS];
};

/* Another name of a model: a version, or a name kept for compatibility (M9). */
struct cpu_model_alias {
    const char *name;
    const char *model;
};

extern const struct cpu_model cpu_models[];
extern const unsigned cpu_model_count;
extern const struct cpu_model_alias cpu_model_aliases[];
extern const unsigned cpu_model_alias_count;

/* Exact, case-sensitive (G4, G14). NULL: no such model. */
const struct cpu_model *cpu_model_find(const char *name, size_t len);

#endif
