/* The file of known differences: blocks of `key value` lines, each opened by `difference NAME`. */
#include "diff/judge/known.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/judge/blocks.h"

#define KEY(word, required)                                                                                  \
    {                                                                                                        \
#word, offsetof(struct known_entry, word), required                                                  \
    }
static const struct block_key keys[] = {
    KEY(kind, true),    KEY(program, true), KEY(flags, false), KEY(what, true),   KEY(ours, false),
    KEY(theirs, false), KEY(kernel, false), KEY(qemu, false),  KEY(reason, true), KEY(evidence, true),
};
static const struct block_format format = {
    .opener = "difference",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .entry_size = sizeof(struct known_entry),
    .name_offset = offsetof(struct known_entry, name),
    .line_offset = offsetof(struct known_entry, line),
    .entries_max = KNOWN_MAX,
};

/* One star at a time: linear in practice, never exponential. */
bool known_glob(const char *pattern, const char *text)
{
    const char *star = NULL, *resume = NULL;

    while (*text) {
        if (*pattern == '*') {
            star = pattern++;
            resume = text;
        } else if (*pattern == *text) {
            pattern++;
            text++;
        } else if (star) {
            pattern = star + 1;
            text = ++resume;
        } else {
            return false;
        }
    }
    while (*pattern == '*')
        pattern++;
    return !*pattern;
}

/* Compares dotted numbers part by part, over as many parts as the bound has: 6.1 bounds all of 6.1.x. */
static int compare_to_bound(const char *version, const char *bound, size_t bound_len)
{
    const char *end = bound + bound_len;

    while (bound < end && isdigit((unsigned char)*bound)) {
        char *next_version, *next_bound;
        unsigned long v = strtoul(version, &next_version, 10), b = strtoul(bound, &next_bound, 10);

        if (v != b)
            return v < b ? -1 : 1;
        version = *next_version == '.' ? next_version + 1 : next_version;
        bound = next_bound < end && *next_bound == '.' ? next_bound + 1 : next_bound;
    }
    return 0;
}

bool known_version_in(const char *range, const char *version)
{
    const char *dots = strstr(range, "..");
    size_t first = dots ? (size_t)(dots - range) : strlen(range);

    if (!*range)
        return true;
    if (!isdigit((unsigned char)*version))
        return false;
    if (compare_to_bound(version, range, first) < 0)
        return false;
    if (!dots)
        return !compare_to_bound(version, range, first);
    return !dots[2] || compare_to_bound(version, dots + 2, strlen(dots + 2)) <= 0;
}

int known_parse(struct known_differences *known, const char *text, size_t len, char message[200])
{
    int err;

    memset(known, 0, sizeof(*known));
    message[0] = 0;
    known->text = malloc(len + 1);
    if (!known->text)
        return -ENOMEM;
    memcpy(known->text, text, len);
    known->text[len] = 0;
    err = blocks_parse(&format, known->text, len, known->entries, &known->count, message);
    if (err)
        known_free(known);
    return err;
}

void known_free(struct known_differences *known)
{
    free(known->text);
    known->text = NULL;
    known->count = 0;
}

static bool pattern_fits(const char *pattern, const char *text)
{
    return !*pattern || known_glob(pattern, text);
}

static bool entry_covers(const struct known_entry *entry, const struct check *check)
{
    /* `what` of a memory check names the first field that differs, so an equal one is only "memory". */
    bool place = pattern_fits(entry->what, check->what) || pattern_fits(entry->what, check->text) ||
                 (check->kind == CHECK_RECORD && check->verdict == VERDICT_EQUAL);

    return place && pattern_fits(entry->kind, check_kind_name(check->kind)) &&
           pattern_fits(entry->program, check->scenario) && pattern_fits(entry->flags, check->flags);
}

static void entry_apply(struct known_entry *entry, struct check_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        struct check *check = &list->checks[i];

        if (check->verdict == VERDICT_NOT_COMPARED || !entry_covers(entry, check))
            continue;
        entry->looked_at++;
        if (check->verdict != VERDICT_DIFFERENT || !pattern_fits(entry->ours, check->ours) ||
            !pattern_fits(entry->theirs, check->theirs))
            continue;
        entry->matched++;
        check->verdict = VERDICT_KNOWN;
        check->known = entry->name;
        check->reason = entry->reason;
    }
}

void known_apply(struct known_differences *known, struct check_list *list, const char *kernel_release,
                 const char *qemu_version)
{
    for (unsigned i = 0; i < known->count; i++) {
        struct known_entry *entry = &known->entries[i];

        entry->applies =
            known_version_in(entry->kernel, kernel_release) && known_version_in(entry->qemu, qemu_version);
        if (entry->applies)
            entry_apply(entry, list);
    }
}

bool known_is_stale(const struct known_entry *entry)
{
    return entry->applies && entry->looked_at && !entry->matched;
}
