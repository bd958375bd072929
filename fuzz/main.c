/* pv-fuzz: runs fuzz targets, replays and shows what they found. A table of subcommands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz/cmd.h"
#include "vmm/finish_output.h"
#include "version.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"run", cmd_run, "fuzz one target for some time"},
    {"list", cmd_list, "the targets and what they cover"},
    {"replay", cmd_replay, "one input again, action by action, with a report"},
    {"demo", cmd_demo, "prove that the fuzzer finds a planted fault"},
    {"show", cmd_show, "print a program in text, whichever form it is in"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *out)
{
    fputs("Usage: pv-fuzz COMMAND [ARGUMENT...]\n\nCommands:\n", out);
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].what);
    fputs("\n'pv-fuzz COMMAND --help' tells more. Exit status: 0 nothing found, 1 findings, 2 wrong usage,\n"
          "3 something is missing here, 4 a fault of our own.\n",
          out);
}

int main(int argc, char **argv)
{
    atexit(finish_output);
    setenv("ARGP_HELP_FMT", "rmargin=100", 0); /* an example is one line */
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("pv-fuzz " PARAVANE_VERSION);
        return EXIT_DONE;
    }
    for (unsigned i = 0; i < COMMANDS; i++)
        if (!strcmp(argv[1], commands[i].name)) {
            char name[32];

            snprintf(name, sizeof(name), "pv-fuzz %s", commands[i].name);
            argv[1] = name;
            return commands[i].run(argc - 1, argv + 1);
        }
    fprintf(stderr, "pv-fuzz: unknown command '%s'; 'pv-fuzz --help' lists them\n", argv[1]);
    return EXIT_USAGE;
}
