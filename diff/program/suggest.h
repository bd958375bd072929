/* Inside diff/program: which known word a mistyped one was meant to be. */
#ifndef DIFF_PROGRAM_SUGGEST_H
#define DIFF_PROGRAM_SUGGEST_H

#include <stddef.h>

struct suggestion {
    const char *typed;
    size_t len;
    const char *best;  /* NULL: nothing is near enough */
    unsigned distance; /* edits from typed to best */
};

void suggestion_begin(struct suggestion *s, const char *typed, size_t len);
void suggestion_offer(struct suggestion *s, const char *word);

#endif
