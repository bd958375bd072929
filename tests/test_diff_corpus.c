/* What pv-diff runs by default is sound: scenarios are canonical, the matrix keeps off QEMU's own traps. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <glob.h>
#include <stdlib.h>
#include <string.h>
#include "diff/judge/known.h"
#include "diff/matrix.h"
#include "tests/judge_fixture.h"

static char *read_text(const char *path, size_t *length)
{
    FILE *file = fopen(path, "r");
    char *text = calloc(1, 1 << 20);

    cr_assert(file != NULL && text != NULL, "%s", path);
    *length = fread(text, 1, (1 << 20) - 1, file);
    fclose(file);
    return text;
}

Test(diff_corpus, decision_8_every_scenario_is_canonical_text)
{
    glob_t files;

    cr_assert(eq(int, glob(PARAVANE_CORPORA "/diff/*.pv", 0, NULL, &files), 0));
    cr_assert(ge(sz, files.gl_pathc, 15));
    for (size_t i = 0; i < files.gl_pathc; i++) {
        struct program_error error = {0};
        struct program program;
        size_t length, printed_length;
        char *text = read_text(files.gl_pathv[i], &length), *printed;

        program_init(&program);
        cr_assert(eq(int, program_parse(&program, text, length, &error), 0), "%s:%u: %s", files.gl_pathv[i],
                  error.line, error.message);
        cr_assert(eq(int, program_print(&program, &printed, &printed_length), 0));
        cr_assert(eq(str, text, printed), "%s", files.gl_pathv[i]);
        free(printed);
        free(text);
        program_free(&program);
    }
    globfree(&files);
}

Test(diff_corpus, QMU_6_no_flag_set_enforces_without_kvmclock)
{
    static struct matrix matrix;
    char message[200];
    size_t length;
    char *text = read_text(PARAVANE_CORPORA "/diff/matrix", &length);

    cr_assert(eq(int, matrix_parse(&matrix, text, length, message), 0), "%s", message);
    cr_assert(ge(u32, matrix.count, 12));
    for (unsigned i = 0; i < matrix.count; i++) {
        const struct matrix_entry *e = &matrix.entries[i];

        if (contains(e->cpu, "kvm-pv-enforce-cpuid=on"))
            cr_assert(contains(e->cpu, "kvmclock=on") && !contains(e->cpu, "kvm=off"), "%s", e->name);
        if (contains(e->cpu, "kvm-msi-ext-dest-id=on"))
            cr_assert(contains(e->machine, "kernel-irqchip=split"), "%s", e->name);
    }
    matrix_free(&matrix);
    free(text);
}

Test(diff_corpus, a_wrong_matrix_is_refused_with_line_and_column)
{
    static struct matrix matrix;
    static const char twice[] = "flags a\n cpu x\n machine pc\nflags  a\n cpu y\n machine pc\n",
                      bare[] = "flags a\n cpu x\n\n flags b\n";
    char message[200];

    cr_assert(ne(int, matrix_parse(&matrix, twice, strlen(twice), message), 0));
    cr_assert(contains(message, "4:8: a second 'a'"), "%s", message);
    cr_assert(ne(int, matrix_parse(&matrix, bare, strlen(bare), message), 0));
    cr_assert(contains(message, "1:1: this block has no machine"), "%s", message);
}

Test(diff_corpus, known_differences_can_be_read)
{
    static struct known_differences known;
    char message[200];
    size_t length;
    char *text = read_text(PARAVANE_CORPORA "/diff/known-differences", &length);

    cr_assert(eq(int, known_parse(&known, text, length, message), 0), "%s", message);
    known_free(&known);
    free(text);
}
