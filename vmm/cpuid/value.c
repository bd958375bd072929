/* How QEMU reads booleans, integers and tsc-freq out of -cpu. Specification section 3 (V1-V4, V8-V11). */
#include "vmm/cpuid/property.h"

#include "vmm/cpuid/features.h"

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

bool value_bool(const char *text, size_t len, bool *value)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"on", true},   {"yes", true}, {"true", true},   {"y", true},
                 {"off", false}, {"no", false}, {"false", false}, {"n", false}};

    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        if (name_compare(text, len, words[i].word) == 0) {
            *value = words[i].value;
            return true;
        }
    return false;
}

static int digit_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 99;
}

/* Digits of one base from *pos on. False: none there, or above 2^64-1. */
static bool read_digits(const char *text, size_t len, size_t *pos, int base, uint64_t *value)
{
    size_t start = *pos;

    *value = 0;
    for (; *pos < len && digit_value(text[*pos]) < base; ++*pos)
        if (__builtin_mul_overflow(*value, (uint64_t)base, value) ||
            __builtin_add_overflow(*value, (uint64_t)digit_value(text[*pos]), value))
            return false;
    return *pos > start;
}

static bool has_hex_prefix(const char *text, size_t len, size_t pos)
{
    return pos + 2 < len && text[pos] == '0' && (text[pos + 1] | 0x20) == 'x' &&
           digit_value(text[pos + 2]) < 16;
}

/* Blanks, sign, base prefix and digits to the very end. */
static bool read_magnitude(const char *text, size_t len, bool *negative, uint64_t *magnitude)
{
    size_t pos = 0;
    int base = 10;

    while (pos < len && is_blank(text[pos]))
        pos++;
    *negative = pos < len && text[pos] == '-';
    if (pos < len && (text[pos] == '-' || text[pos] == '+'))
        pos++;
    if (has_hex_prefix(text, len, pos)) {
        base = 16;
        pos += 2;
    } else if (pos < len && text[pos] == '0') {
        base = 8;
    }
    return read_digits(text, len, &pos, base, magnitude) && pos == len;
}

bool value_u64(const char *text, size_t len, uint64_t *value)
{
    bool negative;
    uint64_t magnitude;

    if (!read_magnitude(text, len, &negative, &magnitude))
        return false;
    *value = negative ? 0 - magnitude : magnitude;
    return true;
}

bool value_i64(const char *text, size_t len, int64_t *value)
{
    bool negative;
    uint64_t magnitude;

    if (!read_magnitude(text, len, &negative, &magnitude) || magnitude > (uint64_t)INT64_MAX + negative)
        return false;
    *value = (int64_t)(negative ? 0 - magnitude : magnitude);
    return true;
}

static bool metric_multiplier(char suffix, uint64_t *multiplier)
{
    static const char suffixes[] = "BKMGTPE";

    *multiplier = 1;
    for (const char *s = suffixes; *s; s++, *multiplier *= 1000)
        if ((suffix & ~0x20) == *s)
            return true;
    return false;
}

/* ".digits" from *pos on, times multiplier, rounded half up. QEMU reads it as a double; so do we. */
static bool read_fraction(const char *text, size_t len, size_t *pos, double *fraction)
{
    double weight = 0.1;

    *fraction = 0;
    if (*pos >= len || text[*pos] != '.')
        return false;
    for (++*pos; *pos < len && text[*pos] >= '0' && text[*pos] <= '9'; ++*pos, weight /= 10)
        *fraction += weight * (text[*pos] - '0');
    return true;
}

enum size_result value_metric(const char *text, size_t len, uint64_t *value)
{
    uint64_t whole, multiplier = 1;
    double fraction = 0;
    size_t pos = 0;
    bool hex, dot, suffix;

    while (pos < len && is_blank(text[pos]))
        pos++;
    if (pos < len && text[pos] == '+')
        pos++;
    hex = has_hex_prefix(text, len, pos);
    if (hex)
        pos += 2;
    if (!read_digits(text, len, &pos, hex ? 16 : 10, &whole))
        return SIZE_BAD;
    dot = read_fraction(text, len, &pos, &fraction);
    suffix = pos < len;
    if ((hex && dot) || (suffix && (!metric_multiplier(text[pos], &multiplier) || pos + 1 != len)))
        return SIZE_BAD;
    if (fraction > 0 && multiplier == 1)
        return SIZE_BAD;
    if (__builtin_mul_overflow(whole, multiplier, value) ||
        __builtin_add_overflow(*value, (uint64_t)(fraction * (double)multiplier + 0.5), value) ||
        *value > INT64_MAX)
        return SIZE_BAD;
    return hex && suffix ? SIZE_HEX_SUFFIX : SIZE_OK;
}
