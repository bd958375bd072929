/* Instructions on single flags, and on the interrupt flag. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

#define LAHF_FLAGS (RFLAGS_SF | RFLAGS_ZF | RFLAGS_AF | RFLAGS_PF | RFLAGS_CF)

static enum step exec_carry(struct cpu *cpu, const struct insn *i)
{
    flag_set_cf(cpu, i->extra == FLAG_STC || (i->extra == FLAG_CMC && !flag_cf(cpu)));
    return STEP_NEXT;
}

static enum step exec_direction(struct cpu *cpu, const struct insn *i)
{
    if (i->extra == FLAG_STD)
        cpu->regs->rflags |= RFLAGS_DF;
    else
        cpu->regs->rflags &= ~RFLAGS_DF;
    return STEP_NEXT;
}

static bool interrupt_flag_allowed(const struct cpu *cpu)
{
    return !is_protected(cpu) || cpl(cpu) <= (cpu->regs->rflags >> 12 & 3);
}

static enum step exec_cli(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    if (!interrupt_flag_allowed(cpu))
        return raise_gp(cpu, 0);
    cpu->regs->rflags &= ~RFLAGS_IF;
    return STEP_NEXT;
}

/* Interrupts wait until the instruction after STI is done, if IF was clear. */
static enum step exec_sti(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    if (!interrupt_flag_allowed(cpu))
        return raise_gp(cpu, 0);
    if (!(cpu->regs->rflags & RFLAGS_IF))
        cpu->regs->shadow = true;
    cpu->regs->rflags |= RFLAGS_IF;
    return STEP_END;
}

static enum step exec_lahf(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    reg_set(cpu, RAX * 8 + 1, 1, rflags_get(cpu) & (LAHF_FLAGS | RFLAGS_ONE));
    return STEP_NEXT;
}

static enum step exec_sahf(struct cpu *cpu, const struct insn *i)
{
    uint64_t ah = reg_get(cpu, RAX * 8 + 1, 1);

    (void)i;
    flags_set_arith(cpu, (flags_arith(cpu) & RFLAGS_OF) | (ah & LAHF_FLAGS));
    return STEP_NEXT;
}

/* CLAC, STAC: pages whose right depends on AC are never in the TLB. */
static enum step exec_alignment_flag(struct cpu *cpu, const struct insn *i)
{
    if (cpl(cpu) || !(cpu->regs->cr4 & CR4_SMAP))
        return raise_ud(cpu);
    if (i->extra == FLAG_STAC)
        cpu->regs->rflags |= RFLAGS_AC;
    else
        cpu->regs->rflags &= ~RFLAGS_AC;
    return STEP_NEXT;
}

exec_fn *pick_flag(const struct decoding *d, struct insn *i, unsigned op)
{
    static exec_fn *const handlers[FLAG_OPS] = {[FLAG_CLC] = exec_carry,
                                                [FLAG_STC] = exec_carry,
                                                [FLAG_CMC] = exec_carry,
                                                [FLAG_CLD] = exec_direction,
                                                [FLAG_STD] = exec_direction,
                                                [FLAG_CLI] = exec_cli,
                                                [FLAG_STI] = exec_sti,
                                                [FLAG_LAHF] = exec_lahf,
                                                [FLAG_SAHF] = exec_sahf,
                                                [FLAG_CLAC] = exec_alignment_flag,
                                                [FLAG_STAC] = exec_alignment_flag};

    (void)d;
    i->extra = (uint16_t)op;
    return handlers[op];
}
