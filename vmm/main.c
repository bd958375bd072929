/* pv-vmm: dispatches to its commands. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/cmd.h"
#include "vmm/finish_output.h"
#include "version.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *what;
} commands[] = {
    {"run", cmd_run, "run a virtual machine"},
    {"cpuid", cmd_cpuid, "show what a guest would read with CPUID under given flags"},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

static void usage(FILE *to)
{
    fprintf(to, "Usage: pv-vmm COMMAND [OPTIONS]\n\nCommands:\n");
    for (size_t i = 0; i < COMMANDS; i++)
        fprintf(to, "  %-8s %s\n", commands[i].name, commands[i].what);
    fprintf(to, "\n'pv-vmm COMMAND --help' explains one; 'pv-vmm --version' prints the version.\n");
}

int main(int argc, char **argv)
{
    atexit(finish_output);
    if (argc > 1 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))) {
        usage(stdout);
        return EXIT_DONE;
    }
    if (argc > 1 && !strcmp(argv[1], "--version")) {
        puts("pv-vmm " PARAVANE_VERSION);
        return EXIT_DONE;
    }
    for (size_t i = 0; i < COMMANDS && argc > 1; i++)
        if (!strcmp(argv[1], commands[i].name))
            return commands[i].run(argc - 2, argv + 2);
    if (argc > 1)
        say("there is no command %s; 'pv-vmm --help' lists them", argv[1]);
    else
        usage(stderr);
    return EXIT_USAGE;
}
