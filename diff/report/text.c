/* Growing text with escapes. Guests and QEMU write some of what goes through here: nothing is trusted. */
#include "diff/report/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPLACEMENT "\xef\xbf\xbd"

void text_free(struct text *text)
{
    free(text->bytes);
    *text = (struct text){0};
}

static bool reserve(struct text *text, size_t more)
{
    size_t capacity = text->capacity ? text->capacity : 4096;
    char *grown;

    while (capacity - text->length <= more)
        capacity *= 2;
    if (capacity == text->capacity)
        return true;
    grown = realloc(text->bytes, capacity);
    if (!grown) {
        text->out_of_memory = true;
        return false;
    }
    text->bytes = grown;
    text->capacity = capacity;
    return true;
}

void text_addn(struct text *text, const char *bytes, size_t length)
{
    if (text->out_of_memory || !reserve(text, length))
        return;
    memcpy(text->bytes + text->length, bytes, length);
    text->length += length;
    text->bytes[text->length] = 0;
}

void text_add(struct text *text, const char *string)
{
    text_addn(text, string, strlen(string));
}

void text_format(struct text *text, const char *format, ...)
{
    va_list args, again;
    int length;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    if (length >= 0 && !text->out_of_memory && reserve(text, (size_t)length)) {
        vsnprintf(text->bytes + text->length, (size_t)length + 1, format, again);
        text->length += (size_t)length;
    }
    va_end(again);
}

/* Length of the UTF-8 sequence at s that XML allows, or 0. */
static size_t utf8_length(const unsigned char *s)
{
    uint32_t code;
    size_t length;

    if (*s < 0x80)
        return *s >= 0x20 || *s == '\t' || *s == '\n' || *s == '\r';
    length = *s >= 0xf0 ? 4 : *s >= 0xe0 ? 3 : 2;
    if (*s < 0xc2 || *s > 0xf4)
        return 0;
    code = *s & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3f);
    }
    if ((length == 3 && code < 0x800) || (length == 4 && (code < 0x10000 || code > 0x10ffff)) ||
        (code >= 0xd800 && code <= 0xdfff) || code == 0xfffe || code == 0xffff)
        return 0;
    return length;
}

static const char *entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    case '\'':
        return "&#39;";
    default:
        return NULL;
    }
}

void text_escape(struct text *text, const char *string)
{
    while (*string) {
        size_t length = utf8_length((const unsigned char *)string);
        const char *named = entity(*string);

        if (named)
            text_add(text, named);
        else if (length)
            text_addn(text, string, length);
        else
            text_add(text, REPLACEMENT);
        string += length ? length : 1;
    }
}
