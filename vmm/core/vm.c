/* Creates and frees a machine; what its parts do is in their own files. See vm.h. */
#include "vmm/core/vm.h"

#include <errno.h>
#include <stdlib.h>
#include "vmm/abi/kvm_para.h"

#define EXIT_HYPERCALLS_KNOWN (1ull << KVM_HC_MAP_GPA_RANGE) /* GPA-2 */

static bool config_valid(const struct vm_config *config, const struct env *env)
{
    return config->vcpus >= 1 && config->vcpus <= VM_VCPUS_MAX && config->irqchip <= IRQCHIP_SPLIT &&
           config->native <= HC_VMMCALL && config->version <= KVM_6_1 &&
           !(config->exit_hypercalls & ~EXIT_HYPERCALLS_KNOWN) && env->tsc && env->now_ns &&
           env->realtime_ns && env->run_delay_ns && env->tsc_khz && !(config->msr_exits & ~MSR_EXIT_ALL);
}

static int by_value(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

    return (x > y) - (x < y);
}

/* 0, -EINVAL when two are equal or one is the broadcast id, -ENOMEM. */
static int ids_check(const uint32_t *ids, unsigned count)
{
    uint32_t *sorted = malloc(count * sizeof(*sorted));
    int err = 0;

    if (!sorted)
        return -ENOMEM;
    for (unsigned i = 0; i < count; i++)
        sorted[i] = ids[i];
    qsort(sorted, count, sizeof(*sorted), by_value);
    for (unsigned i = 0; i < count; i++)
        if (sorted[i] == UINT32_MAX || (i && sorted[i] == sorted[i - 1]))
            err = -EINVAL;
    free(sorted);
    return err;
}

static void area_bind(struct area *area, struct vm *vm, uint16_t vcpu_id, enum area_kind kind)
{
    *area = (struct area){.vm = vm, .vcpu_id = vcpu_id, .kind = (uint8_t)kind};
}

static void vcpu_bind(struct vm *vm, uint16_t id, uint32_t apic_id)
{
    struct vcpu *vcpu = &vm->vcpus[id];

    vcpu->vm = vm;
    vcpu->id = id;
    vcpu->apic_id = apic_id;
    for (int kind = 0; kind < AREA_KINDS; kind++)
        area_bind(&vcpu->areas[kind], vm, id, (enum area_kind)kind);
    if (apic_id >= 255)
        vm->config.ids_32bit = true;
}

int vm_create(struct vm *vm, const struct vm_config *config, const struct env *env)
{
    int err;

    if (!config_valid(config, env))
        return -EINVAL;
    if (config->apic_ids) {
        err = ids_check(config->apic_ids, config->vcpus);
        if (err)
            return err;
    }
    *vm = (struct vm){.config = *config, .env = *env};
    vm->config.apic_ids = NULL;
    memory_init(&vm->memory);
    vm->vcpus = calloc(config->vcpus, sizeof(*vm->vcpus));
    vm->apic_map.entries = calloc(config->vcpus, 2 * sizeof(*vm->apic_map.entries));
    if (!vm->vcpus || !vm->apic_map.entries) {
        vm_destroy(vm);
        return -ENOMEM;
    }
    area_bind(&vm->wall_area, vm, AREA_VM_WIDE, AREA_WALL_CLOCK);
    area_bind(&vm->pairing_area, vm, AREA_VM_WIDE, AREA_CLOCK_PAIRING);
    area_bind(&vm->hyperv_area, vm, AREA_VM_WIDE, AREA_HYPERV);
    for (uint16_t i = 0; i < config->vcpus; i++)
        vcpu_bind(vm, i, config->apic_ids ? config->apic_ids[i] : i);
    vm->apic_map.ids_32bit = vm->config.ids_32bit;
    vm->apic_map.stale = true;
    return 0;
}

void vm_destroy(struct vm *vm)
{
    memory_free(&vm->memory);
    free(vm->vcpus);
    free(vm->apic_map.entries);
    vm->vcpus = NULL;
    vm->apic_map.entries = NULL;
}
