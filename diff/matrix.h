/* The matrix: flag sets by name, read from a file of blocks. */
#ifndef DIFF_MATRIX_H
#define DIFF_MATRIX_H

#include <stddef.h>

#define MATRIX_MAX 256

struct matrix_entry {
    const char *name;
    const char *cpu, *machine, *smp, *memory;
    const char *scenarios; /* names of those to run under it; empty: all */
    unsigned line;
};

struct matrix {
    char *text; /* the file, cut into what the entries point to */
    struct matrix_entry entries[MATRIX_MAX];
    unsigned count;
};

/* Hostile input. -EINVAL with *message "LINE:COLUMN: ...", -ENOMEM. *matrix is empty then. */
int matrix_parse(struct matrix *matrix, const char *text, size_t length, char message[200]);
void matrix_free(struct matrix *matrix);

#endif
