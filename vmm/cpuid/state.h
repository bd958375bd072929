/* One vCPU while its table is being decided; private to vmm/cpuid. QEMU flags specification P5, P6. */
#ifndef VMM_CPUID_STATE_H
#define VMM_CPUID_STATE_H

#include "vmm/cpuid/build.h"

struct cpu_state {
    const struct cpu_flags *flags;
    const struct cpu_model *model;
    const struct cpuid_machine *machine;
    const struct cpuid_supported *host;
    struct cpuid_outcome *outcome;
    unsigned vcpu;

    uint64_t words[FEATURE_WORDS]; /* what is on */
    uint64_t user[FEATURE_WORDS];  /* touched by compat, -global or -cpu (R3) */
    struct property_value values[PROPERTIES];
    char vendor[12];
    char model_id[48]; /* NUL padded */
    struct cpu_place place;
    struct apic_layout layout;
    uint32_t level, xlevel, xlevel2, level_func7;
    uint32_t phys_bits;
    bool any_filtered;     /* for enforce (E5, E7) */
    bool hyperv;           /* Hyper-V leaves are on (Y1) */
    uint32_t hyperv_flags; /* a bit per flag that is on; hyperv.c numbers them */
};

static inline uint64_t state_number(const struct cpu_state *state, enum property_id id)
{
    return state->values[id].number;
}
static inline bool state_has(const struct cpu_state *state, enum feature feature)
{
    return state->words[FEATURE_WORD(feature)] & FEATURE_BIT(feature);
}
static inline bool state_kvm(const struct cpu_state *state)
{
    return accel_is_kvm(state->host->accel);
}
static inline bool state_max(const struct cpu_state *state)
{
    return state->model->kind == MODEL_MAX || state->model->kind == MODEL_HOST;
}
bool state_vendor_is(const struct cpu_state *state, const char vendor[12]);
/* Clears bits, warns about each if verbose, and counts them as filtered. prefix ends in ": ". */
void state_drop(struct cpu_state *state, enum feature_word word, uint64_t bits, bool verbose,
                const char *prefix);

#define VENDOR_AMD   "AuthenticAMD"
#define VENDOR_INTEL "GenuineIntel"

/* configure.c: model, accelerator, machine, -global and -cpu, in that order (R1). */
bool state_configure(struct cpu_state *state);
/* resolve.c: dependencies, XSAVE components, levels, filter (P6). */
bool state_resolve(struct cpu_state *state);
/* hyperv.c: section 9. */
/* As soon as the vendor is known, before signs are looked at. */
void hyperv_check_vendor(struct cpu_state *state);
bool hyperv_resolve(struct cpu_state *state);
void hyperv_entries(const struct cpu_state *state, struct cpuid_table *out);
/* leaves.c: the answer of QEMU's CPUID, out-of-range rule included (section 12, L2). */
struct cpuid_regs leaf_regs(const struct cpu_state *state, uint32_t leaf, uint32_t subleaf);
/* xsave.c: leaf 0xD and the components that features bring. */
uint64_t xsave_components(const struct cpu_state *state);
/* Those of IA32_XSS. QEMU 7.2 filters them, and shows none to a guest. */
uint64_t xsave_supervisor_components(const struct cpu_state *state);
struct cpuid_regs xsave_leaf(const struct cpu_state *state, uint32_t subleaf);
/* cache.c: leaves 2, 4, 80000005, 80000006, 8000001D. */
/* Says so where the host's caches are wanted and not known. */
void cache_check_host(struct cpu_state *state);
struct cpuid_regs cache_leaf_2(const struct cpu_state *state);
struct cpuid_regs cache_leaf_4(const struct cpu_state *state, uint32_t subleaf);
struct cpuid_regs cache_leaf_80000005(const struct cpu_state *state);
struct cpuid_regs cache_leaf_80000006(const struct cpu_state *state);
struct cpuid_regs cache_leaf_8000001d(const struct cpu_state *state, uint32_t subleaf);
/* entries.c: the list in QEMU's order (section 14). */
void entries_build(const struct cpu_state *state, struct cpuid_table *out);
void entry_add(struct cpuid_table *out, uint32_t leaf, uint32_t subleaf, uint32_t flags,
               struct cpuid_regs regs);

#endif
