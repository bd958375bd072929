/* BT BTS BTR BTC, BSF BSR TZCNT LZCNT POPCNT. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

static uint64_t bit_apply(enum bit_op op, uint64_t v, unsigned bit)
{
    switch (op) {
    case BIT_SET:
        return v | 1ull << bit;
    case BIT_RESET:
        return v & ~(1ull << bit);
    case BIT_COMPLEMENT:
        return v ^ 1ull << bit;
    default:
        return v;
    }
}

/* With a register as bit number, memory is a bit string: the operand moves by whole words, also downwards. */
static struct insn bit_string(const struct cpu *cpu, const struct insn *i)
{
    struct insn at = *i;
    int64_t number = (int64_t)sign_extend(reg_get(cpu, i->reg[1], i->size), i->size);
    unsigned shift = 3 + size_index(i->size);

    if (i->kind[0] == KIND_MEM && i->kind[1] == KIND_REG)
        at.disp += (number >> shift) * i->size;
    return at;
}

static enum step exec_bit(struct cpu *cpu, const struct insn *i)
{
    struct insn at = bit_string(cpu, i);
    uint64_t number = i->kind[1] == KIND_REG ? reg_get(cpu, i->reg[1], i->size) : i->imm, v;
    unsigned bit = (unsigned)number & (8 * i->size - 1);
    struct rmw rmw;
    enum step step;

    if (i->extra == BIT_TEST)
        step = operand_read(cpu, &at, 0, i->size, &v);
    else
        step = change_begin(cpu, &at, i->size, &rmw, &v);
    if (step == STEP_TRAP)
        return step;
    if (i->extra != BIT_TEST)
        step = change_end(cpu, &at, i->size, &rmw, bit_apply(i->extra, v, bit));
    flag_set_cf(cpu, v >> bit & 1);
    return step;
}

exec_fn *pick_bit(const struct decoding *d, struct insn *i, unsigned op)
{
    (void)d;
    i->extra = (uint16_t)op;
    return exec_bit;
}

static enum step exec_scan(struct cpu *cpu, const struct insn *i)
{
    unsigned bits = 8 * i->size;
    uint64_t v, r;
    enum step step = operand_read(cpu, i, 1, i->size, &v);

    if (step == STEP_TRAP)
        return step;
    switch (i->extra) {
    case SCAN_BSF:
    case SCAN_BSR: /* of zero: ZF, and the destination keeps its value */
        if (v)
            reg_set(cpu, i->reg[0], i->size,
                    (unsigned)(i->extra == SCAN_BSF ? __builtin_ctzll(v) : 63 - __builtin_clzll(v)));
        flag_set_zf(cpu, !v);
        return step;
    case SCAN_TZCNT:
        r = v ? (unsigned)__builtin_ctzll(v) : bits;
        break;
    case SCAN_LZCNT:
        r = v ? (unsigned)__builtin_clzll(v) - (64 - bits) : bits;
        break;
    default:
        reg_set(cpu, i->reg[0], i->size, (unsigned)__builtin_popcountll(v));
        flags_set_arith(cpu, v ? 0 : RFLAGS_ZF);
        return step;
    }
    reg_set(cpu, i->reg[0], i->size, r);
    flags_set_arith(cpu, (v ? 0 : RFLAGS_CF) | (r ? 0 : RFLAGS_ZF));
    return step;
}

exec_fn *pick_scan(const struct decoding *d, struct insn *i, unsigned op)
{
    (void)d;
    i->extra = (uint16_t)op;
    return exec_scan;
}
