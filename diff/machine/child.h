/* One process that we started: in its own group, killed when we die, its output kept up to a bound. prctl(2). */
#ifndef DIFF_MACHINE_CHILD_H
#define DIFF_MACHINE_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define CHILD_TEXT_MAX (64u << 10) /* bytes of output kept; older ones are dropped */

struct child {
    pid_t pid;  /* 0: not running */
    int out_fd; /* its stdout and stderr, non-blocking; -1: closed or not captured */
    int status; /* as waitpid gives it, once pid is 0 again */
    char *text; /* output so far, NUL-terminated; owned */
    size_t text_used;
    /* set after the start: nothing is dropped, the child waits until text_used is reset */
    bool wait_when_full;
};

/* An argument list that grows. Every argument is a copy. */
struct args {
    char **v; /* NULL-terminated for exec */
    unsigned count, capacity;
    bool failed; /* memory was short: child_start refuses it */
};
void args_add(struct args *args, const char *arg);
void args_addf(struct args *args, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The list as a shell would need it typed; malloc'ed, NULL when memory is short. */
char *args_quote(const struct args *args, unsigned first, unsigned end);
void args_free(struct args *args);

/* Starts args->v[0] (searched in PATH) with stdin from /dev/null. Descriptors in keep[] stay open under the same
 * numbers. capture: output is collected for child_drain(), else it goes where ours goes. -errno. */
int child_start(struct child *child, const struct args *args, const int keep[], unsigned keep_count,
                bool capture);
/* Collects what it wrote and says whether it still runs; when it does not, status holds (and output may still wait to
 * be collected). Never blocks. */
bool child_alive(struct child *child);
/* Until it ends by itself: 0, or -ETIMEDOUT and it goes on. */
int child_wait(struct child *child, unsigned timeout_ms);
/* Kills the whole group, reaps it, frees everything. Nothing to do for a zeroed child. Keeps status. */
void child_kill(struct child *child);
/* "exit status 1" or "killed by SIGABRT". */
const char *child_fate(const struct child *child, char buf[48]);
/* The first line of its output that says anything, without a trailing newline; "" when there is none. */
const char *child_first_line(const struct child *child, char *buf, size_t size);

/* Runs to the end. 0: exit status 0 and *out holds its output (malloc'ed; NULL to drop it); else -errno, -EIO for
 * another exit status, with one line in why. */
int child_output(const struct args *args, unsigned timeout_ms, char **out, char *why, size_t why_size);

#endif
