/* Structures as lists of named fields: one table writes them, reads them back from hostile bytes, and names what is wrong.
 * The bytes are little-endian, fields in table order, without padding. */
#ifndef VMM_CORE_FIELDS_H
#define VMM_CORE_FIELDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct field {
    const char *name;
    uint32_t offset; /* of the first element */
    uint16_t size;   /* of one element: 1, 2, 4 or 8 */
    uint16_t count;  /* elements */
    uint32_t stride; /* bytes from one element to the next */
    uint64_t max;    /* largest value that is accepted */
};
#define FIELD_ANY                  UINT64_MAX
#define FIELD_MEMBER(type, member) (((type *)0)->member)
#define FIELD(type, member, max)                                                                             \
    {                                                                                                        \
#member, offsetof(type, member), sizeof(FIELD_MEMBER(type, member)), 1, 0, max                       \
    }
#define FIELD_ARRAY(type, array, max)                                                                        \
    {                                                                                                        \
#array, offsetof(type, array), sizeof(FIELD_MEMBER(type, array[0])),                                 \
            sizeof(FIELD_MEMBER(type, array)) / sizeof(FIELD_MEMBER(type, array[0])),                        \
            sizeof(FIELD_MEMBER(type, array[0])), max                                                        \
    }
/* One member of each struct in an array. */
#define FIELD_EACH(type, array, member, max)                                                                 \
    {                                                                                                        \
#array "[]." #member, offsetof(type, array[0].member), sizeof(FIELD_MEMBER(type, array[0].member)),  \
            sizeof(FIELD_MEMBER(type, array)) / sizeof(FIELD_MEMBER(type, array[0])),                        \
            sizeof(FIELD_MEMBER(type, array[0])), max                                                        \
    }

/* Grows as needed; failed sticks when memory ran out, and data is then of no use. */
struct byte_writer {
    uint8_t *data;
    size_t len, capacity;
    bool failed;
};
void bytes_put(struct byte_writer *w, const void *src, size_t len);
void bytes_put_uint(struct byte_writer *w, uint64_t value, unsigned size);

struct byte_reader {
    const uint8_t *data;
    size_t len, pos;
};
/* NULL: fewer than len bytes are left; nothing is consumed then. */
const uint8_t *bytes_take(struct byte_reader *r, size_t len);
bool bytes_take_uint(struct byte_reader *r, uint64_t *value, unsigned size);

void fields_write(struct byte_writer *w, const void *object, const struct field *fields, size_t count);
/* The field that is short or beyond its max, or NULL when all were read. The object may be half filled otherwise. */
const struct field *fields_read(struct byte_reader *r, void *object, const struct field *fields,
                                size_t count);

#endif
