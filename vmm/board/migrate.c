/* Migration as QEMU does it with KVM (migrate.h). */
#include "vmm/board/migrate.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "vmm/abi/msr_index.h"
#include "vmm/apic/lapic.h"
#include "vmm/board/reset.h"
#include "vmm/core/memory_image.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/hyperv.h"
#include "vmm/pv/intercept.h"
#include "vmm/pv/lifecycle.h"

#define PV_MSRS_MAX 16

/* What KVM_GET_REGS, _SREGS, _LAPIC, _MP_STATE, _VCPU_EVENTS and _MSRS give of one vCPU. */
struct migrated_vcpu {
    struct cpu_regs regs;
    struct lapic apic;
    uint64_t timer_left_ns; /* of an armed APIC timer */
    enum mp_state mp_state;
    struct trap injected;
    uint64_t tsc, tsc_adjust;
    uint64_t pv[PV_MSRS_MAX]; /* by row of pv_msrs; those that QEMU reads (QMU-7) */
    struct hyperv_saved hyperv;
};
struct migration {
    uint64_t clock_ns;
    struct byte_writer ram;
    unsigned count;
    struct migrated_vcpu vcpus[];
};

/* KVM_GET_MP_STATE lets INIT and SIPI in first, and shows a kicked sleeper as awake (UNH-6). */
static enum mp_state visible_state(struct vcpu *vcpu)
{
    vcpu_accept_init(vcpu);
    return vcpu->mp_state == MP_HALTED && vcpu->kicked ? MP_RUNNABLE : vcpu->mp_state;
}

static void save_vcpu(struct migrated_vcpu *m, struct vcpu *vcpu, const struct kvmclock_device *clock)
{
    uint64_t now_ns = vcpu->vm->env.now_ns(vcpu->vm->env.ctx);

    m->mp_state = visible_state(vcpu);
    m->regs = vcpu->regs;
    m->apic = vcpu->apic;
    m->timer_left_ns = vcpu->apic.timer_due_ns > now_ns ? vcpu->apic.timer_due_ns - now_ns : 0;
    m->injected = vcpu->injected;
    m->tsc = clock->host_tsc + (uint64_t)vcpu->tsc_offset;
    m->tsc_adjust = vcpu->tsc_adjust;
    for (unsigned i = 0; i < pv_msr_count; i++)
        if (vcpu_qemu_keeps(vcpu, &pv_msrs[i]))
            vcpu_rdmsr(vcpu, pv_msrs[i].index, &m->pv[i], ORIGIN_VMM);
    hyperv_save(vcpu, &m->hyperv);
}

int board_migrate_save(struct vm *vm, struct kvmclock_device *clock, struct migration **out)
{
    struct migration *m = calloc(1, sizeof(*m) + vm->config.vcpus * sizeof(m->vcpus[0]));

    if (!m)
        return -ENOMEM;
    kvmclock_device_stopped(clock, vm);
    m->clock_ns = clock->clock_ns;
    m->count = vm->config.vcpus;
    for (unsigned i = 0; i < m->count; i++)
        save_vcpu(&m->vcpus[i], &vm->vcpus[i], clock);
    memory_image_write(&m->ram, &vm->memory);
    if (m->ram.failed) {
        board_migrate_free(m);
        return -ENOMEM;
    }
    *out = m;
    return 0;
}

void board_migrate_free(struct migration *m)
{
    if (!m)
        return;
    free(m->ram.data);
    free(m);
}

static int load_ram(const struct migration *m, struct vm *vm, char message[160])
{
    struct byte_reader reader = {.data = m->ram.data, .len = m->ram.len};
    struct memory_image image;
    const char *why = memory_image_read(&reader, &image);
    int err = why ? -EINVAL : memory_image_apply(&image, &vm->memory, &why);

    if (err)
        snprintf(message, 160, "%s", why);
    else
        memory_page_in_all(&vm->memory); /* the new process has them all */
    return err;
}

/* KVM_SET_LAPIC: what KVM had found out about IRR and ISR is to be found out again (EOI-5, EOI-6). */
static void load_lapic(struct vcpu *vcpu, const struct migrated_vcpu *m)
{
    uint64_t now_ns = vcpu->vm->env.now_ns(vcpu->vm->env.ctx);

    vcpu->apic = m->apic;
    vcpu->apic.isr_known = 0;
    vcpu->apic.irr_hint = true;
    vcpu->apic.timer_due_ns = m->timer_left_ns ? now_ns + m->timer_left_ns : 0;
    vcpu->requests |= REQ_EVENT;
}

/* In the table's order, which is QEMU's (S1). */
static int load_msrs(struct vcpu *vcpu, const struct migrated_vcpu *m, char message[160])
{
    uint32_t refused;

    vcpu_tsc_synchronize(vcpu, m->tsc);
    vcpu_wrmsr(vcpu, MSR_IA32_TSC_ADJUST, m->tsc_adjust, ORIGIN_VMM); /* of the host: moves nothing */
    for (unsigned i = 0; i < pv_msr_count; i++) {
        if (!vcpu_qemu_keeps(vcpu, &pv_msrs[i]))
            continue;
        if (vcpu_wrmsr(vcpu, pv_msrs[i].index, m->pv[i], ORIGIN_VMM) != MSR_OK) {
            snprintf(message, 160, "vcpu %u: failed to set MSR 0x%x to 0x%llx", vcpu->id, pv_msrs[i].index,
                     (unsigned long long)m->pv[i]);
            return -EINVAL;
        }
    }
    if (!hyperv_load(vcpu, &m->hyperv, &refused)) {
        snprintf(message, 160, "vcpu %u: failed to set MSR 0x%x", vcpu->id, refused);
        return -EINVAL;
    }
    return 0;
}

static int load_vcpu(struct vcpu *vcpu, const struct migrated_vcpu *m, char message[160])
{
    vcpu->regs = m->regs;
    vcpu->mp_state = m->mp_state;
    vcpu->injected = m->injected;
    load_lapic(vcpu, m);
    return load_msrs(vcpu, m, message);
}

int board_migrate_load(const struct migration *m, struct vm *vm, struct kvmclock_device *clock,
                       char message[160])
{
    int err;

    message[0] = '\0';
    if (m->count != vm->config.vcpus) {
        snprintf(message, 160, "the destination has %u vCPUs, the source had %u", vm->config.vcpus, m->count);
        return -EINVAL;
    }
    err = load_ram(m, vm, message); /* first: PV EOI looks at its page when it is enabled (SAV-3) */
    for (unsigned i = 0; i < m->count && !err; i++)
        err = load_vcpu(&vm->vcpus[i], &m->vcpus[i], message);
    lapic_map_changed(vm);
    vm->timer_check_ns = 0;
    clock->valid = true;
    clock->clock_ns = m->clock_ns;
    return err;
}

int board_migrate(struct vm *from, struct kvmclock_device *from_clock, struct vm *to,
                  struct kvmclock_device *to_clock, char message[160])
{
    struct migration *m;
    int err = board_migrate_save(from, from_clock, &m);

    message[0] = '\0';
    if (err)
        return err;
    err = board_migrate_load(m, to, to_clock, message);
    board_migrate_free(m);
    return err;
}
