/* Values of every property type: usual, at the edges, and wrong. QEMU flags specification section 3. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include "diff/flags/grammar_parts.h"

#define ANY(random, list) (list)[flags_random_below(random, sizeof(list) / sizeof((list)[0]))]

static void put_bool(struct flags_random *random, bool wrong, struct flags_text *out)
{
    static const char *const right[] = {"on", "off", "on", "off", "yes", "no", "true", "false", "y", "n"};
    static const char *const others[] = {"",    "1", "0",  "On",   "auto", " on",
                                         "on ", "o", "ye", "TRUE", "tru",  "=on"};

    flags_puts(out, wrong ? ANY(random, others) : ANY(random, right));
}

static void put_tristate(struct flags_random *random, bool wrong, struct flags_text *out)
{
    static const char *const right[] = {"on", "off", "auto"};
    static const char *const others[] = {"yes", "no", "true", "", "Auto", "aut", "auto ", "n", "1"};

    flags_puts(out, wrong ? ANY(random, others) : ANY(random, right));
}

/* The ends of every width, either sign; also of the ranges that some properties have of their own. */
static uint64_t edge(struct flags_random *random)
{
    static const uint64_t edges[] = {
        0,  1,   2,   15,  16,  31,     32,      36,       40,         46,         52,         53,
        57, 255, 256, 270, 271, 0xffff, 0x10000, 1u << 31, 0xffffffff, 1ull << 32, 1ull << 63, UINT64_MAX};
    uint64_t value = ANY(random, edges);

    switch (flags_random_below(random, 8)) {
    case 0:
        return value - 1;
    case 1:
        return 0 - value;
    case 2:
        return 1ull << flags_random_below(random, 64);
    default:
        return value;
    }
}

/* A value that the property takes, in the widest sense: some are refused later, by what they mean. */
static uint64_t fitting(struct flags_random *random, const struct property *property)
{
    static const uint8_t widths[] = {[PT_U8] = 8, [PT_U16] = 16, [PT_U32] = 32, [PT_U64] = 64, [PT_I32] = 31};
    uint64_t value = edge(random);

    if (property->id == P_PHYS_BITS && flags_random_below(random, 8))
        return 32 + flags_random_below(random, 21);
    switch ((enum property_type)property->type) {
    case PT_I64:
        return property->max == INT64_MAX ? value & INT64_MAX : value % ((uint64_t)property->max + 1);
    case PT_MASK:
        return value & (uint64_t)property->max;
    case PT_I32: /* most of them are places in a machine that has one CPU */
        return flags_random_below(random, 4) ? 0 : value & INT32_MAX;
    default:
        return widths[property->type] == 64 ? value : value & ((1ull << widths[property->type]) - 1);
    }
}

static void put_number(struct flags_random *random, uint64_t value, struct flags_text *out)
{
    static const char *const formats[] = {"%" PRIu64,    "%" PRIu64,   "%" PRIu64,    "0x%" PRIx64,
                                          "0X%" PRIX64,  "0%" PRIo64,  "+%" PRIu64,   " %" PRIu64,
                                          "\t+%" PRIu64, "00%" PRIo64, "0x00%" PRIx64};
    char text[48];

    if ((int64_t)value < 0 && flags_random_below(random, 2))
        snprintf(text, sizeof(text), "%" PRId64, (int64_t)value);
    else
        snprintf(text, sizeof(text), ANY(random, formats), value);
    flags_puts(out, text);
}

static void put_wrong_number(struct flags_random *random, struct flags_text *out)
{
    static const char *const words[] = {"",
                                        "-",
                                        "+",
                                        "0x",
                                        "x1",
                                        "08",
                                        "09",
                                        "1k",
                                        "1K",
                                        "1.5",
                                        "1e1",
                                        "0b101",
                                        "1 ",
                                        "- 1",
                                        "--1",
                                        "+-1",
                                        "on",
                                        "0xg",
                                        "1-3",
                                        "0x-1",
                                        "\v\f\r 7",
                                        "18446744073709551616",
                                        "-1",
                                        "-0",
                                        "-18446744073709551615",
                                        "-18446744073709551616",
                                        "9223372036854775808",
                                        "-9223372036854775808",
                                        "-9223372036854775809",
                                        "0xffffffffffffffff",
                                        "0x10000000000000000",
                                        "0-1",
                                        "1\n",
                                        "nan"};

    if (flags_random_below(random, 3))
        flags_puts(out, ANY(random, words));
    else
        put_number(random, edge(random), out); /* often out of this type's range */
}

static void put_text(struct flags_random *random, struct flags_text *out)
{
    static const char *const words[] = {"",
                                        "on",
                                        "My CPU",
                                        "Microsoft Hv",
                                        "a=b",
                                        "KVMKVMKVM",
                                        "_-+",
                                        "\xc3\xa9",
                                        "QEMU Virtual CPU version 2.5+ with a name of more than 48 bytes"};

    flags_puts(out, ANY(random, words));
}

static void put_vendor(struct flags_random *random, bool wrong, struct flags_text *out)
{
    static const char *const right[] = {"GenuineIntel", "AuthenticAMD", "CentaurHauls", "HygonGenuine",
                                        "            ", "genuineintel", "=========on=", "GenuineIotel"};
    static const char *const others[] = {
        "", "Intel", "GenuineIntel ", "AuthenticAM", "on", "GenuineIntelGenuineIntel"};

    flags_puts(out, wrong ? ANY(random, others) : ANY(random, right));
}

/* tsc-freq (V9): digits, maybe a fraction, maybe a suffix. */
static void put_metric(struct flags_random *random, bool wrong, struct flags_text *out)
{
    static const char *const right[] = {"1000",  "2.5G",   "2100M", "0",    "999", "1999",   "1.5k",
                                        "01000", "0x1000", "3g",    "1T",   "8E",  "1P",     " 1G",
                                        "+1G",   "5.G",    "0x10K", "100B", "1.0", "0.0005M"};
    static const char *const others[] = {"",
                                         ".5G",
                                         "1.5",
                                         "1GHz",
                                         "1Gi",
                                         "1KB",
                                         "1e3",
                                         "10E",
                                         "-1",
                                         "inf",
                                         "nan",
                                         "0x1.8",
                                         "1.5B",
                                         "1 G",
                                         "9.3E",
                                         "0x",
                                         "9223372036854775808",
                                         "on",
                                         "1.2.3",
                                         "18446744073709551616",
                                         "1..5G",
                                         "0x1.8p3",
                                         "infG",
                                         "1,5G"};

    flags_puts(out, wrong ? ANY(random, others) : ANY(random, right));
}

static void put_typed(struct flags_random *random, const struct property *property, bool wrong,
                      struct flags_text *out)
{
    switch ((enum property_type)property->type) {
    case PT_BOOL:
    case PT_REALIZED:
        put_bool(random, wrong, out);
        break;
    case PT_TRISTATE:
        put_tristate(random, wrong, out);
        break;
    case PT_VENDOR:
        put_vendor(random, wrong, out);
        break;
    case PT_TEXT:
    case PT_READ_ONLY:
    case PT_LINK:
        put_text(random, out);
        break;
    default:
        if (wrong)
            put_wrong_number(random, out);
        else
            put_number(random, fitting(random, property), out);
        break;
    }
}

void flags_put_value(struct flags_random *random, const struct property *property, bool feature,
                     unsigned sloppiness, struct flags_text *out)
{
    bool wrong = flags_wrong(random, sloppiness);

    if (feature)
        put_bool(random, wrong, out);
    else if (property)
        put_typed(random, property, wrong, out);
    else
        put_metric(random, wrong, out);
}
