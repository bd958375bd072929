/* What is asked of every CPU model: the variants of its flags, and the CPUID leaves that are read on all vCPUs. */
#ifndef DIFF_MODELS_VARIANT_H
#define DIFF_MODELS_VARIANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum pv_flags { PV_AS_THEY_ARE, PV_ALL_ON, PV_ALL_OFF };

struct variant {
    const char *name, *title;
    enum pv_flags pv;
    const char *items; /* more of -cpu, with its leading comma */
    const char *smp;   /* -smp */
    bool usual;        /* taken where none is named */
};
extern const struct variant variants[];
extern const unsigned variant_count;
#define VARIANTS_MAX 16 /* variant_count is below it */

/* By name; NULL: there is none. */
const struct variant *variant_find(const char *name);
/* -cpu of a model in a variant. Warnings are wanted: `check` stays on. */
#define VARIANT_CPU_MAX 1024
void variant_cpu(const struct variant *variant, const char *model, char cpu[VARIANT_CPU_MAX]);

/* One CPUID instruction. */
struct cpuid_read {
    uint32_t leaf, subleaf;
};
#define READS_MAX 256
/* All of them, in ascending order; the number is returned. Covers every leaf that QEMU 7.2 knows, their last subleaves
 * and one more, and leaves just above each range. */
unsigned reads_list(struct cpuid_read reads[READS_MAX]);

#endif
