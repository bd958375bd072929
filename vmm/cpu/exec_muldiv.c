/* MUL, IMUL, DIV, IDIV. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

typedef unsigned __int128 u128;
typedef __int128 i128;

/* The accumulator pair: AX for bytes, else rDX:rAX. */
static u128 pair_get(const struct cpu *cpu, unsigned size)
{
    if (size == 1)
        return reg_get(cpu, RAX * 8, 2);
    return (u128)reg_get(cpu, RDX * 8, size) << (8 * size) | reg_get(cpu, RAX * 8, size);
}

static void pair_set(struct cpu *cpu, unsigned size, uint64_t hi, uint64_t lo)
{
    reg_set(cpu, RAX * 8, size, lo);
    reg_set(cpu, size == 1 ? RAX * 8 + 1 : RDX * 8, size, hi);
}

static enum step multiply_pair(struct cpu *cpu, const struct insn *i, bool is_signed)
{
    unsigned size = i->size;
    uint64_t b, a = reg_get(cpu, RAX * 8, size), lo;
    enum step step = operand_read(cpu, i, 0, size, &b);
    bool wide;
    u128 r;

    if (step == STEP_TRAP)
        return step;
    if (is_signed)
        r = (u128)((i128)(int64_t)sign_extend(a, size) * (int64_t)sign_extend(b, size));
    else
        r = (u128)a * b;
    lo = (uint64_t)r & size_mask(size);
    wide = is_signed ? r != (u128)(i128)(int64_t)sign_extend(lo, size) : r >> (8 * size) != 0;
    pair_set(cpu, size, (uint64_t)(r >> (8 * size)) & size_mask(size), lo);
    flags_result(cpu, lo, size, wide, wide);
    return step;
}

static enum step exec_mul(struct cpu *cpu, const struct insn *i)
{
    return multiply_pair(cpu, i, false);
}

static enum step exec_imul_pair(struct cpu *cpu, const struct insn *i)
{
    return multiply_pair(cpu, i, true);
}

/* IMUL r, r/m and IMUL r, r/m, imm. */
static enum step exec_imul(struct cpu *cpu, const struct insn *i)
{
    unsigned size = i->size;
    uint64_t a, b = i->kind[2] == KIND_IMM ? i->imm : sign_extend(reg_get(cpu, i->reg[0], size), size), lo;
    enum step step = operand_read(cpu, i, 1, size, &a);
    bool wide;
    i128 r;

    if (step == STEP_TRAP)
        return step;
    r = (i128)(int64_t)sign_extend(a, size) * (int64_t)b;
    lo = (uint64_t)r & size_mask(size);
    wide = r != (int64_t)sign_extend(lo, size);
    reg_set(cpu, i->reg[0], size, lo);
    flags_result(cpu, lo, size, wide, wide);
    return step;
}

exec_fn *pick_mul(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_mul;
}

exec_fn *pick_imul(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)arg;
    return i->kind[1] == KIND_NONE ? exec_imul_pair : exec_imul;
}

static enum step divide_error(struct cpu *cpu)
{
    return raise_trap(cpu, (struct trap){.vector = TRAP_DE});
}

static enum step exec_div(struct cpu *cpu, const struct insn *i)
{
    u128 a = pair_get(cpu, i->size), q;
    uint64_t b;
    enum step step = operand_read(cpu, i, 0, i->size, &b);

    if (step == STEP_TRAP)
        return step;
    if (!b)
        return divide_error(cpu);
    q = a / b;
    if (q > size_mask(i->size))
        return divide_error(cpu);
    pair_set(cpu, i->size, (uint64_t)(a % b), (uint64_t)q);
    return step;
}

static enum step exec_idiv(struct cpu *cpu, const struct insn *i)
{
    unsigned pair_bits = 16 * i->size;
    i128 a = (i128)(pair_get(cpu, i->size) << (128 - pair_bits)) >> (128 - pair_bits), q, b;
    uint64_t raw;
    enum step step = operand_read(cpu, i, 0, i->size, &raw);

    if (step == STEP_TRAP)
        return step;
    b = (int64_t)sign_extend(raw, i->size);
    if (!b || (b == -1 && a == (i128)((u128)1 << 127))) /* the host would trap on the second */
        return divide_error(cpu);
    q = a / b;
    if (q != (int64_t)sign_extend((uint64_t)q, i->size))
        return divide_error(cpu);
    pair_set(cpu, i->size, (uint64_t)(a % b) & size_mask(i->size), (uint64_t)q & size_mask(i->size));
    return step;
}

exec_fn *pick_div(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_div;
}

exec_fn *pick_idiv(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_idiv;
}
