/* Random -cpu strings, right and wrong, drawn from our own tables of names, types and models: for pv-diff flags and
 * for the mutator of the flags fuzz target, so libc and vmm/cpuid only. QEMU flags specification sections 2 and 3. */
#ifndef DIFF_FLAGS_GRAMMAR_H
#define DIFF_FLAGS_GRAMMAR_H

#include <stddef.h>
#include <stdint.h>

#define FLAGS_TEXT_MAX 1024 /* bytes of a string with its NUL; more items than that find nothing new */

/* splitmix64: equal seeds give equal strings on every machine, and neighbouring seeds unrelated ones. */
struct flags_random {
    uint64_t state;
};
/* The generator of string `index` of a series: any string of it can be made without the ones before. */
struct flags_random flags_random_at(uint64_t seed, uint64_t index);
uint32_t flags_random_below(struct flags_random *random, uint32_t n); /* n > 0 */

/* The model names to draw from; NULL names: all that we have, versions and other spellings included. */
struct flags_models {
    const char *const *names;
    unsigned count;
};

/* A whole string into text, NUL-terminated. Returns its length. Never contains a NUL. */
size_t flags_make(struct flags_random *random, const struct flags_models *models, char text[FLAGS_TEXT_MAX]);
/* Changes a string at one to four places, item by item. Returns the new length, less than max. max > 0. */
size_t flags_mutate(struct flags_random *random, char *text, size_t len, size_t max);

#endif
