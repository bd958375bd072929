/* MOVS STOS LODS SCAS CMPS INS OUTS with REP. Registers move with every element, so a fault leaves a restartable state. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

/* REP gives up the vCPU after this many elements and goes on at the same RIP: bounded work per step. */
#define REP_ELEMENTS 4096u /* or as many pages */

/* i->seg: the source's segment; i->reg[0]: the destination's, ES or SEG_FLAT. */
static enum step source_read(struct cpu *cpu, const struct insn *i, uint64_t *v)
{
    uint64_t va;

    if (!linear(cpu, i->seg, reg_get(cpu, RSI * 8, i->asize), i->size, ACCESS_READ, &va))
        return STEP_TRAP;
    return lin_read(cpu, va, i->size, v, cpu->user);
}

static enum step destination_read(struct cpu *cpu, const struct insn *i, uint64_t *v)
{
    uint64_t va;

    if (!linear(cpu, i->reg[0], reg_get(cpu, RDI * 8, i->asize), i->size, ACCESS_READ, &va))
        return STEP_TRAP;
    return lin_read(cpu, va, i->size, v, cpu->user);
}

static enum step destination_write(struct cpu *cpu, const struct insn *i, uint64_t v)
{
    uint64_t va;

    if (!linear(cpu, i->reg[0], reg_get(cpu, RDI * 8, i->asize), i->size, ACCESS_WRITE, &va))
        return STEP_TRAP;
    return lin_write(cpu, va, i->size, v, cpu->user);
}

static void advance(struct cpu *cpu, const struct insn *i, enum gpr reg, uint64_t elements)
{
    uint64_t delta = elements * (cpu->regs->rflags & RFLAGS_DF ? -(uint64_t)i->size : i->size);

    reg_set(cpu, reg * 8, i->asize, reg_get(cpu, reg * 8, i->asize) + delta);
}

static void compare(struct cpu *cpu, const struct insn *i, uint64_t a, uint64_t b)
{
    flags_sub(cpu, a, b, (a - b) & size_mask(i->size), i->size);
}

static enum step string_in(struct cpu *cpu, const struct insn *i)
{
    uint16_t port = (uint16_t)cpu->gpr[RDX];
    uint64_t va;

    if (!io_allowed(cpu, port, i->size) ||
        !linear(cpu, i->reg[0], reg_get(cpu, RDI * 8, i->asize), i->size, ACCESS_WRITE, &va) ||
        !mem_probe_write(cpu, va, i->size, cpu->user))
        return STEP_TRAP;
    return lin_write(cpu, va, i->size, bus_read(&cpu->vcpu->vm->bus, BUS_PIO, cpu->vcpu, port, i->size),
                     cpu->user);
}

static enum step string_out(struct cpu *cpu, const struct insn *i)
{
    uint16_t port = (uint16_t)cpu->gpr[RDX];
    uint64_t v;

    if (!io_allowed(cpu, port, i->size) || source_read(cpu, i, &v) == STEP_TRAP)
        return STEP_TRAP;
    bus_write(&cpu->vcpu->vm->bus, BUS_PIO, cpu->vcpu, port, i->size, v);
    return end_and_leave(cpu);
}

/* One element; pointers move only if it succeeded. */
INLINE enum step element(struct cpu *cpu, const struct insn *i, enum string_op op)
{
    enum step step;
    uint64_t a, b;

    switch (op) {
    case STRING_MOVS:
        step = source_read(cpu, i, &a);
        if (step != STEP_TRAP)
            step = destination_write(cpu, i, a);
        break;
    case STRING_STOS:
        step = destination_write(cpu, i, reg_get(cpu, RAX * 8, i->size));
        break;
    case STRING_LODS:
        step = source_read(cpu, i, &a);
        if (step != STEP_TRAP)
            reg_set(cpu, RAX * 8, i->size, a);
        break;
    case STRING_SCAS:
        step = destination_read(cpu, i, &b);
        if (step != STEP_TRAP)
            compare(cpu, i, reg_get(cpu, RAX * 8, i->size), b);
        break;
    case STRING_CMPS:
        if (source_read(cpu, i, &a) == STEP_TRAP || destination_read(cpu, i, &b) == STEP_TRAP)
            return STEP_TRAP;
        compare(cpu, i, a, b);
        step = STEP_NEXT;
        break;
    case STRING_INS:
        step = string_in(cpu, i);
        break;
    default:
        step = string_out(cpu, i);
        break;
    }
    if (step == STEP_TRAP)
        return step;
    if (op == STRING_MOVS || op == STRING_LODS || op == STRING_CMPS || op == STRING_OUTS)
        advance(cpu, i, RSI, 1);
    if (op != STRING_LODS && op != STRING_OUTS)
        advance(cpu, i, RDI, 1);
    return step;
}

/* How many elements from a register's address on, count at most, lie in its page and its segment; 0 also if the TLB
 * does not lead there for this access. */
static uint64_t elements_at_once(struct cpu *cpu, const struct insn *i, unsigned seg, enum gpr reg,
                                 enum access access, uint64_t count, uint8_t **host)
{
    uint64_t off = reg_get(cpu, reg * 8, i->asize), va, n;
    const struct tlb_entry *e;

    if (!linear(cpu, seg, off, i->size, access, &va))
        return 0;
    e = tlb_slot(cpu, va, cpu->user);
    if ((access == ACCESS_WRITE ? e->write : e->read) != (va & PAGE_MASK))
        return 0;
    n = (GPA_PAGE_SIZE - (va & ~PAGE_MASK)) / i->size;
    n = n < count ? n : count;
    if (!n || n * i->size - 1 > size_mask(i->asize) - off ||
        !linear(cpu, seg, off, (unsigned)n * i->size, access, &va))
        return 0;
    *host = (uint8_t *)(uintptr_t)(va + e->addend);
    return n;
}

static void fill(uint8_t *to, uint64_t v, unsigned size, uint64_t count)
{
    if (size == 1)
        memset(to, (int)v, count);
    else
        for (uint64_t k = 0; k < count; k++)
            store(to + k * size, size, v);
}

/* REP MOVS and STOS upwards: as many elements at once as stay in their pages. Returns how many were done; 0 leaves them
 * to the general way, which raises what is to be raised. */
static uint64_t bulk(struct cpu *cpu, const struct insn *i, enum string_op op, uint64_t count)
{
    uint8_t *to = NULL, *from = NULL;
    uint64_t n;

    if (cpu->regs->rflags & RFLAGS_DF)
        return 0;
    n = elements_at_once(cpu, i, i->reg[0], RDI, ACCESS_WRITE, count, &to);
    if (n && op == STRING_MOVS)
        n = elements_at_once(cpu, i, i->seg, RSI, ACCESS_READ, n, &from);
    if (!n || (op == STRING_MOVS && from < to && to < from + n * i->size)) /* it would repeat a pattern */
        return 0;
    if (op == STRING_MOVS) {
        memmove(to, from, n * i->size);
        advance(cpu, i, RSI, n);
    } else {
        fill(to, cpu->gpr[RAX], i->size, n);
    }
    advance(cpu, i, RDI, n);
    return n;
}

INLINE enum step string(struct cpu *cpu, const struct insn *i, enum string_op op)
{
    bool compares = op == STRING_SCAS || op == STRING_CMPS;
    enum step step = STEP_NEXT;

    if (i->rep == REP_NONE)
        return element(cpu, i, op);
    for (unsigned n = 0; n < REP_ELEMENTS && step == STEP_NEXT; n++) {
        uint64_t count = reg_get(cpu, RCX * 8, i->asize);

        if (!count)
            return STEP_NEXT;
        if (op == STRING_MOVS || op == STRING_STOS) {
            uint64_t done = bulk(cpu, i, op, count);

            if (done) {
                reg_set(cpu, RCX * 8, i->asize, count - done);
                continue;
            }
        }
        step = element(cpu, i, op);
        if (step == STEP_TRAP)
            return step;
        reg_set(cpu, RCX * 8, i->asize, count - 1);
        if (count == 1 || (compares && flag_zf(cpu) != (i->rep == REP_E)))
            return step;
    }
    cpu->rip = insn_rip(cpu, i); /* elements are left: the same instruction again */
    return STEP_BRANCH;
}

#define STRING_HANDLER(op)                                                                                   \
    static enum step string_##op(struct cpu *cpu, const struct insn *i)                                      \
    {                                                                                                        \
        return string(cpu, i, STRING_##op);                                                                  \
    }
STRING_HANDLER(MOVS)
STRING_HANDLER(STOS)
STRING_HANDLER(LODS)
STRING_HANDLER(SCAS)
STRING_HANDLER(CMPS)
STRING_HANDLER(INS)
STRING_HANDLER(OUTS)

exec_fn *pick_string(const struct decoding *d, struct insn *i, unsigned op)
{
    static exec_fn *const handlers[] = {string_MOVS, string_STOS, string_LODS, string_SCAS,
                                        string_CMPS, string_INS,  string_OUTS};

    if (d->zi->meta.category != ZYDIS_CATEGORY_STRINGOP && d->zi->meta.category != ZYDIS_CATEGORY_IOSTRINGOP)
        return NULL; /* MOVSD and CMPSD are also SSE instructions */
    i->size = d->zi->operand_width / 8;
    i->reg[0] = d->mode & MODE_FLAT ? SEG_FLAT : SREG_ES;
    return handlers[op];
}
