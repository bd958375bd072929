/* Shifts and rotates, single and double. Intel SDM vol. 2; flags that it leaves undefined follow the usual formula. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

/* Rotates change CF and OF only. */
INLINE void flags_rotate(struct cpu *cpu, bool cf, bool of)
{
    cpu->flags.aux = (cpu->flags.aux & ~(AUX_CF | AUX_INTO)) | aux_carry_overflow(cf, of);
}
INLINE bool top_bit(uint64_t v, unsigned bits)
{
    return v >> (bits - 1) & 1;
}

/* Rotates through carry: bits + 1 positions, count already reduced and not 0. */
INLINE uint64_t rotate_carry(bool left, uint64_t a, unsigned bits, unsigned count, bool *cf)
{
    unsigned __int128 wide = (unsigned __int128)*cf << bits | a, r;
    unsigned n = left ? count : bits + 1 - count;

    r = wide << n | wide >> (bits + 1 - n);
    *cf = r >> bits & 1;
    return (uint64_t)r & size_mask(bits / 8);
}

/* a is masked to size, count is masked and not 0. */
INLINE uint64_t shift_compute(struct cpu *cpu, enum shift_op op, unsigned size, uint64_t a, unsigned count)
{
    unsigned bits = 8 * size, n = count % bits;
    uint64_t mask = size_mask(size), r = a;
    bool cf = flag_cf(cpu);

    switch (op) {
    case SHIFT_ROL:
        r = n ? (a << n | a >> (bits - n)) & mask : a;
        flags_rotate(cpu, r & 1, top_bit(r, bits) != (r & 1));
        break;
    case SHIFT_ROR:
        r = n ? (a >> n | a << (bits - n)) & mask : a;
        flags_rotate(cpu, top_bit(r, bits), top_bit(r, bits) != top_bit(r, bits - 1));
        break;
    case SHIFT_RCL:
    case SHIFT_RCR:
        n = count % (bits + 1);
        if (n)
            r = rotate_carry(op == SHIFT_RCL, a, bits, n, &cf);
        flags_rotate(cpu, cf,
                     op == SHIFT_RCL ? top_bit(r, bits) != cf : top_bit(r, bits) != top_bit(r, bits - 1));
        break;
    case SHIFT_SHL:
        cf = count <= bits && (a >> (bits - count) & 1);
        r = a << count & mask;
        flags_result(cpu, r, size, cf, top_bit(r, bits) != cf);
        break;
    case SHIFT_SHR:
        cf = a >> (count - 1) & 1;
        r = a >> count;
        flags_result(cpu, r, size, cf, top_bit(a, bits) && count == 1);
        break;
    default:
        a = sign_extend(a, size);
        cf = (int64_t)a >> (count - 1) & 1;
        r = (uint64_t)((int64_t)a >> count) & mask;
        flags_result(cpu, r, size, cf, false);
        break;
    }
    return r;
}

INLINE enum step shift(struct cpu *cpu, const struct insn *i, enum shift_op op, unsigned size)
{
    unsigned count =
        (unsigned)(i->kind[1] == KIND_REG ? reg_get(cpu, RCX * 8, 1) : i->imm) & (size == 8 ? 63 : 31);
    struct rmw rmw;
    uint64_t a;
    enum step step = change_begin(cpu, i, size, &rmw, &a);
    struct lazy_flags before = cpu->flags;

    if (step == STEP_TRAP)
        return step;
    if (count)
        a = shift_compute(cpu, op, size, a, count);
    step = change_end(cpu, i, size, &rmw, a);
    if (step == STEP_TRAP)
        cpu->flags = before;
    return step;
}

#define SHIFT_INSTANCE(op, size)                                                                             \
    static enum step shift_##op##_##size(struct cpu *cpu, const struct insn *i)                              \
    {                                                                                                        \
        return shift(cpu, i, SHIFT_##op, size);                                                              \
    }
#define SHIFT_OP(op) SHIFT_INSTANCE(op, 1) SHIFT_INSTANCE(op, 2) SHIFT_INSTANCE(op, 4) SHIFT_INSTANCE(op, 8)
SHIFT_OP(ROL)
SHIFT_OP(ROR)
SHIFT_OP(RCL)
SHIFT_OP(RCR)
SHIFT_OP(SHL)
SHIFT_OP(SHR)
SHIFT_OP(SAR)
#define SHIFT_ROW(op) [SHIFT_##op] = {shift_##op##_1, shift_##op##_2, shift_##op##_4, shift_##op##_8}

exec_fn *pick_shift(const struct decoding *d, struct insn *i, unsigned op)
{
    static exec_fn *const handlers[SHIFT_OPS][4] = {SHIFT_ROW(ROL), SHIFT_ROW(ROR), SHIFT_ROW(RCL),
                                                    SHIFT_ROW(RCR), SHIFT_ROW(SHL), SHIFT_ROW(SHR),
                                                    SHIFT_ROW(SAR)};

    (void)d;
    return handlers[op][size_index(i->size)];
}

static enum step double_shift(struct cpu *cpu, const struct insn *i, bool left)
{
    unsigned bits = 8 * i->size, count;
    uint64_t a, b = reg_get(cpu, i->reg[1], i->size), r;
    struct rmw rmw;
    enum step step = change_begin(cpu, i, i->size, &rmw, &a);
    unsigned __int128 wide;
    bool cf;

    if (step == STEP_TRAP)
        return step;
    count = (unsigned)(i->kind[2] == KIND_REG ? reg_get(cpu, RCX * 8, 1) : i->imm) & (bits == 64 ? 63 : 31);
    if (!count)
        return change_end(cpu, i, i->size, &rmw, a);
    if (count > bits) /* 16-bit only, undefined: as if the operands repeated */
        count -= bits;
    if (left) {
        wide = (unsigned __int128)a << bits | b;
        r = (uint64_t)(wide >> (bits - count)) & size_mask(i->size);
        cf = a >> (bits - count) & 1;
    } else {
        wide = (unsigned __int128)b << bits | a;
        r = (uint64_t)(wide >> count) & size_mask(i->size);
        cf = a >> (count - 1) & 1;
    }
    step = change_end(cpu, i, i->size, &rmw, r);
    flags_result(cpu, r, i->size, cf, top_bit(r, bits) != top_bit(a, bits));
    return step;
}

static enum step exec_shld(struct cpu *cpu, const struct insn *i)
{
    return double_shift(cpu, i, true);
}

static enum step exec_shrd(struct cpu *cpu, const struct insn *i)
{
    return double_shift(cpu, i, false);
}

exec_fn *pick_double_shift(const struct decoding *d, struct insn *i, unsigned op)
{
    (void)d, (void)i;
    return op == SHIFT_SHL ? exec_shld : exec_shrd;
}
