/* Transfers between code segments: far JMP, CALL, RET, and IRET. Intel SDM vol. 2, vol. 3 5.8 and 6.12. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/segment.h"
#include "vmm/cpu/stack.h"

static bool to_64bit(const struct cpu *cpu, const struct segment *cs)
{
    return is_long(cpu) && (cs->access & SEG_L);
}

/* The target lies inside the segment, or is canonical. */
static bool target_ok(struct cpu *cpu, const struct segment *cs, uint64_t rip)
{
    if (to_64bit(cpu, cs) ? canonical(rip) : rip <= cs->limit)
        return true;
    raise_gp(cpu, 0);
    return false;
}

/* A code segment that JMP or CALL may enter at the present privilege. */
static enum step code_segment(struct cpu *cpu, const struct insn *i, uint16_t selector, struct segment *cs)
{
    struct descriptor d;
    uint16_t a;
    bool forbidden;

    if (!SELECTOR_ERROR(selector))
        return raise_gp(cpu, 0);
    if (!descriptor_load(cpu, selector, TRAP_GP, &d))
        return STEP_TRAP;
    a = d.seg.access;
    if (!(a & SEG_S))
        return not_implemented(cpu, i, "far transfer through a gate or task");
    if (a & SEG_CONFORMING)
        forbidden = SEG_DPL(a) > cpl(cpu);
    else
        forbidden = SELECTOR_RPL(selector) > cpl(cpu) || SEG_DPL(a) != cpl(cpu);
    if (!(a & SEG_CODE) || forbidden || (is_long(cpu) && (a & SEG_L) && (a & SEG_DB)))
        return raise_gp(cpu, SELECTOR_ERROR(selector));
    if (!(a & SEG_P))
        return raise_error(cpu, TRAP_NP, SELECTOR_ERROR(selector));
    descriptor_set_accessed(cpu, &d);
    d.seg.selector = (uint16_t)(SELECTOR_ERROR(selector) | cpl(cpu));
    *cs = d.seg;
    return STEP_NEXT;
}

/* The far pointer: in the instruction, or in memory as offset and selector. */
static enum step far_pointer(struct cpu *cpu, const struct insn *i, uint16_t *selector, uint64_t *offset)
{
    struct insn at = *i;
    uint64_t v;

    if (i->kind[0] == KIND_PTR) {
        *selector = i->extra;
        *offset = i->imm;
        return STEP_NEXT;
    }
    at.disp += i->size;
    if (mem_read(cpu, i, i->size, offset) == STEP_TRAP || mem_read(cpu, &at, 2, &v) == STEP_TRAP)
        return STEP_TRAP;
    *selector = (uint16_t)v;
    return STEP_NEXT;
}

static enum step enter_code(struct cpu *cpu, const struct segment *cs, uint64_t rip)
{
    cpu->regs->seg[SREG_CS] = *cs;
    cpu->rip = rip;
    mode_update(cpu);
    return STEP_BRANCH;
}

/* CS as a real-mode transfer leaves it. */
static struct segment real_code(const struct cpu *cpu, uint16_t selector)
{
    struct segment cs = cpu->regs->seg[SREG_CS];

    cs.selector = selector;
    cs.base = (uint64_t)selector << 4;
    return cs;
}

enum step exec_jmp_far(struct cpu *cpu, const struct insn *i)
{
    struct segment cs;
    uint16_t selector;
    uint64_t offset;
    enum step step = far_pointer(cpu, i, &selector, &offset);

    if (step == STEP_TRAP)
        return step;
    if (!is_protected(cpu)) {
        cs = real_code(cpu, selector);
        return enter_code(cpu, &cs, offset);
    }
    step = code_segment(cpu, i, selector, &cs);
    if (step != STEP_NEXT)
        return step;
    return target_ok(cpu, &cs, offset) ? enter_code(cpu, &cs, offset) : STEP_TRAP;
}

enum step exec_call_far(struct cpu *cpu, const struct insn *i)
{
    struct segment cs;
    uint16_t selector;
    uint64_t offset, sp = cpu->gpr[RSP];
    enum step step = far_pointer(cpu, i, &selector, &offset);

    if (step == STEP_TRAP)
        return step;
    if (!is_protected(cpu)) {
        cs = real_code(cpu, selector);
    } else {
        step = code_segment(cpu, i, selector, &cs);
        if (step != STEP_NEXT)
            return step;
        if (!target_ok(cpu, &cs, offset))
            return STEP_TRAP;
    }
    if (stack_write(cpu, sp - i->size, i->size, cpu->regs->seg[SREG_CS].selector) == STEP_TRAP ||
        stack_write(cpu, sp - 2 * i->size, i->size, insn_next(cpu, i)) == STEP_TRAP)
        return STEP_TRAP;
    stack_set(cpu, sp - 2 * i->size);
    return enter_code(cpu, &cs, offset);
}

/* What RET far and IRET take from the stack. */
struct far_frame {
    uint64_t rip, cs, rflags, rsp, ss;
    bool has_stack; /* rsp and ss are meant */
};

/* The code segment that a return goes to: its RPL is the new privilege, never more than now. */
static bool return_segment(struct cpu *cpu, uint16_t selector, struct segment *cs)
{
    struct descriptor d;
    unsigned rpl = SELECTOR_RPL(selector);
    uint16_t a;

    if (!SELECTOR_ERROR(selector)) {
        raise_gp(cpu, 0);
        return false;
    }
    if (!descriptor_load(cpu, selector, TRAP_GP, &d))
        return false;
    a = d.seg.access;
    if (!(a & SEG_S) || !(a & SEG_CODE) || rpl < cpl(cpu) ||
        (a & SEG_CONFORMING ? SEG_DPL(a) > rpl : SEG_DPL(a) != rpl) ||
        (is_long(cpu) && (a & SEG_L) && (a & SEG_DB))) {
        raise_gp(cpu, SELECTOR_ERROR(selector));
        return false;
    }
    if (!(a & SEG_P)) {
        raise_error(cpu, TRAP_NP, SELECTOR_ERROR(selector));
        return false;
    }
    descriptor_set_accessed(cpu, &d);
    *cs = d.seg;
    return true;
}

/* Data segments that the outer level may not use become null. */
static void drop_inner_segments(struct cpu *cpu, unsigned new_cpl)
{
    static const uint8_t data[] = {SREG_ES, SREG_DS, SREG_FS, SREG_GS};

    for (unsigned n = 0; n < sizeof(data); n++) {
        struct segment *s = &cpu->regs->seg[data[n]];
        bool conforming = (s->access & SEG_CODE) && (s->access & SEG_CONFORMING);

        if (SEG_DPL(s->access) < new_cpl && !conforming)
            *s = (struct segment){0};
    }
}

/* Goes where frame says; sp_after is the stack pointer of a return that keeps its stack. */
static enum step return_to(struct cpu *cpu, const struct far_frame *f, uint64_t sp_after)
{
    unsigned old_cpl = cpl(cpu), new_cpl = SELECTOR_RPL(f->cs);
    struct segment cs, ss;

    if (!return_segment(cpu, (uint16_t)f->cs, &cs) || !target_ok(cpu, &cs, f->rip))
        return STEP_TRAP;
    if (!f->has_stack) {
        stack_set(cpu, sp_after);
        return enter_code(cpu, &cs, f->rip);
    }
    if (!stack_segment(cpu, (uint16_t)f->ss, new_cpl, to_64bit(cpu, &cs), TRAP_GP, &ss))
        return STEP_TRAP;
    cpu->regs->seg[SREG_SS] = ss;
    enter_code(cpu, &cs, f->rip);
    stack_set(cpu, f->rsp);
    if (new_cpl > old_cpl)
        drop_inner_segments(cpu, new_cpl);
    mode_update(cpu);
    return STEP_BRANCH;
}

/* imm: bytes of arguments to release, on both stacks. */
enum step exec_ret_far(struct cpu *cpu, const struct insn *i)
{
    struct far_frame f = {0};
    uint64_t sp = cpu->gpr[RSP], after = sp + 2 * i->size + i->imm;
    struct segment cs;

    if (stack_read(cpu, sp, i->size, &f.rip) == STEP_TRAP ||
        stack_read(cpu, sp + i->size, i->size, &f.cs) == STEP_TRAP)
        return STEP_TRAP;
    if (!is_protected(cpu)) {
        cs = real_code(cpu, (uint16_t)f.cs);
        stack_set(cpu, after);
        return enter_code(cpu, &cs, f.rip);
    }
    f.has_stack = SELECTOR_RPL(f.cs) > cpl(cpu);
    if (f.has_stack) {
        if (stack_read(cpu, after, i->size, &f.rsp) == STEP_TRAP ||
            stack_read(cpu, after + i->size, i->size, &f.ss) == STEP_TRAP)
            return STEP_TRAP;
        f.rsp += i->imm;
    }
    return return_to(cpu, &f, after);
}

static void iret_flags(struct cpu *cpu, uint64_t image, unsigned size, unsigned old_cpl)
{
    uint64_t old = rflags_get(cpu),
             changes = RFLAGS_ARITH | RFLAGS_TF | RFLAGS_NT | RFLAGS_DF | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID;

    if (!is_protected(cpu) || old_cpl <= (old >> 12 & 3))
        changes |= RFLAGS_IF;
    if (old_cpl == 0)
        changes |= RFLAGS_IOPL | RFLAGS_VIF | RFLAGS_VIP;
    changes &= size_mask(size);
    rflags_set(cpu, (old & ~changes) | (image & changes));
    if (~old & cpu->regs->rflags & RFLAGS_IF)
        cpu->leave = true;
}

/* extra: operand size of the name (IRET 2, IRETD 4, IRETQ 8). */
static enum step exec_iret(struct cpu *cpu, const struct insn *i)
{
    struct far_frame f = {0};
    unsigned size = i->size, old_cpl = cpl(cpu);
    uint64_t sp = cpu->gpr[RSP];
    struct segment cs;
    enum step step = STEP_BRANCH;

    if (is_protected(cpu) && (cpu->regs->rflags & RFLAGS_NT))
        return is_long(cpu) ? raise_gp(cpu, 0) : not_implemented(cpu, i, "return from a nested task");
    if (stack_read(cpu, sp, size, &f.rip) == STEP_TRAP ||
        stack_read(cpu, sp + size, size, &f.cs) == STEP_TRAP ||
        stack_read(cpu, sp + 2 * size, size, &f.rflags) == STEP_TRAP)
        return STEP_TRAP;
    f.cs &= 0xffff;
    if (!is_protected(cpu)) {
        cs = real_code(cpu, (uint16_t)f.cs);
        stack_set(cpu, sp + 3 * size);
        enter_code(cpu, &cs, f.rip);
    } else {
        if (!is_long(cpu) && size == 4 && (f.rflags & RFLAGS_VM) && old_cpl == 0)
            return not_implemented(cpu, i, "virtual-8086 mode");
        f.has_stack = is_64bit(cpu) || SELECTOR_RPL(f.cs) > old_cpl;
        if (f.has_stack && (stack_read(cpu, sp + 3 * size, size, &f.rsp) == STEP_TRAP ||
                            stack_read(cpu, sp + 4 * size, size, &f.ss) == STEP_TRAP))
            return STEP_TRAP;
        step = return_to(cpu, &f, sp + 3 * size);
    }
    if (step == STEP_TRAP)
        return step;
    iret_flags(cpu, f.rflags, size, old_cpl);
    cpu->nmi_blocked = false;
    cpu->leave = true; /* an NMI may have waited */
    return step;
}

exec_fn *pick_iret(const struct decoding *d, struct insn *i, unsigned size)
{
    (void)d;
    i->size = (uint8_t)size;
    return exec_iret;
}
