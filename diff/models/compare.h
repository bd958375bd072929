/* Holds our table builder against a kept answer of a real QEMU: refused alike, the same warnings, and every register of
 * every CPUID leaf as a guest reads it, on every vCPU. */
#ifndef DIFF_MODELS_COMPARE_H
#define DIFF_MODELS_COMPARE_H

#include "diff/models/answers.h"

enum models_verdict {
    MODELS_EQUAL,
    MODELS_REFUSED_ALIKE,
    MODELS_DIFFERENT,
    MODELS_NOT_COMPARED,
    MODELS_VERDICTS
};
const char *models_verdict_name(enum models_verdict verdict); /* "equal", "refused_alike", ... */

#define REGISTERS_SHOWN 8
struct models_result {
    enum models_verdict verdict;
    char what[400];          /* how messages or fates differ, or why nothing was compared; one line */
    unsigned register_count; /* that differ */
    struct register_difference {
        unsigned vcpu;
        struct cpuid_read read;
        uint8_t reg; /* enum cpuid_register */
        uint32_t ours, theirs;
    } registers[REGISTERS_SHOWN]; /* the first ones */
};

/* 0 or -ENOMEM. */
int models_compare(const struct answers *answers, const struct answer *answer, struct models_result *result);

#endif
