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

#define PTE_P  1u
#define PTE_RW 2u
#define PTE_US 4u

static struct trap page_fault(const struct step *step, uint64_t gva, bool write, bool present)
{
    uint32_t error = (present ? PTE_P : 0) | (write ? PTE_RW : 0) | (vcpu_cpl(step->vcpu) == 3 ? PTE_US : 0);

    step->vcpu->regs.cr2 = gva;
    return (struct trap){.vector = TRAP_PF, .has_error = true, .error = error, .cr2 = gva};
}

/* A page of the probe's window: its table is consulted at each access, as if nothing were cached. */
static struct trap translate_window(const struct step *step, uint64_t *gva, bool write)
{
    uint32_t entry = step->m->window[(*gva - PROBE_WINDOW) / GPA_PAGE_SIZE];
    uint32_t wanted = PTE_P | (write ? PTE_RW : 0) | (vcpu_cpl(step->vcpu) == 3 ? PTE_US : 0);

    if (wanted & ~entry)
        return page_fault(step, *gva, write, entry & PTE_P);
    *gva = (entry & ~(GPA_PAGE_SIZE - 1)) + *gva % GPA_PAGE_SIZE;
    return NO_TRAP;
}

static bool in_window(uint64_t gva)
{
    return gva - PROBE_WINDOW < PROBE_WINDOW_PAGES * GPA_PAGE_SIZE;
}

/* Physical address of a byte of a 64-bit mode access and of those behind it in its page. */
static struct trap translate_page(const struct step *step, uint64_t *gva, bool write)
{
    if (*gva < DIRECT_MAPPED)
        return NO_TRAP;
    return in_window(*gva) ? translate_window(step, gva, write) : page_fault(step, *gva, write, false);
}

/* A page that the host has taken away: fetched, or the vCPU is told, or it waits (APF-9). */
static struct trap touch(const struct step *step, uint64_t gpa)
{
    struct vm *vm = &step->m->vm;
    struct trap trap = NO_TRAP;

    if (!memory_absent(&vm->memory, gpa))
        return NO_TRAP;
    switch (vm->hooks.absent(step->vcpu, gpa, &trap)) {
    case APF_FAULT:
        return trap;
    case APF_HALT:
        return (struct trap){.vector = TRAP_RETRY};
    default:
        return NO_TRAP;
    }
}

/* Physical addresses of [gva, gva+size): first and second page; where they are the same, at[1] goes on behind at[0]. */
static struct trap walk(const struct step *step, uint64_t gva, unsigned size, bool write, uint64_t at[2],
                        unsigned *in_first)
{
    uint64_t last = gva + size - 1;
    unsigned left = GPA_PAGE_SIZE - gva % GPA_PAGE_SIZE;
    struct trap trap;

    *in_first = size;
    if (!is_64bit(step)) {
        at[0] = (uint32_t)gva; /* past 4 GiB - 1 the address wraps: see slow_read */
        return NO_TRAP;
    }
    if (!canonical(gva) || !canonical(last))
        return GP0;
    at[0] = gva;
    if (gva < DIRECT_MAPPED && last < DIRECT_MAPPED)
        return NO_TRAP;
    trap = translate_page(step, &at[0], write);
    if (trapped(trap) || size <= left)
        return trap;
    *in_first = left;
    at[1] = gva + left;
    return translate_page(step, &at[1], write);
}

static struct trap translate(const struct step *step, uint64_t gva, unsigned size, bool write, uint64_t at[2],
                             unsigned *in_first)
{
    struct trap trap = walk(step, gva, size, write, at, in_first);
    uint64_t last;

    if (trapped(trap) || !step->m->vm.memory.absent_pages)
        return trap;
    trap = touch(step, at[0]);
    last = *in_first < size ? at[1] : at[0] + size - 1;
    if (!trapped(trap) && last / GPA_PAGE_SIZE != at[0] / GPA_PAGE_SIZE)
        trap = touch(step, (uint32_t)last);
    return trap;
}

/* Everything that is not plain RAM in one piece: devices in one access of their size, else byte by byte. */
static void slow_read(struct direct_machine *m, struct vcpu *vcpu, uint64_t gpa, uint8_t *dst, unsigned size)
{
    struct vm *vm = &m->vm;
    bool whole = !memory_slot(&vm->memory, gpa) && !(size & (size - 1)) && size <= 8 && !(gpa & (size - 1));
    unsigned unit = whole ? size : 1;

    for (unsigned i = 0; i < size; i += unit) {
        uint64_t at = (uint32_t)(gpa + i);

        if (unit == 1 && gpa_read(&vm->memory, at, dst + i, 1))
            continue;
        uint64_t value = bus_read(&vm->bus, BUS_MMIO, vcpu, at, unit);
        memcpy(dst + i, &value, unit);
    }
}

static void slow_write(struct direct_machine *m, struct vcpu *vcpu, uint64_t gpa, const uint8_t *src,
                       unsigned size)
{
    struct vm *vm = &m->vm;
    bool whole = !memory_slot(&vm->memory, gpa) && !(size & (size - 1)) && size <= 8 && !(gpa & (size - 1));
    unsigned unit = whole ? size : 1;

    for (unsigned i = 0; i < size; i += unit) {
        uint64_t at = (uint32_t)(gpa + i), value = 0;

        if (memory_slot(&vm->memory, at)) { /* of ROM nothing is written */
            gpa_write(&vm->memory, at, src + i, 1);
            continue;
        }
        memcpy(&value, src + i, unit);
        bus_write(&vm->bus, BUS_MMIO, vcpu, at, unit, value);
    }
}

void direct_read_physical(struct direct_machine *m, struct vcpu *vcpu, uint64_t gpa, void *dst, unsigned size)
{
    const uint8_t *host = gpa_host(&m->vm.memory, gpa, size, false);

    if (host)
        memcpy(dst, host, size);
    else
        slow_read(m, vcpu, gpa, dst, size);
}

void direct_write_physical(struct direct_machine *m, struct vcpu *vcpu, uint64_t gpa, const void *src,
                           unsigned size)
{
    uint8_t *host = gpa_host(&m->vm.memory, gpa, size, true);

    if (host)
        memcpy(host, src, size);
    else
        slow_write(m, vcpu, gpa, src, size);
}

/* Both pages are translated before anything is read or written. */
static struct trap read_as(struct step *step, uint64_t gva, void *dst, unsigned size, bool write)
{
    uint64_t at[2];
    unsigned first;
    struct trap trap = translate(step, gva, size, write, at, &first);

    if (trapped(trap))
        return trap;
    direct_read_physical(step->m, step->vcpu, at[0], dst, first);
    if (first < size)
        direct_read_physical(step->m, step->vcpu, at[1], (uint8_t *)dst + first, size - first);
    return NO_TRAP;
}

struct trap direct_read(struct step *step, uint64_t gva, void *dst, unsigned size)
{
    return read_as(step, gva, dst, size, false);
}

struct trap direct_rmw(struct step *step, uint64_t gva, void *dst, unsigned size)
{
    return read_as(step, gva, dst, size, true);
}

struct trap direct_write(struct step *step, uint64_t gva, const void *src, unsigned size)
{
    uint64_t at[2];
    unsigned first;
    struct trap trap = translate(step, gva, size, true, at, &first);

    if (trapped(trap))
        return trap;
    direct_write_physical(step->m, step->vcpu, at[0], src, first);
    if (first < size)
        direct_write_physical(step->m, step->vcpu, at[1], (const uint8_t *)src + first, size - first);
    return NO_TRAP;
}

/* REP STOSB: page by page, so that a fault comes after the bytes before it. */
struct trap direct_fill(struct step *step, uint64_t gva, uint8_t byte, unsigned size)
{
    while (size) {
        unsigned left = GPA_PAGE_SIZE - (gva & (GPA_PAGE_SIZE - 1)), chunk = size < left ? size : left;
        uint64_t at[2];
        struct trap trap = translate(step, gva, chunk, true, at, &chunk);
        uint8_t *host;

        if (trapped(trap))
            return trap;
        host = gpa_host(&step->m->vm.memory, at[0], chunk, true);
        if (host)
            memset(host, byte, chunk);
        for (unsigned i = 0; !host && i < chunk; i++)
            slow_write(step->m, step->vcpu, at[0] + i, &byte, 1);
        gva += chunk;
        size -= chunk;
    }
    return NO_TRAP;
}
