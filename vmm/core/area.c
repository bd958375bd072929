/* Host-written areas of guest memory: registration, the checked store, and the ordered trace of stores. See area.h. */
#include "vmm/core/area.h"

#include <string.h>
#include "vmm/core/vm.h"

static void decide(struct area *area)
{
    struct memory *mem = &area->vm->memory;

    area->state = gpa_good(mem, area->gpa, area->size) ? AREA_GOOD : AREA_BAD;
    area->generation = mem->slot_generation;
}

/* Always decides anew: a state that was decided for another address says nothing about this one (KB-15). */
void area_register(struct area *area, uint64_t gpa, uint32_t size)
{
    area->gpa = gpa;
    area->size = size;
    decide(area);
}

void area_unregister(struct area *area)
{
    area->state = AREA_OFF;
}

bool area_usable(struct area *area)
{
    if (area->state == AREA_OFF)
        return false;
    if (area->generation != area->vm->memory.slot_generation)
        decide(area);
    return area->state == AREA_GOOD;
}

static bool inside(const struct area *area, size_t offset, size_t len)
{
    return offset <= area->size && len <= area->size - offset;
}

/* Looks the store up in the machine's register, not in the area that the caller holds: a stale copy shows. */
static bool registered(struct vm *vm, const struct area *by, uint64_t gpa, size_t len)
{
    struct vcpu *owner = &vm->vcpus[by->vcpu_id == AREA_VM_WIDE ? 0 : by->vcpu_id];
    const struct area *area = vcpu_area(owner, by->kind);

    return area->state != AREA_OFF && gpa >= area->gpa && inside(area, gpa - area->gpa, len);
}

static void trace_store(const struct area *area, size_t offset, const void *src, size_t len)
{
    struct vm *vm = area->vm;
    struct trace_entry *entry = &vm->trace.ring[vm->trace.total++ % TRACE_ENTRIES];

    entry->gpa = area->gpa + offset;
    entry->vcpu_id = area->vcpu_id;
    entry->kind = area->kind;
    entry->offset = (uint8_t)offset;
    entry->size = (uint8_t)len;
    entry->allowed = registered(vm, area, entry->gpa, len);
    memcpy(entry->bytes, src, len);
}

bool area_read(struct area *area, size_t offset, void *dst, size_t len)
{
    return inside(area, offset, len) && area_usable(area) &&
           gpa_read(&area->vm->memory, area->gpa + offset, dst, len);
}

bool area_write(struct area *area, size_t offset, const void *src, size_t len)
{
    if (!inside(area, offset, len) || !area_usable(area) ||
        !gpa_write(&area->vm->memory, area->gpa + offset, src, len))
        return false;
    trace_store(area, offset, src, len);
    return true;
}

bool area_write_partial(struct area *area, size_t offset, const void *src, size_t len)
{
    const uint8_t *bytes = src;

    if (area->state == AREA_OFF || !inside(area, offset, len))
        return false;
    while (len) {
        uint64_t gpa = area->gpa + offset;
        size_t room = GPA_PAGE_SIZE - gpa % GPA_PAGE_SIZE;
        size_t chunk = len < room ? len : room;
        if (!gpa_write(&area->vm->memory, gpa, bytes, chunk))
            return false;
        trace_store(area, offset, bytes, chunk);
        offset += chunk;
        bytes += chunk;
        len -= chunk;
    }
    return true;
}

bool area_exchange_u8(struct area *area, size_t offset, uint8_t value, uint8_t *old)
{
    uint8_t *byte;

    if (!inside(area, offset, 1) || !area_usable(area))
        return false;
    byte = gpa_host(&area->vm->memory, area->gpa + offset, 1, true);
    if (!byte)
        return false;
    *old = __atomic_exchange_n(byte, value, __ATOMIC_SEQ_CST);
    trace_store(area, offset, &value, 1);
    return true;
}
