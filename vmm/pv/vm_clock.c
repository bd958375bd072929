/* The VM's clock: master snapshot, TSC generations, KVM_GET_CLOCK and KVM_SET_CLOCK. spec CLK-13, CLK-14, STB-*, SAV-6, SAV-7. */
#include <errno.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/lifecycle.h"

static uint64_t now_ns(const struct vm *vm)
{
    return vm->env.now_ns(vm->env.ctx);
}

static uint64_t now_tsc(const struct vm *vm)
{
    return vm->env.tsc(vm->env.ctx);
}

static bool all_matched(const struct vm *vm)
{
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (!vm->vcpus[i].tsc_matched)
            return false;
    return true;
}

static void request_all_records(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        vm->vcpus[i].requests |= REQ_CLOCK;
}

/* STB-2, and the instant from which every stable record counts. */
static void take_snapshot(struct vm *vm)
{
    struct vm_clock *c = &vm->clock;

    c->master_ns = now_ns(vm);
    c->master_tsc = now_tsc(vm);
    c->master = vm->env.clocksource_tsc && all_matched(vm) && !c->backwards_tsc && !c->old_in_use;
}

void vm_clock_start(struct vm *vm)
{
    uint64_t ns = now_ns(vm), tsc = now_tsc(vm);

    vm->clock = (struct vm_clock){
        .offset_ns = (int64_t)-ns,
        .next_sync_ns = ns + CLOCK_SYNC_INTERVAL_NS,
        .tsc_write_ns = ns,
        .tsc_offset = (int64_t)-tsc,
    };
    for (unsigned i = 0; i < vm->config.vcpus; i++) {
        vm->vcpus[i].tsc_offset = vm->clock.tsc_offset;
        vm->vcpus[i].tsc_matched = true;
    }
    take_snapshot(vm);
}

void vm_clock_update_master(struct vm *vm)
{
    take_snapshot(vm);
    request_all_records(vm); /* before any vCPU runs again (STB-4) */
}

void vm_host_events(struct vm *vm)
{
    struct vm_clock *c = &vm->clock;
    uint64_t ns = now_ns(vm);

    if (c->global_due_ns && ns >= c->global_due_ns) {
        c->global_due_ns = 0;
        request_all_records(vm);
    }
    if (ns >= c->next_sync_ns) {
        /* From now, not from the missed date: a jump of days costs one update. */
        c->next_sync_ns = ns + CLOCK_SYNC_INTERVAL_NS;
        request_all_records(vm);
    }
    lapic_timers_run(vm);
}

static uint64_t ns_to_cycles(const struct vm *vm, uint64_t ns)
{
    return (uint64_t)((unsigned __int128)ns * vm->env.tsc_khz / 1000000);
}

/* After a TSC write by the VMM: is the master clock to be decided anew? Up to 6.7 always, once it is or can be in use. */
static bool decides_master(const struct vm *vm, bool new_generation)
{
    bool in_use = vm->clock.master, possible = vm->env.clocksource_tsc && all_matched(vm);

    if (vm->config.version == KVM_6_1)
        return in_use || possible;
    return (in_use && new_generation) || in_use != possible;
}

void vcpu_tsc_synchronize(struct vcpu *vcpu, uint64_t value)
{
    struct vm *vm = vcpu->vm;
    struct vm_clock *c = &vm->clock;
    uint64_t ns = now_ns(vm), second = vm->env.tsc_khz * 1000ull;
    uint64_t expected = c->tsc_write + ns_to_cycles(vm, ns - c->tsc_write_ns);
    bool joins = !value || (value < expected + second && value + second > expected);

    if (!joins) {
        for (unsigned i = 0; i < vm->config.vcpus; i++)
            vm->vcpus[i].tsc_matched = false;
        c->tsc_offset = (int64_t)(value - now_tsc(vm));
    }
    c->tsc_write = value;
    c->tsc_write_ns = ns;
    vcpu->tsc_offset = c->tsc_offset;
    vcpu->tsc_matched = true;
    if (decides_master(vm, !joins))
        vcpu->requests |= REQ_MASTERCLOCK;
}

void vm_get_clock(struct vm *vm, struct clock_data *data)
{
    const struct vm_clock *c = &vm->clock;
    struct pvclock_vcpu_time_info master;

    *data = (struct clock_data){0};
    if (!c->master) {
        data->clock = now_ns(vm) + (uint64_t)c->offset_ns;
        return;
    }
    master = (struct pvclock_vcpu_time_info){
        .tsc_timestamp = c->master_tsc,
        .system_time = c->master_ns + (uint64_t)c->offset_ns,
    };
    clock_scale(vm->env.tsc_khz, &master.tsc_to_system_mul, &master.tsc_shift);
    data->host_tsc = now_tsc(vm);
    data->realtime = vm->env.realtime_ns(vm->env.ctx);
    data->clock = clock_read(&master, data->host_tsc);
    data->flags = KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC;
}

int vm_set_clock(struct vm *vm, const struct clock_data *data)
{
    struct vm_clock *c = &vm->clock;
    uint64_t clock = data->clock, realtime = vm->env.realtime_ns(vm->env.ctx);

    if (data->flags & ~(KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC))
        return -EINVAL;
    if ((data->flags & KVM_CLOCK_REALTIME) && realtime > data->realtime)
        clock += realtime - data->realtime;
    vm_clock_update_master(vm);
    /* The base of the records, not a later now: else a small clock could come out negative (KB-35). */
    c->offset_ns = (int64_t)(clock - (c->master ? c->master_ns : now_ns(vm)));
    return 0;
}
