/* ADD OR ADC SBB AND SUB XOR CMP TEST, INC DEC NEG NOT. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

/* a and b are masked to size; so is the result. */
INLINE uint64_t alu_compute(enum alu_op op, unsigned size, uint64_t a, uint64_t b, bool carry)
{
    switch (op) {
    case ALU_ADD:
        return (a + b) & size_mask(size);
    case ALU_ADC:
        return (a + b + carry) & size_mask(size);
    case ALU_SUB:
    case ALU_CMP:
        return (a - b) & size_mask(size);
    case ALU_SBB:
        return (a - b - carry) & size_mask(size);
    case ALU_OR:
        return a | b;
    case ALU_XOR:
        return a ^ b;
    default:
        return a & b;
    }
}

INLINE void alu_flags(struct cpu *cpu, enum alu_op op, unsigned size, uint64_t a, uint64_t b, uint64_t r)
{
    if (op == ALU_ADD || op == ALU_ADC)
        flags_add(cpu, a, b, r, size);
    else if (op == ALU_SUB || op == ALU_SBB || op == ALU_CMP)
        flags_sub(cpu, a, b, r, size);
    else
        flags_logic(cpu, r, size);
}

/* One body, compiled once for each operation, size and form. */
INLINE enum step alu(struct cpu *cpu, const struct insn *i, enum alu_op op, unsigned size, enum form form)
{
    bool writes = op != ALU_CMP && op != ALU_TEST, to_mem = form == FORM_MR || form == FORM_MI;
    bool carry = (op == ALU_ADC || op == ALU_SBB) && flag_cf(cpu);
    enum step step = STEP_NEXT;
    uint64_t a, b, r;
    struct rmw rmw;

    if (form == FORM_RM)
        step = mem_read(cpu, i, size, &b);
    else
        b = form == FORM_RI || form == FORM_MI ? i->imm & size_mask(size) : reg_get(cpu, i->reg[1], size);
    if (!to_mem)
        a = reg_get(cpu, i->reg[0], size);
    else
        step = writes ? rmw_begin(cpu, i, size, &rmw, &a) : mem_read(cpu, i, size, &a);
    if (step == STEP_TRAP)
        return step;
    r = alu_compute(op, size, a, b, carry);
    if (writes && to_mem)
        step = rmw_end(cpu, &rmw, size, r);
    else if (writes)
        reg_set(cpu, i->reg[0], size, r);
    alu_flags(cpu, op, size, a, b, r);
    return step;
}

INLINE enum step unary(struct cpu *cpu, const struct insn *i, enum unary_op op, unsigned size)
{
    uint64_t a, r;
    struct rmw rmw;
    enum step step = change_begin(cpu, i, size, &rmw, &a);
    bool cf = flag_cf(cpu);

    if (step == STEP_TRAP)
        return step;
    r = (op == UNARY_INC ? a + 1 : op == UNARY_DEC ? a - 1 : op == UNARY_NEG ? 0 - a : ~a) & size_mask(size);
    step = change_end(cpu, i, size, &rmw, r);
    if (op == UNARY_INC)
        flags_add(cpu, a, 1, r, size);
    else if (op == UNARY_DEC)
        flags_sub(cpu, a, 1, r, size);
    else if (op == UNARY_NEG)
        flags_sub(cpu, 0, a, r, size);
    if (op == UNARY_INC || op == UNARY_DEC)
        flag_set_cf(cpu, cf);
    return step;
}

#define ALU_INSTANCE(op, size, form)                                                                         \
    static enum step alu_##op##_##size##_##form(struct cpu *cpu, const struct insn *i)                       \
    {                                                                                                        \
        return alu(cpu, i, ALU_##op, size, FORM_##form);                                                     \
    }
#define ALU_SIZE(op, size)                                                                                   \
    ALU_INSTANCE(op, size, RR)                                                                               \
    ALU_INSTANCE(op, size, RI)                                                                               \
    ALU_INSTANCE(op, size, RM) ALU_INSTANCE(op, size, MR) ALU_INSTANCE(op, size, MI)
#define ALU_OP(op) ALU_SIZE(op, 1) ALU_SIZE(op, 2) ALU_SIZE(op, 4) ALU_SIZE(op, 8)
ALU_OP(ADD)
ALU_OP(OR)
ALU_OP(ADC)
ALU_OP(SBB)
ALU_OP(AND)
ALU_OP(SUB)
ALU_OP(XOR)
ALU_OP(CMP)
ALU_OP(TEST)

#define ALU_FORMS(op, size)                                                                                  \
    {                                                                                                        \
        alu_##op##_##size##_RR, alu_##op##_##size##_RI, alu_##op##_##size##_RM, alu_##op##_##size##_MR,      \
            alu_##op##_##size##_MI                                                                           \
    }
#define ALU_ROW(op) [ALU_##op] = {ALU_FORMS(op, 1), ALU_FORMS(op, 2), ALU_FORMS(op, 4), ALU_FORMS(op, 8)}

exec_fn *pick_alu(const struct decoding *d, struct insn *i, unsigned op)
{
    static exec_fn *const handlers[ALU_OPS][4][FORMS] = {ALU_ROW(ADD), ALU_ROW(OR),  ALU_ROW(ADC),
                                                         ALU_ROW(SBB), ALU_ROW(AND), ALU_ROW(SUB),
                                                         ALU_ROW(XOR), ALU_ROW(CMP), ALU_ROW(TEST)};
    enum form form = insn_form(i);

    (void)d;
    return form < FORMS ? handlers[op][size_index(i->size)][form] : NULL;
}

#define UNARY_INSTANCE(op, size)                                                                             \
    static enum step unary_##op##_##size(struct cpu *cpu, const struct insn *i)                              \
    {                                                                                                        \
        return unary(cpu, i, UNARY_##op, size);                                                              \
    }
#define UNARY_OP(op) UNARY_INSTANCE(op, 1) UNARY_INSTANCE(op, 2) UNARY_INSTANCE(op, 4) UNARY_INSTANCE(op, 8)
UNARY_OP(INC)
UNARY_OP(DEC)
UNARY_OP(NEG)
UNARY_OP(NOT)
#define UNARY_ROW(op) [UNARY_##op] = {unary_##op##_1, unary_##op##_2, unary_##op##_4, unary_##op##_8}

exec_fn *pick_unary(const struct decoding *d, struct insn *i, unsigned op)
{
    static exec_fn *const handlers[UNARY_OPS][4] = {UNARY_ROW(INC), UNARY_ROW(DEC), UNARY_ROW(NEG),
                                                    UNARY_ROW(NOT)};

    (void)d;
    return handlers[op][size_index(i->size)];
}
