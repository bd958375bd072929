/* What pv-diff shows on a terminal while it works, and Ctrl-C. https://no-color.org */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "diff/command.h"

static volatile sig_atomic_t
    interrupted; /* this program's, not the libraries': a signal has no other way in */

static void on_interrupt(int signal)
{
    (void)signal;
    interrupted = 1;
}

static void step(void *ctx, const char *what, unsigned done, unsigned total)
{
    (void)ctx;
    if (total)
        fprintf(stderr, "\r\033[K%s: %u of %u", what, done, total);
    else
        fprintf(stderr, "\r\033[K%s ...", what);
    fflush(stderr);
}

static bool is_interrupted(void *ctx)
{
    (void)ctx;
    return interrupted;
}

struct progress terminal_progress(void)
{
    struct sigaction action = {.sa_handler = on_interrupt,
                               .sa_flags = (int)SA_RESETHAND}; /* the second one kills */

    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGHUP, &action, NULL);
    return (struct progress){.step = isatty(STDERR_FILENO) ? step : NULL, .cancelled = is_interrupted};
}

void terminal_clear(void)
{
    if (isatty(STDERR_FILENO))
        fputs("\r\033[K", stderr);
}

bool terminal_colour(int fd)
{
    const char *no = getenv("NO_COLOR");

    return isatty(fd) && !(no && *no);
}
