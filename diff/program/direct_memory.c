/* Guest memory as the probe's actions see it: identity-mapped 4 GiB with paging, flat 32 bits without, devices and holes
 * behind it. Intel SDM vol. 3 ch. 3, 4. */
#include <string.h>
#include "diff/program/direct_guest.h"

static bool is_64bit(const struct step *step)
{
    return step->action->mode == MODE_64 || step->action->mode == MODE_64_CPL3;
}

static bool canonical(uint64_t gva)
{
    return (uint64_t)((int64_t)(gva << 16) >> 16) == gva;
}

static struct trap page_fault(const struct step *step, uint64_t gva, bool write)
{
    uint32_t error = (write ? 2 : 0) | (vcpu_cpl(step->vcpu) == 3 ? 4 : 0);

    step->vcpu->regs.cr2 = gva;
    return (struct trap){.vector = TRAP_PF, .has_error = true, .error = error, .cr2 = gva};
}

/* Physical address of [gva, gva+size), which stays in one page but for plain loads and stores. */
static struct trap translate(const struct step *step, uint64_t *gva, unsigned size, bool write)
{
    uint64_t last = *gva + size - 1;

    if (!is_64bit(step)) {
        *gva = (uint32_t)*gva; /* past 4 GiB - 1 the address wraps: physical_byte() */
        return NO_TRAP;
    }
    if (!canonical(*gva) || !canonical(last))
        return GP0;
    if (*gva < DIRECT_MAPPED && last >= *gva && last < DIRECT_MAPPED)
        return NO_TRAP;
    return page_fault(step, *gva < DIRECT_MAPPED ? DIRECT_MAPPED : *gva, write);
}

/* Everything that is not plain RAM in one piece: devices in one access of their size, else byte by byte. */
static void slow_read(struct step *step, uint64_t gpa, uint8_t *dst, unsigned size)
{
    struct vm *vm = &step->m->vm;
    bool whole = !memory_slot(&vm->memory, gpa) && !(size & (size - 1)) && size <= 8 && !(gpa & (size - 1));
    unsigned unit = whole ? size : 1;

    for (unsigned i = 0; i < size; i += unit) {
        uint64_t at = (uint32_t)(gpa + i);

        if (unit == 1 && gpa_read(&vm->memory, at, dst + i, 1))
            continue;
        uint64_t value = bus_read(&vm->bus, BUS_MMIO, step->vcpu, at, unit);
        memcpy(dst + i, &value, unit);
    }
}

static void slow_write(struct step *step, uint64_t gpa, const uint8_t *src, unsigned size)
{
    struct vm *vm = &step->m->vm;
    bool whole = !memory_slot(&vm->memory, gpa) && !(size & (size - 1)) && size <= 8 && !(gpa & (size - 1));
    unsigned unit = whole ? size : 1;

    for (unsigned i = 0; i < size; i += unit) {
        uint64_t at = (uint32_t)(gpa + i), value = 0;

        if (memory_slot(&vm->memory, at)) { /* of ROM nothing is written */
            gpa_write(&vm->memory, at, src + i, 1);
            continue;
        }
        memcpy(&value, src + i, unit);
        bus_write(&vm->bus, BUS_MMIO, step->vcpu, at, unit, value);
    }
}

struct trap direct_read(struct step *step, uint64_t gva, void *dst, unsigned size)
{
    struct trap trap = translate(step, &gva, size, false);
    const uint8_t *host;

    if (trapped(trap))
        return trap;
    host = gpa_host(&step->m->vm.memory, gva, size, false);
    if (host)
        memcpy(dst, host, size);
    else
        slow_read(step, gva, dst, size);
    return NO_TRAP;
}

struct trap direct_write(struct step *step, uint64_t gva, const void *src, unsigned size)
{
    struct trap trap = translate(step, &gva, size, true);
    uint8_t *host;

    if (trapped(trap))
        return trap;
    host = gpa_host(&step->m->vm.memory, gva, size, true);
    if (host)
        memcpy(host, src, size);
    else
        slow_write(step, gva, src, size);
    return NO_TRAP;
}

/* REP STOSB: page by page, so that a fault comes after the bytes before it. */
struct trap direct_fill(struct step *step, uint64_t gva, uint8_t byte, unsigned size)
{
    while (size) {
        unsigned left = GPA_PAGE_SIZE - (gva & (GPA_PAGE_SIZE - 1)), chunk = size < left ? size : left;
        uint64_t gpa = gva;
        struct trap trap = translate(step, &gpa, chunk, true);
        uint8_t *host;

        if (trapped(trap))
            return trap;
        host = gpa_host(&step->m->vm.memory, gpa, chunk, true);
        if (host)
            memset(host, byte, chunk);
        for (unsigned i = 0; !host && i < chunk; i++)
            slow_write(step, gpa + i, &byte, 1);
        gva += chunk;
        size -= chunk;
    }
    return NO_TRAP;
}
