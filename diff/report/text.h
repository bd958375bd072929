/* A growing text, and the escapes of the languages that reports are written in. */
#ifndef DIFF_REPORT_TEXT_H
#define DIFF_REPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <cjson/cJSON.h>

struct text {
    char *bytes; /* NUL-terminated once anything was added */
    size_t length, capacity;
    bool out_of_memory; /* sticky */
};

void text_free(struct text *text);
void text_add(struct text *text, const char *string);
void text_addn(struct text *text, const char *bytes, size_t length);
void text_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Prints value and a newline, and frees it. */
void text_add_json(struct text *text, cJSON *value);
/* For HTML and XML, between tags and inside "": what XML 1.0 forbids becomes U+FFFD, as do bytes that are no UTF-8. */
void text_escape(struct text *text, const char *string);

#endif
