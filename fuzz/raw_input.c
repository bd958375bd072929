/* For targets whose inputs are reviewed as they are: text form and binary form are the same bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz/target.h"

/* One line; what is not printable is written as \xNN, so that a terminal shows it unharmed. */
char *fuzz_input_text(const uint8_t *data, size_t size)
{
    char *text = malloc(4 * size + 1), *at = text;

    if (!text)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        if (data[i] >= ' ' && data[i] < 0x7f)
            *at++ = (char)data[i];
        else
            at += sprintf(at, "\\x%02x", data[i]);
    }
    *at = 0;
    return text;
}

int fuzz_input_load(const uint8_t *data, size_t size, uint8_t **out, size_t *out_size, char message[200])
{
    *out = malloc(size ? size : 1);
    if (!*out) {
        snprintf(message, 200, "out of memory");
        return -ENOMEM;
    }
    memcpy(*out, data, size);
    *out_size = size;
    return 0;
}
