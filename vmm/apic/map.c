/* Which vCPU an APIC id names: KVM's apic_map as a sorted list, for ids of any size and any gaps. spec IPI-4, IPI-11. */
#include "vmm/apic/lapic.h"

#include <stdlib.h>

void lapic_map_changed(struct vm *vm)
{
    vm->apic_map.stale = true;
}

/* By id, then in the order of vCPUs. */
static int by_id(const void *a, const void *b)
{
    const struct apic_entry *x = a, *y = b;

    if (x->id != y->id)
        return x->id < y->id ? -1 : 1;
    return (x->vcpu > y->vcpu) - (x->vcpu < y->vcpu);
}

/* True: entry is the same id as the one kept before it. An x2APIC owner masks an xAPIC one; else the first wins. */
static bool masked(const struct vm *vm, struct apic_entry *kept, const struct apic_entry *entry)
{
    if (kept->id != entry->id)
        return false;
    if (!lapic_x2apic(&vm->vcpus[kept->vcpu]) && lapic_x2apic(&vm->vcpus[entry->vcpu]))
        *kept = *entry;
    return true;
}

static void rebuild(struct vm *vm)
{
    struct apic_map *map = &vm->apic_map;
    uint16_t total = 0, kept = 0;

    map->max_id = 255;
    map->duplicate = false;
    for (uint16_t i = 0; i < vm->config.vcpus; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        if (!lapic_hw_enabled(vcpu))
            continue;
        if (vcpu->apic_id > map->max_id)
            map->max_id = vcpu->apic_id;
        /* A hotplugged vCPU above 255 is reached by its x2APIC id before its APIC enters that mode. */
        if (lapic_x2apic(vcpu) || vcpu->apic_id > 255)
            map->entries[total++] = (struct apic_entry){vcpu->apic_id, i};
        if (!lapic_x2apic(vcpu))
            map->entries[total++] = (struct apic_entry){vcpu->apic.id, i};
    }
    qsort(map->entries, total, sizeof(*map->entries), by_id);
    for (uint16_t i = 0; i < total; i++) {
        if (kept && masked(vm, &map->entries[kept - 1], &map->entries[i]))
            map->duplicate = true;
        else
            map->entries[kept++] = map->entries[i];
    }
    map->count = kept;
    map->stale = false;
}

const struct apic_map *lapic_map_get(struct vm *vm)
{
    if (vm->apic_map.stale)
        rebuild(vm);
    return &vm->apic_map;
}

struct vcpu *lapic_find(struct vm *vm, uint32_t apic_id)
{
    const struct apic_map *map = lapic_map_get(vm);
    struct apic_entry key = {.id = apic_id};
    unsigned low = 0, high = map->count;

    while (low < high) {
        unsigned middle = (low + high) / 2;
        if (map->entries[middle].id < key.id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < map->count && map->entries[low].id == apic_id ? &vm->vcpus[map->entries[low].vcpu] : NULL;
}
