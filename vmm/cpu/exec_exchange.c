/* XCHG, XADD, CMPXCHG and its wide forms. vCPUs run in turn, so LOCK needs nothing. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

static enum step exec_xchg(struct cpu *cpu, const struct insn *i)
{
    uint64_t a, b = reg_get(cpu, i->reg[1], i->size);
    struct rmw rmw;
    enum step step = change_begin(cpu, i, i->size, &rmw, &a);

    if (step == STEP_TRAP)
        return step;
    step = change_end(cpu, i, i->size, &rmw, b);
    reg_set(cpu, i->reg[1], i->size, a);
    return step;
}

/* Zydis names the register first in "xchg r, m" of some encodings. */
static void memory_first(struct insn *i)
{
    if (i->kind[1] == KIND_MEM) {
        i->kind[1] = KIND_REG;
        i->reg[1] = i->reg[0];
        i->kind[0] = KIND_MEM;
    }
}

exec_fn *pick_xchg(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)arg;
    memory_first(i);
    return exec_xchg;
}

static enum step exec_xadd(struct cpu *cpu, const struct insn *i)
{
    uint64_t a, b = reg_get(cpu, i->reg[1], i->size), r;
    struct rmw rmw;
    enum step step = change_begin(cpu, i, i->size, &rmw, &a);

    if (step == STEP_TRAP)
        return step;
    r = (a + b) & size_mask(i->size);
    if (i->kind[0] == KIND_MEM) {
        step = rmw_end(cpu, &rmw, i->size, r);
        reg_set(cpu, i->reg[1], i->size, a);
    } else { /* xadd r, r of one register leaves the sum */
        reg_set(cpu, i->reg[1], i->size, a);
        reg_set(cpu, i->reg[0], i->size, r);
    }
    flags_add(cpu, a, b, r, i->size);
    return step;
}

exec_fn *pick_xadd(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_xadd;
}

/* Memory is written in both cases, as the manual says; a register destination is left alone when unequal. */
static enum step exec_cmpxchg(struct cpu *cpu, const struct insn *i)
{
    uint64_t a, acc = reg_get(cpu, RAX * 8, i->size), b = reg_get(cpu, i->reg[1], i->size);
    struct rmw rmw;
    enum step step = change_begin(cpu, i, i->size, &rmw, &a);

    if (step == STEP_TRAP)
        return step;
    if (acc == a) {
        step = change_end(cpu, i, i->size, &rmw, b);
    } else {
        if (i->kind[0] == KIND_MEM)
            step = rmw_end(cpu, &rmw, i->size, a);
        reg_set(cpu, RAX * 8, i->size, a);
    }
    flags_sub(cpu, acc, a, (acc - a) & size_mask(i->size), i->size);
    return step;
}

exec_fn *pick_cmpxchg(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_cmpxchg;
}

/* CMPXCHG8B and 16B: i->size is the size of one half. */
static enum step exec_cmpxchg_wide(struct cpu *cpu, const struct insn *i)
{
    unsigned half = i->size;
    uint64_t va, lo, hi;
    bool equal;
    enum step step;

    if (!insn_linear(cpu, i, 2 * half, ACCESS_WRITE, &va))
        return STEP_TRAP;
    if (half == 8 && (va & 15))
        return raise_gp(cpu, 0);
    if (!mem_probe_write(cpu, va, half, cpu->user) || !mem_probe_write(cpu, va + half, half, cpu->user) ||
        lin_read(cpu, va, half, &lo, cpu->user) == STEP_TRAP ||
        lin_read(cpu, va + half, half, &hi, cpu->user) == STEP_TRAP)
        return STEP_TRAP;
    equal = lo == reg_get(cpu, RAX * 8, half) && hi == reg_get(cpu, RDX * 8, half);
    step = lin_write(cpu, va, half, equal ? reg_get(cpu, RBX * 8, half) : lo, cpu->user);
    if (lin_write(cpu, va + half, half, equal ? reg_get(cpu, RCX * 8, half) : hi, cpu->user) == STEP_END)
        step = STEP_END;
    if (!equal) {
        reg_set(cpu, RAX * 8, half, lo);
        reg_set(cpu, RDX * 8, half, hi);
    }
    flag_set_zf(cpu, equal);
    return step;
}

exec_fn *pick_cmpxchg_wide(const struct decoding *d, struct insn *i, unsigned half)
{
    (void)d;
    i->size = (uint8_t)half;
    return exec_cmpxchg_wide;
}
