/* Which vCPU an APIC id names: KVM's apic_map as a sorted list, for ids of any size and any gaps (spec IPI-4, IPI-11), and
 * its short cut for logical destinations. */
#include "vmm/apic/parts.h"

#include <stdlib.h>
#include <string.h>

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

/* An APIC has one place, at the lowest bit of its LDR; 6.1 lets a later one take it, 6.12 then gives the map up.
 * False: it is given up. */
static bool place_logically(struct vm *vm, const struct vcpu *vcpu, bool flat)
{
    uint32_t id = vcpu->apic.ldr >> 24, bits = flat ? id : id & 0xf;
    uint16_t *member;

    if (!bits)
        return true;
    member = &vm->apic_map.logical_members[(flat ? 0 : id >> 4 << 2) + (unsigned)__builtin_ctz(bits)];
    if (vm->config.version != KVM_6_1 && (bits & (bits - 1) || *member))
        return false;
    *member = vcpu->id + 1;
    return true;
}

static enum apic_logical model_of(const struct vcpu *vcpu)
{
    if (lapic_x2apic(vcpu))
        return APIC_LOGICAL_X2APIC;
    return vcpu->apic.dfr == APIC_DFR_FLAT ? APIC_LOGICAL_FLAT : APIC_LOGICAL_CLUSTER;
}

/* Only where all that have a logical id use one model. */
static void rebuild_logical(struct vm *vm)
{
    struct apic_map *map = &vm->apic_map;
    enum apic_logical all = vm->config.version == KVM_6_1 ? APIC_LOGICAL_EACH : APIC_LOGICAL_NONE;
    bool first = true, usable = true;

    memset(map->logical_members, 0, sizeof(map->logical_members));
    for (unsigned i = 0; usable && i < vm->config.vcpus; i++) {
        const struct vcpu *vcpu = &vm->vcpus[i];
        enum apic_logical model = model_of(vcpu);

        if (!lapic_hw_enabled(vcpu) || !lapic_sw_enabled(vcpu) || !lapic_ldr(vcpu))
            continue;
        usable = first || model == all;
        all = model;
        first = false;
        if (usable && model != APIC_LOGICAL_X2APIC)
            usable = place_logically(vm, vcpu, model == APIC_LOGICAL_FLAT);
    }
    map->logical = (uint8_t)(usable ? all : APIC_LOGICAL_EACH);
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
    rebuild_logical(vm);
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

/* A cluster of 16 begins at 16 times its number; ids above the highest have no bit. */
static void x2apic_group(struct vm *vm, uint32_t destination, struct lapic_group *group)
{
    uint64_t first = (uint64_t)(destination >> 16) * 16, max_id = vm->apic_map.max_id;

    if (first > max_id)
        return;
    group->mask = destination & 0xffff;
    if (max_id - first < 15)
        group->mask &= (2u << (max_id - first)) - 1;
    for (unsigned bit = 0; bit < 16; bit++)
        group->members[bit] = lapic_find(vm, (uint32_t)first + bit);
}

bool lapic_group(struct vm *vm, uint32_t destination, struct lapic_group *group)
{
    const struct apic_map *map = lapic_map_get(vm);
    unsigned bits = map->logical == APIC_LOGICAL_FLAT ? 8 : 4;
    const uint16_t *members = &map->logical_members[bits == 8 ? 0 : (destination >> 4 & 0xf) * 4];

    *group = (struct lapic_group){.mask = 0};
    if (map->logical == APIC_LOGICAL_X2APIC)
        x2apic_group(vm, destination, group);
    if (map->logical != APIC_LOGICAL_FLAT && map->logical != APIC_LOGICAL_CLUSTER)
        return map->logical != APIC_LOGICAL_EACH;
    group->mask = destination & ((1u << bits) - 1);
    for (unsigned bit = 0; bit < bits; bit++)
        group->members[bit] = members[bit] ? &vm->vcpus[members[bit] - 1] : NULL;
    return true;
}
