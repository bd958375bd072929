/* pv-diff box: fetches the box's kernel, and runs commands inside the box. ARCHITECTURE.md, "The box". */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "diff/command.h"
#include "diff/machine/box.h"
#include "diff/machine/box_image.h"
#include "diff/machine/child.h"

#define FILES_MAX 64

struct box_options {
    const char *files[FILES_MAX];
    unsigned file_count;
    char **words; /* the command */
    int word_count;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct box_options *o = state->input;

    switch (key) {
    case 'f':
        if (o->file_count == FILES_MAX)
            argp_error(state, "at most %d files", FILES_MAX);
        o->files[o->file_count++] = arg;
        return 0;
    case ARGP_KEY_ARGS:
        o->words = state->argv + state->next;
        o->word_count = state->argc - state->next;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static int exit_status_of(int err)
{
    return err == -ENOENT ? EXIT_MISSING : err == -EINTR ? EXIT_INTERRUPTED : EXIT_OUR_FAULT;
}

static int box_build(const char *package)
{
    char version[96], why[240];
    struct box_image image;
    int err = box_kernel_fetch(package, version, why);

    if (!err)
        err = box_image_build(&image, why);
    if (err) {
        fprintf(stderr, "pv-diff: %s\n", why);
        return err == -EIO ? EXIT_MISSING : exit_status_of(err); /* a tool that failed: apt, dpkg, modprobe */
    }
    printf("%s\n", image.kernel);
    box_image_free(&image);
    return EXIT_DONE;
}

static void print_output(void *ctx, const void *data, size_t len)
{
    (void)ctx;
    terminal_clear();
    fwrite(data, 1, len, stdout);
    fflush(stdout);
}

/* SRC:DST, or SRC alone: to the folder / under its own name. */
static int put_file(struct box *box, const char *spec, char why[240])
{
    const char *colon = strchr(spec, ':');
    const char *name = strrchr(spec, '/') ? strrchr(spec, '/') + 1 : spec;
    char from[1024], to[1024];

    snprintf(from, sizeof(from), "%.*s", (int)(colon ? colon - spec : (long)strlen(spec)), spec);
    snprintf(to, sizeof(to), "%s%s", colon ? "" : "/", colon ? colon + 1 : name);
    return box_put_file(box, from, to, why);
}

/* One word is a line for the shell; several are a command and its arguments. */
static char *command_line(const struct box_options *o)
{
    struct args args = {0};
    char *line;

    if (o->word_count == 1)
        return strdup(o->words[0]);
    for (int i = 0; i < o->word_count; i++)
        args_add(&args, o->words[i]);
    line = args_quote(&args, 0, args.count);
    args_free(&args);
    return line;
}

static int run_in_box(const struct box_options *o)
{
    struct progress progress = terminal_progress();
    char *line = command_line(o);
    struct box *box = NULL;
    char why[240] = "out of memory";
    int status = 0;
    int err = line ? box_start(&box, &progress, why) : -ENOMEM;

    terminal_clear();
    for (unsigned i = 0; i < o->file_count && !err; i++)
        err = put_file(box, o->files[i], why);
    if (!err)
        err = box_exec(box, line, print_output, NULL, &status, why);
    box_stop(box);
    free(line);
    if (err) {
        fprintf(stderr, "pv-diff: %s\n", why);
        return exit_status_of(err);
    }
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static int box_exec_command(int argc, char **argv)
{
    static const struct argp_option options[] = {
        {"file", 'f', "SRC[:DST]", 0,
         "Put a file of this host into the box, at /NAME or DST; may be repeated", 0},
        {0}};
    static const struct argp argp = {
        options,
        parse_option,
        "[--] COMMAND...",
        "Boots the box, runs COMMAND in it with busybox's shell, prints its output and "
        "exits with its status.",
        0,
        0,
        0};
    struct box_options o = {0};

    argp_parse(&argp, argc, argv, ARGP_IN_ORDER, NULL, &o);
    return run_in_box(&o);
}

static void print_help(FILE *out)
{
    fprintf(
        out,
        "Usage: pv-diff box build [PACKAGE]\n"
        "  or:  pv-diff box exec [--file SRC[:DST]]... [--] COMMAND...\n"
        "The box is a mainline KVM inside QEMU's software SVM: a real reference on any host.\n\n"
        "  build   fetch its kernel into the cache folder; PACKAGE defaults to " BOX_KERNEL_PACKAGE "\n"
        "  exec    boot it, run COMMAND in it, print the output, exit with its status\n\n"
        "Examples:\n"
        "  pv-diff box build\n"
        "  pv-diff box exec -- uname -r\n"
        "  pv-diff box exec --file rom.bin -- qemu-system-x86_64 -accel kvm -bios /rom.bin -nographic\n\n"
        "Exit status: 0 done; 2 wrong usage; 3 something is missing here, named with the fix; 4 our own fault;\n"
        "130 interrupted; exec: that of COMMAND.\n");
}

int cmd_box(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";
    char name[] = "pv-diff box exec";

    if (!strcmp(what, "--help")) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(what, "build") && argc <= 3)
        return box_build(argc == 3 ? argv[2] : NULL);
    if (strcmp(what, "exec")) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    argv[1] = name;
    return box_exec_command(argc - 1, argv + 1);
}
