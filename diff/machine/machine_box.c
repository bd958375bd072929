/* The machine qemu-box: stock QEMU on mainline KVM inside the box. ARCHITECTURE.md, "The box". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/box.h"
#include "diff/machine/driver.h"
#include "diff/machine/qemu.h"

#define BOX_NEEDS                                                                                            \
    (~(uint32_t)(NEED_SAVE_RESTORE | NEEDS_OF_OURS)) /* a mainline KVM: everything but what is ours alone */
#define DEATHS_MAX 3                                 /* boxes that were lost; the next one is not made */

static void box_info(struct machine *machine)
{
    const struct box *box = machine->driver;
    struct machine_info *info = &machine->info;

    info->host = *box_host_record(box);
    snprintf(info->kernel_release, sizeof(info->kernel_release), "%s", info->host.kernel_release);
    snprintf(info->detail, sizeof(info->detail), "%s", box_description(box));
    info->boots = box_boots(box);
    info->boot_retries = box_retries(box);
}

static int box_open(struct machine *machine, uint32_t needs, const struct host_record *host, char why[240])
{
    struct box *box;
    int err;

    (void)host;
    if (needs & NEED_SAVE_RESTORE) {
        snprintf(why, 240,
                 "!save-restore is ours and not compared with QEMU: use --reference direct judges for it");
        return -ENOTSUP;
    }
    machine->info.needs = BOX_NEEDS;
    err = qemu_version(machine->info.qemu_version, why); /* the same program runs in the box */
    if (!err)
        err = box_start(&box, &machine->progress, why);
    if (err)
        return err;
    machine->driver = box;
    box_info(machine);
    return 0;
}

/* An item whose transcripts would not fit one message goes in parts: each program starts from reset anyway. */
static int run_in_parts(struct box *box, const struct run_item *item, struct run_result *result)
{
    struct run_item part = *item;
    unsigned done = 0;
    int err = 0;

    do {
        struct run_result piece = {.transcripts = result->transcripts + done};

        part.programs = item->programs + done;
        part.program_count = item->program_count - done;
        part.program_count = box_fit(&part);
        if (part.program_count > item->program_count - done)
            part.program_count = item->program_count - done;
        err = box_run(box, &part, &piece);
        memcpy(result->error, piece.error, sizeof(result->error));
        result->refused = piece.refused;
        free(done ? piece.command_line : result->command_line);
        free(done ? piece.warnings : result->warnings);
        if (!done) {
            result->command_line = piece.command_line;
            result->warnings = piece.warnings;
        }
        done += part.program_count;
    } while (!err && !result->error[0] && done < item->program_count);
    return err;
}

/* The host record is of the box that stands, and each boot measures its TSC anew. */
static int run_item(struct box *box, const struct run_item *item, struct run_result *result)
{
    int err = run_in_parts(box, item, result);

    result->tsc_khz = box_host_record(box)->tsc_khz;
    return err;
}

/* The box was lost: in a new one the item runs once more, because some boxes hang whatever they run (decision 14). */
static int run_again(struct box *box, const struct run_item *item, struct run_result *result)
{
    char why[240];
    int err = box_restart(box, why);

    if (err)
        return err;
    run_result_free(result, item->program_count);
    err = run_result_init(result, item->program_count);
    return err ? err : run_item(box, item, result);
}

static int box_run_items(struct machine *machine, const struct run_item *items, unsigned count,
                         struct run_result *results)
{
    struct box *box = machine->driver;
    unsigned deaths = 0;

    for (unsigned i = 0; i < count; i++) {
        char why[240];
        int err;

        machine_step(machine, items[i].flags.name, i, count);
        err = run_item(box, &items[i], &results[i]);
        if (err == -EIO && deaths++ == 0) {
            err = run_again(box, &items[i], &results[i]);
            deaths += err == -EIO;
        }
        if (err == -EIO && deaths < DEATHS_MAX)
            err = box_restart(box, why);
        box_info(machine);
        if (err)
            return err;
    }
    return 0;
}

static void box_close(struct machine *machine)
{
    box_stop(machine->driver);
    machine->driver = NULL;
}

const struct machine_ops qemu_box_ops = {"qemu-box", box_open, box_run_items, box_close};
