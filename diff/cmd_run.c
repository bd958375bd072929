/* pv-diff run: scenarios under flag sets, on our VMM and on the reference, judged and stored. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "diff/command.h"
#include "diff/corpus.h"
#include "diff/execute.h"
#include "diff/judge/blocks.h"
#include "diff/machine/qemu.h"
#include "diff/matrix.h"
#include "diff/present.h"
#include "diff/report/fuzzing.h"
#include "diff/report/store.h"
#include "version.h"

#define LIST_MAX   64
#define MEMORY_MIN (16ull << 20) /* the probe and its mailbox */
#define MEMORY_MAX (3ull << 30)

struct list {
    const char *items[LIST_MAX];
    unsigned count;
};

struct options {
    struct list cpus, matrices, scenarios;
    const char *machine, *smp, *memory, *reference, *known, *fuzz;
    struct presentation show;
};

enum { KEY_CPU = 0x100, KEY_MATRIX, KEY_SCENARIO, KEY_MACHINE, KEY_SMP, KEY_REFERENCE, KEY_KNOWN, KEY_FUZZ };

static const struct argp_option argp_options[] = {
    {"cpu", KEY_CPU, "SPEC", 0, "a -cpu string, as QEMU takes it; may be given again", 1},
    {"matrix", KEY_MATRIX, "FILE", 0, "flag sets from a file (default without -cpu: corpora/diff/matrix)", 1},
    {"machine", KEY_MACHINE, "M", 0, "for -cpu: QEMU's -machine (pc,kernel-irqchip=on)", 1},
    {NULL, 'M', "M", 0, "the same", 1},
    {"smp", KEY_SMP, "N", 0, "for -cpu: QEMU's -smp (1)", 1},
    {NULL, 'm', "SIZE", 0, "for -cpu: QEMU's -m (64M)", 1},
    {"scenario", KEY_SCENARIO, "FILE", 0, "a program, by file or by name (default: all of corpora/diff)", 2},
    {"reference", KEY_REFERENCE, "WHAT", 0,
     "auto, qemu-kvm, qemu-box, qemu-tcg, recording or recording:FILE (auto)", 3},
    {"known", KEY_KNOWN, "FILE", 0, "known differences (corpora/diff/known-differences)", 3},
    {"fuzz", KEY_FUZZ, "FILE", 0, "results of pv-fuzz run --json, one a line, for the report", 3},
    {0},
};

static void list_add(struct argp_state *state, struct list *list, const char *item)
{
    if (list->count == LIST_MAX)
        argp_error(state, "at most %d of one option", LIST_MAX);
    list->items[list->count++] = item;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->show;
        break;
    case KEY_CPU:
        list_add(state, &options->cpus, arg);
        break;
    case KEY_MATRIX:
        list_add(state, &options->matrices, arg);
        break;
    case KEY_SCENARIO:
        list_add(state, &options->scenarios, arg);
        break;
    case KEY_MACHINE:
    case 'M':
        options->machine = arg;
        break;
    case KEY_SMP:
        options->smp = arg;
        break;
    case 'm':
        options->memory = arg;
        break;
    case KEY_REFERENCE:
        options->reference = arg;
        break;
    case KEY_KNOWN:
        options->known = arg;
        break;
    case KEY_FUZZ:
        options->fuzz = arg;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "run takes no argument: %s; a scenario is named with --scenario", arg);
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static int out_of_memory(void)
{
    fprintf(stderr, "pv-diff: out of memory\n");
    return EXIT_OUR_FAULT;
}

/* A name in a list of scenarios that neither the run nor the corpus knows is a slip of the pen. */
static const char *unknown_scenario(const struct run *run, const struct matrix_entry *entry)
{
    const char *at = entry->scenarios;

    while (*(at += strspn(at, " \t"))) {
        size_t length = strcspn(at, " \t");
        bool known = corpus_has(at, length);

        for (unsigned i = 0; !known && i < run->scenario_count; i++)
            known = strlen(run->scenarios[i].name) == length && !strncmp(run->scenarios[i].name, at, length);
        if (!known)
            return at;
        at += length;
    }
    return NULL;
}

static int check_names(const struct run *run, const char *path, const char *text, const struct matrix *matrix)
{
    for (unsigned i = 0; i < matrix->count; i++) {
        const char *name = unknown_scenario(run, &matrix->entries[i]);
        struct block_place place;

        if (!name)
            continue;
        place = blocks_place(text, (size_t)(name - matrix->text));
        fprintf(stderr, "%s:%u:%u: there is no scenario '%.*s'\n", path, place.line, place.column,
                (int)strcspn(name, " \t"), name);
        return -EINVAL;
    }
    return 0;
}

/* 0, -ENOMEM, or -EINVAL after a line on stderr. */
static int read_matrix(struct matrix *matrix, const struct run *run, const char *path, const char *text,
                       size_t length)
{
    char message[200];
    int err = matrix_parse(matrix, text, length, message);

    if (err == -EINVAL)
        fprintf(stderr, "%s:%s\n", path, message);
    if (!err && !matrix->count) {
        fprintf(stderr, "%s: no flag set in it: write 'flags NAME' and under it cpu and machine\n", path);
        err = -EINVAL;
    }
    return err ? err : check_names(run, path, text, matrix);
}

static int add_matrix(struct run *run, const char *path)
{
    size_t length;
    char *text = read_input(path, &length);
    struct matrix *matrix = calloc(1, sizeof(*matrix));
    int err = matrix ? 0 : -ENOMEM;

    if (!text) {
        free(matrix);
        return EXIT_USAGE;
    }
    if (!err)
        err = read_matrix(matrix, run, path, text, length);
    for (unsigned i = 0; !err && i < matrix->count; i++) {
        const struct matrix_entry *e = &matrix->entries[i];

        err = run_add_set(
            run,
            &(struct flag_set){
                .name = e->name, .cpu = e->cpu, .machine = e->machine, .smp = e->smp, .memory = e->memory},
            e->scenarios);
    }
    if (matrix)
        matrix_free(matrix);
    free(matrix);
    free(text);
    return err == -EINVAL ? EXIT_USAGE : err ? out_of_memory() : EXIT_DONE;
}

static int add_cpus(struct run *run, const struct options *options)
{
    for (unsigned i = 0; i < options->cpus.count; i++) {
        const char *cpu = options->cpus.items[i];
        char name[60];

        snprintf(name, sizeof(name), strlen(cpu) < 40 ? "%s" : "%.30s...", cpu);
        if (strlen(cpu) >= 40) /* long ones may begin alike */
            snprintf(name + strlen(name), sizeof(name) - strlen(name), " %u", i + 1);
        if (run_add_set(run,
                        &(struct flag_set){.name = name,
                                           .cpu = cpu,
                                           .machine = options->machine,
                                           .smp = options->smp,
                                           .memory = options->memory},
                        NULL))
            return out_of_memory();
    }
    return EXIT_DONE;
}

static int add_scenarios(struct run *run, const struct options *options)
{
    int status = options->scenarios.count ? EXIT_DONE : corpus_add_all(run);

    for (unsigned i = 0; !status && i < options->scenarios.count; i++)
        status = corpus_add_scenario(run, options->scenarios.items[i]);
    return status;
}

static int add_sets(struct run *run, const struct options *options)
{
    int status = add_cpus(run, options);

    for (unsigned i = 0; !status && i < options->matrices.count; i++)
        status = add_matrix(run, options->matrices.items[i]);
    if (!status && !run->set_count) {
        char folder[4096], path[4400];

        if (!corpus_folder(folder, sizeof(folder))) {
            fprintf(stderr, "pv-diff: no flags: give -cpu or --matrix FILE\n");
            return EXIT_USAGE;
        }
        snprintf(path, sizeof(path), "%s/matrix", folder);
        status = add_matrix(run, path);
    }
    return status;
}

static char *created_now(void)
{
    time_t now = time(NULL);
    struct tm tm;
    char text[32];

    gmtime_r(&now, &tm);
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
    return strdup(text);
}

static int take_known(struct run *run, const char *path)
{
    size_t length;

    run->known = path ? read_input(path, &length) : corpus_known();
    return run->known ? EXIT_DONE : path ? EXIT_USAGE : out_of_memory();
}

/* Wrong results are found before machines are started for minutes. */
static int take_fuzz(struct run *run, const char *path)
{
    struct fuzzing fuzzing;
    char message[200];
    size_t length = 0;
    int err;

    run->fuzz = path ? read_input(path, &length) : strdup("");
    if (!run->fuzz)
        return path ? EXIT_USAGE : out_of_memory();
    err = fuzzing_parse(&fuzzing, run->fuzz, length, message);
    fuzzing_free(&fuzzing);
    if (err == -EINVAL)
        fprintf(stderr, "%s: %s\n", path, message);
    return err == -EINVAL ? EXIT_USAGE : err ? out_of_memory() : EXIT_DONE;
}

static int prepare(struct run *run, const struct options *options)
{
    int status = take_known(run, options->known);

    if (!status)
        status = take_fuzz(run, options->fuzz);
    run->created = created_now();
    run->version = strdup(PARAVANE_VERSION);
    run->reference = strdup("");
    run->recording = strdup("");
    if (!status && (!run->created || !run->version || !run->reference || !run->recording))
        status = out_of_memory();
    if (!status)
        status = add_scenarios(run, options);
    return status ? status : add_sets(run, options);
}

/* Wrong known differences are found before machines are started for minutes. */
static int check_known(const struct run *run, const char *path)
{
    struct known_differences *known = calloc(1, sizeof(*known));
    char message[200];
    int err = known ? known_parse(known, run->known, strlen(run->known), message) : -ENOMEM;

    if (err == -EINVAL)
        fprintf(stderr, "%s:%s\n", path ? path : "known-differences", message);
    if (!err)
        known_free(known);
    free(known);
    return err == -EINVAL ? EXIT_USAGE : err ? out_of_memory() : EXIT_DONE;
}

static int status_of(int err)
{
    switch (err) {
    case -EINTR:
        return EXIT_INTERRUPTED;
    case -EINVAL:
        return EXIT_USAGE;
    case -ENOENT:
    case -ENOTSUP:
        return EXIT_MISSING;
    default:
        return EXIT_OUR_FAULT;
    }
}

/* Our VMM has its RAM below the firmware, in one piece. */
static int check_memory(const struct run *run)
{
    for (unsigned i = 0; i < run->set_count; i++) {
        uint64_t bytes = qemu_memory_bytes(run->sets[i].memory);

        if (bytes >= MEMORY_MIN && bytes <= MEMORY_MAX)
            continue;
        fprintf(stderr, "pv-diff: flags %s: -m %s: write a size from 16M to 3G\n", run->sets[i].name,
                run->sets[i].memory);
        return EXIT_USAGE;
    }
    return EXIT_DONE;
}

/* What would be found at the end, after minutes, is found now. */
static int check_places(const struct options *options)
{
    struct store *store = NULL;
    char why[240] = "out of memory";
    int err = store_open(&store, options->show.store, true, why);

    store_close(store);
    if (!err && options->show.folder)
        err = report_folder(options->show.folder, why);
    if (err)
        fprintf(stderr, "pv-diff: %s\n", why);
    return err == -EINVAL ? EXIT_USAGE : err ? EXIT_MISSING : EXIT_DONE;
}

static int run_and_show(struct run *run, const struct options *options)
{
    struct progress progress = terminal_progress();
    char why[512] = "";
    int err = execute_run(run, options->reference, &progress, why);

    terminal_clear();
    if (!err && progress.cancelled && progress.cancelled(progress.ctx))
        err = -EINTR;
    if (err) {
        fprintf(stderr, "pv-diff: %s\n",
                err == -EINTR ? "interrupted: nothing was stored or written"
                : *why        ? why
                              : strerror(-err));
        return status_of(err);
    }
    return present_new_run(run, &options->show);
}

int cmd_run(int argc, char **argv)
{
    static const struct argp_child children[] = {{&present_argp, 0, NULL, 4}, {0}};
    static const struct argp argp = {
        .options = argp_options,
        .parser = parse_option,
        .children = children,
        .doc =
            "Runs the same programs under the same flags on our VMM and on real QEMU/KVM and compares what the "
            "guest saw.\v"
            "Examples:\n"
            "  pv-diff run                              all scenarios under corpora/diff/matrix\n"
            "  pv-diff run -o out --reference qemu-box  and write the report\n"
            "  pv-diff run -cpu kvm64,kvm-pv-eoi=off --scenario msr-matrix\n"
            "  pv-diff run --reference recording        against the newest stored run, no KVM needed\n\n"
            "Exit status: 0 nothing unexpected; 1 an unexplained difference; 2 wrong usage; 3 something needed is "
            "missing here, named with the fix, or the reference broke; 4 our own fault; 130 interrupted (nothing is "
            "written).",
    };
    struct options options = {
        .machine = "pc,kernel-irqchip=on", .smp = "1", .memory = "64M", .reference = "auto"};
    struct run *run = calloc(1, sizeof(*run)); /* holds two host records: too large for a stack */
    int status;

    if (!run)
        return out_of_memory();
    argp_parse(&argp, argc, argv, ARGP_LONG_ONLY, NULL, &options);
    run_init(run);
    status = prepare(run, &options);
    if (!status)
        status = check_known(run, options.known);
    if (!status)
        status = check_memory(run);
    if (!status)
        status = check_places(&options);
    if (!status)
        status = run_and_show(run, &options);
    run_free(run);
    free(run);
    return status;
}
