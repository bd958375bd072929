/* One lane of QEMUs. The end of an accepted string: QMP commands wait in the socket before QEMU starts, and QEMU tells
 * of its shutdown there. QEMU docs/interop/qmp-spec. */
#include "diff/flags/lane.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>
#include "diff/flags/forkserver.h"
#include "diff/machine/deadline.h"

#define QEMU_PROGRAM "qemu-system-x86_64"
#define START_MS     20000 /* usually 20: hosts under load are slow, a QEMU that hangs is rare */
#define POLL_MS      2

static const char qmp_commands[] = "{\"execute\":\"qmp_capabilities\"}\n{\"execute\":\"quit\"}\n";

static void arguments(struct args *args, const struct lane *lane, const char *cpu)
{
    static const char *const fixed[] = {
        "-accel", "tcg",  "-no-user-config",          "-nodefaults", "-display", "none",
        "-S",     "-mon", "chardev=qmp,mode=control", "-machine"};

    if (lane->forkserver) {
        args_add(args, "env"); /* execs: the process stays the one that we started */
        args_addf(args, "LD_PRELOAD=%s", lane->forkserver);
        args_addf(args, FORKSERVER_CONTROL "=%d %d", lane->control, lane->text_fd);
    }
    args_add(args, QEMU_PROGRAM);
    for (size_t i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        args_add(args, fixed[i]);
    args_add(args, lane->machine);
    args_add(args, "-chardev");
    args_addf(args, "socket,id=qmp,fd=%d", lane->qmp[1]);
    args_add(args, "-cpu");
    args_add(args, cpu);
}

static int start_child(struct lane *lane, const char *cpu)
{
    const int keep[] = {lane->qmp[1], lane->text_fd, lane->control};
    struct args args = {0};
    int err;

    arguments(&args, lane, cpu);
    err = child_start(&lane->child, &args, keep, lane->forkserver ? 3 : 1, true);
    args_free(&args);
    return err;
}

/* The next status of the fork server. -EAGAIN: not yet; -EPIPE: it is gone. */
static int receive_status(const struct lane *lane, int *status)
{
    ssize_t got = recv(lane->control, status, sizeof(*status), MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return -EAGAIN;
    return got == sizeof(*status) ? 0 : -EPIPE;
}

/* lane->control is QEMU's end while the server starts, ours from then on. */
static int start_server(struct lane *lane)
{
    int pair[2], status, err;
    uint64_t deadline = deadline_in_ms(START_MS);

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
        return -errno;
    lane->control = pair[1];
    err = start_child(lane, FORKSERVER_CPU);
    close(pair[1]);
    lane->control = pair[0];
    while (!err) {
        struct pollfd pfd = {.fd = lane->control, .events = POLLIN};

        poll(&pfd, 1, deadline_left_ms(deadline));
        err = receive_status(lane, &status);
        if (err != -EAGAIN)
            break;
        err = deadline_passed(deadline) ? -ETIMEDOUT : 0;
    }
    return err ? err : status == FORKSERVER_READY ? 0 : -EPROTO;
}

static void stop_server(struct lane *lane)
{
    child_kill(&lane->child);
    if (lane->control >= 0)
        close(lane->control);
    lane->control = -1;
}

void lane_init(struct lane *lane)
{
    *lane = (struct lane){.child = {.out_fd = -1}, .qmp = {-1, -1}, .control = -1, .text_fd = -1};
}

int lane_open(struct lane *lane, const char *machine, const char *forkserver)
{
    int err = 0;

    lane_init(lane);
    lane->machine = machine;
    lane->forkserver = forkserver;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, lane->qmp) < 0)
        err = -errno;
    if (!err && forkserver) {
        lane->text_fd = memfd_create("qemu-says", MFD_CLOEXEC);
        err = lane->text_fd < 0 ? -errno : start_server(lane);
    }
    if (err)
        lane_close(lane);
    return err;
}

/* What is left of the QEMU before: commands it never read, answers that we did not. */
static void empty_socket(int fd)
{
    char rest[4096];

    while (recv(fd, rest, sizeof(rest), MSG_DONTWAIT) > 0)
        continue;
}

int lane_start(struct lane *lane, const char *cpu)
{
    size_t len = strlen(cpu) + 1;
    int err = 0;

    empty_socket(lane->qmp[0]);
    empty_socket(lane->qmp[1]);
    lane->text[0] = 0;
    if (send(lane->qmp[0], qmp_commands, sizeof(qmp_commands) - 1, MSG_NOSIGNAL) < 0)
        return -errno;
    if (!lane->forkserver) {
        err = start_child(lane, cpu);
    } else {
        if (lane->control < 0) /* it had to be killed */
            err = start_server(lane);
        if (!err && (ftruncate(lane->text_fd, 0) < 0 || lseek(lane->text_fd, 0, SEEK_SET) < 0 ||
                     send(lane->control, cpu, len, MSG_NOSIGNAL) != (ssize_t)len))
            err = -errno;
    }
    lane->busy = !err;
    lane->deadline_ns = deadline_in_ms(START_MS);
    return err;
}

int lane_fd(const struct lane *lane)
{
    return lane->forkserver ? lane->control : lane->child.out_fd;
}

static bool was_ready(const struct lane *lane)
{
    char said[8192];
    ssize_t len = recv(lane->qmp[0], said, sizeof(said), MSG_DONTWAIT | MSG_PEEK);

    return len > 0 && memmem(said, (size_t)len, "\"SHUTDOWN\"", 10);
}

static void finish(struct lane *lane, int status, bool timed_out, struct qemu_end *end)
{
    ssize_t len;

    if (lane->forkserver) {
        len = pread(lane->text_fd, lane->text, LANE_TEXT_MAX, 0);
        lane->text[len > 0 ? len : 0] = 0;
    } else {
        snprintf(lane->text, sizeof(lane->text), "%s", lane->child.text);
    }
    *end = (struct qemu_end){
        .text = lane->text, .status = status, .ready = was_ready(lane), .timed_out = timed_out};
    lane->busy = false;
    if (timed_out && lane->forkserver)
        stop_server(lane);
    else if (!lane->forkserver)
        child_kill(&lane->child);
}

bool lane_ended(struct lane *lane, struct qemu_end *end)
{
    int status = 127 << 8;
    bool ended;

    if (lane->forkserver) {
        int err = receive_status(lane, &status);

        ended = err != -EAGAIN;
        if (err == -EPIPE) { /* the server itself died: nothing is known of this string */
            finish(lane, status, true, end);
            return true;
        }
    } else {
        ended = !child_alive(&lane->child);
        status = lane->child.status;
    }
    if (!ended && !deadline_passed(lane->deadline_ns))
        return false;
    finish(lane, status, !ended, end);
    return true;
}

void lane_close(struct lane *lane)
{
    stop_server(lane);
    for (int i = 0; i < 2; i++)
        if (lane->qmp[i] >= 0)
            close(lane->qmp[i]);
    if (lane->text_fd >= 0)
        close(lane->text_fd);
    lane->qmp[0] = lane->qmp[1] = lane->text_fd = -1;
    lane->busy = false;
}

int lane_run(struct lane *lane, const char *cpu, bool (*cancelled)(void *ctx), void *ctx,
             struct qemu_end *end)
{
    int err = lane_start(lane, cpu);

    if (err)
        return err;
    while (!lane_ended(lane, end)) {
        struct pollfd pfd = {.fd = lane_fd(lane), .events = POLLIN};

        if (cancelled && cancelled(ctx))
            return -EINTR;
        poll(&pfd, 1, POLL_MS);
    }
    return 0;
}
