/* The machines qemu-tcg and qemu-kvm: stock QEMU on this host. Decision 2. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "diff/machine/driver.h"
#include "diff/machine/qemu.h"
#include "diff/machine/qualify.h"

#define QUALIFY_LAUNCH_MS 5000u
#define QUALIFY_ACTION_NS 3000000000ull

/* KVM's leaves, MSRs, hypercalls and clock are not there without KVM: only what any CPU and QEMU give. */
#define TCG_NEEDS                                                                                            \
    (NEED_MIGRATE | NEED_CPUID | NEED_LONG_MODE | NEED_SMP | NEED_IPI | NEED_RESET | NEED_PAUSE |            \
     NEED_ADVANCE)

struct qemu_machine {
    struct qemu_config config;
    int vm_fd; /* kept open as long as the machine (decision 14); -1 on TCG */
};

static int machine_create(struct machine *machine, const char *accel, struct qemu_machine **qm, char why[240])
{
    *qm = calloc(1, sizeof(**qm));
    if (!*qm)
        return -ENOMEM;
    (*qm)->config = (struct qemu_config){.accel = accel, .progress = &machine->progress};
    (*qm)->vm_fd = -1;
    machine->driver = *qm;
    return qemu_version(machine->info.qemu_version, why);
}

static void qemu_close(struct machine *machine)
{
    struct qemu_machine *qm = machine->driver;

    if (qm && qm->vm_fd >= 0)
        close(qm->vm_fd);
    free(qm);
    machine->driver = NULL;
}

static int tcg_open(struct machine *machine, uint32_t needs, const struct host_record *host, char why[240])
{
    struct qemu_machine *qm;
    char names[NEEDS_TEXT];
    int err = machine_create(machine, "tcg", &qm, why);

    (void)host;
    machine->info.needs = TCG_NEEDS;
    needs &= ~(uint32_t)NEEDS_OF_OURS; /* said action by action */
    if (!err && needs & ~TCG_NEEDS) {
        snprintf(why, 240, "QEMU without KVM has no %s; use --reference qemu-box",
                 needs_text(needs & ~TCG_NEEDS, names, sizeof(names)));
        err = -ENOTSUP;
    }
    if (err)
        qemu_close(machine);
    return err;
}

/* Opens /dev/kvm as far as the record needs it; says what to do when that fails. */
static int read_record(struct machine *machine, struct qemu_machine *qm, char why[240])
{
    int err = host_record_read(&machine->info.host, &qm->vm_fd);

    if (err == -ENOENT)
        snprintf(why, 240,
                 "/dev/kvm does not exist: this host has no KVM for us (load kvm-amd or kvm-intel)");
    else if (err == -EACCES || err == -EPERM)
        snprintf(why, 240, "/dev/kvm: %s: join the group that owns it (usually `kvm`)", strerror(-err));
    else if (err)
        snprintf(why, 240, "/dev/kvm does not work: %s", strerror(-err));
    return err ? -ENOENT : 0;
}

static int run_for_qualification(void *ctx, const struct run_item *item, struct run_result *result)
{
    struct machine *machine = ctx;
    struct qemu_machine *qm = machine->driver;
    struct qemu_config config = qm->config;
    const struct progress quiet = {.cancelled = machine->progress.cancelled, .ctx = machine->progress.ctx};

    config.launch_ms = QUALIFY_LAUNCH_MS;
    config.action_ns = QUALIFY_ACTION_NS;
    config.progress = &quiet;
    return qemu_run_item(&config, item, result);
}

static int kvm_qualify(struct machine *machine, struct qemu_machine *qm, uint32_t needs, char why[240])
{
    struct machine_info *info = &machine->info;
    struct qualification q;
    char missing[160];
    int err;

    needs &= ~(uint32_t)NEEDS_OF_OURS; /* said action by action */
    qm->config.native_vmcall = info->host.native_vmcall;
    err = qualify(&q, info->host.native_vmcall, run_for_qualification, machine);
    if (err)
        return err;
    info->needs = q.needs;
    qualification_missing(&q, QUALIFY_NEEDS, missing, sizeof(missing));
    snprintf(info->detail, sizeof(info->detail), "%s%s%.100s", info->host.flavour, missing[0] ? "; " : "",
             missing);
    if (!(needs & ~q.needs))
        return 0;
    snprintf(why, 240, "the host's KVM (%s) does not qualify - %s",
             info->host.flavour[0] ? info->host.flavour : "?",
             qualification_missing(&q, needs, missing, sizeof(missing)));
    return -ENOTSUP;
}

static int kvm_open(struct machine *machine, uint32_t needs, const struct host_record *host, char why[240])
{
    struct qemu_machine *qm;
    int err = machine_create(machine, "kvm", &qm, why);

    (void)host;
    if (!err)
        err = read_record(machine, qm, why);
    if (!err) {
        snprintf(machine->info.kernel_release, sizeof(machine->info.kernel_release), "%s",
                 machine->info.host.kernel_release);
        err = kvm_qualify(machine, qm, needs, why);
    }
    if (err)
        qemu_close(machine);
    return err;
}

static int qemu_run(struct machine *machine, const struct run_item *items, unsigned count,
                    struct run_result *results)
{
    struct qemu_machine *qm = machine->driver;

    for (unsigned i = 0; i < count; i++) {
        int err = qemu_run_item(&qm->config, &items[i], &results[i]);

        if (err)
            return err;
        machine_step(machine, items[i].flags.name, i + 1, count);
    }
    return 0;
}

const struct machine_ops qemu_tcg_ops = {"qemu-tcg", tcg_open, qemu_run, qemu_close};
const struct machine_ops qemu_kvm_ops = {"qemu-kvm", kvm_open, qemu_run, qemu_close};
