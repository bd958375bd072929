/* Near control flow: JMP, Jcc, CALL, RET, LOOP, JCXZ. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/stack.h"

/* The target as the operand size leaves it. A target outside CS's limit faults at the fetch. */
INLINE uint64_t branch_target(const struct cpu *cpu, const struct insn *i)
{
    uint64_t target = insn_rip(cpu, i) + i->imm;

    return is_64bit(cpu) ? target : target & size_mask(i->size);
}
INLINE enum step branch(struct cpu *cpu, const struct insn *i)
{
    cpu->rip = branch_target(cpu, i);
    return STEP_BRANCH;
}

static void branch_size(const struct decoding *d, struct insn *i)
{
    i->size = d->zi->operand_width / 8;
}

static enum step exec_jmp(struct cpu *cpu, const struct insn *i)
{
    return branch(cpu, i);
}

static enum step exec_jmp_indirect(struct cpu *cpu, const struct insn *i)
{
    uint64_t target;

    if (operand_read(cpu, i, 0, i->size, &target) == STEP_TRAP)
        return STEP_TRAP;
    if (!canonical(target))
        return raise_gp(cpu, 0);
    cpu->rip = target;
    return STEP_BRANCH;
}

exec_fn *pick_jmp(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)arg;
    branch_size(d, i);
    if (d->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return exec_jmp_far;
    return i->kind[0] == KIND_IMM ? exec_jmp : exec_jmp_indirect;
}

#define JCC(cc)                                                                                              \
    static enum step jcc_##cc(struct cpu *cpu, const struct insn *i)                                         \
    {                                                                                                        \
        return condition(cpu, cc) ? branch(cpu, i) : STEP_NEXT;                                              \
    }
JCC(0)
JCC(1)
JCC(2)
JCC(3)
JCC(4)
JCC(5)
JCC(6)
JCC(7)
JCC(8)
JCC(9)
JCC(10)
JCC(11)
JCC(12)
JCC(13)
JCC(14)
JCC(15)

exec_fn *pick_jcc(const struct decoding *d, struct insn *i, unsigned cc)
{
    static exec_fn *const handlers[16] = {jcc_0, jcc_1, jcc_2,  jcc_3,  jcc_4,  jcc_5,  jcc_6,  jcc_7,
                                          jcc_8, jcc_9, jcc_10, jcc_11, jcc_12, jcc_13, jcc_14, jcc_15};

    branch_size(d, i);
    return handlers[cc];
}

static enum step exec_call(struct cpu *cpu, const struct insn *i)
{
    if (push(cpu, i->size, insn_next(cpu, i)) == STEP_TRAP)
        return STEP_TRAP;
    return branch(cpu, i);
}

static enum step exec_call_indirect(struct cpu *cpu, const struct insn *i)
{
    uint64_t target;

    if (operand_read(cpu, i, 0, i->size, &target) == STEP_TRAP)
        return STEP_TRAP;
    if (!canonical(target))
        return raise_gp(cpu, 0);
    if (push(cpu, i->size, insn_next(cpu, i)) == STEP_TRAP)
        return STEP_TRAP;
    cpu->rip = target;
    return STEP_BRANCH;
}

exec_fn *pick_call(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)arg;
    branch_size(d, i);
    if (d->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR)
        return exec_call_far;
    return i->kind[0] == KIND_IMM ? exec_call : exec_call_indirect;
}

/* imm: bytes of arguments to release, 0 without operand. */
static enum step exec_ret(struct cpu *cpu, const struct insn *i)
{
    uint64_t target;

    if (stack_read(cpu, cpu->gpr[RSP], i->size, &target) == STEP_TRAP)
        return STEP_TRAP;
    if (!canonical(target))
        return raise_gp(cpu, 0);
    stack_set(cpu, cpu->gpr[RSP] + i->size + i->imm);
    cpu->rip = target;
    return STEP_BRANCH;
}

exec_fn *pick_ret(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)arg;
    branch_size(d, i);
    i->imm &= 0xffff;
    return d->zi->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR ? exec_ret_far : exec_ret;
}

/* extra: 0 LOOP, 1 LOOPE, 2 LOOPNE. */
static enum step exec_loop(struct cpu *cpu, const struct insn *i)
{
    uint64_t count = (reg_get(cpu, RCX * 8, i->asize) - 1) & size_mask(i->asize);

    reg_set(cpu, RCX * 8, i->asize, count);
    if (!count || (i->extra == 1 && !flag_zf(cpu)) || (i->extra == 2 && flag_zf(cpu)))
        return STEP_NEXT;
    return branch(cpu, i);
}

exec_fn *pick_loop(const struct decoding *d, struct insn *i, unsigned kind)
{
    branch_size(d, i);
    i->extra = (uint16_t)kind;
    return exec_loop;
}

static enum step exec_jcxz(struct cpu *cpu, const struct insn *i)
{
    return reg_get(cpu, RCX * 8, i->extra) ? STEP_NEXT : branch(cpu, i);
}

exec_fn *pick_jcxz(const struct decoding *d, struct insn *i, unsigned count_size)
{
    branch_size(d, i);
    i->extra = (uint16_t)count_size;
    return exec_jcxz;
}
