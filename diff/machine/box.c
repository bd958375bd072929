/* Boots the box and talks to the agent in it. ARCHITECTURE.md, "The box"; decisions 13 and 14. */
#include "diff/machine/box.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "diff/machine/box_image.h"
#include "diff/machine/channel.h"
#include "diff/machine/child.h"
#include "diff/machine/deadline.h"
#include "diff/machine/job.h"
#include "diff/machine/qemu.h"
#include "vmm/input_file.h"

#define BOOT_MS 30000u /* decision 14; usually 4 to 9 s */
#define SEND_MS 30000u /* the agent takes a message at once unless it hangs */
#define PULSE_MS                                                                                             \
    45000u /* an agent that shows no life for so long is lost: longer than any single wait of its own */
#define ITEM_MS   (60u * 60u * 1000u)
#define FILE_PART (8u << 20)

struct box {
    const struct progress *progress;
    struct box_image image;
    struct child child;
    int memory_fd;
    struct channel channel;
    struct host_record record;
    char description[160];
    unsigned boots, retries;
    bool dead;
    const char *doing; /* for progress */
    unsigned total;
    uint32_t pulse;    /* last seen */
    uint64_t pulse_ns; /* when it last moved; 0: the agent has not spoken yet */
};

static bool cancelled(const struct box *box)
{
    return box->progress && box->progress->cancelled && box->progress->cancelled(box->progress->ctx);
}

/* While a message is awaited: false once there is no point in waiting. */
static bool keep_waiting(void *ctx)
{
    struct box *box = ctx;
    const struct progress *p = box->progress;
    uint32_t pulse = box->channel.memory->pulse;

    if (pulse != box->pulse) {
        box->pulse = pulse;
        box->pulse_ns = clock_ns(CLOCK_MONOTONIC);
    }
    if (p && p->step && box->doing)
        p->step(p->ctx, box->doing, box->channel.memory->done, box->total);
    if (box->pulse_ns && clock_ns(CLOCK_MONOTONIC) - box->pulse_ns > PULSE_MS * 1000000ull)
        return false;
    return child_alive(&box->child) && !cancelled(box);
}

/* The end of its console, for a message; from the kernel's last words on where it had any. */
static const char *console_end(struct box *box, char *buf, size_t size)
{
    const char *text = box->child.text ? box->child.text : "";
    size_t len = box->child.text_used;
    const char *panic = strstr(text, "Kernel panic");

    snprintf(buf, size, "%s", panic ? panic : text + len - (size - 1 < len ? size - 1 : len));
    for (char *c = buf; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = ' ';
    return buf;
}

static int lost(struct box *box, int err, char *why, size_t size)
{
    char fate[48], console[120];

    box->dead = true;
    if (cancelled(box)) {
        snprintf(why, size, "cancelled");
        return -EINTR;
    }
    if (!box->child.pid)
        snprintf(why, size, "the box died (%s): %s", child_fate(&box->child, fate),
                 console_end(box, console, sizeof(console)));
    else
        snprintf(why, size, "the box hangs (%s); its console ends: %s", strerror(-err),
                 console_end(box, console, sizeof(console)));
    return -EIO;
}

static void box_arguments(struct args *args, const struct box *box)
{
    static const char *const fixed[] = {
        QEMU_PROGRAM, "-M", "q35", "-accel", "tcg,thread=multi", "-cpu", "max,+svm,+npt", "-smp", "2", "-m",
        "2048", "-no-user-config", "-nodefaults", "-display", "none", "-no-reboot", "-serial", "stdio",
        "-device", "ivshmem-plain,memdev=channel",
        /* Without the TSC as clocksource KVM has no master clock, and clock records no stable flag. */
        "-append", "console=ttyS0 quiet panic=-1 tsc=reliable clocksource=tsc"};

    for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        args_add(args, fixed[i]);
    args_add(args, "-object");
    args_addf(args, "memory-backend-file,id=channel,size=%u,mem-path=/proc/self/fd/%d,share=on", CHANNEL_SIZE,
              box->memory_fd);
    args_add(args, "-kernel");
    args_add(args, box->image.kernel);
    args_add(args, "-initrd");
    args_addf(args, "/proc/self/fd/%d", box->image.initrd_fd);
}

static int take_hello(struct box *box, char why[240])
{
    struct wire_in in;
    uint32_t type;
    uint8_t *data;
    size_t len;
    char message[160];
    const char *text;
    int err = channel_receive(&box->channel, &type, &data, &len, BOOT_MS);

    if (err)
        return lost(box, err, why, 240);
    in = (struct wire_in){.data = data, .len = len};
    text = wire_get_string(&in);
    if (type == JOB_HELLO && !in.failed)
        err = host_record_from_json(&box->record, text, strlen(text), message);
    else
        err = -EPROTO;
    if (err && type == JOB_PROBLEM)
        snprintf(why, 240, "the box has no KVM: %.180s", text);
    else if (err)
        snprintf(why, 240, "the box's agent talks nonsense: another version? Build everything and try again");
    free(data);
    return err;
}

/* One boot, from nothing to the agent's first words. */
static int boot(struct box *box, char why[240])
{
    const int keep[] = {box->memory_fd, box->image.initrd_fd};
    uint64_t start = clock_ns(CLOCK_MONOTONIC);
    struct args args = {0};
    int err;

    box->boots++;
    box->dead = false;
    box->pulse_ns = 0;
    box->doing = "booting the box";
    box->total = 0;
    channel_init(&box->channel, box->channel.memory, true);
    box_arguments(&args, box);
    err = child_start(&box->child, &args, keep, 2, true);
    args_free(&args);
    if (err) {
        snprintf(why, 240, "cannot start %s: %s", QEMU_PROGRAM, strerror(-err));
        return err;
    }
    err = take_hello(box, why);
    snprintf(box->description, sizeof(box->description),
             "kernel %s, image %016" PRIx64 " (%u MB), up in %.1f s", box->image.kernel_version,
             box->image.hash, (unsigned)(box->image.size >> 20),
             (double)(clock_ns(CLOCK_MONOTONIC) - start) / 1e9);
    return err;
}

int box_restart(struct box *box, char why[240])
{
    int err;

    child_kill(&box->child);
    err = boot(box, why);
    if (err == -EIO) { /* some boots hang (decision 14); a second one in a row would be news */
        child_kill(&box->child);
        box->retries++;
        err = boot(box, why);
    }
    return err;
}

static int box_prepare(struct box *box, char why[240])
{
    void *memory;

    box->memory_fd = memfd_create("paravane-channel", MFD_CLOEXEC);
    if (box->memory_fd < 0 || ftruncate(box->memory_fd, CHANNEL_SIZE) < 0) {
        snprintf(why, 240, "no memory for the box's channel: %s", strerror(errno));
        return -errno;
    }
    memory = mmap(NULL, CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, box->memory_fd, 0);
    if (memory == MAP_FAILED) {
        snprintf(why, 240, "no memory for the box's channel: %s", strerror(errno));
        return -errno;
    }
    box->channel.memory = memory;
    box->channel.wait = keep_waiting;
    box->channel.ctx = box;
    return box_image_build(&box->image, why);
}

int box_start(struct box **result, const struct progress *progress, char why[240])
{
    struct box *box = calloc(1, sizeof(*box));
    int err;

    *result = NULL;
    if (!box)
        return -ENOMEM;
    box->progress = progress;
    box->image.initrd_fd = box->memory_fd = box->child.out_fd = -1;
    err = box_prepare(box, why);
    if (!err)
        err = box_restart(box, why);
    if (err)
        box_stop(box);
    else
        *result = box;
    return err;
}

void box_stop(struct box *box)
{
    if (!box)
        return;
    child_kill(&box->child);
    if (box->channel.memory)
        munmap(box->channel.memory, CHANNEL_SIZE);
    if (box->memory_fd >= 0)
        close(box->memory_fd);
    box_image_free(&box->image);
    free(box);
}

const struct host_record *box_host_record(const struct box *box)
{
    return &box->record;
}

const char *box_description(const struct box *box)
{
    return box->description;
}

unsigned box_boots(const struct box *box)
{
    return box->boots;
}

unsigned box_retries(const struct box *box)
{
    return box->retries;
}

unsigned box_fit(const struct run_item *item)
{
    size_t bytes = 0;
    unsigned i;

    for (i = 0; i < item->program_count; i++) {
        bytes += job_result_bound(&item->programs[i]);
        if (bytes > CHANNEL_MESSAGE)
            break;
    }
    return i ? i : 1; /* one alone always fits: PROGRAM_ACTIONS_MAX outcomes take 0.7 MB */
}

static int send_item(struct box *box, const struct run_item *item)
{
    struct wire_out out = {0};
    int err = job_item_encode(item, &out);

    if (!err)
        err = channel_send(&box->channel, JOB_RUN, out.data, out.len, SEND_MS);
    free(out.data);
    return err;
}

static int take_result(uint32_t type, const uint8_t *data, size_t len, const struct run_item *item,
                       struct run_result *result)
{
    struct wire_in in = {.data = data, .len = len};

    if (type == JOB_RESULT)
        return job_result_decode(result, item->program_count, data, len);
    if (type != JOB_PROBLEM)
        return -EPROTO;
    snprintf(result->error, sizeof(result->error), "in the box: %.200s", wire_get_string(&in));
    return 0;
}

int box_run(struct box *box, const struct run_item *item, struct run_result *result)
{
    uint32_t type = 0;
    uint8_t *data = NULL;
    size_t len = 0;
    int err;

    box->doing = item->flags.name;
    box->total = item->program_count;
    box->channel.memory->done = 0;
    box->pulse_ns = clock_ns(CLOCK_MONOTONIC);
    err = send_item(box, item);
    if (!err)
        err = channel_receive(&box->channel, &type, &data, &len, ITEM_MS);
    box->doing = NULL;
    if (!err)
        err = take_result(type, data, len, item, result);
    free(data);
    return err ? lost(box, err, result->error, sizeof(result->error)) : 0;
}

/* Whole parts of the file, the first one without "append". */
static int send_file(struct box *box, FILE *file, const char *to, unsigned mode)
{
    uint8_t *part = malloc(FILE_PART);
    bool append = false;
    int err = part ? 0 : -ENOMEM;

    while (!err) {
        struct wire_out out = {0};
        size_t got = fread(part, 1, FILE_PART, file);

        if (got == 0 && append)
            break;
        wire_put_string(&out, to);
        wire_put_u32(&out, mode);
        wire_put_u32(&out, append);
        wire_put_bytes(&out, part, got);
        err = out.failed ? -ENOMEM : channel_send(&box->channel, JOB_FILE, out.data, out.len, SEND_MS);
        free(out.data);
        append = true;
    }
    free(part);
    return err;
}

int box_put_file(struct box *box, const char *from, const char *to, char why[240])
{
    char reason[INPUT_WHY];
    int fd = input_file_open(from, O_RDONLY, reason), err;
    FILE *file = fd < 0 ? NULL : fdopen(fd, "r");
    struct stat st;

    if (fd < 0) {
        err = -errno;
        snprintf(why, 240, "%.150s: %s", from, reason);
        return err;
    }
    if (!file || fstat(fd, &st) < 0) {
        err = -errno;
        if (file)
            fclose(file);
        else
            close(fd);
        snprintf(why, 240, "%.150s: %s", from, strerror(-err));
        return err;
    }
    box->pulse_ns = clock_ns(CLOCK_MONOTONIC);
    err = send_file(box, file, to, st.st_mode & 0777);
    fclose(file);
    return err ? lost(box, err, why, 240) : 0;
}

int box_exec(struct box *box, const char *command, void (*write)(void *ctx, const void *data, size_t len),
             void *ctx, int *status, char why[240])
{
    struct wire_out out = {0};
    uint32_t type = 0;
    int err;

    box->doing = NULL;
    box->pulse_ns = clock_ns(CLOCK_MONOTONIC);
    wire_put_string(&out, command);
    err = out.failed ? -ENOMEM : channel_send(&box->channel, JOB_EXEC, out.data, out.len, SEND_MS);
    free(out.data);
    while (!err && type != JOB_EXIT) {
        struct wire_in in;
        uint8_t *data;
        size_t len;

        err = channel_receive(&box->channel, &type, &data, &len, ITEM_MS);
        if (err)
            break;
        in = (struct wire_in){.data = data, .len = len};
        if (type == JOB_OUTPUT)
            write(ctx, data, len);
        else if (type == JOB_EXIT)
            *status = (int)wire_get_u32(&in);
        else
            err = -EPROTO;
        if (type == JOB_PROBLEM) {
            snprintf(why, 240, "in the box: %.200s", wire_get_string(&in));
            free(data);
            return -EREMOTEIO;
        }
        free(data);
    }
    return err ? lost(box, err, why, 240) : 0;
}
