/* "first,key=value,key": how most QEMU options are written. Private to vmm/cpuid. */
#ifndef VMM_CPUID_KEYVAL_H
#define VMM_CPUID_KEYVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include "vmm/cpuid/features.h"

struct keyval {
    const char *key, *value; /* a bare word is a key with a NULL value */
    size_t key_len, value_len;
};

/* Takes the next comma-separated part off *rest. ",," is a literal comma in QEMU; none of our values needs one. */
static inline bool keyval_next(const char **rest, struct keyval *kv)
{
    const char *part = *rest, *end, *equals;

    if (!part || !*part)
        return false;
    end = strchr(part, ',');
    if (!end)
        end = part + strlen(part);
    *rest = *end ? end + 1 : end;
    equals = memchr(part, '=', (size_t)(end - part));
    kv->key = part;
    kv->key_len = (size_t)((equals ? equals : end) - part);
    kv->value = equals ? equals + 1 : NULL;
    kv->value_len = equals ? (size_t)(end - equals - 1) : 0;
    return true;
}

static inline bool key_is(const struct keyval *kv, const char *word)
{
    return name_compare(kv->key, kv->key_len, word) == 0;
}

#endif
