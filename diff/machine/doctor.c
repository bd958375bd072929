/* Examines the machines of this host by using them. Decision 2. */
#include "diff/machine/doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/deadline.h"
#include "diff/machine/qualify.h"

static int run_one(void *ctx, const struct run_item *item, struct run_result *result)
{
    run_result_free(result, 1); /* machine_run() makes its own */
    return machine_run(ctx, item, 1, result);
}

/* The box boots whatever its KVM is worth, so it is asked here. */
static int try_box(struct machine *machine, struct diagnosis *row)
{
    struct qualification q;
    char missing[160];
    int err = qualify(&q, row->info.host.native_vmcall, run_one, machine);

    row->needs = q.needs;
    if (!err && *qualification_missing(&q, QUALIFY_NEEDS, missing, sizeof(missing)))
        snprintf(row->note, sizeof(row->note), "%s", missing);
    row->info = *machine_info(machine);
    return err;
}

static int examine(struct diagnosis *row, const struct progress *progress)
{
    uint64_t start = clock_ns(CLOCK_MONOTONIC);
    struct machine *machine;
    int err = machine_open(&machine, row->kind, 0, NULL, progress, row->note);

    if (!err) {
        row->works = true;
        row->info = *machine_info(machine);
        row->needs = row->info.needs;
        snprintf(row->note, sizeof(row->note), "%s", row->info.detail);
        if (row->kind == MACHINE_QEMU_BOX)
            err = try_box(machine, row);
        machine_close(machine);
    }
    row->ms = (unsigned)((clock_ns(CLOCK_MONOTONIC) - start) / 1000000);
    return err == -EINTR ? err : 0;
}

int doctor_examine(struct diagnosis rows[MACHINE_KINDS], const struct progress *progress)
{
    for (unsigned i = 0; i < MACHINE_KINDS; i++) {
        int err;

        rows[i] = (struct diagnosis){.kind = (enum machine_kind)i};
        if (progress && progress->step)
            progress->step(progress->ctx, machine_name(rows[i].kind), i, MACHINE_KINDS);
        err = examine(&rows[i], progress);
        if (err)
            return err;
    }
    return 0;
}

static bool is_reference(enum machine_kind kind)
{
    return kind == MACHINE_QEMU_KVM || kind == MACHINE_QEMU_BOX;
}

enum doctor_state doctor_state(const struct diagnosis *row)
{
    if (!row->works || !row->needs)
        return DOCTOR_NO;
    return is_reference(row->kind) && QUALIFY_NEEDS & ~row->needs ? DOCTOR_PARTLY : DOCTOR_YES;
}

bool doctor_has_reference(const struct diagnosis rows[MACHINE_KINDS])
{
    for (unsigned i = 0; i < MACHINE_KINDS; i++)
        if (is_reference(rows[i].kind) && doctor_state(&rows[i]) == DOCTOR_YES)
            return true;
    return false;
}
