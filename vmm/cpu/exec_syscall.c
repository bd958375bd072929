/* SYSCALL, SYSRET, SYSENTER, SYSEXIT: entries with fixed flat segments. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

static void flat_code(struct cpu *cpu, uint16_t selector, unsigned privilege, bool wide)
{
    cpu->regs->seg[SREG_CS] = (struct segment){
        .selector = selector,
        .access = (uint16_t)(0x9b | privilege << 5 | SEG_G | (wide ? SEG_L : SEG_DB)),
        .limit = 0xffffffff,
    };
}

static void flat_stack(struct cpu *cpu, uint16_t selector, unsigned privilege)
{
    cpu->regs->seg[SREG_SS] = (struct segment){.selector = selector,
                                               .access = (uint16_t)(0x93 | privilege << 5 | SEG_G | SEG_DB),
                                               .limit = 0xffffffff};
}

static enum step exec_syscall(struct cpu *cpu, const struct insn *i)
{
    struct cpu_regs *r = cpu->regs;
    uint16_t selector = (uint16_t)(r->star >> 32 & 0xfffc);

    if (!(r->efer & EFER_SCE) || !is_64bit(cpu))
        return raise_ud(cpu);
    cpu->gpr[RCX] = insn_next(cpu, i);
    cpu->gpr[R11] = rflags_get(cpu) & ~RFLAGS_RF;
    rflags_set(cpu, rflags_get(cpu) & ~(r->sfmask | RFLAGS_RF));
    flat_code(cpu, selector, 0, true);
    flat_stack(cpu, (uint16_t)(selector + 8), 0);
    cpu->rip = r->lstar;
    mode_update(cpu);
    return STEP_BRANCH;
}

static enum step exec_sysret(struct cpu *cpu, const struct insn *i)
{
    struct cpu_regs *r = cpu->regs;
    bool wide = i->size == 8;
    uint16_t selector = (uint16_t)(r->star >> 48);
    uint64_t flags = (cpu->gpr[R11] & 0x3c7fd7) | RFLAGS_ONE;

    if (!(r->efer & EFER_SCE) || !is_64bit(cpu))
        return raise_ud(cpu);
    if (cpl(cpu) || (wide && !canonical(cpu->gpr[RCX])))
        return raise_gp(cpu, 0);
    cpu->leave = ~r->rflags & flags & RFLAGS_IF;
    rflags_set(cpu, flags);
    flat_code(cpu, (uint16_t)((selector + (wide ? 16 : 0)) | 3), 3, wide);
    flat_stack(cpu, (uint16_t)((selector + 8) | 3), 3);
    cpu->rip = wide ? cpu->gpr[RCX] : (uint32_t)cpu->gpr[RCX];
    mode_update(cpu);
    return STEP_BRANCH;
}

static enum step exec_sysenter(struct cpu *cpu, const struct insn *i)
{
    struct cpu_regs *r = cpu->regs;
    uint16_t selector = (uint16_t)(r->sysenter_cs & 0xfffc);

    (void)i;
    if (!is_protected(cpu) || !selector)
        return raise_gp(cpu, 0);
    r->rflags &= ~(RFLAGS_VM | RFLAGS_IF);
    flat_code(cpu, selector, 0, is_long(cpu));
    flat_stack(cpu, (uint16_t)(selector + 8), 0);
    cpu->gpr[RSP] = is_long(cpu) ? r->sysenter_esp : (uint32_t)r->sysenter_esp;
    cpu->rip = is_long(cpu) ? r->sysenter_eip : (uint32_t)r->sysenter_eip;
    mode_update(cpu);
    return STEP_BRANCH;
}

static enum step exec_sysexit(struct cpu *cpu, const struct insn *i)
{
    struct cpu_regs *r = cpu->regs;
    bool wide = i->size == 8;
    uint16_t selector = (uint16_t)(r->sysenter_cs & 0xfffc);

    if (!is_protected(cpu) || !selector || cpl(cpu) ||
        (wide && (!canonical(cpu->gpr[RCX]) || !canonical(cpu->gpr[RDX]))))
        return raise_gp(cpu, 0);
    flat_code(cpu, (uint16_t)((selector + (wide ? 32 : 16)) | 3), 3, wide);
    flat_stack(cpu, (uint16_t)((selector + (wide ? 40 : 24)) | 3), 3);
    cpu->gpr[RSP] = wide ? cpu->gpr[RCX] : (uint32_t)cpu->gpr[RCX];
    cpu->rip = wide ? cpu->gpr[RDX] : (uint32_t)cpu->gpr[RDX];
    mode_update(cpu);
    return STEP_BRANCH;
}

#define PICK(name)                                                                                           \
    exec_fn *pick_##name(const struct decoding *d, struct insn *i, unsigned arg)                             \
    {                                                                                                        \
        (void)arg;                                                                                           \
        i->size = d->zi->operand_width / 8;                                                                  \
        return exec_##name;                                                                                  \
    }
PICK(syscall)
PICK(sysret)
PICK(sysenter)
PICK(sysexit)
