/* What a machine driver provides; machine.c finds it by kind. Internal to diff/machine. */
#ifndef DIFF_MACHINE_DRIVER_H
#define DIFF_MACHINE_DRIVER_H

#include "diff/machine/machine.h"

struct machine;

struct machine_ops {
    const char *name;
    /* As machine_open: fills machine->driver and machine->info, or says why not. On error nothing is left behind. */
    int (*open)(struct machine *machine, uint32_t needs, const struct host_record *host, char why[240]);
    /* As machine_run. results are zeroed; transcripts are allocated and initialised for each item. */
    int (*run)(struct machine *machine, const struct run_item *items, unsigned count,
               struct run_result *results);
    void (*close)(struct machine *machine);
};

struct machine {
    const struct machine_ops *ops;
    struct machine_info info;
    struct progress progress; /* a copy; members may be NULL: call the helpers below */
    void *driver;             /* the driver's own */
};

void machine_step(const struct machine *machine, const char *what, unsigned done, unsigned total);
bool machine_cancelled(const struct machine *machine);

/* Each driver's file defines one; the table in machine.c lists those that are built. */
extern const struct machine_ops direct_ops, soft_ops, qemu_tcg_ops, qemu_kvm_ops, qemu_box_ops;

#endif
