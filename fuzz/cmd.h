/* The subcommands of pv-fuzz: each parses its own arguments and returns an enum exit_status. */
#ifndef FUZZ_CMD_H
#define FUZZ_CMD_H

#include "vmm/exit_status.h"

/* argv[0] is "pv-fuzz NAME". */
int cmd_show(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_list(int argc, char **argv);
int cmd_replay(int argc, char **argv);
int cmd_demo(int argc, char **argv);

/* An option's whole number above 0, or the usage error. */
struct argp_state;
unsigned cmd_number(const struct argp_state *state, const char *what, const char *arg);

#endif
