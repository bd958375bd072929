/* MOV and its extensions, LEA, CMOVcc, SETcc, BSWAP, CBW/CWD families, XLAT, MOVBE. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

INLINE enum step mov(struct cpu *cpu, const struct insn *i, unsigned size, enum form form)
{
    enum step step;
    uint64_t v;

    switch (form) {
    case FORM_RR:
        reg_set(cpu, i->reg[0], size, reg_get(cpu, i->reg[1], size));
        return STEP_NEXT;
    case FORM_RI:
        reg_set(cpu, i->reg[0], size, i->imm);
        return STEP_NEXT;
    case FORM_RM:
        step = mem_read(cpu, i, size, &v);
        if (step != STEP_TRAP)
            reg_set(cpu, i->reg[0], size, v);
        return step;
    case FORM_MR:
        return mem_write(cpu, i, size, reg_get(cpu, i->reg[1], size));
    default:
        return mem_write(cpu, i, size, i->imm);
    }
}

#define MOV_INSTANCE(size, form)                                                                             \
    static enum step mov_##size##_##form(struct cpu *cpu, const struct insn *i)                              \
    {                                                                                                        \
        return mov(cpu, i, size, FORM_##form);                                                               \
    }
#define MOV_SIZE(size)                                                                                       \
    MOV_INSTANCE(size, RR)                                                                                   \
    MOV_INSTANCE(size, RI) MOV_INSTANCE(size, RM) MOV_INSTANCE(size, MR) MOV_INSTANCE(size, MI)
MOV_SIZE(1)
MOV_SIZE(2)
MOV_SIZE(4)
MOV_SIZE(8)
#define MOV_ROW(size)                                                                                        \
    {                                                                                                        \
        mov_##size##_RR, mov_##size##_RI, mov_##size##_RM, mov_##size##_MR, mov_##size##_MI                  \
    }

exec_fn *pick_mov(const struct decoding *d, struct insn *i, unsigned arg)
{
    static exec_fn *const handlers[4][FORMS] = {MOV_ROW(1), MOV_ROW(2), MOV_ROW(4), MOV_ROW(8)};
    static const struct {
        uint8_t operand, kind;
        exec_fn *handler;
    } special[] = {{0, KIND_SREG, exec_mov_to_sreg}, {1, KIND_SREG, exec_mov_from_sreg},
                   {0, KIND_CR, exec_mov_to_cr},     {1, KIND_CR, exec_mov_from_cr},
                   {0, KIND_DR, exec_mov_to_dr},     {1, KIND_DR, exec_mov_from_dr}};
    enum form form = insn_form(i);

    (void)d, (void)arg;
    for (unsigned n = 0; n < sizeof(special) / sizeof(*special); n++)
        if (i->kind[special[n].operand] == special[n].kind)
            return special[n].handler;
    return form < FORMS ? handlers[size_index(i->size)][form] : NULL;
}

/* MOVZX, MOVSX, MOVSXD: from is the source's size. */
INLINE enum step mov_extend(struct cpu *cpu, const struct insn *i, unsigned from, bool is_signed)
{
    uint64_t v;
    enum step step = operand_read(cpu, i, 1, from, &v);

    if (step != STEP_TRAP)
        reg_set(cpu, i->reg[0], i->size, is_signed ? sign_extend(v, from) : v);
    return step;
}
#define EXTEND_INSTANCE(name, from, is_signed)                                                               \
    static enum step name##_##from(struct cpu *cpu, const struct insn *i)                                    \
    {                                                                                                        \
        return mov_extend(cpu, i, from, is_signed);                                                          \
    }
EXTEND_INSTANCE(movzx, 1, false)
EXTEND_INSTANCE(movzx, 2, false)
EXTEND_INSTANCE(movsx, 1, true)
EXTEND_INSTANCE(movsx, 2, true)
EXTEND_INSTANCE(movsx, 4, true)

exec_fn *pick_movzx(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)arg;
    return i->src_size == 1 ? movzx_1 : movzx_2;
}

exec_fn *pick_movsx(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)arg;
    return i->src_size == 1 ? movsx_1 : i->src_size == 2 ? movsx_2 : movsx_4;
}

static enum step exec_lea(struct cpu *cpu, const struct insn *i)
{
    reg_set(cpu, i->reg[0], i->size, insn_offset(cpu, i));
    return STEP_NEXT;
}

exec_fn *pick_lea(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_lea;
}

/* The source is read, and can fault, whatever the condition; a 32-bit destination is always zero-extended. */
static enum step exec_cmov(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;
    enum step step = operand_read(cpu, i, 1, i->size, &v);

    if (step != STEP_TRAP)
        reg_set(cpu, i->reg[0], i->size, condition(cpu, i->extra) ? v : reg_get(cpu, i->reg[0], i->size));
    return step;
}

exec_fn *pick_cmov(const struct decoding *d, struct insn *i, unsigned cc)
{
    (void)d;
    i->extra = (uint16_t)cc;
    return exec_cmov;
}

static enum step exec_setcc(struct cpu *cpu, const struct insn *i)
{
    return operand_write(cpu, i, 0, 1, condition(cpu, i->extra));
}

exec_fn *pick_setcc(const struct decoding *d, struct insn *i, unsigned cc)
{
    (void)d;
    i->extra = (uint16_t)cc;
    return exec_setcc;
}

static enum step exec_bswap(struct cpu *cpu, const struct insn *i)
{
    uint64_t v = reg_get(cpu, i->reg[0], i->size);

    /* 16-bit: undefined by the manual, zero on every CPU seen */
    v = i->size == 8 ? __builtin_bswap64(v) : i->size == 4 ? __builtin_bswap32((uint32_t)v) : 0;
    reg_set(cpu, i->reg[0], i->size, v);
    return STEP_NEXT;
}

exec_fn *pick_bswap(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_bswap;
}

static enum step exec_movbe(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;
    enum step step = operand_read(cpu, i, 1, i->size, &v);

    if (step == STEP_TRAP)
        return step;
    return operand_write(cpu, i, 0, i->size, __builtin_bswap64(v) >> (64 - 8 * i->size));
}

exec_fn *pick_movbe(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_movbe;
}

/* CBW, CWDE, CDQE: the accumulator's lower half, sign-extended to size. */
static enum step exec_convert(struct cpu *cpu, const struct insn *i)
{
    unsigned half = i->size / 2;

    reg_set(cpu, RAX * 8, i->size, sign_extend(reg_get(cpu, RAX * 8, half), half));
    return STEP_NEXT;
}

exec_fn *pick_convert(const struct decoding *d, struct insn *i, unsigned size)
{
    (void)d;
    i->size = (uint8_t)size;
    return exec_convert;
}

/* CWD, CDQ, CQO: the accumulator's sign fills the data register. */
static enum step exec_double(struct cpu *cpu, const struct insn *i)
{
    bool negative = sign_extend(reg_get(cpu, RAX * 8, i->size), i->size) >> 63;

    reg_set(cpu, RDX * 8, i->size, negative ? ~0ull : 0);
    return STEP_NEXT;
}

exec_fn *pick_double(const struct decoding *d, struct insn *i, unsigned size)
{
    (void)d;
    i->size = (uint8_t)size;
    return exec_double;
}

static enum step exec_xlat(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;
    enum step step = mem_read(cpu, i, 1, &v);

    if (step != STEP_TRAP)
        reg_set(cpu, RAX * 8, 1, v);
    return step;
}

/* The address is rBX + AL: the second part is in no register of its own, so it is added at run time. */
static enum step exec_xlat_al(struct cpu *cpu, const struct insn *i)
{
    struct insn at = *i;

    at.disp = (int64_t)reg_get(cpu, RAX * 8, 1);
    return exec_xlat(cpu, &at);
}

exec_fn *pick_xlat(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)arg;
    i->base = RBX;
    return exec_xlat_al;
}
