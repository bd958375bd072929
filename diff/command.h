/* The subcommands of pv-diff, and what they share towards the terminal. */
#ifndef DIFF_COMMAND_H
#define DIFF_COMMAND_H

#include <stdbool.h>
#include "diff/machine/machine.h"
#include "vmm/exit_status.h"

/* argv[0] is "pv-diff NAME", for messages. Each returns an enum exit_status, or a status that it passes on. */
int cmd_doctor(int argc, char **argv);
int cmd_box(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_compare(int argc, char **argv);
int cmd_flags(int argc, char **argv);
int cmd_models(int argc, char **argv);

/* For machines: shows steps on stderr when that is a terminal; Ctrl-C asks them to stop. */
struct progress terminal_progress(void);
/* Takes the progress line away before anything else is printed. */
void terminal_clear(void);
/* Escape sequences on this stream? Not on files and pipes, nor with NO_COLOR set. */
bool terminal_colour(int fd);

#endif
