/* PUSH, POP, PUSHA, POPA, PUSHF, POPF, ENTER, LEAVE. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/stack.h"

static enum step exec_push_reg64(struct cpu *cpu, const struct insn *i)
{
    return push(cpu, 8, reg_get(cpu, i->reg[0], 8));
}

static enum step exec_push(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;

    if (operand_read(cpu, i, 0, i->size, &v) == STEP_TRAP)
        return STEP_TRAP;
    return push(cpu, i->size, v);
}

exec_fn *pick_push(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)arg;
    i->size = d->zi->operand_width / 8;
    if (i->kind[0] == KIND_SREG)
        return exec_push_sreg;
    return i->kind[0] == KIND_REG && i->size == 8 ? exec_push_reg64 : exec_push;
}

static enum step exec_pop_reg64(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;
    enum step step = pop(cpu, 8, &v);

    if (step != STEP_TRAP)
        reg_set(cpu, i->reg[0], 8, v);
    return step;
}

/* A destination in memory is addressed with RSP already moved. */
static enum step exec_pop(struct cpu *cpu, const struct insn *i)
{
    uint64_t v, sp = cpu->gpr[RSP];
    enum step step;

    if (pop(cpu, i->size, &v) == STEP_TRAP)
        return STEP_TRAP;
    step = operand_write(cpu, i, 0, i->size, v);
    if (step == STEP_TRAP)
        cpu->gpr[RSP] = sp;
    return step;
}

exec_fn *pick_pop(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)arg;
    i->size = d->zi->operand_width / 8;
    if (i->kind[0] == KIND_SREG)
        return exec_pop_sreg;
    return i->kind[0] == KIND_REG && i->size == 8 ? exec_pop_reg64 : exec_pop;
}

static enum step exec_pusha(struct cpu *cpu, const struct insn *i)
{
    uint64_t sp = cpu->gpr[RSP];

    for (unsigned r = 0; r < 8; r++) { /* the stored SP is the one before */
        if (stack_write(cpu, sp - (r + 1) * i->size, i->size, cpu->gpr[r]) == STEP_TRAP)
            return STEP_TRAP;
    }
    stack_set(cpu, sp - 8 * i->size);
    return STEP_END;
}

exec_fn *pick_pusha(const struct decoding *d, struct insn *i, unsigned size)
{
    (void)d;
    i->size = (uint8_t)size;
    return exec_pusha;
}

static enum step exec_popa(struct cpu *cpu, const struct insn *i)
{
    uint64_t v[8];

    for (unsigned n = 0; n < 8; n++)
        if (stack_read(cpu, cpu->gpr[RSP] + n * i->size, i->size, &v[n]) == STEP_TRAP)
            return STEP_TRAP;
    for (unsigned n = 0; n < 8; n++)
        if (RDI - n != RSP)
            reg_set(cpu, (RDI - n) * 8, i->size, v[n]);
    stack_set(cpu, cpu->gpr[RSP] + 8 * i->size);
    return STEP_NEXT;
}

exec_fn *pick_popa(const struct decoding *d, struct insn *i, unsigned size)
{
    (void)d;
    i->size = (uint8_t)size;
    return exec_popa;
}

static enum step exec_pushf(struct cpu *cpu, const struct insn *i)
{
    return push(cpu, i->size, rflags_get(cpu) & ~(RFLAGS_RF | RFLAGS_VM));
}

exec_fn *pick_pushf(const struct decoding *d, struct insn *i, unsigned size)
{
    (void)d;
    i->size = (uint8_t)size;
    return exec_pushf;
}

static enum step exec_popf(struct cpu *cpu, const struct insn *i)
{
    uint64_t old = rflags_get(cpu),
             changes = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_DF | RFLAGS_NT | RFLAGS_AC | RFLAGS_ID;
    uint64_t v;

    if (pop(cpu, i->size, &v) == STEP_TRAP)
        return STEP_TRAP;
    if (cpl(cpu) == 0)
        changes |= RFLAGS_IOPL;
    if (cpl(cpu) <= (old >> 12 & 3))
        changes |= RFLAGS_IF;
    changes &= size_mask(i->size);
    rflags_set(cpu, ((old & ~changes) | (v & changes)) & ~RFLAGS_RF);
    return ~old & cpu->regs->rflags & RFLAGS_IF ? end_and_leave(cpu) : STEP_END;
}

exec_fn *pick_popf(const struct decoding *d, struct insn *i, unsigned size)
{
    (void)d;
    i->size = (uint8_t)size;
    return exec_popf;
}

/* imm: bytes of locals; extra: nesting level. Nothing changes unless every store succeeds. */
static enum step exec_enter(struct cpu *cpu, const struct insn *i)
{
    unsigned level = i->extra & 31, width = stack_width(cpu);
    uint64_t sp = cpu->gpr[RSP] - i->size, bp = cpu->gpr[RBP], frame = sp, v;

    if (stack_write(cpu, sp, i->size, bp) == STEP_TRAP)
        return STEP_TRAP;
    for (unsigned n = 1; n < level; n++) {
        bp -= i->size;
        sp -= i->size;
        if (stack_read(cpu, bp, i->size, &v) == STEP_TRAP || stack_write(cpu, sp, i->size, v) == STEP_TRAP)
            return STEP_TRAP;
    }
    if (level) {
        sp -= i->size;
        if (stack_write(cpu, sp, i->size, frame) == STEP_TRAP)
            return STEP_TRAP;
    }
    reg_set(cpu, RBP * 8, i->size, (cpu->gpr[RBP] & ~size_mask(width)) | (frame & size_mask(width)));
    stack_set(cpu, sp - i->imm);
    return STEP_END;
}

exec_fn *pick_enter(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)arg;
    i->size = d->zi->operand_width / 8;
    i->imm = d->op[0].imm.value.u & 0xffff;
    i->extra = (uint16_t)d->op[1].imm.value.u;
    return exec_enter;
}

static enum step exec_leave(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;

    if (stack_read(cpu, cpu->gpr[RBP], i->size, &v) == STEP_TRAP)
        return STEP_TRAP;
    stack_set(cpu, cpu->gpr[RBP] + i->size);
    reg_set(cpu, RBP * 8, i->size, v);
    return STEP_NEXT;
}

exec_fn *pick_leave(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)arg;
    i->size = d->zi->operand_width / 8;
    return exec_leave;
}
