/* Delta debugging of a -cpu string: whole runs of items first, then the model, then single bytes. */
#include "diff/flags/shrink.h"

#include <string.h>

/* Replaces `len` bytes at `at` by `with` if the result is shorter (or other) and still shows it. */
static bool try_replace(char text[FLAGS_TEXT_MAX], struct flags_oracle *oracle, size_t at, size_t len,
                        const char *with)
{
    char candidate[FLAGS_TEXT_MAX];
    size_t total = strlen(text), with_len = strlen(with);

    if (!oracle->budget || total - len + with_len >= sizeof(candidate) ||
        (len == with_len && !memcmp(text + at, with, len)))
        return false;
    memcpy(candidate, text, at);
    memcpy(candidate + at, with, with_len);
    memcpy(candidate + at + with_len, text + at + len, total - at - len + 1);
    oracle->budget--;
    if (!oracle->shows(oracle->ctx, candidate))
        return false;
    memcpy(text, candidate, sizeof(candidate));
    return true;
}

/* Offset of the comma before item i (from 0), or the string's length. */
static size_t item_at(const char *text, unsigned i)
{
    const char *comma = strchr(text, ',');

    for (; comma && i; i--)
        comma = strchr(comma + 1, ',');
    return comma ? (size_t)(comma - text) : strlen(text);
}

static unsigned item_count(const char *text)
{
    unsigned count = 0;

    for (; *text; text++)
        count += *text == ',';
    return count;
}

static bool drop_items(char text[FLAGS_TEXT_MAX], struct flags_oracle *oracle)
{
    bool dropped = false;

    for (unsigned run = item_count(text); run; run /= 2)
        for (unsigned i = 0; i < item_count(text);) {
            size_t at = item_at(text, i);

            if (try_replace(text, oracle, at, item_at(text, i + run) - at, ""))
                dropped = true; /* the next items moved to i */
            else
                i += run;
        }
    return dropped;
}

static void simplify_model(char text[FLAGS_TEXT_MAX], struct flags_oracle *oracle)
{
    static const char *const plain[] = {"base", "qemu64", "max"};

    if (!item_at(text, 0)) /* no model: that is what it shows */
        return;
    for (size_t i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
        if (!strncmp(text, plain[i], strlen(plain[i])) ||
            try_replace(text, oracle, 0, item_at(text, 0), plain[i]))
            return;
}

/* Halves, then single bytes, of what stands behind the first '=' of an item; then the whole of it. */
static bool shorten_value(char text[FLAGS_TEXT_MAX], struct flags_oracle *oracle, unsigned item)
{
    size_t start = item_at(text, item), end = item_at(text, item + 1);
    char *equals = start < end ? memchr(text + start, '=', end - start) : NULL;
    bool shorter;

    if (!equals)
        return false;
    start = (size_t)(equals - text);
    shorter = try_replace(text, oracle, start, end - start, "");
    if (shorter)
        return true;
    start++;
    for (size_t piece = end - start; piece; piece /= 2)
        for (size_t at = start; at + piece <= item_at(text, item + 1);) {
            if (try_replace(text, oracle, at, piece, ""))
                shorter = true;
            else
                at += piece;
        }
    return shorter;
}

void flags_shrink(char text[FLAGS_TEXT_MAX], struct flags_oracle *oracle)
{
    bool shorter;

    do {
        shorter = drop_items(text, oracle);
        simplify_model(text, oracle);
        for (unsigned i = 0; i < item_count(text); i++)
            shorter |= shorten_value(text, oracle, i);
    } while (shorter && oracle->budget);
}
