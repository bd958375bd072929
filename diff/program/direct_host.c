/* What the host does to the direct machine between actions of its guest: time, scheduling, reset, migration. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/direct_guest.h"
#include "diff/program/host_act.h"
#include "vmm/board/migrate.h"
#include "vmm/board/reset.h"
#include "vmm/pv/sched.h"

void direct_shell_start(struct direct_machine *m)
{
    memset(m->vcpus, 0, m->config.vcpus * sizeof(m->vcpus[0]));
    if (m->window_used)
        memset(m->window, 0, sizeof(m->window));
    m->window_used = false;
    for (unsigned i = 1; i < m->config.vcpus; i++)
        m->vm.vcpus[i].mp_state = MP_RUNNABLE; /* the probe has sent INIT and SIPI by now */
}

static void pass_time(struct direct_machine *m, uint64_t until_ns)
{
    m->now_ns = until_ns < DIRECT_END_NS ? until_ns : DIRECT_END_NS;
    vm_host_events(&m->vm);
}

static void put_on_cpu(struct direct_machine *m, struct vcpu *vcpu)
{
    vcpu_schedule(vcpu, m->now_ns - m->vcpus[vcpu->id].off_cpu_ns);
}

void direct_advance_to(struct direct_machine *m, uint64_t until_ns)
{
    struct vcpu *next;

    do {
        uint64_t at = until_ns;

        next = NULL;
        for (unsigned i = 0; i < m->config.vcpus; i++)
            if (vcpu_descheduled(&m->vm.vcpus[i]) && m->vcpus[i].on_cpu_ns <= at) {
                at = m->vcpus[i].on_cpu_ns;
                next = &m->vm.vcpus[i];
            }
        pass_time(m, at);
        if (next)
            put_on_cpu(m, next);
    } while (next);
}

uint64_t direct_ns_from_now(const struct direct_machine *m, uint64_t ns)
{
    uint64_t left = DIRECT_END_NS - m->now_ns;

    return m->now_ns + (ns < left ? ns : left);
}

static int deschedule(struct direct_machine *m, const struct action *action)
{
    uint64_t id = action->args[0].value;

    if (id >= m->config.vcpus)
        return -EINVAL;
    if (vcpu_descheduled(&m->vm.vcpus[id]))
        return -EBUSY;
    vcpu_deschedule(&m->vm.vcpus[id]);
    m->vcpus[id].off_cpu_ns = m->now_ns;
    m->vcpus[id].on_cpu_ns = direct_ns_from_now(m, action->args[1].value);
    return 0;
}

void direct_reset(struct direct_machine *m)
{
    for (unsigned i = 0; i < m->config.vcpus; i++)
        if (vcpu_descheduled(&m->vm.vcpus[i]))
            put_on_cpu(m, &m->vm.vcpus[i]);
    board_system_reset(&m->vm);
    direct_shell_start(m);
}

static void pause_vm(struct direct_machine *m)
{
    if (!m->paused)
        kvmclock_device_stopped(&m->clock_device, &m->vm);
    m->paused = true;
}

static void resume_vm(struct direct_machine *m)
{
    if (m->paused)
        kvmclock_device_running(&m->clock_device, &m->vm);
    m->paused = false;
}

/* The trace of the host's stores goes on, for those who follow it. */
static void renew_vm(struct direct_machine *m)
{
    uint64_t stores = m->vm.trace.total;

    vm_renew(&m->vm);
    m->vm.trace.total = stores;
}

/* Into this very VM, made anew. Where QEMU would end itself, nothing but a reset helps. */
static int migrate(struct direct_machine *m)
{
    struct migration *migration;
    char message[160];
    int err = board_migrate_save(&m->vm, &m->clock_device, &migration);

    if (err)
        return err;
    renew_vm(m);
    err = board_migrate_load(migration, &m->vm, &m->clock_device, message);
    board_migrate_free(migration);
    if (!m->paused)
        kvmclock_device_running(&m->clock_device, &m->vm);
    if (err)
        direct_reset(m);
    return err;
}

static int save_restore(struct direct_machine *m)
{
    char message[160];
    uint8_t *snapshot;
    size_t len;
    int err = vm_save(&m->vm, &snapshot, &len);

    if (err)
        return err;
    renew_vm(m);
    err = vm_restore(&m->vm, snapshot, len, message);
    free(snapshot);
    return err;
}

static int other_host_action(struct direct_machine *m, struct action action, struct outcome *outcome)
{
    for (unsigned i = 0; i < op_info(action.op)->args; i++)
        action.args[i].value += m->bases[action.args[i].base];
    m->reshaped |= host_act_reshapes(action.op);
    m->reconfigured |= op_info(action.op)->needs & NEED_RECONFIGURE;
    for (unsigned i = 0; !m->guest_ran && i < m->config.vcpus; i++)
        m->vm.vcpus[i].has_run = false; /* settle() has looked for work, no more */
    return host_act(&m->vm, &action, outcome);
}

void direct_host_action(struct direct_machine *m, const struct action *action, struct outcome *outcome)
{
    int err = 0;

    switch (action->op) {
    case OP_ADVANCE:
        direct_advance_to(m, direct_ns_from_now(m, action->args[0].value));
        break;
    case OP_DESCHEDULE:
        err = deschedule(m, action);
        break;
    case OP_PAUSE_VM:
        pause_vm(m);
        break;
    case OP_RESUME_VM:
        resume_vm(m);
        break;
    case OP_RESET:
        direct_reset(m);
        break;
    case OP_MIGRATE:
        err = migrate(m);
        break;
    case OP_SAVE_RESTORE:
        err = save_restore(m);
        break;
    default:
        err = other_host_action(m, *action, outcome);
    }
    outcome->status = err == -ENOTSUP ? OUTCOME_UNSUPPORTED : OUTCOME_HOST;
    outcome->regs[0] = err < 0 ? -err : 0;
}
