/* Growing text with escapes. Guests and QEMU write some of what goes through here: nothing is trusted. */
#include "diff/report/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/utf8.h"

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

void text_add_json(struct text *text, cJSON *value)
{
    char *printed = cJSON_Print(value);

    cJSON_Delete(value);
    if (printed) {
        text_add(text, printed);
        text_add(text, "\n");
    } else {
        text->out_of_memory = true;
    }
    free(printed);
}

/* Bytes of the character that s begins with, or 0 where XML 1.0 allows none like it. */
static size_t xml_length(const char *s)
{
    uint32_t code;
    size_t length = utf8_decode(s, &code);

    if (length &&
        (code < 0x20 ? code != '\t' && code != '\n' && code != '\r' : code == 0xfffe || code == 0xffff))
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
        size_t length = xml_length(string);
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
