/* Scenario files by path or by name, and the folder they live in. */
#include "diff/corpus.h"

#include <dirent.h>
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "diff/command.h"
#include "vmm/input_file.h"

#define FILE_MAX (4u << 20)

char *read_input(const char *path, size_t *length)
{
    char why[INPUT_WHY];
    char *text = input_file_read(path, FILE_MAX, length, why);

    if (!text)
        fprintf(stderr, "pv-diff: cannot read %s: %s\n", path, why);
    return text;
}

static bool is_folder(const char *path)
{
    struct stat st;

    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

bool corpus_folder(char *path, size_t size)
{
    char program[4096];
    ssize_t length = readlink("/proc/self/exe", program, sizeof(program) - 1);

    snprintf(path, size, "corpora/diff");
    if (is_folder(path))
        return true;
    if (length <= 0)
        return false;
    program[length] = 0;
    /* The program lies in build/PRESET/bin of its tree (decision 26). */
    return snprintf(path, size, "%s/../../../corpora/diff", dirname(program)) < (int)size && is_folder(path);
}

/* The file's name without its folder and ending: what reports call the scenario. */
static void scenario_name(const char *path, char name[256])
{
    const char *slash = strrchr(path, '/');
    size_t length;

    snprintf(name, 256, "%s", slash ? slash + 1 : path);
    length = strlen(name);
    if (length > 3 && !strcmp(name + length - 3, ".pv"))
        name[length - 3] = 0;
}

/* Replaces a binary program, as pv-fuzz leaves them, by its text. */
static int binary_to_text(char **text, size_t *length, struct program_error *error)
{
    struct program program;
    int err;

    program_init(&program);
    err = program_decode(&program, (const uint8_t *)*text, *length, error);
    if (!err) {
        free(*text);
        *text = NULL;
        err = program_print(&program, text, length);
    }
    program_free(&program);
    return err;
}

static bool is_binary(const char *text, size_t length)
{
    return length >= 3 && !memcmp(text, "\x89PV", 3);
}

static int complain(int err, const char *path, const struct program_error *error)
{
    if (err == -EINVAL && error->line)
        fprintf(stderr, "%s:%u:%u: %s\n", path, error->line, error->column, error->message);
    else if (err == -EINVAL)
        fprintf(stderr, "%s: %s\n", path, error->message);
    else if (err)
        fprintf(stderr, "pv-diff: out of memory\n");
    return err == -EINVAL ? EXIT_USAGE : err ? EXIT_OUR_FAULT : EXIT_DONE;
}

/* file: the path to store, empty when the name alone finds it again. */
static int add_file(struct run *run, const char *path, const char *file)
{
    struct program_error error = {0};
    char name[256];
    size_t length;
    char *text = read_input(path, &length);
    int err = 0;

    if (!text)
        return EXIT_USAGE;
    scenario_name(path, name);
    for (unsigned i = 0; i < run->scenario_count; i++)
        if (!strcmp(run->scenarios[i].name, name)) {
            fprintf(stderr, "pv-diff: two scenarios are called %s: rename one\n", name);
            free(text);
            return EXIT_USAGE;
        }
    if (is_binary(text, length))
        err = binary_to_text(&text, &length, &error);
    if (!err)
        err = run_add_scenario(run, name, file, text, length, &error);
    free(text);
    return complain(err, path, &error);
}

bool corpus_has(const char *name, size_t length)
{
    char folder[4096], path[4400];

    if (length > 255 || !corpus_folder(folder, sizeof(folder)))
        return false;
    snprintf(path, sizeof(path), "%s/%.*s.pv", folder, (int)length, name);
    return !access(path, R_OK);
}

/* Whether a path names a scenario of the corpus: those are reviewed, and found again by name. */
static bool lies_in_corpus(const char *path)
{
    char folder[4096], real_folder[PATH_MAX], real_path[PATH_MAX];

    return corpus_folder(folder, sizeof(folder)) && realpath(folder, real_folder) &&
           realpath(path, real_path) && !strcmp(dirname(real_path), real_folder);
}

int corpus_add_scenario(struct run *run, const char *name)
{
    char folder[4096], path[4400];

    if (!access(name, F_OK) && !is_folder(name))
        return add_file(run, name, lies_in_corpus(name) ? "" : name);
    if (!strchr(name, '/') && corpus_folder(folder, sizeof(folder))) {
        snprintf(path, sizeof(path), "%s/%.255s.pv", folder, name);
        if (!access(path, F_OK))
            return add_file(run, path, "");
    }
    fprintf(stderr, "pv-diff: there is no scenario %s: name a file, or one of corpora/diff/*.pv\n", name);
    return EXIT_USAGE;
}

static int is_scenario(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);

    return length > 3 && !strcmp(entry->d_name + length - 3, ".pv");
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name); /* not by locale: the order is part of the report */
}

int corpus_add_all(struct run *run)
{
    char folder[4096], path[4400];
    struct dirent **entries = NULL;
    int count, status = EXIT_DONE;

    if (!corpus_folder(folder, sizeof(folder))) {
        fprintf(
            stderr,
            "pv-diff: corpora/diff is not here: start in the source tree, or name files with --scenario\n");
        return EXIT_MISSING;
    }
    count = scandir(folder, &entries, is_scenario, by_bytes);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, entries[i]->d_name);
        if (!status)
            status = add_file(run, path, "");
        free(entries[i]);
    }
    free(entries);
    if (count <= 0) {
        fprintf(stderr, "pv-diff: no scenario in %s\n", folder);
        return EXIT_MISSING;
    }
    return status;
}

char *corpus_known(void)
{
    char folder[4096], path[4400], why[INPUT_WHY];
    size_t length;
    char *text = NULL;

    if (corpus_folder(folder, sizeof(folder))) {
        snprintf(path, sizeof(path), "%s/known-differences", folder);
        text = input_file_read(path, FILE_MAX, &length, why);
    }
    return text ? text : strdup("");
}
