/* Guest memory as instructions see it: segmentation, translation through the TLB, RAM or bus. */
#ifndef VMM_CPU_MEM_H
#define VMM_CPU_MEM_H

#include <string.h>
#include "vmm/cpu/state.h"

enum access { ACCESS_READ, ACCESS_WRITE, ACCESS_EXEC };

/* walk.c: translates one linear address and sets accessed and dirty bits. False: cpu->trap is the page fault
 * (or #GP/#SS for a non-canonical address). */
struct translation {
    uint64_t gpa;
    bool writable; /* a later write needs no walk: allowed, and the dirty bit is set */
    bool executable;
    bool user; /* a user page */
    bool large;
};
bool walk(struct cpu *cpu, uint64_t va, enum access access, bool user, struct translation *t);

/* mem.c: the general path: page-crossing, bus, code pages. val holds size bytes in its low end. */
enum step mem_read_slow(struct cpu *cpu, uint64_t va, unsigned size, uint64_t *val, bool user);
enum step mem_write_slow(struct cpu *cpu, uint64_t va, unsigned size, uint64_t val, bool user);
/* May size bytes at va be written? Raises what the write would; for read-modify-write and rollback-free pushes. */
bool mem_probe_write(struct cpu *cpu, uint64_t va, unsigned size, bool user);
/* The host address of the code byte at va, NULL with cpu->trap set, or NULL with TRAP_NONE when no RAM is there. */
const uint8_t *mem_fetch(struct cpu *cpu, uint64_t va, uint64_t *gpa);
/* Checks type and limit; true with *va set. Raises #GP or #SS. */
bool segment_linear(struct cpu *cpu, unsigned seg, uint64_t off, unsigned size, enum access access,
                    uint64_t *va);
/* block.c: a page begins to hold code: stores to it must take the slow path. */
void tlb_protect(struct cpu *cpu, uint64_t gpa);
/* Where linear addresses lead, or the blocks themselves, are no longer what they were. */
void jumps_forget(struct cpu *cpu);

INLINE struct tlb_entry *tlb_slot(struct cpu *cpu, uint64_t va, bool user)
{
    return &cpu->tlb[user][(va >> 12) & (TLB_ENTRIES - 1)];
}
INLINE uint64_t *tlb_gpa(struct cpu *cpu, uint64_t va, bool user)
{
    return &cpu->tlb_gpa[user][(va >> 12) & (TLB_ENTRIES - 1)];
}
/* 1, 2, 4 or 8 bytes. Spelled out, so that a size known only at run time is no call of memcpy. */
INLINE uint64_t load(const void *p, unsigned size)
{
    uint64_t v8;
    uint32_t v4;
    uint16_t v2;

    switch (size) {
    case 1:
        return *(const uint8_t *)p;
    case 2:
        memcpy(&v2, p, 2);
        return v2;
    case 4:
        memcpy(&v4, p, 4);
        return v4;
    default:
        memcpy(&v8, p, 8);
        return v8;
    }
}
INLINE void store(void *p, unsigned size, uint64_t v)
{
    switch (size) {
    case 1:
        *(uint8_t *)p = (uint8_t)v;
        break;
    case 2:
        memcpy(p, &v, 2);
        break;
    case 4:
        memcpy(p, &v, 4);
        break;
    default:
        memcpy(p, &v, 8);
        break;
    }
}

/* An access that crosses its page has another page's tag, so one comparison decides. */
INLINE enum step lin_read(struct cpu *cpu, uint64_t va, unsigned size, uint64_t *val, bool user)
{
    struct tlb_entry *e = tlb_slot(cpu, va, user);

    if (__builtin_expect(e->read == ((va + size - 1) & PAGE_MASK), 1)) {
        *val = load((const void *)(uintptr_t)(va + e->addend), size);
        return STEP_NEXT;
    }
    return mem_read_slow(cpu, va, size, val, user);
}
INLINE enum step lin_write(struct cpu *cpu, uint64_t va, unsigned size, uint64_t val, bool user)
{
    struct tlb_entry *e = tlb_slot(cpu, va, user);

    if (__builtin_expect(e->write == ((va + size - 1) & PAGE_MASK), 1)) {
        store((void *)(uintptr_t)(va + e->addend), size, val);
        return STEP_NEXT;
    }
    return mem_write_slow(cpu, va, size, val, user);
}

INLINE uint64_t insn_offset(const struct cpu *cpu, const struct insn *i)
{
    uint64_t off = cpu->gpr[i->base] + (cpu->gpr[i->index] << i->scale) + (uint64_t)i->disp;

    return __builtin_expect(i->asize == 8, 1) ? off : off & size_mask(i->asize);
}
INLINE bool linear(struct cpu *cpu, unsigned seg, uint64_t off, unsigned size, enum access access,
                   uint64_t *va)
{
    if (__builtin_expect(seg == SEG_FLAT, 1)) {
        *va = is_64bit(cpu) ? off : off & 0xffffffff;
        return true;
    }
    return segment_linear(cpu, seg, off, size, access, va);
}
/* The linear address of i's memory operand. False: trap raised. */
INLINE bool insn_linear(struct cpu *cpu, const struct insn *i, unsigned size, enum access access,
                        uint64_t *va)
{
    return linear(cpu, i->seg, insn_offset(cpu, i), size, access, va);
}
INLINE enum step mem_read(struct cpu *cpu, const struct insn *i, unsigned size, uint64_t *val)
{
    uint64_t va;

    if (!insn_linear(cpu, i, size, ACCESS_READ, &va))
        return STEP_TRAP;
    return lin_read(cpu, va, size, val, cpu->user);
}
INLINE enum step mem_write(struct cpu *cpu, const struct insn *i, unsigned size, uint64_t val)
{
    uint64_t va;

    if (!insn_linear(cpu, i, size, ACCESS_WRITE, &va))
        return STEP_TRAP;
    return lin_write(cpu, va, size, val, cpu->user);
}

/* Read-modify-write: the write is checked before anything happens, so a fault says "write". */
struct rmw {
    uint64_t va;
    uint8_t *host; /* NULL: the slow path writes */
};
INLINE enum step rmw_begin(struct cpu *cpu, const struct insn *i, unsigned size, struct rmw *rmw,
                           uint64_t *val)
{
    struct tlb_entry *e;

    if (!insn_linear(cpu, i, size, ACCESS_WRITE, &rmw->va))
        return STEP_TRAP;
    e = tlb_slot(cpu, rmw->va, cpu->user);
    if (__builtin_expect(e->write == ((rmw->va + size - 1) & PAGE_MASK), 1)) {
        rmw->host = (uint8_t *)(uintptr_t)(rmw->va + e->addend);
        *val = load(rmw->host, size);
        return STEP_NEXT;
    }
    rmw->host = NULL;
    if (!mem_probe_write(cpu, rmw->va, size, cpu->user))
        return STEP_TRAP;
    return mem_read_slow(cpu, rmw->va, size, val, cpu->user);
}
INLINE enum step rmw_end(struct cpu *cpu, const struct rmw *rmw, unsigned size, uint64_t val)
{
    if (__builtin_expect(rmw->host != NULL, 1)) {
        store(rmw->host, size, val);
        return STEP_NEXT;
    }
    return mem_write_slow(cpu, rmw->va, size, val, cpu->user);
}

/* General registers by byte offset into cpu->gpr; a 32-bit write clears the upper half. */
INLINE uint64_t reg_get(const struct cpu *cpu, unsigned off, unsigned size)
{
    return load((const uint8_t *)cpu->gpr + off, size);
}
INLINE void reg_set(struct cpu *cpu, unsigned off, unsigned size, uint64_t v)
{
    store((uint8_t *)cpu->gpr + off, size == 4 ? 8 : size, size == 4 ? (uint32_t)v : v);
}
/* Operand n of any kind, for instructions that are not worth a handler per form. */
INLINE enum step operand_read(struct cpu *cpu, const struct insn *i, unsigned n, unsigned size, uint64_t *val)
{
    switch (i->kind[n]) {
    case KIND_REG:
        *val = reg_get(cpu, i->reg[n], size);
        return STEP_NEXT;
    case KIND_MEM:
        return mem_read(cpu, i, size, val);
    default:
        *val = i->imm & size_mask(size);
        return STEP_NEXT;
    }
}
INLINE enum step operand_write(struct cpu *cpu, const struct insn *i, unsigned n, unsigned size, uint64_t val)
{
    if (i->kind[n] == KIND_MEM)
        return mem_write(cpu, i, size, val);
    reg_set(cpu, i->reg[n], size, val);
    return STEP_NEXT;
}
/* Operand 0 to be changed, in whatever kind. */
INLINE enum step change_begin(struct cpu *cpu, const struct insn *i, unsigned size, struct rmw *rmw,
                              uint64_t *val)
{
    if (i->kind[0] == KIND_MEM)
        return rmw_begin(cpu, i, size, rmw, val);
    *val = reg_get(cpu, i->reg[0], size);
    return STEP_NEXT;
}
INLINE enum step change_end(struct cpu *cpu, const struct insn *i, unsigned size, const struct rmw *rmw,
                            uint64_t val)
{
    if (i->kind[0] == KIND_MEM)
        return rmw_end(cpu, rmw, size, val);
    reg_set(cpu, i->reg[0], size, val);
    return STEP_NEXT;
}

#endif
