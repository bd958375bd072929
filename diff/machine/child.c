/* Starts, watches and ends child processes so that none outlives us, whatever happens. prctl(2), credentials(7). */
#include "diff/machine/child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "diff/machine/deadline.h"
#include "diff/shell.h"

#define KILL_WAIT_MS                                                                                         \
    5000 /* a killed process that the kernel does not give back in this time is left to init */

void args_add(struct args *args, const char *arg)
{
    char *copy = strdup(arg);

    if (args->count + 2 > args->capacity) {
        unsigned capacity = args->capacity ? args->capacity * 2 : 32;
        char **grown = realloc(args->v, capacity * sizeof(*grown));

        if (!grown) {
            free(copy);
            args->failed = true;
            return;
        }
        args->v = grown;
        args->capacity = capacity;
    }
    if (!copy) {
        args->failed = true;
        return;
    }
    args->v[args->count++] = copy;
    args->v[args->count] = NULL;
}

void args_addf(struct args *args, const char *format, ...)
{
    char *text = NULL;
    va_list ap;

    va_start(ap, format);
    if (vasprintf(&text, format, ap) < 0)
        text = NULL;
    va_end(ap);
    if (text)
        args_add(args, text);
    else
        args->failed = true;
    free(text);
}

char *args_quote(const struct args *args, unsigned first, unsigned end)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    bool failed = false;

    if (!out)
        return NULL;
    for (unsigned i = first; i < end && i < args->count; i++) {
        char *word = shell_quote(args->v[i]);

        failed = failed || !word;
        fprintf(out, "%s%s", i != first ? " " : "", word ? word : "");
        free(word);
    }
    if (fclose(out) || failed) {
        free(text);
        return NULL;
    }
    return text;
}

void args_free(struct args *args)
{
    for (unsigned i = 0; i < args->count; i++)
        free(args->v[i]);
    free(args->v);
    *args = (struct args){0};
}

/* Between fork and exec: only calls that are safe there. */
static void become(const struct args *args, pid_t parent, const int keep[], unsigned keep_count, int out_fd)
{
    sigset_t none;
    int null_fd = open("/dev/null", O_RDONLY);

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before prctl could arm */
        _exit(127);
    setpgid(0, 0);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    signal(SIGINT, SIG_DFL);
    if (null_fd >= 0)
        dup2(null_fd, STDIN_FILENO);
    if (out_fd >= 0) {
        dup2(out_fd, STDOUT_FILENO);
        dup2(out_fd, STDERR_FILENO);
    }
    for (unsigned i = 0; i < keep_count; i++)
        fcntl(keep[i], F_SETFD, 0);
    execvp(args->v[0], args->v);
    dprintf(STDERR_FILENO, "%s: cannot be run: %s\n", args->v[0], strerror(errno));
    _exit(127);
}

int child_start(struct child *child, const struct args *args, const int keep[], unsigned keep_count,
                bool capture)
{
    int pipe_fds[2] = {-1, -1};
    pid_t parent = getpid();
    int err;

    *child = (struct child){.out_fd = -1};
    if (args->failed || !args->count)
        return -ENOMEM;
    child->text = calloc(1, CHILD_TEXT_MAX + 1);
    if (!child->text)
        return -ENOMEM;
    if (capture && pipe2(pipe_fds, O_CLOEXEC | O_NONBLOCK) < 0) {
        err = -errno;
        goto out;
    }
    /* The child writes as to any pipe; only our end must not block. */
    if (capture)
        fcntl(pipe_fds[1], F_SETFL, 0);
    child->pid = fork();
    if (child->pid == 0)
        become(args, parent, keep, keep_count, pipe_fds[1]);
    if (child->pid < 0) {
        err = -errno;
        child->pid = 0;
        goto out;
    }
    setpgid(child->pid, child->pid); /* both sides do: whoever comes first */
    if (capture)
        close(pipe_fds[1]);
    child->out_fd = pipe_fds[0];
    return 0;
out:
    if (pipe_fds[0] >= 0)
        close(pipe_fds[0]);
    if (pipe_fds[1] >= 0)
        close(pipe_fds[1]);
    free(child->text);
    child->text = NULL;
    return err;
}

static void child_drain(struct child *child)
{
    /* Bounded, so that one that writes without end cannot hold us here. */
    for (int turn = 0; turn < 16 && child->out_fd >= 0; turn++) {
        ssize_t got;

        if (child->text_used == CHILD_TEXT_MAX) {
            if (child->wait_when_full)
                return;
            child->text_used /= 2;
            memmove(child->text, child->text + child->text_used, CHILD_TEXT_MAX - child->text_used);
        }
        got = read(child->out_fd, child->text + child->text_used, CHILD_TEXT_MAX - child->text_used);
        if (got > 0) {
            child->text_used += (size_t)got;
            child->text[child->text_used] = '\0';
            continue;
        }
        if (got == 0) {
            close(child->out_fd);
            child->out_fd = -1;
        }
        return;
    }
}

bool child_alive(struct child *child)
{
    int status;

    child_drain(child);
    if (!child->pid)
        return false;
    if (waitpid(child->pid, &status, WNOHANG) != child->pid)
        return true;
    child->status = status;
    kill(-child->pid, SIGKILL); /* what it started itself */
    child->pid = 0;
    child_drain(child); /* what it wrote last */
    return false;
}

int child_wait(struct child *child, unsigned timeout_ms)
{
    uint64_t deadline = deadline_in_ms(timeout_ms);

    while (child_alive(child)) {
        struct pollfd pfd = {.fd = child->out_fd, .events = POLLIN};

        if (deadline_passed(deadline))
            return -ETIMEDOUT;
        poll(&pfd, 1, 5); /* a closed descriptor (-1) makes this a plain pause */
    }
    return 0;
}

void child_kill(struct child *child)
{
    if (child->pid) {
        kill(-child->pid, SIGKILL);
        kill(child->pid, SIGKILL); /* if it never reached setpgid */
        child_wait(child, KILL_WAIT_MS);
    }
    if (child->text && child->out_fd >= 0)
        close(child->out_fd);
    free(child->text);
    *child = (struct child){.out_fd = -1, .status = child->status};
}

const char *child_fate(const struct child *child, char buf[48])
{
    if (WIFSIGNALED(child->status)) {
        const char *name = sigabbrev_np(WTERMSIG(child->status));

        snprintf(buf, 48, "killed by SIG%s", name ? name : "?");
    } else {
        snprintf(buf, 48, "exit status %d", WEXITSTATUS(child->status));
    }
    return buf;
}

const char *child_first_line(const struct child *child, char *buf, size_t size)
{
    const char *line = child->text ? child->text + strspn(child->text, "\r\n \t") : "";

    snprintf(buf, size, "%.*s", (int)strcspn(line, "\r\n"), line);
    return buf;
}

int child_output(const struct args *args, unsigned timeout_ms, char **out, char *why, size_t why_size)
{
    struct child child;
    char fate[48], line[160];
    int err = child_start(&child, args, NULL, 0, true);

    if (err) {
        snprintf(why, why_size, "cannot start %s: %s", args->count ? args->v[0] : "?", strerror(-err));
        return err;
    }
    if (child_wait(&child, timeout_ms)) {
        snprintf(why, why_size, "%s did not end within %u s", args->v[0], timeout_ms / 1000);
        err = -ETIMEDOUT;
    } else if (child.status) {
        snprintf(why, why_size, "%s: %s: %s", args->v[0], child_fate(&child, fate),
                 child_first_line(&child, line, sizeof(line)));
        err = WIFEXITED(child.status) && WEXITSTATUS(child.status) == 127 ? -ENOENT : -EIO;
    } else if (out) {
        *out = child.text;
        child.text = NULL;
    }
    child_kill(&child);
    return err;
}
