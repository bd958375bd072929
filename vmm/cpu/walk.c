/* Paging: 2-level, PAE and 4-level walks with their rights, reserved bits and A/D updates. Intel SDM vol. 3 ch. 4. */
#include "vmm/cpu/mem.h"

#define PTE_P  (1ull << 0)
#define PTE_W  (1ull << 1)
#define PTE_U  (1ull << 2)
#define PTE_A  (1ull << 5)
#define PTE_D  (1ull << 6)
#define PTE_PS (1ull << 7)
#define PTE_NX (1ull << 63)

#define PF_PRESENT  1u
#define PF_WRITE    2u
#define PF_USER     4u
#define PF_RESERVED 8u
#define PF_FETCH    16u

struct paging {
    unsigned levels;     /* 2, 3, 4 */
    unsigned entry_size; /* 4, 8 */
    unsigned bits;       /* of index per level */
};

static struct paging paging_mode(const struct cpu *cpu)
{
    if (is_long(cpu))
        return (struct paging){4, 8, 9};
    if (cpu->regs->cr4 & CR4_PAE)
        return (struct paging){3, 8, 9};
    return (struct paging){2, 4, 10};
}

static bool page_fault(struct cpu *cpu, uint64_t va, enum access access, bool user, uint32_t why)
{
    bool fetch_told =
        (cpu->regs->cr4 & CR4_SMEP) || ((cpu->regs->efer & EFER_NXE) && (cpu->regs->cr4 & CR4_PAE));

    cpu->trap = (struct trap){.vector = TRAP_PF, .has_error = true, .cr2 = va};
    cpu->trap.error = why | (access == ACCESS_WRITE ? PF_WRITE : 0) | (user ? PF_USER : 0) |
                      (access == ACCESS_EXEC && fetch_told ? PF_FETCH : 0);
    return false;
}

/* The four top entries of PAE paging: no rights, no accessed bit, never a leaf. */
static bool is_pdpte(const struct paging *p, unsigned level)
{
    return p->levels == 3 && level == 3;
}

/* Bits of an entry that must be zero. level counts from 1 (leaf tables). */
static uint64_t reserved_bits(const struct cpu *cpu, const struct paging *p, unsigned level, bool leaf)
{
    uint64_t high = ((1ull << 52) - 1) & ~((1ull << cpu->phys_bits) - 1);

    if (p->entry_size == 4) /* PSE-36: bits 13-20 are address bits 32-39, 21 is reserved */
        return leaf && level == 2 ? 1ull << 21 : 0;
    if (is_pdpte(p, level))
        return high | 0x7ff0000000000000ull | PTE_NX | 0x1e6;
    if (p->levels == 3)
        high |= 0x7ff0000000000000ull;
    if (!(cpu->regs->efer & EFER_NXE))
        high |= PTE_NX;
    if (level == 4)
        high |= PTE_PS;
    if (leaf && level > 1)
        high |= ((1ull << (12 + p->bits * (level - 1))) - 1) & ~0x1fffull; /* below the frame, above PAT */
    return high;
}

static uint64_t leaf_address(const struct paging *p, unsigned level, uint64_t entry, uint64_t va)
{
    uint64_t offset_mask = (1ull << (12 + p->bits * (level - 1))) - 1;
    uint64_t base = entry & 0x000ffffffffff000ull & ~offset_mask;

    if (p->entry_size == 4 && level == 2)
        base |= (entry & 0x1fe000) << 19;
    return base | (va & offset_mask);
}

static bool rights_allow(const struct cpu *cpu, enum access access, bool user, bool w, bool u, bool nx)
{
    const struct cpu_regs *r = cpu->regs;

    if (user && !u)
        return false;
    if (access == ACCESS_EXEC)
        return !nx && (user || !u || !(r->cr4 & CR4_SMEP));
    if (!user && u && (r->cr4 & CR4_SMAP) && !(r->rflags & RFLAGS_AC))
        return false;
    return access == ACCESS_READ || w || (!user && !(r->cr0 & CR0_WP));
}

static bool entry_read(struct cpu *cpu, uint64_t gpa, unsigned size, uint64_t *entry)
{
    *entry = 0;
    return gpa_read(cpu->mem, gpa, entry, size);
}

static bool is_leaf(const struct cpu *cpu, const struct paging *p, unsigned level, uint64_t entry)
{
    if (level == 1)
        return true;
    if (level == 4 || is_pdpte(p, level) || !(entry & PTE_PS))
        return false;
    return p->entry_size == 8 || (cpu->regs->cr4 & CR4_PSE);
}

bool walk(struct cpu *cpu, uint64_t va, enum access access, bool user, struct translation *t)
{
    struct paging p = paging_mode(cpu);
    uint64_t table, entry_gpa, entry, set;
    bool w = true, u = true, nx = false, leaf;
    unsigned level;

    if (is_long(cpu) &&
        !canonical(va)) { /* #SS for stack accesses would need the segment; see segment_linear */
        cpu->trap = GP0;
        return false;
    }
    if (!(cpu->regs->cr0 & CR0_PG)) {
        *t = (struct translation){.gpa = va, .writable = true, .executable = true, .user = true};
        return true;
    }
    table = p.levels == 3 ? cpu->regs->cr3 & 0xffffffe0 : cpu->regs->cr3 & 0x000ffffffffff000ull;
    for (level = p.levels;; level--) {
        uint64_t index = (va >> (12 + p.bits * (level - 1))) & ((1u << p.bits) - 1);

        if (is_pdpte(&p, level))
            index &= 3;
        entry_gpa = table + index * p.entry_size;
        if (!entry_read(cpu, entry_gpa, p.entry_size, &entry) || !(entry & PTE_P))
            return page_fault(cpu, va, access, user, 0);
        leaf = is_leaf(cpu, &p, level, entry);
        if (entry & reserved_bits(cpu, &p, level, leaf))
            return page_fault(cpu, va, access, user, PF_PRESENT | PF_RESERVED);
        if (!is_pdpte(&p, level)) {
            w &= !!(entry & PTE_W);
            u &= !!(entry & PTE_U);
            nx |= !!(entry & PTE_NX);
        }
        if (leaf)
            break;
        if (!(entry & PTE_A) && !is_pdpte(&p, level)) {
            entry |= PTE_A;
            gpa_write(cpu->mem, entry_gpa, &entry, p.entry_size);
        }
        table = entry & 0x000ffffffffff000ull;
    }
    if (!rights_allow(cpu, access, user, w, u, nx))
        return page_fault(cpu, va, access, user, PF_PRESENT);
    set = PTE_A | (access == ACCESS_WRITE ? PTE_D : 0);
    if ((entry & set) != set) {
        entry |= set;
        gpa_write(cpu->mem, entry_gpa, &entry, p.entry_size);
    }
    t->gpa = leaf_address(&p, level, entry, va);
    t->writable = (entry & PTE_D) && rights_allow(cpu, ACCESS_WRITE, user, w, u, nx);
    t->executable = rights_allow(cpu, ACCESS_EXEC, user, w, u, nx);
    t->user = u;
    t->large = level > 1;
    return true;
}
