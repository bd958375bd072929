/* Whole strings out of models, names and values, and small changes to them. QEMU flags specification section 2. */
#include "diff/flags/grammar.h"

#include <string.h>
#include "diff/flags/grammar_parts.h"
#include "vmm/cpuid/features.h"
#include "vmm/cpuid/flags.h"
#include "vmm/cpuid/models.h"
#include "vmm/cpuid/property.h"

static uint64_t draw(struct flags_random *random)
{
    uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

struct flags_random flags_random_at(uint64_t seed, uint64_t index)
{
    struct flags_random random = {seed};

    random.state = draw(&random) ^ index * 0xd1342543de82ef95ull;
    random.state = draw(&random);
    return random;
}

uint32_t flags_random_below(struct flags_random *random, uint32_t n)
{
    return (uint32_t)((draw(random) >> 32) * n >> 32);
}

void flags_put(struct flags_text *out, const char *bytes, size_t len)
{
    if (len > out->max - 1 - out->len)
        len = out->max - 1 - out->len;
    memcpy(out->text + out->len, bytes, len);
    out->len += len;
    out->text[out->len] = 0;
}

void flags_puts(struct flags_text *out, const char *string)
{
    flags_put(out, string, strlen(string));
}

bool flags_wrong(struct flags_random *random, unsigned sloppiness)
{
    return flags_random_below(random, 16) < sloppiness;
}

/* A name or a value as somebody mistypes it: what lookups must not forgive. */
void flags_mistype(struct flags_random *random, char *word, size_t *len, size_t max)
{
    static const char strays[] = " \t_-=+.xA0\x7f\xc3";
    size_t at = *len ? flags_random_below(random, (uint32_t)*len) : 0;

    switch (flags_random_below(random, 6)) {
    case 0: /* another case */
        for (size_t i = at; i < *len; i++)
            if (word[i] >= 'a' && word[i] <= 'z')
                word[i] = (char)(word[i] - 'a' + 'A');
        break;
    case 1: /* one byte less */
        if (*len) {
            memmove(word + at, word + at + 1, *len - at - 1);
            --*len;
        }
        break;
    case 2:
        if (*len)
            word[at] = strays[flags_random_below(random, sizeof(strays) - 1)];
        break;
    case 3: /* cut */
        *len = at;
        break;
    default: /* one byte more, often at an end */
        if (*len + 1 >= max)
            break;
        if (flags_random_below(random, 2))
            at = flags_random_below(random, 2) ? 0 : *len;
        memmove(word + at + 1, word + at, *len - at);
        word[at] = strays[flags_random_below(random, sizeof(strays) - 1)];
        ++*len;
        break;
    }
}

static void put_word(struct flags_random *random, struct flags_text *out, const char *word, bool mistyped)
{
    char buf[128];
    size_t len = strlen(word);

    if (!mistyped || len >= sizeof(buf)) {
        flags_puts(out, word);
        return;
    }
    memcpy(buf, word, len);
    flags_mistype(random, buf, &len, sizeof(buf));
    flags_put(out, buf, len);
}

static const char *any_model(struct flags_random *random, const struct flags_models *models)
{
    unsigned i;

    if (models->names)
        return models->names[flags_random_below(random, models->count)];
    i = flags_random_below(random, cpu_model_count + cpu_model_alias_count);
    return i < cpu_model_count ? cpu_models[i].name : cpu_model_aliases[i - cpu_model_count].name;
}

static void put_model(struct flags_random *random, const struct flags_models *models, unsigned sloppiness,
                      struct flags_text *out)
{
    static const char *const suffixes[] = {"-v1", "-v2", "-v0", "-v", "-x86_64-cpu", "-IBRS", "-noTSX"};
    static const char *const words[] = {"", "help", "?", "Help", "-", "=", "x86_64", "host,", "list"};

    if (!flags_wrong(random, sloppiness) || flags_random_below(random, 3)) {
        flags_puts(out, any_model(random, models));
        return;
    }
    switch (flags_random_below(random, 3)) {
    case 0:
        put_word(random, out, any_model(random, models), true);
        break;
    case 1:
        flags_puts(out, any_model(random, models));
        flags_puts(out, suffixes[flags_random_below(random, sizeof(suffixes) / sizeof(suffixes[0]))]);
        break;
    default:
        flags_puts(out, words[flags_random_below(random, sizeof(words) / sizeof(words[0]))]);
        break;
    }
}

/* What an item is about; both NULL: tsc-freq, which exists only in the string (V8). */
struct subject {
    const struct feature_name *feature;
    const struct property *property;
};

static const char *subject_name(const struct subject *subject)
{
    return subject->feature    ? subject->feature->name
           : subject->property ? subject->property->name
                               : "tsc-freq";
}

static struct subject any_subject(struct flags_random *random)
{
    uint32_t kind = flags_random_below(random, 32);

    if (kind == 0)
        return (struct subject){0};
    if (kind < 18)
        return (struct subject){.feature = &feature_names[flags_random_below(random, feature_name_count)]};
    return (struct subject){.property = &properties[flags_random_below(random, property_count)]};
}

static bool is_boolean(const struct subject *subject)
{
    return subject->feature || (subject->property && subject->property->type == PT_BOOL);
}

static bool is_writable(const struct subject *subject)
{
    return !subject->property ||
           (subject->property->type != PT_READ_ONLY && subject->property->type != PT_LINK);
}

static enum cpu_item_form any_form(struct flags_random *random, const struct subject *subject,
                                   unsigned sloppiness)
{
    static const uint8_t forms[] = {ITEM_ASSIGN, ITEM_ASSIGN, ITEM_ASSIGN, ITEM_PLUS,
                                    ITEM_PLUS,   ITEM_MINUS,  ITEM_BARE};

    if (!is_boolean(subject) && !flags_wrong(random, sloppiness))
        return ITEM_ASSIGN;
    return forms[flags_random_below(random, sizeof(forms))];
}

/* Underscores for dashes: the same name in values, another one after a sign (G8). */
static void put_name(struct flags_random *random, const char *name, enum cpu_item_form form,
                     unsigned sloppiness, struct flags_text *out)
{
    bool sign = form == ITEM_PLUS || form == ITEM_MINUS;
    size_t start = out->len;

    put_word(random, out, name, flags_wrong(random, sloppiness) && !flags_random_below(random, 3));
    if (sign ? !flags_wrong(random, sloppiness) : flags_random_below(random, 8))
        return;
    for (size_t i = start; i < out->len; i++)
        if (out->text[i] == '-' && flags_random_below(random, 4))
            out->text[i] = '_';
}

static void put_item_about(struct flags_random *random, const struct subject *subject, unsigned sloppiness,
                           struct flags_text *out)
{
    enum cpu_item_form form = any_form(random, subject, sloppiness);

    if (form == ITEM_PLUS || form == ITEM_MINUS)
        flags_puts(out, form == ITEM_PLUS ? "+" : "-");
    put_name(random, subject_name(subject), form, sloppiness, out);
    if (form == ITEM_ASSIGN) {
        flags_puts(out, "=");
        flags_put_value(random, subject->property, subject->feature != NULL, sloppiness, out);
    }
}

/* Not an item at all. */
static void put_garbage(struct flags_random *random, struct flags_text *out)
{
    static const char *const words[] = {
        "+", "-",  "=",       "=on", "++avx", "+-avx",     "avx=on=off", "!x", "^avx", " avx", "avx ",
        "",  "on", "+avx=on", "~x",  "x=",    "%s%n=%d%n", "model-id==", "-",  "\t",   "+ vme"};
    char bytes[12];
    size_t len = flags_random_below(random, sizeof(bytes)) + 1;

    if (flags_random_below(random, 3)) {
        flags_puts(out, words[flags_random_below(random, sizeof(words) / sizeof(words[0]))]);
        return;
    }
    for (size_t i = 0; i < len; i++)
        bytes[i] = (char)(flags_random_below(random, 255) + 1);
    flags_put(out, bytes, len);
}

static void put_item(struct flags_random *random, unsigned sloppiness, const struct subject *last,
                     struct subject *used, struct flags_text *out)
{
    *used = any_subject(random);
    if (flags_wrong(random, sloppiness) && !flags_random_below(random, 6)) {
        put_garbage(random, out);
        return;
    }
    if (last &&
        !flags_random_below(random, 4)) /* again, maybe otherwise: precedence and ambiguity (R1, R6) */
        *used = *last;
    while (!is_writable(used) && !flags_wrong(random, sloppiness))
        *used = any_subject(random);
    put_item_about(random, used, sloppiness, out);
}

/* Sixteenths of wrong choices: most strings must get past the first stages, or only those are compared. */
static unsigned any_sloppiness(struct flags_random *random)
{
    static const uint8_t kinds[] = {0, 0, 0, 0, 1, 1, 2, 8};

    return kinds[flags_random_below(random, sizeof(kinds))];
}

static unsigned any_count(struct flags_random *random)
{
    static const uint8_t most[] = {1, 2, 4, 4, 8, 8, 16, 40};

    return flags_random_below(random, most[flags_random_below(random, sizeof(most))] + 1);
}

size_t flags_make(struct flags_random *random, const struct flags_models *models, char text[FLAGS_TEXT_MAX])
{
    struct flags_text out = {text, 0, FLAGS_TEXT_MAX};
    struct subject subjects[40];
    unsigned sloppiness = any_sloppiness(random), count = any_count(random);

    text[0] = 0;
    put_model(random, models, sloppiness, &out);
    for (unsigned i = 0; i < count; i++) {
        const struct subject *last = i ? &subjects[flags_random_below(random, i)] : NULL;

        flags_puts(&out, flags_wrong(random, sloppiness) ? ",," : ",");
        put_item(random, sloppiness, last, &subjects[i], &out);
    }
    if (flags_wrong(random, sloppiness))
        flags_puts(&out, ",");
    return out.len;
}

/* The start of one of the string's parts (model or item), and its length without commas. */
static size_t any_part(struct flags_random *random, const char *text, size_t len, size_t *part_len)
{
    size_t at = len ? flags_random_below(random, (uint32_t)len) : 0, end;

    while (at > 0 && text[at - 1] != ',')
        at--;
    for (end = at; end < len && text[end] != ',';)
        end++;
    *part_len = end - at;
    return at;
}

/* Puts `with` in the place of old_len bytes at `at`. */
static size_t splice(char *text, size_t len, size_t max, size_t at, size_t old_len, const char *with,
                     size_t with_len)
{
    if (len - old_len + with_len >= max)
        return len;
    memmove(text + at + with_len, text + at + old_len, len - at - old_len);
    memcpy(text + at, with, with_len);
    return len - old_len + with_len;
}

static size_t mutate_once(struct flags_random *random, char *text, size_t len, size_t max)
{
    static const struct flags_models all = {NULL, 0};
    char buf[FLAGS_TEXT_MAX];
    struct flags_text fresh = {buf, 0, sizeof(buf)};
    struct subject used;
    size_t part_len, at = any_part(random, text, len, &part_len), equals;

    buf[0] = 0;
    switch (flags_random_below(random, 8)) {
    case 0: /* away, with its comma */
        return splice(text, len, max, at, part_len + (at + part_len < len), "", 0);
    case 1: /* again, at the end */
        if (part_len + 2 > sizeof(buf))
            return len;
        flags_puts(&fresh, ",");
        flags_put(&fresh, text + at, part_len);
        return splice(text, len, max, len, 0, buf, fresh.len);
    case 2: /* another form of the same name */
        equals = part_len && (text[at] == '+' || text[at] == '-');
        flags_puts(&fresh, flags_random_below(random, 2) ? "+" : "-");
        return splice(text, len, max, at, equals, buf, flags_random_below(random, 3) ? fresh.len : 0);
    case 3: /* another value */
        for (equals = 0; equals < part_len && text[at + equals] != '=';)
            equals++;
        flags_puts(&fresh, "=");
        used = any_subject(random);
        flags_put_value(random, used.property, used.feature != NULL, 4, &fresh);
        return splice(text, len, max, at + equals, part_len - equals, buf, fresh.len);
    case 4: /* another model */
        put_model(random, &all, 1, &fresh);
        for (part_len = 0; part_len < len && text[part_len] != ',';)
            part_len++;
        return splice(text, len, max, 0, part_len, buf, fresh.len);
    case 5:
        if (part_len < sizeof(buf) - 1) {
            flags_put(&fresh, text + at, part_len);
            flags_mistype(random, buf, &fresh.len, sizeof(buf));
            return splice(text, len, max, at, part_len, buf, fresh.len);
        }
        return len;
    default:
        flags_puts(&fresh, ",");
        put_item(random, 1, NULL, &used, &fresh);
        return splice(text, len, max, at + part_len, 0, buf, fresh.len);
    }
}

size_t flags_mutate(struct flags_random *random, char *text, size_t len, size_t max)
{
    for (unsigned times = 1 + flags_random_below(random, 4); times; times--)
        len = mutate_once(random, text, len, max);
    return len;
}
