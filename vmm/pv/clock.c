/* kvmclock of one vCPU: MSR_KVM_SYSTEM_TIME and the record it points to. spec CLK-1 .. CLK-12, CLK-20, CLK-21. */
#include "vmm/pv/clock.h"

#include <errno.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/core/record.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"
#include "vmm/pv/lifecycle.h"

#define RECORD_SIZE sizeof(struct pvclock_vcpu_time_info)

uint64_t clock_rdmsr(struct vcpu *vcpu)
{
    return vcpu->clock.msr;
}

static void deactivate(struct vcpu *vcpu)
{
    vcpu->clock.active = false;
    area_unregister(vcpu_area(vcpu, AREA_CLOCK));
}

/* CLK-4. 6.12 refuses an address whose record would cross a page and leaves everything as it was. 6.1 refuses it too, but
 * turns the clock on at the last address that it did accept, or at 0. */
static void target(struct vcpu *vcpu, uint64_t gpa)
{
    struct kvmclock *clock = &vcpu->clock;
    bool crosses = gpa % GPA_PAGE_SIZE > GPA_PAGE_SIZE - RECORD_SIZE;

    if (crosses && vcpu->vm->config.version != KVM_6_1)
        return;
    if (!crosses)
        clock->target = gpa;
    clock->active = true;
    area_register(vcpu_area(vcpu, AREA_CLOCK), clock->target, RECORD_SIZE);
}

static enum msr_result write_system_time(struct vcpu *vcpu, uint64_t value, enum origin origin, bool old)
{
    struct vm_clock *vm_clock = &vcpu->vm->clock;

    if (vcpu->id == 0 && origin == ORIGIN_GUEST) {
        if (vm_clock->old_in_use != old)
            vcpu->requests |= REQ_MASTERCLOCK;
        vm_clock->old_in_use = old;
    }
    vcpu->clock.msr = value;
    vcpu->requests |= REQ_GLOBAL_CLOCK;
    if (value & KVM_MSR_ENABLED)
        target(vcpu, value & ~(uint64_t)KVM_MSR_ENABLED);
    else
        deactivate(vcpu);
    return MSR_OK;
}

enum msr_result clock_wrmsr_old(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    return write_system_time(vcpu, value, origin, true);
}

enum msr_result clock_wrmsr_new(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    return write_system_time(vcpu, value, origin, false);
}

void clock_at_init(struct vcpu *vcpu)
{
    vcpu->clock.msr = 0;
    deactivate(vcpu);
}

int vcpu_kvmclock_ctrl(struct vcpu *vcpu)
{
    vcpu_load(vcpu); /* as each ioctl of a vCPU does (STL-5) */
    if (!vcpu->clock.active)
        return -EINVAL;
    vcpu->clock.stop_pending = true;
    vcpu->requests |= REQ_CLOCK;
    return 0;
}

void vcpu_clock_global_update(struct vcpu *vcpu)
{
    struct vm *vm = vcpu->vm;

    vcpu->requests |= REQ_CLOCK;
    if (!vm->clock.global_due_ns) /* one that is already on its way serves this too */
        vm->clock.global_due_ns = vm->env.now_ns(vm->env.ctx) + CLOCK_GLOBAL_DELAY_NS;
}

/* The host instant of the record: the master snapshot, or now (CLK-12). */
static void fill_times(struct vcpu *vcpu, struct pvclock_vcpu_time_info *record)
{
    const struct vm *vm = vcpu->vm;
    const struct vm_clock *c = &vm->clock;
    uint64_t tsc = c->master ? c->master_tsc : vm->env.tsc(vm->env.ctx);
    uint64_t ns = c->master ? c->master_ns : vm->env.now_ns(vm->env.ctx);

    record->tsc_timestamp = tsc + (uint64_t)vcpu->tsc_offset;
    record->system_time = ns + (uint64_t)c->offset_ns;
}

static void fill_scale(struct vcpu *vcpu, struct pvclock_vcpu_time_info *record)
{
    struct kvmclock *clock = &vcpu->clock;

    if (clock->scaled_khz != vcpu->vm->env.tsc_khz) {
        clock_scale(vcpu->vm->env.tsc_khz, &clock->mul, &clock->shift);
        clock->scaled_khz = vcpu->vm->env.tsc_khz;
    }
    record->tsc_to_system_mul = clock->mul;
    record->tsc_shift = clock->shift;
}

/* CLK-10: STOPPED belongs to the guest once it is in its memory; only the guest clears it (KB-39). */
static uint8_t flags(struct vcpu *vcpu, uint8_t found)
{
    uint8_t value = found & PVCLOCK_GUEST_STOPPED;

    if (vcpu->vm->clock.master)
        value |= PVCLOCK_TSC_STABLE_BIT;
    if (vcpu->clock.stop_pending)
        value |= PVCLOCK_GUEST_STOPPED;
    return value;
}

void vcpu_clock_update(struct vcpu *vcpu)
{
    struct area *area = vcpu_area(vcpu, AREA_CLOCK);
    struct pvclock_vcpu_time_info record = {0};
    uint8_t found = 0;

    if (!vcpu->clock.active || !record_begin(area, 0, &record.version))
        return;
    fill_times(vcpu, &record);
    fill_scale(vcpu, &record);
    area_read(area, offsetof(struct pvclock_vcpu_time_info, flags), &found, sizeof(found));
    record.flags = flags(vcpu, found);
    vcpu->clock.stop_pending = false;
    area_write(area, 0, &record, sizeof(record));
    record_end(area, 0, record.version);
}
