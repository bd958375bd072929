/* The slow path of guest memory accesses: filling the TLB, page-crossing, bus ranges, stores into code pages. */
#include "vmm/cpu/block.h"
#include "vmm/cpu/mem.h"

void jumps_forget(struct cpu *cpu)
{
    for (unsigned n = 0; n < JUMP_ENTRIES; n++)
        cpu->jumps[n].block = NULL;
}

void cpu_tlb_flush(struct cpu *cpu)
{
    for (unsigned user = 0; user < 2; user++)
        for (unsigned n = 0; n < TLB_ENTRIES; n++) {
            struct tlb_entry *e = &cpu->tlb[user][n];

            e->read = e->write = e->exec = TLB_NONE;
        }
    jumps_forget(cpu);
    cpu->large_pages = false;
    cpu->mem_generation = cpu->mem->generation;
}

void tlb_protect(struct cpu *cpu, uint64_t gpa)
{
    for (unsigned user = 0; user < 2; user++)
        for (unsigned n = 0; n < TLB_ENTRIES; n++)
            if (cpu->tlb_gpa[user][n] == gpa)
                cpu->tlb[user][n].write = TLB_NONE;
}

/* Remembers a translation, as far as it leads to RAM. */
static void tlb_fill(struct cpu *cpu, uint64_t va, bool user, enum access access, const struct translation *t)
{
    struct tlb_entry *e = tlb_slot(cpu, va, user);
    uint64_t page = va & PAGE_MASK, gpa = t->gpa & PAGE_MASK;
    uint8_t *host = gpa_host(cpu->mem, gpa, GPA_PAGE_SIZE, false);
    /* With SMAP the answer depends on RFLAGS.AC: such pages are walked each time. */
    bool depends_on_ac = !user && t->user && (cpu->regs->cr4 & CR4_SMAP);

    e->read = e->write = e->exec = TLB_NONE;
    if (!host || depends_on_ac)
        return;
    *tlb_gpa(cpu, va, user) = gpa;
    e->addend = (uint64_t)(uintptr_t)host - page;
    e->read = page; /* x86 has no page that can be written or executed but not read */
    e->exec = t->executable ? page : TLB_NONE;
    if (access == ACCESS_WRITE && t->writable && !code_page(cpu->cache, gpa) &&
        gpa_host(cpu->mem, gpa, GPA_PAGE_SIZE, true))
        e->write = page;
    cpu->large_pages |= t->large;
}

/* Is the page there for this access? If not, cpu->trap says what the guest meets instead (APF-9). */
static bool page_present(struct cpu *cpu, uint64_t gpa)
{
    const struct vm_hooks *hooks = &cpu->vcpu->vm->hooks;

    if (!memory_absent(cpu->mem, gpa))
        return true;
    cpu->trap = (struct trap){.vector = TRAP_RETRY};
    if (!cpu->pages_at_once && hooks->absent)
        return hooks->absent(cpu->vcpu, gpa, &cpu->trap) == APF_PRESENT;
    return memory_page_in(cpu->mem, gpa) == 0;
}

static bool translate(struct cpu *cpu, uint64_t va, enum access access, bool user, uint64_t *gpa)
{
    struct tlb_entry *e = tlb_slot(cpu, va, user);
    uint64_t page = va & PAGE_MASK;
    struct translation t = {0};

    if ((access == ACCESS_READ && e->read == page) || (access == ACCESS_WRITE && e->write == page) ||
        (access == ACCESS_EXEC && e->exec == page)) {
        *gpa = *tlb_gpa(cpu, va, user) | (va & ~PAGE_MASK);
        return true;
    }
    if (!walk(cpu, va, access, user, &t) || !page_present(cpu, t.gpa))
        return false;
    tlb_fill(cpu, va, user, access, &t);
    *gpa = t.gpa;
    return true;
}

/* Parts of an access: one, or two when it crosses a page. */
struct parts {
    unsigned count;
    struct {
        uint64_t gpa;
        unsigned size;
    } part[2];
};

static bool split(struct cpu *cpu, uint64_t va, unsigned size, enum access access, bool user, struct parts *p)
{
    unsigned first = (unsigned)(GPA_PAGE_SIZE - (va & ~PAGE_MASK));
    uint64_t next = va + first;

    if (!is_long(cpu))
        next &= 0xffffffff;
    p->count = size > first ? 2 : 1;
    p->part[0].size = size > first ? first : size;
    p->part[1].size = size - p->part[0].size;
    return translate(cpu, va, access, user, &p->part[0].gpa) &&
           (p->count == 1 || translate(cpu, next, access, user, &p->part[1].gpa));
}

bool mem_probe_write(struct cpu *cpu, uint64_t va, unsigned size, bool user)
{
    struct parts p;

    return split(cpu, va, size, ACCESS_WRITE, user, &p);
}

static uint64_t bus_in(struct cpu *cpu, uint64_t gpa, unsigned size)
{
    uint64_t v = 0;

    if (size == 1 || size == 2 || size == 4 || size == 8)
        return bus_read(&cpu->vcpu->vm->bus, BUS_MMIO, cpu->vcpu, gpa, size);
    for (unsigned n = 0; n < size; n++)
        v |= bus_read(&cpu->vcpu->vm->bus, BUS_MMIO, cpu->vcpu, gpa + n, 1) << (8 * n);
    return v;
}

static void bus_out(struct cpu *cpu, uint64_t gpa, unsigned size, uint64_t v)
{
    cpu->leave = true; /* a device may have raised an interrupt or asked to stop */
    if (size == 1 || size == 2 || size == 4 || size == 8) {
        bus_write(&cpu->vcpu->vm->bus, BUS_MMIO, cpu->vcpu, gpa, size, v);
        return;
    }
    for (unsigned n = 0; n < size; n++)
        bus_write(&cpu->vcpu->vm->bus, BUS_MMIO, cpu->vcpu, gpa + n, 1, v >> (8 * n) & 0xff);
}

enum step mem_read_slow(struct cpu *cpu, uint64_t va, unsigned size, uint64_t *val, bool user)
{
    struct parts p;
    unsigned shift = 0;

    if (!split(cpu, va, size, ACCESS_READ, user, &p))
        return STEP_TRAP;
    *val = 0;
    for (unsigned n = 0; n < p.count; n++) {
        uint64_t part = 0;

        if (!gpa_read(cpu->mem, p.part[n].gpa, &part, p.part[n].size))
            part = bus_in(cpu, p.part[n].gpa, p.part[n].size);
        *val |= part << shift;
        shift = 8 * p.part[n].size;
    }
    return STEP_NEXT;
}

enum step mem_write_slow(struct cpu *cpu, uint64_t va, unsigned size, uint64_t val, bool user)
{
    struct parts p;
    enum step step = STEP_NEXT;

    if (!split(cpu, va, size, ACCESS_WRITE, user, &p))
        return STEP_TRAP;
    for (unsigned n = 0; n < p.count; n++) {
        uint64_t gpa = p.part[n].gpa;

        if (gpa_write(cpu->mem, gpa, &val, p.part[n].size)) {
            if (code_page(cpu->cache, gpa) && code_invalidate(cpu->cache, gpa, p.part[n].size))
                step = STEP_END;                  /* perhaps the block that is running */
        } else if (!memory_slot(cpu->mem, gpa)) { /* ROM swallows writes */
            bus_out(cpu, gpa, p.part[n].size, val & size_mask(p.part[n].size));
            step = STEP_END;
        }
        val >>= 8 * (p.part[n].size & 7);
    }
    return step;
}

const uint8_t *mem_fetch(struct cpu *cpu, uint64_t va, uint64_t *gpa)
{
    struct tlb_entry *e = tlb_slot(cpu, va, cpu->user);

    cpu->trap = NO_TRAP;
    if (!translate(cpu, va, ACCESS_EXEC, cpu->user, gpa))
        return NULL;
    if (e->exec == (va & PAGE_MASK))
        return (const uint8_t *)(uintptr_t)(va + e->addend);
    return gpa_host(cpu->mem, *gpa, 1, false);
}

static enum step segment_fault(struct cpu *cpu, unsigned seg)
{
    return raise_error(cpu, seg == SREG_SS ? TRAP_SS : TRAP_GP, 0);
}

bool segment_linear(struct cpu *cpu, unsigned seg, uint64_t off, unsigned size, enum access access,
                    uint64_t *va)
{
    const struct segment *s = &cpu->regs->seg[seg];
    uint64_t last = off + size - 1;
    bool code = s->access & SEG_CODE, rw = s->access & 2;

    if (is_64bit(cpu)) {
        *va = off + (seg == SREG_FS || seg == SREG_GS ? s->base : 0);
        return true;
    }
    if (is_protected(cpu)) {
        bool forbidden = access == ACCESS_WRITE ? code || !rw : code && !rw;

        if (!(s->access & SEG_P) || (forbidden && access != ACCESS_EXEC))
            return segment_fault(cpu, seg) == STEP_NEXT;
    }
    if (!code && (s->access & 4)) { /* expand-down: valid above the limit */
        uint64_t top = s->access & SEG_DB ? 0xffffffff : 0xffff;

        if (off <= s->limit || last > top)
            return segment_fault(cpu, seg) == STEP_NEXT;
    } else if (last > s->limit) {
        return segment_fault(cpu, seg) == STEP_NEXT;
    }
    *va = (s->base + off) & 0xffffffff;
    return true;
}
