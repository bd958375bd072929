/* Host actions as calls into the VMM (host_act.h). What KVM's ioctls do: Linux Documentation/virt/kvm/api.rst. */
#include "diff/program/host_act.h"
#include <errno.h>
#include <string.h>
#include "vmm/abi/apic.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/apic/lapic.h"
#include "vmm/board/msi.h"
#include "vmm/pv/lifecycle.h"

static struct vcpu *vcpu_of(struct vm *vm, const struct action *action)
{
    uint64_t id = action->args[0].value;

    return id < vm->config.vcpus ? &vm->vcpus[id] : NULL;
}

static int act_init(struct vm *vm, const struct action *action)
{
    lapic_accept(vcpu_of(vm, action), APIC_INIT, 0, false, true);
    return 0;
}

static int act_sipi(struct vm *vm, const struct action *action)
{
    lapic_accept(vcpu_of(vm, action), APIC_STARTUP, (uint8_t)action->args[1].value, false, true);
    return 0;
}

static int act_msi(struct vm *vm, const struct action *action)
{
    int accepted = board_msi_send(vm, action->args[0].value, (uint32_t)action->args[1].value);

    return accepted < 0 ? accepted : 0;
}

/* Pages of the program alone: without the probe's own nothing goes on. */
static bool is_pageable(uint64_t gpa)
{
    return gpa >= PROBE_RAM_BASE && gpa < PROBE_ROM_BASE;
}

static int act_page_out(struct vm *vm, const struct action *action)
{
    uint64_t gpa = action->args[0].value;

    return is_pageable(gpa) ? memory_page_out(&vm->memory, gpa) : -ENOTSUP;
}

static int act_page_in(struct vm *vm, const struct action *action)
{
    return memory_page_in(&vm->memory, action->args[0].value);
}

/* The machine's own: what holds the probe and its code, and what would hide the local APIC. */
static bool is_machines_own(uint64_t gpa, uint64_t size)
{
    return gpa == 0 || gpa == PROBE_ROM_BASE ||
           (gpa < PROBE_MMIO_BASE + GPA_PAGE_SIZE && PROBE_MMIO_BASE < gpa + size);
}

static int act_slot_add(struct vm *vm, const struct action *action)
{
    uint64_t gpa = action->args[0].value, size = action->args[1].value;

    if (size > HOST_ACT_SLOT_MAX)
        return -EINVAL;
    if (is_machines_own(gpa, size))
        return -ENOTSUP;
    return memory_slot_add(&vm->memory, gpa, size, action->args[2].value ? SLOT_READONLY : 0);
}

static int act_slot_remove(struct vm *vm, const struct action *action)
{
    if (is_machines_own(action->args[0].value, 0))
        return -ENOTSUP;
    return memory_slot_remove(&vm->memory, action->args[0].value);
}

static int act_slot_move(struct vm *vm, const struct action *action)
{
    const struct slot *slot = memory_slot(&vm->memory, action->args[0].value);

    if (is_machines_own(action->args[0].value, 0) ||
        (slot && is_machines_own(action->args[1].value, slot->size)))
        return -ENOTSUP;
    return memory_slot_move(&vm->memory, action->args[0].value, action->args[1].value);
}

static bool is_kvm_leaf(uint32_t leaf)
{
    return leaf >= KVM_CPUID_SIGNATURE && leaf < KVM_BASE_LIMIT;
}

/* The vCPU's own table with KVM's leaves anew. -ENOSPC: no room for them. */
static int table_with(struct cpuid_table *table, const struct vcpu *vcpu, uint32_t features, uint32_t base)
{
    const struct cpuid_entry kvm[] = {
        {.leaf = base, .regs = {base | 1, KVM_SIGNATURE_EBX, KVM_SIGNATURE_ECX, KVM_SIGNATURE_EDX}},
        {.leaf = base | 1, .regs = {.eax = features, .edx = vcpu->pv_hints}},
    };

    table->count = 0;
    for (unsigned i = 0; i < vcpu->cpuid.count; i++)
        if (!is_kvm_leaf(vcpu->cpuid.entries[i].leaf))
            table->entries[table->count++] = vcpu->cpuid.entries[i];
    for (unsigned i = 0; i < sizeof(kvm) / sizeof(kvm[0]); i++) {
        if (table->count == sizeof(table->entries) / sizeof(table->entries[0]))
            return -ENOSPC;
        table->entries[table->count++] = kvm[i];
    }
    return 0;
}

static int act_set_cpuid(struct vm *vm, const struct action *action)
{
    uint32_t base = action->args[1].value ? (uint32_t)action->args[1].value : KVM_CPUID_SIGNATURE;
    struct cpuid_table table;
    int err = 0;

    if (base % 0x100 || !is_kvm_leaf(base))
        return -EINVAL;
    for (unsigned i = 0; !err && i < vm->config.vcpus; i++) {
        err = table_with(&table, &vm->vcpus[i], (uint32_t)action->args[0].value, base);
        if (!err)
            err = vcpu_set_cpuid(&vm->vcpus[i], &table);
    }
    return err;
}

static int act_enforce(struct vm *vm, const struct action *action)
{
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        vcpu_set_enforce(&vm->vcpus[i], action->args[0].value);
    return 0;
}

static int act_set_clock(struct vm *vm, const struct action *action)
{
    const struct clock_data data = {.clock = action->args[0].value,
                                    .flags = (uint32_t)action->args[1].value,
                                    .realtime = vm->env.realtime_ns(vm->env.ctx),
                                    .host_tsc = vm->env.tsc(vm->env.ctx)};

    return vm_set_clock(vm, &data);
}

static int act_kvmclock_ctrl(struct vm *vm, const struct action *action)
{
    return vcpu_kvmclock_ctrl(vcpu_of(vm, action));
}

static int act_dirty_clear(struct vm *vm, const struct action *action)
{
    int err = 0;

    (void)action;
    for (unsigned i = 0; !err && i < vm->memory.count; i++) {
        uint64_t gpa = vm->memory.slots[i].gpa;

        if (vm->memory.slots[i].flags & SLOT_READONLY)
            continue;
        memory_dirty_log(&vm->memory, gpa, false);
        err = memory_dirty_log(&vm->memory, gpa, true);
    }
    return err;
}

/* A bit per page, from the page of the address on; the log is not cleared. */
static int act_dirty_read(struct vm *vm, const struct action *action, struct outcome *outcome)
{
    uint64_t first = action->args[0].value / GPA_PAGE_SIZE, length = action->args[1].value;
    uint64_t pages = length / GPA_PAGE_SIZE + (length % GPA_PAGE_SIZE != 0);

    if (!pages || pages > 8 * sizeof(outcome->data))
        return -EINVAL;
    for (uint64_t i = 0; i < pages; i++) {
        uint64_t gpa = (first + i) * GPA_PAGE_SIZE, page;
        const struct slot *slot = memory_slot(&vm->memory, gpa);

        if (!slot || !slot->dirty)
            return -ENOENT;
        page = (gpa - slot->gpa) / GPA_PAGE_SIZE;
        outcome->data[i / 8] |= (slot->dirty[page / 64] >> page % 64 & 1) << i % 8;
    }
    outcome->data_len = (uint8_t)((pages + 7) / 8);
    return 0;
}

static int (*const acts[OP_COUNT])(struct vm *vm, const struct action *action) = {
    [OP_HOST_INIT] = act_init,
    [OP_HOST_SIPI] = act_sipi,
    [OP_MSI] = act_msi,
    [OP_PAGE_OUT] = act_page_out,
    [OP_PAGE_IN] = act_page_in,
    [OP_SLOT_ADD] = act_slot_add,
    [OP_SLOT_REMOVE] = act_slot_remove,
    [OP_SLOT_MOVE] = act_slot_move,
    [OP_SET_CPUID] = act_set_cpuid,
    [OP_ENFORCE] = act_enforce,
    [OP_SET_CLOCK] = act_set_clock,
    [OP_KVMCLOCK_CTRL] = act_kvmclock_ctrl,
    [OP_DIRTY_CLEAR] = act_dirty_clear,
};

int host_act(struct vm *vm, const struct action *action, struct outcome *outcome)
{
    const struct op_info *op = op_info(action->op);

    if (op->args && op->kinds[0] == ARG_VCPU && !vcpu_of(vm, action))
        return -EINVAL;
    if (action->op == OP_DIRTY_READ)
        return act_dirty_read(vm, action, outcome);
    return acts[action->op] ? acts[action->op](vm, action) : -ENOTSUP;
}

bool host_act_reshapes(enum action_op op)
{
    return op_info(op)->needs & (NEED_SLOTS | NEED_DIRTY_LOG);
}
