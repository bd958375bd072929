/* Child processes of pv-fuzz: engines and replay binaries. */
#ifndef FUZZ_PROCESS_H
#define FUZZ_PROCESS_H

#include <sys/types.h>

/* Starts argv (NULL-terminated) with "NAME=value" strings added to its environment (or NULL). stdout and stderr go to
 * the file `log` (NULL: ours). Dies with us, and takes all signals. The pid, or -errno. */
pid_t process_start(const char *const *argv, const char *const *env, const char *log);
/* Exit status; 128 + signal number; EXIT_OUR_FAULT when pid says that it did not start. */
int process_wait(pid_t pid);

#endif
