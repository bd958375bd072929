/* The rows of vmm/cpuid/models_data.inc on their way from QEMU to the file. */
#ifndef TESTS_MODEL_ROWS_H
#define TESTS_MODEL_ROWS_H

#include <stdbool.h>
#include <stdint.h>
#include "tests/qemu_query.h"
#include "vmm/cpuid/models.h"

#define ROWS_MAX 160

struct model_row {
    char name[40], vendor[13], model_id[64];
    bool own_caches;
    enum model_kind kind;
    unsigned version, family, model, stepping;
    uint32_t level, xlevel;
    uint64_t words[FEATURE_WORDS];
    struct cpu_caches caches;
    const char *caches_name;
};

/* Says why on stderr and exits: a half-written file is worse than none. */
_Noreturn void fail(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Definitions of all models with a version, and of base, host and max; sorted by name. Returns their number. */
unsigned rows_read(struct model_row rows[ROWS_MAX], struct qemu_query *qemu, const cJSON *models);
/* Caches of the models that have their own, as a guest under TCG reads them. */
void rows_read_caches(struct model_row *rows, unsigned count);

#endif
