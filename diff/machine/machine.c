/* Machines by kind: one table of drivers, and what all of them share. DESIGN.md "Machines". */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/driver.h"

static const struct machine_ops *const drivers[MACHINE_KINDS] = {
    [MACHINE_DIRECT] = &direct_ops,
    [MACHINE_SOFT] = &soft_ops,
};

static const char *const names[MACHINE_KINDS] = {
    [MACHINE_DIRECT] = "direct",       [MACHINE_SOFT] = "soft",         [MACHINE_QEMU_KVM] = "qemu-kvm",
    [MACHINE_QEMU_BOX] = "qemu-box",   [MACHINE_QEMU_TCG] = "qemu-tcg",
};

const char *machine_name(enum machine_kind kind)
{
    return (unsigned)kind < MACHINE_KINDS ? names[kind] : "unknown";
}

int machine_open(struct machine **machine, enum machine_kind kind, uint32_t needs, const struct host_record *host,
                 const struct progress *progress, char why[240])
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

static int result_init(struct run_result *result, unsigned program_count)
{
    memset(result, 0, sizeof(*result));
    result->transcripts = calloc(program_count ? program_count : 1, sizeof(*result->transcripts));
    if (!result->transcripts)
        return -ENOMEM;
    for (unsigned i = 0; i < program_count; i++)
        transcript_init(&result->transcripts[i]);
    return 0;
}

int machine_run(struct machine *machine, const struct run_item *items, unsigned count, struct run_result *results)
{
    for (unsigned i = 0; i < count; i++) {
        if (result_init(&results[i], items[i].program_count)) {
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

void run_result_free(struct run_result *result, unsigned program_count)
{
    for (unsigned i = 0; result->transcripts && i < program_count; i++)
        transcript_free(&result->transcripts[i]);
    free(result->transcripts);
    free(result->command_line);
    free(result->warnings);
    memset(result, 0, sizeof(*result));
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

unsigned smp_vcpus(const char *smp)
{
    const char *cpus = smp ? strstr(smp, "cpus=") : NULL;
    unsigned long n;

    if (!smp)
        return 1;
    n = strtoul(cpus && (cpus == smp || cpus[-1] == ',') ? cpus + 5 : smp, NULL, 10);
    return n >= 1 && n <= 1024 ? (unsigned)n : 1;
}
