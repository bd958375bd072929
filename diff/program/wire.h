/* Bytes of transcripts and of the messages to the box: little-endian numbers, and strings and blobs with their length before them. */
#ifndef DIFF_PROGRAM_WIRE_H
#define DIFF_PROGRAM_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Grows as it is written. failed stays set once memory was short; then data is NULL. */
struct wire_out {
    uint8_t *data;
    size_t len, capacity;
    bool failed;
};
void wire_put_u32(struct wire_out *out, uint32_t value);
void wire_put_bytes(struct wire_out *out, const void *data, size_t len);
void wire_put_string(struct wire_out *out, const char *text); /* NULL is written as "" */

/* Reads hostile bytes: once something does not fit, failed stays set and everything reads as 0 or "". */
struct wire_in {
    const uint8_t *data;
    size_t len;
    bool failed;
};
uint32_t wire_get_u32(struct wire_in *in);
/* A view into the message, valid as long as it is. */
const uint8_t *wire_get_bytes(struct wire_in *in, size_t *len);
/* A view that ends in NUL inside the message; never NULL. Strings with NUL inside or without one at the end fail. */
const char *wire_get_string(struct wire_in *in);
/* True when all was read and nothing failed. */
bool wire_done(const struct wire_in *in);

#endif
