/* Writes and reads the bytes of the box's messages; reading trusts nothing. */
#include "diff/program/wire.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>

static void put(struct wire_out *out, const void *data, size_t len)
{
    if (out->failed)
        return;
    if (len > out->capacity - out->len) {
        size_t capacity = (out->len + len) * 2;
        uint8_t *grown = realloc(out->data, capacity);

        if (!grown) {
            free(out->data);
            *out = (struct wire_out){.failed = true};
            return;
        }
        out->data = grown;
        out->capacity = capacity;
    }
    if (len)
        memcpy(out->data + out->len, data, len);
    out->len += len;
}

void wire_put_u32(struct wire_out *out, uint32_t value)
{
    uint32_t le = htole32(value);

    put(out, &le, sizeof(le));
}

void wire_put_bytes(struct wire_out *out, const void *data, size_t len)
{
    wire_put_u32(out, (uint32_t)len);
    put(out, data, len);
}

void wire_put_string(struct wire_out *out, const char *text)
{
    if (!text)
        text = "";
    wire_put_bytes(out, text, strlen(text) + 1);
}

static const uint8_t *take(struct wire_in *in, size_t len)
{
    const uint8_t *data = in->data;

    if (in->failed || len > in->len) {
        in->failed = true;
        return NULL;
    }
    in->data += len;
    in->len -= len;
    return data;
}

uint32_t wire_get_u32(struct wire_in *in)
{
    const uint8_t *data = take(in, sizeof(uint32_t));
    uint32_t le = 0;

    if (data)
        memcpy(&le, data, sizeof(le));
    return le32toh(le);
}

const uint8_t *wire_get_bytes(struct wire_in *in, size_t *len)
{
    const uint8_t *data;

    *len = wire_get_u32(in);
    data = take(in, *len);
    if (!data)
        *len = 0;
    return data;
}

const char *wire_get_string(struct wire_in *in)
{
    size_t len;
    const uint8_t *data = wire_get_bytes(in, &len);

    if (data && len && memchr(data, '\0', len) == data + len - 1)
        return (const char *)data;
    in->failed = true;
    return "";
}

bool wire_done(const struct wire_in *in)
{
    return !in->failed && in->len == 0;
}
