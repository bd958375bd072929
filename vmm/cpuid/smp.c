/* Cuts -smp into keys and values as QEMU's keyval options are cut: syntax comes before meaning, and stops at the first
 * error, in every option of a command line before any machine is made. QEMU flags specification T1; texts of 7.2. */
#include "vmm/cpuid/smp.h"

#include <string.h>
#include "vmm/cpuid/features.h"
#include "vmm/cpuid/property.h"

const char *const smp_keys[SMP_KEYS] = {"clusters", "cores", "cpus", "dies", "maxcpus", "sockets", "threads"};

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* A QAPI name; after a dot a number will do. */
static bool is_key_part(const char *text, size_t len, bool first)
{
    size_t digits = 0, at = 1;

    while (digits < len && is_digit(text[digits]))
        digits++;
    if (!len || (digits == len && first))
        return false;
    if (digits == len)
        return true;
    while (at < len && (is_letter(text[at]) || is_digit(text[at]) || text[at] == '-' || text[at] == '_'))
        at++;
    return is_letter(text[0]) && at == len;
}

/* How much of text is in front of the first of two bytes. */
static size_t length_to(const char *text, size_t len, char one, char other)
{
    size_t at = 0;

    while (at < len && text[at] != one && text[at] != other)
        at++;
    return at;
}

static bool is_key(const char *text, size_t len)
{
    for (size_t at = 0; at <= len;) {
        size_t part = length_to(text + at, len - at, '.', '.');

        if (!is_key_part(text + at, part, at == 0))
            return false;
        at += part + 1;
    }
    return true;
}

/* Two commas in a value stand for one: none of ours has any, but they do not end it. */
static size_t value_length(const char *text, size_t len)
{
    size_t at = 0;

    while (at < len && (text[at] != ',' || (at + 1 < len && text[at + 1] == ',')))
        at += text[at] == ',' ? 2 : 1;
    return at;
}

static void take(struct smp_words *words, const char *key, size_t key_len, const char *value, size_t len)
{
    size_t name_len = length_to(key, key_len, '.', '.');
    struct smp_word *word = NULL;

    for (unsigned k = 0; k < SMP_KEYS; k++)
        if (name_compare(key, name_len, smp_keys[k]) == 0)
            word = &words->of[k];
    if (word)
        *word = (struct smp_word){value, len, name_len < key_len};
    else if (!words->unexpected.text)
        words->unexpected = (struct smp_word){key, name_len, false};
}

bool smp_read(struct smp_words *words, const char *text, size_t len, struct message *error)
{
    *words = (struct smp_words){0};
    for (size_t at = 0, used; at < len; at += used + 1) {
        const char *key = text + at;
        size_t key_len = length_to(key, len - at, '=', ',');
        bool equals = at + key_len < len && key[key_len] == '=';

        used = key_len;
        if (!equals && (name_compare(key, key_len, "help") == 0 || name_compare(key, key_len, "?") == 0)) {
            words->help = true;
        } else if (!equals && at == 0 && key_len) {
            take(words, "cpus", 4, key, key_len);
        } else if (!equals || !is_key(key, key_len)) {
            message_set(error, CPU_BAD_TOPOLOGY, at,
                        is_key(key, key_len) ? "-smp %.*s: Expected '=' after parameter '%.*s'"
                                             : "-smp %.*s: Invalid parameter '%.*s'",
                        SPAN(text, len), SPAN(key, key_len));
            return false;
        } else {
            size_t value = key_len + 1, value_len = value_length(key + value, len - at - value);

            take(words, key, key_len, key + value, value_len);
            used = value + value_len;
        }
    }
    return true;
}
