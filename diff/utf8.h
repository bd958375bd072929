/* UTF-8, for texts that others wrote. RFC 3629. */
#ifndef DIFF_UTF8_H
#define DIFF_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Bytes of the character that s begins with, and the character; 0 where the bytes are none. s ends with a NUL. */
size_t utf8_decode(const char *s, uint32_t *character);

#endif
