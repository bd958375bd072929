/* MOV, PUSH, POP of segment registers, LDS family, LTR LLDT STR SLDT, VERR VERW LAR LSL. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/segment.h"
#include "vmm/cpu/stack.h"

/* Loading SS holds interrupts off for one instruction, so that the pair SS, RSP can be changed. */
static enum step loaded(struct cpu *cpu, const struct insn *i, enum sreg sreg)
{
    (void)i;
    if (sreg == SREG_SS)
        cpu->regs->shadow = true;
    return STEP_END;
}

enum step exec_mov_to_sreg(struct cpu *cpu, const struct insn *i)
{
    enum sreg sreg = i->reg[0];
    uint64_t v;

    if (sreg == SREG_CS || sreg >= SREGS)
        return raise_ud(cpu);
    if (operand_read(cpu, i, 1, 2, &v) == STEP_TRAP || segment_load(cpu, sreg, (uint16_t)v) == STEP_TRAP)
        return STEP_TRAP;
    return loaded(cpu, i, sreg);
}

enum step exec_mov_from_sreg(struct cpu *cpu, const struct insn *i)
{
    return operand_write(cpu, i, 0, i->kind[0] == KIND_MEM ? 2 : i->size, cpu->regs->seg[i->reg[1]].selector);
}

enum step exec_push_sreg(struct cpu *cpu, const struct insn *i)
{
    return push(cpu, i->size, cpu->regs->seg[i->reg[0]].selector);
}

enum step exec_pop_sreg(struct cpu *cpu, const struct insn *i)
{
    uint64_t v, sp = cpu->gpr[RSP];

    if (stack_read(cpu, sp, i->size, &v) == STEP_TRAP ||
        segment_load(cpu, i->reg[0], (uint16_t)v) == STEP_TRAP)
        return STEP_TRAP;
    stack_set(cpu, sp + i->size);
    return loaded(cpu, i, i->reg[0]);
}

/* LDS and family: offset, then selector. */
static enum step exec_load_far(struct cpu *cpu, const struct insn *i)
{
    struct insn at = *i;
    uint64_t offset, selector;

    at.disp += i->size;
    if (mem_read(cpu, i, i->size, &offset) == STEP_TRAP || mem_read(cpu, &at, 2, &selector) == STEP_TRAP ||
        segment_load(cpu, i->extra, (uint16_t)selector) == STEP_TRAP)
        return STEP_TRAP;
    reg_set(cpu, i->reg[0], i->size, offset);
    return STEP_END;
}

exec_fn *pick_load_far(const struct decoding *d, struct insn *i, unsigned sreg)
{
    (void)d;
    i->extra = (uint16_t)sreg;
    return exec_load_far;
}

static enum step system_segment_begin(struct cpu *cpu, const struct insn *i, uint64_t *selector)
{
    if (!is_protected(cpu))
        return raise_ud(cpu);
    if (cpl(cpu))
        return raise_gp(cpu, 0);
    return operand_read(cpu, i, 0, 2, selector);
}

/* A descriptor of the GDT with one of two system types, 16 bytes in long mode. */
static bool system_descriptor(struct cpu *cpu, uint16_t selector, unsigned type, unsigned other_type,
                              struct descriptor *d)
{
    bool outside = false, wrong = selector & SELECTOR_TI;

    if (!wrong && !descriptor_read(cpu, selector, is_long(cpu), d, &outside) && !outside)
        return false;
    wrong |= outside;
    if (!wrong)
        wrong = (d->seg.access & SEG_S) ||
                (SEG_TYPE(d->seg.access) != type && SEG_TYPE(d->seg.access) != other_type);
    if (wrong)
        raise_gp(cpu, SELECTOR_ERROR(selector));
    else if (!(d->seg.access & SEG_P))
        raise_error(cpu, TRAP_NP, SELECTOR_ERROR(selector));
    return !wrong && (d->seg.access & SEG_P);
}

static enum step exec_ltr(struct cpu *cpu, const struct insn *i)
{
    struct descriptor d;
    uint64_t selector;

    if (system_segment_begin(cpu, i, &selector) == STEP_TRAP)
        return STEP_TRAP;
    if (!SELECTOR_ERROR(selector))
        return raise_gp(cpu, 0);
    if (!system_descriptor(cpu, (uint16_t)selector, SYSTEM_TSS32, is_long(cpu) ? SYSTEM_TSS32 : SYSTEM_TSS16,
                           &d))
        return STEP_TRAP;
    d.seg.access |= 2; /* busy */
    lin_write(cpu, d.linear + 5, 1, d.seg.access & 0xff, false);
    cpu->regs->tr = d.seg;
    return STEP_END;
}

static enum step exec_lldt(struct cpu *cpu, const struct insn *i)
{
    struct descriptor d;
    uint64_t selector;

    if (system_segment_begin(cpu, i, &selector) == STEP_TRAP)
        return STEP_TRAP;
    if (!SELECTOR_ERROR(selector)) {
        cpu->regs->ldtr = (struct segment){.selector = (uint16_t)selector};
        return STEP_NEXT;
    }
    if (!system_descriptor(cpu, (uint16_t)selector, SYSTEM_LDT, SYSTEM_LDT, &d))
        return STEP_TRAP;
    cpu->regs->ldtr = d.seg;
    return STEP_NEXT;
}

static enum step store_selector(struct cpu *cpu, const struct insn *i, uint16_t selector)
{
    if (!is_protected(cpu))
        return raise_ud(cpu);
    if (cpl(cpu) && (cpu->regs->cr4 & CR4_UMIP))
        return raise_gp(cpu, 0);
    return operand_write(cpu, i, 0, i->kind[0] == KIND_MEM ? 2 : i->size, selector);
}

static enum step exec_str(struct cpu *cpu, const struct insn *i)
{
    return store_selector(cpu, i, cpu->regs->tr.selector);
}

static enum step exec_sldt(struct cpu *cpu, const struct insn *i)
{
    return store_selector(cpu, i, cpu->regs->ldtr.selector);
}

/* The questions that never fault on the descriptor: VERR VERW LAR LSL. 1 readable, 0 not, -1 page fault raised. */
static int visible_descriptor(struct cpu *cpu, uint16_t selector, struct descriptor *d)
{
    unsigned privilege = SELECTOR_RPL(selector) > cpl(cpu) ? SELECTOR_RPL(selector) : cpl(cpu);
    bool outside, conforming;

    if (!SELECTOR_ERROR(selector))
        return 0;
    if (!descriptor_read(cpu, selector, false, d, &outside))
        return outside ? 0 : -1;
    conforming = (d->seg.access & (SEG_S | SEG_CODE | SEG_CONFORMING)) == (SEG_S | SEG_CODE | SEG_CONFORMING);
    return conforming || privilege <= SEG_DPL(d->seg.access);
}

static enum step exec_verify(struct cpu *cpu, const struct insn *i)
{
    struct descriptor d;
    uint64_t selector;
    int visible;
    bool ok;

    if (!is_protected(cpu))
        return raise_ud(cpu);
    if (operand_read(cpu, i, 0, 2, &selector) == STEP_TRAP)
        return STEP_TRAP;
    visible = visible_descriptor(cpu, (uint16_t)selector, &d);
    if (visible < 0)
        return STEP_TRAP;
    ok = visible && (d.seg.access & SEG_S);
    if (ok && i->extra)
        ok = !(d.seg.access & SEG_CODE) && (d.seg.access & SEG_READABLE);
    else if (ok)
        ok = !(d.seg.access & SEG_CODE) || (d.seg.access & SEG_READABLE);
    flag_set_zf(cpu, ok);
    return STEP_NEXT;
}

/* Which system types LAR and LSL accept, a bit per type: outside and inside long mode. */
static const uint16_t lar_types[2] = {0x1a3e, 0x1a04}, lsl_types[2] = {0x0a0e, 0x0a04};

static enum step describe(struct cpu *cpu, const struct insn *i, const uint16_t types[2], bool want_limit)
{
    struct descriptor d;
    uint64_t selector, v;
    int visible;

    if (!is_protected(cpu))
        return raise_ud(cpu);
    if (operand_read(cpu, i, 1, 2, &selector) == STEP_TRAP)
        return STEP_TRAP;
    visible = visible_descriptor(cpu, (uint16_t)selector, &d);
    if (visible < 0)
        return STEP_TRAP;
    if (visible && !(d.seg.access & SEG_S))
        visible = types[is_long(cpu)] >> SEG_TYPE(d.seg.access) & 1;
    flag_set_zf(cpu, visible);
    if (visible) {
        v = want_limit ? d.seg.limit : d.low >> 32 & 0x00ffff00;
        reg_set(cpu, i->reg[0], i->size, v);
    }
    return STEP_NEXT;
}

static enum step exec_lar(struct cpu *cpu, const struct insn *i)
{
    return describe(cpu, i, lar_types, false);
}

static enum step exec_lsl(struct cpu *cpu, const struct insn *i)
{
    return describe(cpu, i, lsl_types, true);
}

#define PICK(name)                                                                                           \
    exec_fn *pick_##name(const struct decoding *d, struct insn *i, unsigned arg)                             \
    {                                                                                                        \
        (void)d;                                                                                             \
        i->extra = (uint16_t)arg;                                                                            \
        return exec_##name;                                                                                  \
    }
PICK(ltr)
PICK(lldt)
PICK(str)
PICK(sldt)
PICK(verify)
PICK(lar)
PICK(lsl)
