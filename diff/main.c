/* pv-diff: runs the same guests on our VMM and on real QEMU/KVM, and compares what they saw. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/command.h"
#include "vmm/finish_output.h"
#include "version.h"

static const struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *summary;
} commands[] = {
    {"run", cmd_run, "run scenarios under flag sets on both machines and compare"},
    {"report", cmd_report, "show a stored run again, or write its report"},
    {"compare", cmd_compare, "say what is new and what is gone between two stored runs"},
    {"flags", cmd_flags, "give -cpu strings to our parser and to real QEMU and compare the answers"},
    {"models", cmd_models, "compare every CPU model's CPUID with what a guest of real QEMU reads"},
    {"doctor", cmd_doctor, "say which machines work on this host, and how to mend the others"},
    {"box", cmd_box, "fetch the box's kernel (build), or run a command inside the box (exec)"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void print_help(FILE *out)
{
    fprintf(out,
            "Usage: pv-diff COMMAND [OPTION...]\n"
            "Puts the same guest, under the same -cpu flags, on our VMM and on real QEMU/KVM and compares\n"
            "what it saw.\n\nCommands (each with --help):\n");
    for (unsigned i = 0; i < COMMANDS; i++)
        fprintf(out, "  %-8s %s\n", commands[i].name, commands[i].summary);
    fprintf(out,
            "\nExit status: 0 nothing unexpected; 1 an unexplained difference; 2 wrong usage;\n"
            "3 something needed is missing here, named with the fix; 4 our own fault;\n130 interrupted.\n");
}

int main(int argc, char **argv)
{
    char name[40];

    atexit(finish_output);
    setenv("ARGP_HELP_FMT", "rmargin=100", 0); /* an example is one line */
    argp_err_exit_status = EXIT_USAGE;
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "help")) {
        print_help(stdout);
        return EXIT_DONE;
    }
    if (!strcmp(argv[1], "--version")) {
        puts("pv-diff " PARAVANE_VERSION);
        return EXIT_DONE;
    }
    for (unsigned i = 0; i < COMMANDS; i++) {
        if (strcmp(argv[1], commands[i].name))
            continue;
        snprintf(name, sizeof(name), "pv-diff %s", commands[i].name);
        argv[1] = name; /* what argp shows as the program */
        return commands[i].run(argc - 1, argv + 1);
    }
    fprintf(stderr, "pv-diff: there is no command %s; `pv-diff --help` lists them\n", argv[1]);
    return EXIT_USAGE;
}
