/* The direct machine as a machine: the VMM's core called as functions (diff/program/direct.h). Decision 12. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "diff/machine/driver.h"
#include "diff/program/direct.h"

static int direct_open(struct machine *machine, uint32_t needs, const struct host_record *host, char why[240])
{
    (void)needs;
    (void)why;
    if (host)
        machine->info.host = *host;
    machine->info.needs = UINT32_MAX;
    snprintf(machine->info.detail, sizeof(machine->info.detail),
             "the VMM's core without a CPU, virtual time");
    return 0;
}

static int run_item(struct machine *machine, const struct run_item *item, struct run_result *result)
{
    result->command_line = strdup("direct");
    result->warnings = strdup("");
    if (!result->command_line || !result->warnings)
        return -ENOMEM;
    for (unsigned i = 0; i < item->program_count; i++) {
        int err = machine_cancelled(machine)
                      ? -EINTR
                      : direct_machine_run(&item->programs[i], &result->transcripts[i]);

        if (err == -EINVAL)
            snprintf(result->error, sizeof(result->error), "program %u: its header names no possible machine",
                     i);
        else if (err)
            return err;
        machine_step(machine, item->flags.name, i + 1, item->program_count);
    }
    return 0;
}

static int direct_run(struct machine *machine, const struct run_item *items, unsigned count,
                      struct run_result *results)
{
    int err = 0;

    for (unsigned i = 0; !err && i < count; i++)
        err = run_item(machine, &items[i], &results[i]);
    return err;
}

static void direct_close(struct machine *machine)
{
    (void)machine;
}

const struct machine_ops direct_ops = {
    .name = "direct", .open = direct_open, .run = direct_run, .close = direct_close};
