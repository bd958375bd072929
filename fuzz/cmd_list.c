/* `pv-fuzz list`: the targets, what they cover, how large their corpora are. */
#include <argp.h>
#include <stdio.h>
#include "fuzz/catalog.h"
#include "fuzz/cmd.h"
#include "fuzz/surfaces.h"

enum format { FORMAT_TABLE, FORMAT_NAMES, FORMAT_JSON, FORMAT_ACTIONS };

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    enum format *format = state->input;

    (void)arg;
    switch (key) {
    case 'n':
        *format = FORMAT_NAMES;
        return 0;
    case 'j':
        *format = FORMAT_JSON;
        return 0;
    case 'a':
        *format = FORMAT_ACTIONS;
        return 0;
    case ARGP_KEY_ARG:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_target(enum format format, const struct fuzz_target *target, bool last)
{
    unsigned seeds = catalog_corpus_count(target->name, "seed-"),
             bugs = catalog_corpus_count(target->name, "bug-");

    if (format == FORMAT_NAMES)
        printf("%s\n", target->name);
    else if (format == FORMAT_JSON)
        printf("{\"name\":\"%s\",\"covers\":\"%s\",\"rules\":\"%s\",\"seeds\":%u,\"regressions\":%u}%s\n",
               target->name, target->covers, target->rules, seeds, bugs, last ? "" : ",");
    else
        printf("%-10s %5u %11u  %s\n%31s(rules: %s)\n", target->name, seeds, bugs, target->covers, "",
               target->rules);
}

/* A row per action: who runs it, why somebody does not, what of it the machine under the fuzzers leaves out. */
static void print_actions(void)
{
    printf("%-15s", "ACTION");
    for (unsigned i = 0; i < surface_count; i++)
        printf(" %-9s", surfaces[i].name);
    printf(" NOTE\n");
    for (unsigned op = 0; op < OP_COUNT; op++) {
        const char *note = surface_reason(op, 0);

        printf("%s%-*s", op_info(op)->host ? "!" : "", op_info(op)->host ? 14 : 15, op_info(op)->word);
        for (unsigned i = 0; i < surface_count; i++) {
            bool runs = surfaces[i].ops & OPS(op);

            note = runs ? note : surface_reason(op, surfaces[i].surface);
            printf(" %-9s", runs ? "runs" : "-");
        }
        printf(" %s\n", note ? note : "");
    }
}

int cmd_list(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"names", 'n', 0, 0, "names only, one a line", 0},
        {"json", 'j', 0, 0, "for machines", 0},
        {"actions", 'a', 0, 0, "actions of programs: which target runs them, or why not", 0},
        {0},
    };
    static const struct argp argp = {
        .options = table,
        .parser = parse_option,
        .doc =
            "Lists the fuzz targets.\v"
            "Examples:\n  pv-fuzz list\n  pv-fuzz list --actions\n  for t in $(pv-fuzz list --names); do pv-fuzz run $t --seconds 60; done\n"
            "Exit status: 0, 2 wrong usage.",
    };
    enum format format = FORMAT_TABLE;

    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &format);
    if (format == FORMAT_ACTIONS) {
        print_actions();
        return 0;
    }
    if (format == FORMAT_JSON)
        printf("{\"schema\":\"paravane-fuzz-list-1\",\"targets\":[\n");
    else if (format == FORMAT_TABLE)
        printf("%-10s %5s %11s  %s\n", "TARGET", "SEEDS", "REGRESSIONS", "COVERS");
    for (unsigned i = 0; i < fuzz_target_count; i++)
        print_target(format, &fuzz_targets[i], i + 1 == fuzz_target_count);
    if (format == FORMAT_JSON)
        printf("]}\n");
    return 0;
}
