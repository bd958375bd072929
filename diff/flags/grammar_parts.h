/* Shared by the two halves of the grammar; private to diff/flags. */
#ifndef DIFF_FLAGS_GRAMMAR_PARTS_H
#define DIFF_FLAGS_GRAMMAR_PARTS_H

#include <stdbool.h>
#include "diff/flags/grammar.h"
#include "vmm/cpuid/property.h"

/* A string that grows up to max - 1 bytes and stays NUL-terminated; what does not fit is cut. */
struct flags_text {
    char *text;
    size_t len, max;
};
void flags_put(struct flags_text *out, const char *bytes, size_t len);
void flags_puts(struct flags_text *out, const char *string);

/* One choice of a string that goes wrong in `sloppiness` of 16 choices. */
bool flags_wrong(struct flags_random *random, unsigned sloppiness);
void flags_mistype(struct flags_random *random, char *word, size_t *len, size_t max);

/* A value for the property, for a feature bit, or for tsc-freq when neither. */
void flags_put_value(struct flags_random *random, const struct property *property, bool feature,
                     unsigned sloppiness, struct flags_text *out);

#endif
