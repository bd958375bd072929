/* Which known word a mistyped one was meant to be: edit distance with neighbouring letters swapped counted as one. */
#include <string.h>
#include <strings.h>
#include "diff/program/suggest.h"

enum { LONGEST = 40 }; /* longer words get no suggestion */

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
    unsigned ab = a < b ? a : b;

    return ab < c ? ab : c;
}

static unsigned edit_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
    unsigned rows[3][LONGEST + 1];
    unsigned *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b_len; j++)
        above[j] = j;
    for (size_t i = 1; i <= a_len; i++) {
        unsigned *reused = before;

        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            row[j] = min3(above[j] + 1, row[j - 1] + 1, above[j - 1] + (a[i - 1] != b[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
                row[j] = before[j - 2] + 1;
        }
        before = above;
        above = row;
        row = reused;
    }
    return above[b_len];
}

void suggestion_begin(struct suggestion *s, const char *typed, size_t len)
{
    /* A third of the word may be wrong, no more: worse guesses mislead. */
    *s = (struct suggestion){.typed = typed, .len = len, .distance = len / 3 + 1};
}

void suggestion_offer(struct suggestion *s, const char *word)
{
    size_t len = strlen(word);
    unsigned distance;

    if (!len || len > LONGEST || s->len > LONGEST)
        return;
    if (len == s->len && !strncasecmp(word, s->typed, len))
        distance = 0;
    else
        distance = edit_distance(s->typed, s->len, word, len);
    if (distance < s->distance) {
        s->best = word;
        s->distance = distance;
    }
}
