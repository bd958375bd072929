/* Structures as lists of named fields. See fields.h. */
#include "vmm/core/fields.h"

#include <stdlib.h>
#include <string.h>

static bool reserve(struct byte_writer *w, size_t len)
{
    size_t capacity = w->capacity ? w->capacity : 4096;
    uint8_t *data;

    if (w->failed || len <= w->capacity - w->len)
        return !w->failed;
    while (capacity - w->len < len)
        capacity *= 2;
    data = realloc(w->data, capacity);
    if (!data) {
        w->failed = true;
        return false;
    }
    w->data = data;
    w->capacity = capacity;
    return true;
}

void bytes_put(struct byte_writer *w, const void *src, size_t len)
{
    if (!len || !reserve(w, len))
        return;
    memcpy(w->data + w->len, src, len);
    w->len += len;
}

void bytes_put_uint(struct byte_writer *w, uint64_t value, unsigned size)
{
    uint8_t bytes[8];

    for (unsigned i = 0; i < size; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
    bytes_put(w, bytes, size);
}

const uint8_t *bytes_take(struct byte_reader *r, size_t len)
{
    const uint8_t *start = r->data + r->pos;

    if (len > r->len - r->pos)
        return NULL;
    r->pos += len;
    return start;
}

bool bytes_take_uint(struct byte_reader *r, uint64_t *value, unsigned size)
{
    const uint8_t *bytes = bytes_take(r, size);

    if (!bytes)
        return false;
    *value = 0;
    for (unsigned i = 0; i < size; i++)
        *value |= (uint64_t)bytes[i] << 8 * i;
    return true;
}

static uint64_t load(const uint8_t *p, unsigned size)
{
    uint64_t value = 0;

    memcpy(&value, p, size); /* hosts are little-endian x86 */
    return value;
}

void fields_write(struct byte_writer *w, const void *object, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++)
        for (unsigned n = 0; n < fields[i].count; n++)
            bytes_put_uint(
                w, load((const uint8_t *)object + fields[i].offset + n * fields[i].stride, fields[i].size),
                fields[i].size);
}

const struct field *fields_read(struct byte_reader *r, void *object, const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct field *f = &fields[i];
        for (unsigned n = 0; n < f->count; n++) {
            uint64_t value;
            if (!bytes_take_uint(r, &value, f->size) || value > f->max)
                return f;
            memcpy((uint8_t *)object + f->offset + n * f->stride, &value, f->size);
        }
    }
    return NULL;
}
