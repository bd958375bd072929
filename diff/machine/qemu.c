/* Launches stock QEMU with the probe as firmware and runs programs on it. Decisions 1, 11 and 13; qemu(1). */
#include "diff/machine/qemu.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "diff/machine/child.h"
#include "diff/machine/deadline.h"
#include "diff/machine/driver.h"
#include "diff/machine/mailbox_run.h"
#include "diff/machine/msr_cleanup.h"
#include "diff/machine/qemu_parts.h"
#include "diff/probe/rom.h"

#define LAUNCH_MS      15000u
#define END_MS         2000u /* for a QEMU that closed QMP to end by itself, so that its status can be told */
#define WATCH_NS       1000000u
#define RELAUNCHES_MAX 3

uint64_t qemu_memory_bytes(const char *memory)
{
    char *end;
    unsigned long long n;
    unsigned shift = 20;

    if (!strncmp(memory, "size=", 5))
        memory += 5;
    if (*memory < '0' || *memory > '9')
        return 0;
    n = strtoull(memory, &end, 10);
    if (*end == 'G' || *end == 'g')
        shift = 30;
    if (*end == 'K' || *end == 'k')
        shift = 10;
    if (*end && strchr("KkMmGg", *end))
        end++;
    return *end || n > 1 << 20 ? 0 : (uint64_t)n << shift;
}

bool qemu_cancelled(const struct qemu *q)
{
    const struct progress *p = q->config->progress;

    return p && p->cancelled && p->cancelled(p->ctx);
}

static void on_event(void *ctx, const char *name)
{
    struct qemu *q = ctx;

    q->resets += !strcmp(name, "RESET");
    if (!strcmp(name, "STOP") && !q->paused)
        q->broken = true;
}

/* The line that says why: warnings come first and do not count. */
static void error_line(const struct child *child, char *buf, size_t size)
{
    const char *line = child->text ? child->text : "";

    buf[0] = '\0';
    while (*line) {
        size_t len = strcspn(line, "\r\n");

        if (len && !memmem(line, len, "warning:", 8)) {
            snprintf(buf, size, "%.*s", (int)len, line);
            return;
        }
        line += len + strspn(line + len, "\r\n");
    }
}

/* QEMU has gone: says how, in its own words. */
static void describe_end(struct qemu *q, char *why, size_t size)
{
    char fate[48], line[160];

    if (child_wait(&q->child, END_MS)) {
        snprintf(why, size, "QEMU closed QMP and hangs; it was killed");
        return;
    }
    error_line(&q->child, line, sizeof(line));
    snprintf(why, size, "QEMU: %s%s%s", child_fate(&q->child, fate), *line ? ": " : "", line);
}

static int shared_memory(const char *name, uint64_t size)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd >= 0 && ftruncate(fd, (off_t)size) < 0) {
        close(fd);
        return -1;
    }
    return fd;
}

static int qemu_prepare(struct qemu *q, const struct flag_set *flags)
{
    q->ram_size = qemu_memory_bytes(flags->memory);
    q->ram_fd = shared_memory("paravane-ram", q->ram_size);
    q->bios_fd = shared_memory("paravane-probe", probe_rom_size);
    if (q->ram_fd < 0 || q->bios_fd < 0 ||
        pwrite(q->bios_fd, probe_rom, probe_rom_size, 0) != (ssize_t)probe_rom_size)
        return -ENOMEM;
    q->ram = mmap(NULL, q->ram_size, PROT_READ | PROT_WRITE, MAP_SHARED, q->ram_fd, 0);
    if (q->ram == MAP_FAILED)
        q->ram = NULL;
    return q->ram ? 0 : -ENOMEM;
}

/* What the two sides of a comparison share, byte-equal (decision 1); the plumbing comes after it. */
static void flag_arguments(struct args *args, const char *accel, const struct flag_set *flags)
{
    const char *const pairs[][2] = {{"-accel", accel},
                                    {"-cpu", flags->cpu},
                                    {"-machine", flags->machine},
                                    {"-smp", flags->smp},
                                    {"-m", flags->memory}};

    args_add(args, QEMU_PROGRAM);
    for (unsigned i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        args_add(args, pairs[i][0]);
        args_add(args, pairs[i][1]);
    }
}

static void qmp_arguments(struct args *args, int fd)
{
    args_add(args, "-no-user-config");
    args_add(args, "-nodefaults");
    args_add(args, "-display");
    args_add(args, "none");
    args_add(args, "-S"); /* the guest starts when the first program does */
    args_add(args, "-chardev");
    args_addf(args, "socket,id=qmp,fd=%d", fd);
    args_add(args, "-mon");
    args_add(args, "chardev=qmp,mode=control");
}

static void memory_arguments(struct args *args, const struct qemu *q)
{
    args_add(args, "-object");
    args_addf(args, "memory-backend-file,id=ram,size=%llu,mem-path=/proc/self/fd/%d,share=on",
              (unsigned long long)q->ram_size, q->ram_fd);
    args_add(args, "-machine");
    args_add(args, "memory-backend=ram");
    args_add(args, "-bios");
    args_addf(args, "/proc/self/fd/%d", q->bios_fd);
}

/* Starts args and opens QMP on it. On failure why says what happened; *refused when QEMU ended by itself. */
static int qemu_start(struct qemu *q, const struct args *args, int qmp_fds[2], bool *refused, char why[240])
{
    const int keep[] = {qmp_fds[1], q->ram_fd, q->bios_fd};
    unsigned launch_ms = q->config->launch_ms ? q->config->launch_ms : LAUNCH_MS;
    int err = child_start(&q->child, args, keep, q->ram_fd >= 0 ? 3 : 1, true);

    close(qmp_fds[1]);
    if (err) {
        close(qmp_fds[0]);
        snprintf(why, 240, "cannot start %s: %s", QEMU_PROGRAM, strerror(-err));
        return err;
    }
    q->qmp.event = on_event;
    q->qmp.ctx = q;
    err = qmp_open(&q->qmp, qmp_fds[0], launch_ms, q->error);
    if (!err)
        return 0;
    if (err != -EPIPE) {
        snprintf(why, 240, "QEMU is not ready after %u s: %s", launch_ms / 1000, q->error);
        return err;
    }
    describe_end(q, why, 240);
    if (WIFEXITED(q->child.status) && WEXITSTATUS(q->child.status) == 127) {
        snprintf(why, 240, "%s is missing: apt-get install qemu-system-x86", QEMU_PROGRAM);
        return -ENOENT;
    }
    *refused = !q->child.pid;
    return -EIO;
}

int qemu_launch(struct qemu *q, const char *incoming, bool *refused, char why[240])
{
    struct args args = {0};
    int fds[2];
    int err;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    flag_arguments(&args, q->config->accel, &q->item->flags);
    if (!q->result->command_line)
        q->result->command_line = args_quote(&args, 0, args.count);
    qmp_arguments(&args, fds[1]);
    memory_arguments(&args, q);
    if (incoming) {
        args_add(&args, "-incoming");
        args_add(&args, incoming);
    }
    err = qemu_start(q, &args, fds, refused, why);
    q->fresh = q->paused = true;
    q->broken = false;
    q->resets = 0;
    args_free(&args);
    return err;
}

void qemu_stop(struct qemu *q)
{
    child_alive(&q->child);
    if (q->result && !q->result->warnings && q->child.text_used)
        q->result->warnings = strdup(q->child.text);
    qmp_close(&q->qmp);
    child_kill(&q->child);
}

static int command(struct qemu *q, const char *name)
{
    return qmp_execute(&q->qmp, name, NULL, QEMU_COMMAND_MS, NULL, q->error);
}

int qemu_set_paused(struct qemu *q, bool paused)
{
    int err;

    if (paused)
        q->paused = true; /* before its STOP event comes */
    err = command(q, paused ? "stop" : "cont");
    if (!err)
        q->paused = paused;
    return err;
}

/* mailbox_host: looks at the process now and then, and gives the CPU away in between. */
static bool pump(void *ctx, char why[240])
{
    struct qemu *q = ctx;
    uint64_t now = clock_ns(CLOCK_MONOTONIC);

    if (now - q->watched_ns >= WATCH_NS) {
        q->watched_ns = now;
        if (!child_alive(&q->child) || qmp_poll(&q->qmp, q->error)) {
            describe_end(q, why, 240);
            return false;
        }
        if (q->broken) {
            char line[160];

            error_line(&q->child, line, sizeof(line));
            snprintf(why, 240, "QEMU stopped the VM by itself: %s", *line ? line : "no reason given");
            return false;
        }
    }
    sched_yield();
    return true;
}

static uint64_t raw_ns(void *ctx)
{
    (void)ctx;
    return clock_ns(CLOCK_MONOTONIC_RAW);
}

static int wait_for_reset(struct qemu *q, unsigned before)
{
    uint64_t deadline = deadline_in_ms(QEMU_COMMAND_MS);

    while (q->resets == before) {
        int err = qmp_poll(&q->qmp, q->error);

        if (err || deadline_passed(deadline))
            return err ? err : -ETIMEDOUT;
        pause_us(50);
    }
    return 0;
}

static int restart(void *ctx)
{
    struct qemu *q = ctx;
    unsigned before = q->resets;
    int err = 0;

    if (!q->fresh)
        err = command(q, "system_reset");
    if (!err && !q->fresh && q->paused)
        err = wait_for_reset(q, before);
    if (!err && q->paused)
        err = qemu_set_paused(q, false);
    q->fresh = false;
    return err;
}

static void clear_range(struct qemu *q, uint64_t start, uint64_t end)
{
    if (end > start && fallocate(q->ram_fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)start,
                                 (off_t)(end - start)) < 0)
        memset(q->ram + start, 0, end - start);
}

/* What programs may have written. The pages of the probe and the mailbox stay: both set up what they read, and in the
 * box each page costs a fault. */
static void clear_ram(void *ctx)
{
    struct qemu *q = ctx;

    clear_range(q, 0, PROBE_SIPI_PAGE);
    clear_range(q, PROBE_RAM_BASE, q->ram_size);
}

static int host_action(void *ctx, const struct action *action, struct outcome *outcome)
{
    struct qemu *q = ctx;

    (void)outcome;
    switch (action->op) {
    case OP_PAUSE_VM:
        return qemu_set_paused(q, true);
    case OP_RESUME_VM:
        return qemu_set_paused(q, false);
    case OP_MIGRATE:
        return qemu_migrate(q);
    default: /* !save-restore is ours (decision 11); for the others QEMU has no command */
        return -ENOTSUP;
    }
}

static bool is_cancelled(void *ctx)
{
    return qemu_cancelled(ctx);
}

static struct mailbox_host mailbox_host_of(struct qemu *q, const struct flag_set *flags)
{
    return (struct mailbox_host){
        .ram = q->ram,
        .ram_size = q->ram_size,
        .vcpus = smp_vcpus(flags->smp),
        .native_vmcall = q->config->native_vmcall,
        .cpuid_only = q->item->cpuid_only,
        .ctx = q,
        .pump = pump,
        .raw_ns = raw_ns,
        .restart = restart,
        .clear_ram = clear_ram,
        .host_action = host_action,
        .cancelled = is_cancelled,
        .action_ns = q->config->action_ns,
    };
}

/* After a program whose VM was lost: a fresh QEMU, for a few times. */
static int replace(struct qemu *q, unsigned *relaunches)
{
    struct run_result *result = q->result;

    if (++*relaunches > RELAUNCHES_MAX) {
        snprintf(result->error, sizeof(result->error),
                 "QEMU was lost %u times; the other programs did not run", RELAUNCHES_MAX + 1);
        return -EIO;
    }
    qemu_stop(q);
    return qemu_launch(q, NULL, &result->refused, result->error);
}

/* On a QEMU that the program before did not lose, and that can be cleaned up behind it; else on a fresh one. */
static int run_program(struct qemu *q, struct mailbox_host *host, unsigned i, bool lost, unsigned *relaunches)
{
    const struct program *program = &q->item->programs[i];
    struct transcript *out = &q->result->transcripts[i];
    int err = lost ? -ESTALE : mailbox_run_behind(host, i ? program - 1 : NULL, program, out);

    if (err != -ESTALE)
        return err;
    err = replace(q, relaunches);
    return err ? err : mailbox_run(host, NULL, program, out);
}

static int run_programs(struct qemu *q)
{
    const struct run_item *item = q->item;
    struct run_result *result = q->result;
    const struct progress *p = q->config->progress;
    struct mailbox_host host = mailbox_host_of(q, &item->flags);
    unsigned relaunches = 0;
    bool lost = false;

    for (unsigned i = 0; i < item->program_count; i++) {
        int err = run_program(q, &host, i, lost, &relaunches);

        if (err == -EINTR || qemu_cancelled(q))
            return -EINTR;
        if (err && err != -EIO) {
            snprintf(result->error, sizeof(result->error), "program %u: %s", i, strerror(-err));
            return err;
        }
        if (err && result->error[0])
            return err;
        lost = err == -EIO;
        if (p && p->step)
            p->step(p->ctx, item->flags.name, i + 1, item->program_count);
    }
    return 0;
}

static void qemu_free(struct qemu *q)
{
    qemu_stop(q);
    if (q->ram)
        munmap(q->ram, q->ram_size);
    if (q->ram_fd >= 0)
        close(q->ram_fd);
    if (q->bios_fd >= 0)
        close(q->bios_fd);
}

int qemu_run_item(const struct qemu_config *config, const struct run_item *item, struct run_result *result)
{
    struct qemu q = {.config = config,
                     .item = item,
                     .result = result,
                     .ram_fd = -1,
                     .bios_fd = -1,
                     .qmp.fd = -1,
                     .child.out_fd = -1};
    int err = -EINVAL;

    if (!qemu_memory_bytes(item->flags.memory))
        snprintf(result->error, sizeof(result->error), "-m %s: write a size such as 64M or 1G",
                 item->flags.memory);
    else
        err = qemu_prepare(&q, &item->flags);
    if (!err)
        err = qemu_launch(&q, NULL, &result->refused, result->error);
    if (!err)
        err = run_programs(&q);
    if (err && err != -EINTR && !result->error[0])
        snprintf(result->error, sizeof(result->error), "QEMU: %s", strerror(-err));
    qemu_free(&q);
    return err == -EINTR ? err : 0;
}

int qemu_version(char version[64], char why[240])
{
    static const struct qemu_config config = {.accel = "tcg"};
    struct qemu q = {.config = &config, .ram_fd = -1, .bios_fd = -1, .qmp.fd = -1, .child.out_fd = -1};
    struct args args = {0};
    bool refused;
    int fds[2];
    int err;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
        return -errno;
    args_add(&args, QEMU_PROGRAM);
    args_add(&args, "-machine");
    args_add(&args, "none");
    qmp_arguments(&args, fds[1]);
    err = qemu_start(&q, &args, fds, &refused, why);
    if (!err)
        snprintf(version, 64, "%s", q.qmp.version);
    args_free(&args);
    qemu_free(&q);
    return err;
}
