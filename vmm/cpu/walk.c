/* Paging: 2-level, PAE and 4-level walks with their rights, reserved bits and A/D updates. Intel SDM vol. 3 ch. 4. */
#include "vmm/cpu/mem.h"

#define PTE_P     (1ull << 0)
#define PTE_W     (1ull << 1)
#define PTE_U     (1ull << 2)
#define PTE_A     (1ull << 5)
#define PTE_D     (1ull << 6)
#define PTE_PS    (1ull << 7)
#define PTE_NX    (1ull << 63)
#define PTE_FRAME 0x000ffffffffff000ull
#define CR3_PAE   0xffffffe0u /* where the four top entries of PAE paging lie */

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
    uint64_t base = entry & PTE_FRAME & ~offset_mask;

    if (p->entry_size == 4 && level == 2)
        base |= (entry & 0x1fe000) << 19;
    return base | (va & offset_mask);
}

/* The entry that maps an address, and what all entries on the way to it allow. */
struct leaf {
    uint64_t gpa, entry; /* where it lies, what it holds */
    unsigned level;      /* 1: a page of 4 KiB */
    bool w, u, nx;
};

static bool rights_allow(const struct cpu *cpu, enum access access, bool user, const struct leaf *leaf)
{
    const struct cpu_regs *r = cpu->regs;

    if (user && !leaf->u)
        return false;
    if (access == ACCESS_EXEC)
        return !leaf->nx && (user || !leaf->u || !(r->cr4 & CR4_SMEP));
    if (!user && leaf->u && (r->cr4 & CR4_SMAP) && !(r->rflags & RFLAGS_AC))
        return false;
    return access == ACCESS_READ || leaf->w || (!user && !(r->cr0 & CR0_WP));
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

static uint64_t table_index(const struct paging *p, unsigned level, uint64_t va)
{
    uint64_t index = (va >> (12 + p->bits * (level - 1))) & ((1u << p->bits) - 1);

    return is_pdpte(p, level) ? index & 3 : index;
}

static void entry_mark(struct cpu *cpu, const struct paging *p, struct leaf *leaf, uint64_t bits)
{
    if ((leaf->entry & bits) == bits)
        return;
    leaf->entry |= bits;
    gpa_write(cpu->mem, leaf->gpa, &leaf->entry, p->entry_size);
}

/* Down the tables to the entry that maps va. Whether the access is allowed is the caller's to say, and so are the marks
 * that it leaves in that entry. False: cpu->trap says why there is none. */
static bool find_leaf(struct cpu *cpu, const struct paging *p, uint64_t va, enum access access, bool user,
                      struct leaf *leaf)
{
    uint64_t table = cpu->regs->cr3 & (p->levels == 3 ? CR3_PAE : PTE_FRAME);
    bool last;

    *leaf = (struct leaf){.w = true, .u = true};
    for (leaf->level = p->levels;; leaf->level--) {
        leaf->gpa = table + table_index(p, leaf->level, va) * p->entry_size;
        if (!entry_read(cpu, leaf->gpa, p->entry_size, &leaf->entry) || !(leaf->entry & PTE_P))
            return page_fault(cpu, va, access, user, 0);
        last = is_leaf(cpu, p, leaf->level, leaf->entry);
        if (leaf->entry & reserved_bits(cpu, p, leaf->level, last))
            return page_fault(cpu, va, access, user, PF_PRESENT | PF_RESERVED);
        if (!is_pdpte(p, leaf->level)) {
            leaf->w &= !!(leaf->entry & PTE_W);
            leaf->u &= !!(leaf->entry & PTE_U);
            leaf->nx |= !!(leaf->entry & PTE_NX);
        }
        if (last)
            return true;
        if (!is_pdpte(p, leaf->level))
            entry_mark(cpu, p, leaf, PTE_A);
        table = leaf->entry & PTE_FRAME;
    }
}

bool walk(struct cpu *cpu, uint64_t va, enum access access, bool user, struct translation *t)
{
    struct paging p = paging_mode(cpu);
    struct leaf leaf;

    /* #SS for stack accesses would need the segment; see segment_linear */
    if (is_long(cpu) && !canonical(va)) {
        cpu->trap = GP0;
        return false;
    }
    if (!(cpu->regs->cr0 & CR0_PG)) {
        *t = (struct translation){.gpa = va, .writable = true, .executable = true, .user = true};
        return true;
    }
    if (!find_leaf(cpu, &p, va, access, user, &leaf))
        return false;
    if (!rights_allow(cpu, access, user, &leaf))
        return page_fault(cpu, va, access, user, PF_PRESENT);
    entry_mark(cpu, &p, &leaf, PTE_A | (access == ACCESS_WRITE ? PTE_D : 0));
    t->gpa = leaf_address(&p, leaf.level, leaf.entry, va);
    t->writable = (leaf.entry & PTE_D) && rights_allow(cpu, ACCESS_WRITE, user, &leaf);
    t->executable = rights_allow(cpu, ACCESS_EXEC, user, &leaf);
    t->user = leaf.u;
    t->large = leaf.level > 1;
    return true;
}
