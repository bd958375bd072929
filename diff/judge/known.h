/* Differences that are understood: a file of patterns, each with its reason and evidence. Entries that match nothing
 * any more are stale and reported, because a stale entry hides the next regression. */
#ifndef DIFF_JUDGE_KNOWN_H
#define DIFF_JUDGE_KNOWN_H

#include "diff/judge/check.h"

#define KNOWN_MAX 256

/* Patterns may hold * for any run of characters. Empty: matches anything. Texts point into the file's copy. */
struct known_entry {
    const char *name;
    const char *kind, *program, *flags, *what, *ours, *theirs;
    /* "6.1..6.6": inclusive, "6.1": that series, "6.12..": from there on; empty: any */
    const char *kernel, *qemu;
    const char *reason, *evidence;
    unsigned line;
    /* of one run */
    uint32_t matched;   /* differences that it explains */
    uint32_t looked_at; /* checks that it could have explained */
    bool applies;       /* to this reference's versions */
};

struct known_differences {
    char *text;
    struct known_entry entries[KNOWN_MAX];
    unsigned count;
};

/* Hostile input. -EINVAL with *message "LINE:COLUMN: ...", -ENOMEM. *known is empty then. */
int known_parse(struct known_differences *known, const char *text, size_t len, char message[200]);
void known_free(struct known_differences *known);

/* Turns different checks that an entry explains into known ones, and counts. */
void known_apply(struct known_differences *known, struct check_list *list, const char *kernel_release,
                 const char *qemu_version);
/* Its place was looked at, its difference was not there: to be removed or explained anew. */
bool known_is_stale(const struct known_entry *entry);

bool known_glob(const char *pattern, const char *text);
bool known_version_in(const char *range, const char *version);

#endif
