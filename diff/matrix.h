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
    struct matrix_entry entries[MATRIX_MAX];
    unsigned count;
};

/* Texts point into `text`, which is cut up. -EINVAL with *message "line 3: ...". */
int matrix_parse(struct matrix *matrix, char *text, size_t length, char message[200]);

#endif
