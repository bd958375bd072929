/* `pv-fuzz replay`: one file through the plain target, action by action, and a block for the bug report. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>
#include "diff/shell.h"
#include "fuzz/catalog.h"
#include "fuzz/cmd.h"
#include "fuzz/process.h"
#include "version.h"

struct options {
    const char *target;
    const char *file;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 't':
        options->target = arg;
        return 0;
    case ARGP_KEY_ARG:
        if (options->file)
            argp_usage(state);
        options->file = arg;
        return 0;
    case ARGP_KEY_END:
        if (!options->file)
            argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* corpora/msr/bug-x.pv, out/fuzz/msr/findings/..., msr-0123abcd: the name of the target is in the path. */
static const char *target_from_path(const char *path)
{
    const char *found = NULL;
    size_t at = 0;

    for (unsigned i = 0; i < fuzz_target_count; i++) {
        const char *name = fuzz_targets[i].name;

        for (const char *p = path; (p = strstr(p, name)); p++) {
            char after = p[strlen(name)];

            if ((p == path || p[-1] == '/') && (after == '/' || after == '-') && (size_t)(p - path) >= at) {
                found = name;
                at = (size_t)(p - path);
            }
        }
    }
    return found;
}

/* The build folder and the target that would give the missing binary. */
static int say_missing(char *binary)
{
    char *name = strrchr(binary, '/'), *build;

    if (!name) {
        fprintf(stderr, "pv-fuzz replay: cannot tell where this program lies: is /proc mounted?\n");
        return EXIT_MISSING;
    }
    *name++ = 0;
    if (strrchr(binary, '/'))
        *strrchr(binary, '/') = 0; /* bin */
    build = shell_quote(binary);
    fprintf(stderr, "pv-fuzz replay: %s is not built beside this program - cmake --build %s --target %s\n",
            name, build ? build : binary, name);
    free(build);
    return EXIT_MISSING;
}

static void print_bug_block(const struct options *options, int status)
{
    char *file = shell_quote(options->file);
    struct utsname host;

    uname(&host);
    printf("\n-- for the bug report --\n"
           "paravane: %s\n"
           "target: %s\n"
           "file: %s\n"
           "result: %s\n"
           "host: %s %s\n"
           "replay: pv-fuzz replay --target %s %s\n",
           PARAVANE_VERSION, options->target, options->file,
           status == 1   ? "crash or broken rule (above)"
           : status == 0 ? "passes"
                         : "not run",
           host.sysname, host.release, options->target, file ? file : options->file);
    free(file);
}

int cmd_replay(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"target", 't', "TARGET", 0, "which target; default: as the path of the file says", 0},
        {0},
    };
    static const struct argp argp = {
        .options = table,
        .parser = parse_option,
        .args_doc = "FILE",
        .doc =
            "Replays one input, in text or in binary form, and says what each action did.\v"
            "Examples:\n"
            "  pv-fuzz replay corpora/msr/seed-steal-keeps-guest-values.pv\n"
            "  pv-fuzz replay --target hypercall crash-0123abcd\n"
            "Exit status: 0 it passes, 1 a crash or a broken rule, 2 wrong usage, 3 the replay binary beside pv-fuzz is not built.",
    };
    struct options options = {0};
    char binary[PATH_MAX];
    int status;

    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (access(options.file, R_OK)) {
        fprintf(stderr, "pv-fuzz replay: %s: %s\n", options.file, strerror(errno));
        return EXIT_USAGE;
    }
    if (!options.target)
        options.target = target_from_path(options.file);
    if (!options.target || !fuzz_target_find(options.target)) {
        fprintf(stderr, "pv-fuzz replay: which target is %s for? Say --target %s\n", options.file,
                options.target ? "with a name that `pv-fuzz list` shows" : "NAME");
        return EXIT_USAGE;
    }
    if (!catalog_replay(options.target, binary))
        return say_missing(binary);
    fflush(stdout);
    status =
        process_wait(process_start((const char *[]){binary, "--verbose", options.file, NULL}, NULL, NULL));
    print_bug_block(&options, status);
    return status;
}
