/* Machines by kind: one table of drivers, and what all of them share. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/driver.h"

static const struct machine_ops *const drivers[MACHINE_KINDS] = {
    [MACHINE_DIRECT] = &direct_ops,     [MACHINE_SOFT] = &soft_ops,
    [MACHINE_QEMU_KVM] = &qemu_kvm_ops, [MACHINE_QEMU_BOX] = &qemu_box_ops,
    [MACHINE_QEMU_TCG] = &qemu_tcg_ops,
};

static const char *const names[MACHINE_KINDS] = {
    [MACHINE_DIRECT] = "direct",     [MACHINE_SOFT] = "soft",         [MACHINE_QEMU_KVM] = "qemu-kvm",
    [MACHINE_QEMU_BOX] = "qemu-box", [MACHINE_QEMU_TCG] = "qemu-tcg",
};

const char *machine_name(enum machine_kind kind)
{
    return (unsigned)kind < MACHINE_KINDS ? names[kind] : "unknown";
}

int machine_open(struct machine **machine, enum machine_kind kind, uint32_t needs,
                 const struct host_record *host, const struct progress *progress, char why[240])
{
    struct machine *m;
    int err;

    *machine = NULL;
    why[0] = '\0';
    if ((unsigned)kind >= MACHINE_KINDS || !drivers[kind]) {
        snprintf(why, 240, "the machine '%s' is not part of this build", machine_name(kind));
        return -ENOENT;
    }
    m = calloc(1, sizeof(*m));
    if (!m)
        return -ENOMEM;
    m->ops = drivers[kind];
    if (progress)
        m->progress = *progress;
    err = m->ops->open(m, needs, host, why);
    if (err) {
        free(m);
        return err;
    }
    *machine = m;
    return 0;
}

int machine_run(struct machine *machine, const struct run_item *items, unsigned count,
                struct run_result *results)
{
    for (unsigned i = 0; i < count; i++) {
        if (run_result_init(&results[i], items[i].program_count)) {
            while (i--)
                run_result_free(&results[i], items[i].program_count);
            return -ENOMEM;
        }
    }
    return machine->ops->run(machine, items, count, results);
}

const struct machine_info *machine_info(const struct machine *machine)
{
    return &machine->info;
}

void machine_close(struct machine *machine)
{
    if (!machine)
        return;
    machine->ops->close(machine);
    free(machine);
}

void machine_step(const struct machine *machine, const char *what, unsigned done, unsigned total)
{
    if (machine->progress.step)
        machine->progress.step(machine->progress.ctx, what, done, total);
}

bool machine_cancelled(const struct machine *machine)
{
    return machine->progress.cancelled && machine->progress.cancelled(machine->progress.ctx);
}
