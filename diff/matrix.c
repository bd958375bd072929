/* Flag sets from a file, in the block form of corpora/diff/matrix. */
#include "diff/matrix.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Every set has a name of its own, by which lists and reports call it. */
static int check_names(const struct matrix *matrix, const char *text, char message[200])
{
    for (unsigned i = 0; i < matrix->count; i++)
        for (unsigned before = 0; before < i; before++) {
            const struct matrix_entry *entry = &matrix->entries[i], *first = &matrix->entries[before];
            struct block_place place;

            if (strcmp(entry->name, first->name))
                continue;
            place = blocks_place(text, (size_t)(entry->name - matrix->text));
            snprintf(message, 200, "%u:%u: a second '%.60s'; the first is in line %u", place.line,
                     place.column, entry->name, first->line);
            return -EINVAL;
        }
    return 0;
}

int matrix_parse(struct matrix *matrix, const char *text, size_t length, char message[200])
{
    int err;

    memset(matrix, 0, sizeof(*matrix));
    matrix->text = malloc(length + 1);
    if (!matrix->text)
        return -ENOMEM;
    memcpy(matrix->text, text, length);
    matrix->text[length] = 0;
    err = blocks_parse(&format, matrix->text, length, matrix->entries, &matrix->count, message);
    for (unsigned i = 0; !err && i < matrix->count; i++) {
        struct matrix_entry *entry = &matrix->entries[i];

        entry->smp = *entry->smp ? entry->smp : "1";
        entry->memory = *entry->memory ? entry->memory : "64M";
    }
    if (!err)
        err = check_names(matrix, text, message);
    if (err)
        matrix_free(matrix);
    return err;
}

void matrix_free(struct matrix *matrix)
{
    free(matrix->text);
    matrix->text = NULL;
    matrix->count = 0;
}
