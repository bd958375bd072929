/* Files of blocks that people write: `opener NAME`, then one `key value` a line, # comments. */
#ifndef DIFF_JUDGE_BLOCKS_H
#define DIFF_JUDGE_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>

struct block_key {
    const char *word;
    size_t offset; /* of a const char * in the entry */
    bool required; /* else "" when it is not said */
};

struct block_format {
    const char *opener;
    const struct block_key *keys;
    unsigned key_count;
    size_t entry_size, name_offset; /* name: a const char * */
    size_t line_offset;             /* unsigned: the line of the opener */
    unsigned entries_max;
};

/* Cuts text (length bytes and a NUL after them) into strings in place; entries point into it. 0, or -EINVAL with
 * *message "LINE:COLUMN: ...", both from 1, the column in bytes. Hostile input. */
int blocks_parse(const struct block_format *format, char *text, size_t length, void *entries, unsigned *count,
                 char message[200]);

/* Line and column of an offset into a text that is not cut up. */
struct block_place {
    unsigned line, column;
};
struct block_place blocks_place(const char *text, size_t offset);

#endif
