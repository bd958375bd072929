/* Flag sets from a file, in the block form of corpora/diff/matrix. */
#include "diff/matrix.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "diff/judge/blocks.h"

#define KEY(word, required)                                                                                  \
    {                                                                                                        \
#word, offsetof(struct matrix_entry, word), required                                                 \
    }
static const struct block_key keys[] = {
    KEY(cpu, true), KEY(machine, true), KEY(smp, false), KEY(memory, false), KEY(scenarios, false),
};
static const struct block_format format = {
    .opener = "flags",
    .keys = keys,
    .key_count = sizeof(keys) / sizeof(keys[0]),
    .entry_size = sizeof(struct matrix_entry),
    .name_offset = offsetof(struct matrix_entry, name),
    .line_offset = offsetof(struct matrix_entry, line),
    .entries_max = MATRIX_MAX,
};

int matrix_parse(struct matrix *matrix, char *text, size_t length, char message[200])
{
    int err = blocks_parse(&format, text, length, matrix->entries, &matrix->count, message);

    for (unsigned i = 0; !err && i < matrix->count; i++) {
        struct matrix_entry *entry = &matrix->entries[i];

        entry->smp = *entry->smp ? entry->smp : "1";
        entry->memory = *entry->memory ? entry->memory : "64M";
        for (unsigned before = 0; before < i; before++)
            if (!strcmp(matrix->entries[before].name, entry->name)) {
                snprintf(message, 200, "line %u: a second '%.60s'; the first is in line %u", entry->line,
                         entry->name, matrix->entries[before].line);
                err = -EINVAL;
            }
    }
    return err;
}
