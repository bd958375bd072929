/* pv-agent: runs inside the box, beside the VMs of a real KVM, and serves the host's jobs. Decisions 13 and 14. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "diff/machine/channel.h"
#include "diff/machine/child.h"
#include "diff/machine/deadline.h"
#include "diff/machine/host_record.h"
#include "diff/machine/job.h"
#include "diff/machine/qemu.h"

#define PCI_FOLDER "/sys/bus/pci/devices"
#define IVSHMEM_ID "0x1af4 0x1110"
#define SEND_MS    60000u /* the host takes messages while it waits */
#define IDLE_MS    3600000u
#define COMMAND_MS 3600000u

struct agent {
    struct channel channel;
    struct host_record record;
    int vm_fd;         /* never closed: kernels were seen to hang when it was (decision 14) */
    char problem[240]; /* of a JOB_FILE, told at the next JOB_EXEC */
};

static void read_word(const char *folder, const char *name, char buf[32])
{
    char path[600];
    FILE *file;

    snprintf(path, sizeof(path), PCI_FOLDER "/%s/%s", folder, name);
    buf[0] = '\0';
    file = fopen(path, "re");
    if (!file)
        return;
    if (fscanf(file, "%31s", buf) != 1)
        buf[0] = '\0';
    fclose(file);
}

static bool is_ivshmem(const char *folder)
{
    char vendor[32], device[32], id[65];

    read_word(folder, "vendor", vendor);
    read_word(folder, "device", device);
    snprintf(id, sizeof(id), "%s %s", vendor, device);
    return !strcmp(id, IVSHMEM_ID);
}

/* No driver claims the device, so its memory must be switched on first. */
static void *map_device(const char *folder)
{
    char path[600];
    void *memory;
    int fd;

    snprintf(path, sizeof(path), PCI_FOLDER "/%s/enable", folder);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, "1", 1) != 1)
        perror(path);
    if (fd >= 0)
        close(fd);
    snprintf(path, sizeof(path), PCI_FOLDER "/%s/resource2", folder);
    fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    memory = mmap(NULL, CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return memory == MAP_FAILED ? NULL : memory;
}

static void *map_channel(void)
{
    DIR *dir = opendir(PCI_FOLDER);
    void *memory = NULL;

    for (struct dirent *e; dir && !memory && (e = readdir(dir));)
        if (e->d_name[0] != '.' && is_ivshmem(e->d_name))
            memory = map_device(e->d_name);
    if (dir)
        closedir(dir);
    return memory;
}

static bool show_life(void *ctx)
{
    struct agent *agent = ctx;

    agent->channel.memory->pulse++;
    return true;
}

static bool never_cancelled(void *ctx)
{
    show_life(ctx);
    return false;
}

static void on_step(void *ctx, const char *what, unsigned done, unsigned total)
{
    struct agent *agent = ctx;

    (void)what, (void)total;
    agent->channel.memory->done = done;
}

static int send_text(struct agent *agent, uint32_t type, const char *text)
{
    struct wire_out out = {0};
    int err;

    wire_put_string(&out, text);
    err = out.failed ? -ENOMEM : channel_send(&agent->channel, type, out.data, out.len, SEND_MS);
    free(out.data);
    return err;
}

static int say_hello(struct agent *agent)
{
    char *text;
    int err = host_record_read(&agent->record, &agent->vm_fd);

    if (err)
        return send_text(agent, JOB_PROBLEM, strerror(-err));
    err = host_record_to_json(&agent->record, &text);
    if (err)
        return err;
    err = send_text(agent, JOB_HELLO, text);
    free(text);
    return err;
}

static int do_run(struct agent *agent, const uint8_t *data, size_t len)
{
    const struct progress progress = {.step = on_step, .cancelled = never_cancelled, .ctx = agent};
    const struct qemu_config config = {
        .accel = "kvm", .native_vmcall = agent->record.native_vmcall, .progress = &progress};
    struct run_result result = {0};
    struct wire_out out = {0};
    struct job_item job;
    int err = job_item_decode(&job, data, len);

    if (!err)
        err = run_result_init(&result, job.item.program_count);
    if (!err)
        err = qemu_run_item(&config, &job.item, &result);
    if (!err)
        err = job_result_encode(&result, job.item.program_count, &out);
    if (!err)
        err = channel_send(&agent->channel, JOB_RESULT, out.data, out.len, SEND_MS);
    else
        err = send_text(agent, JOB_PROBLEM, strerror(-err));
    free(out.data);
    run_result_free(&result, job.item.program_count);
    job_item_free(&job);
    return err;
}

/* The folders above a path. What fails here shows when the file is opened. */
static void make_folders(const char *path)
{
    char part[1024];

    snprintf(part, sizeof(part), "%s", path);
    for (char *slash = strchr(part[0] ? part + 1 : part, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(part, 0777);
        *slash = '/';
    }
}

static void do_file(struct agent *agent, const uint8_t *data, size_t len)
{
    struct wire_in in = {.data = data, .len = len};
    const char *path = wire_get_string(&in);
    unsigned mode = wire_get_u32(&in);
    bool append = wire_get_u32(&in);
    size_t size;
    const uint8_t *bytes = wire_get_bytes(&in, &size);
    FILE *file;

    if (!wire_done(&in)) {
        snprintf(agent->problem, sizeof(agent->problem), "a file message that is cut short");
        return;
    }
    make_folders(path);
    if (!append)
        unlink(path); /* a library that is in use here is not to be cut short under us */
    file = fopen(path, append ? "ae" : "we");
    if (!file || fwrite(bytes, 1, size, file) != size)
        snprintf(agent->problem, sizeof(agent->problem), "%.160s: %s", path, strerror(errno));
    if (file) {
        fchmod(fileno(file), mode & 0777);
        fclose(file);
    }
}

/* Passes on what a command writes until it has ended and all is said, or the time is up. */
static int pass_output(struct agent *agent, struct child *child)
{
    uint64_t deadline = deadline_in_ms(COMMAND_MS);
    bool alive, wrote;
    int err = 0;

    child->wait_when_full = true;
    do {
        alive = child_alive(child);
        wrote = child->text_used;
        if (wrote)
            err = channel_send(&agent->channel, JOB_OUTPUT, child->text, child->text_used, SEND_MS);
        child->text_used = 0;
        show_life(agent);
        if (!wrote)
            pause_us(1000);
    } while ((alive || wrote) && !err && !deadline_passed(deadline));
    return err;
}

static int do_exec(struct agent *agent, const char *command)
{
    struct wire_out out = {0};
    struct args args = {0};
    struct child child;
    int err;

    if (agent->problem[0]) {
        err = send_text(agent, JOB_PROBLEM, agent->problem);
        agent->problem[0] = '\0';
        return err;
    }
    args_add(&args, "/bin/sh");
    args_add(&args, "-c");
    args_add(&args, command);
    err = child_start(&child, &args, NULL, 0, true);
    args_free(&args);
    if (err)
        return send_text(agent, JOB_PROBLEM, strerror(-err));
    err = pass_output(agent, &child);
    child_kill(&child);
    wire_put_u32(&out, (uint32_t)child.status);
    if (!err)
        err = channel_send(&agent->channel, JOB_EXIT, out.data, out.len, SEND_MS);
    free(out.data);
    return err;
}

static int serve(struct agent *agent)
{
    struct wire_in in;
    uint32_t type;
    uint8_t *data;
    size_t len;
    int err = channel_receive(&agent->channel, &type, &data, &len, IDLE_MS);

    if (err)
        return err;
    in = (struct wire_in){.data = data, .len = len};
    switch (type) {
    case JOB_RUN:
        err = do_run(agent, data, len);
        break;
    case JOB_FILE:
        do_file(agent, data, len);
        break;
    case JOB_EXEC:
        err = do_exec(agent, wire_get_string(&in));
        break;
    default:
        err = send_text(agent, JOB_PROBLEM, "a message of unknown type");
    }
    free(data);
    return err;
}

int main(void)
{
    static struct agent agent;
    void *memory = map_channel();
    int err;

    if (!memory || channel_init(&agent.channel, memory, false)) {
        fprintf(stderr,
                "pv-agent: no channel to a host of this version: it belongs into the box of pv-diff\n");
        return 1;
    }
    agent.channel.wait = show_life;
    agent.channel.ctx = &agent;
    err = say_hello(&agent);
    while (!err)
        err = serve(&agent);
    fprintf(stderr, "pv-agent: %s\n", strerror(-err));
    return 1;
}
