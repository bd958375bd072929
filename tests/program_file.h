/* Programs of the corpora, for tests that run them: what cannot be read fails the test with file and line. */
#ifndef TESTS_PROGRAM_FILE_H
#define TESTS_PROGRAM_FILE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include "diff/program/program.h"

#define PROGRAM_FILE_MAX 65536

/* Binary or text. The caller frees the program. */
static inline void program_from_file(struct program *program, const char *path)
{
    static uint8_t bytes[PROGRAM_FILE_MAX];
    struct program_error error = {0};
    FILE *file = fopen(path, "rb");
    size_t len;

    cr_assert(ne(ptr, file, NULL), "%s", path);
    len = fread(bytes, 1, sizeof(bytes), file);
    fclose(file);
    program_init(program);
    cr_assert(eq(int, program_load(program, bytes, len, &error), 0), "%s:%u: %s", path, error.line,
              error.message);
}

#endif
