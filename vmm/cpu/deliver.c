/* Interrupt and exception delivery in real, protected and 64-bit mode. Intel SDM vol. 3 ch. 6, vol. 1 20.1.4. */
#include "vmm/cpu/deliver.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"
#include "vmm/cpu/segment.h"

/* The gate, as far as it was understood. */
struct gate {
    uint64_t offset;
    uint16_t selector;
    unsigned type, ist;
    uint16_t access; /* present and DPL, as in a descriptor */
};

/* The stack that the frame goes to; nothing of the vCPU changes until all is pushed. */
struct frame_stack {
    struct segment ss;
    uint64_t sp;
    unsigned width; /* bytes of the stack pointer */
    bool user;
};

#define IDT_ERROR(vector) ((uint32_t)(vector)*8 + 2)

static struct trap fault(enum vector vector, uint32_t error, const struct delivery_event *e)
{
    uint32_t external = e->kind != DELIVER_SOFTWARE;

    return (struct trap){.vector = (uint8_t)vector, .has_error = true, .error = error | external};
}

/* cpu->trap of a failed step; selector errors of an event that no INT caused say so in bit 0. */
static struct trap pending(struct cpu *cpu, const struct delivery_event *e)
{
    struct trap t = cpu->trap;

    if (t.vector == TRAP_TS || t.vector == TRAP_NP || t.vector == TRAP_SS || t.vector == TRAP_GP)
        t.error |= e->kind != DELIVER_SOFTWARE;
    return t;
}

static bool frame_push(struct cpu *cpu, struct frame_stack *s, unsigned size, uint64_t v)
{
    uint64_t mask = size_mask(s->width), offset = (s->sp - size) & mask, linear = offset;

    if (s->width != 8) {
        bool down = (s->ss.access & (SEG_CODE | 4)) == 4;

        if (down ? offset <= s->ss.limit : offset + size - 1 > s->ss.limit) {
            raise_error(cpu, TRAP_SS, 0);
            return false;
        }
        linear = (s->ss.base + offset) & 0xffffffff;
    }
    if (lin_write(cpu, linear, size, v, s->user) == STEP_TRAP)
        return false;
    s->sp = (s->sp & ~mask) | offset;
    return true;
}

static struct frame_stack current_stack(const struct cpu *cpu)
{
    return (struct frame_stack){.ss = cpu->regs->seg[SREG_SS],
                                .sp = cpu->gpr[RSP],
                                .width = cpu->mode & MODE_SS32 ? 4 : 2,
                                .user = cpu->user};
}

static struct trap deliver_real(struct cpu *cpu, const struct delivery_event *e)
{
    struct cpu_regs *r = cpu->regs;
    struct frame_stack stack = current_stack(cpu);
    uint64_t entry;

    if (e->vector * 4 + 3u > r->idtr.limit)
        return fault(TRAP_GP, IDT_ERROR(e->vector), e);
    if (lin_read(cpu, r->idtr.base + e->vector * 4, 4, &entry, false) == STEP_TRAP ||
        !frame_push(cpu, &stack, 2, rflags_get(cpu)) ||
        !frame_push(cpu, &stack, 2, r->seg[SREG_CS].selector) || !frame_push(cpu, &stack, 2, e->rip))
        return pending(cpu, e);
    cpu->gpr[RSP] = stack.sp;
    r->rflags &= ~(RFLAGS_IF | RFLAGS_TF | RFLAGS_AC | RFLAGS_RF);
    r->seg[SREG_CS].selector = (uint16_t)(entry >> 16);
    r->seg[SREG_CS].base = (entry >> 16) << 4;
    cpu->rip = entry & 0xffff;
    return NO_TRAP;
}

/* Reads and checks the gate. TRAP_NONE: *g holds. */
static struct trap gate_read(struct cpu *cpu, const struct delivery_event *e, struct gate *g)
{
    unsigned size = is_long(cpu) ? 16 : 8;
    uint64_t at = cpu->regs->idtr.base + (uint64_t)e->vector * size, low, high = 0;
    bool known;

    if (e->vector * size + size - 1 > cpu->regs->idtr.limit)
        return fault(TRAP_GP, IDT_ERROR(e->vector), e);
    if (lin_read(cpu, at, 8, &low, false) == STEP_TRAP ||
        (size == 16 && lin_read(cpu, at + 8, 8, &high, false) == STEP_TRAP))
        return pending(cpu, e);
    g->access = low >> 40 & 0xff;
    g->type = low >> 40 & 31;
    g->selector = low >> 16 & 0xffff;
    g->ist = is_long(cpu) ? low >> 32 & 7 : 0;
    g->offset = (low & 0xffff) | (low >> 32 & 0xffff0000) | (is_long(cpu) ? high << 32 : 0);
    known = g->type == SYSTEM_GATE_INT32 || g->type == SYSTEM_GATE_TRAP32 ||
            (!is_long(cpu) &&
             (g->type == SYSTEM_GATE_INT16 || g->type == SYSTEM_GATE_TRAP16 || g->type == SYSTEM_GATE_TASK));
    if (!known || (e->kind == DELIVER_SOFTWARE && SEG_DPL(g->access) < cpl(cpu)))
        return fault(TRAP_GP, IDT_ERROR(e->vector), e);
    if (!(g->access & SEG_P))
        return fault(TRAP_NP, IDT_ERROR(e->vector), e);
    return NO_TRAP;
}

/* The handler's code segment. */
static struct trap handler_segment(struct cpu *cpu, const struct delivery_event *e, const struct gate *g,
                                   struct descriptor *d)
{
    uint16_t a;

    if (!SELECTOR_ERROR(g->selector))
        return fault(TRAP_GP, 0, e);
    if (!descriptor_load(cpu, g->selector, TRAP_GP, d))
        return pending(cpu, e);
    a = d->seg.access;
    if (!(a & SEG_S) || !(a & SEG_CODE) || SEG_DPL(a) > cpl(cpu) ||
        (is_long(cpu) && (a & (SEG_L | SEG_DB)) != SEG_L))
        return fault(TRAP_GP, SELECTOR_ERROR(g->selector), e);
    if (!(a & SEG_P))
        return fault(TRAP_NP, SELECTOR_ERROR(g->selector), e);
    descriptor_set_accessed(cpu, d);
    return NO_TRAP;
}

/* 64-bit mode: the new stack is an address of the TSS, or the old one, aligned to 16. */
static struct trap long_stack(struct cpu *cpu, const struct delivery_event *e, const struct gate *g,
                              unsigned new_cpl, struct frame_stack *stack)
{
    const struct segment *tr = &cpu->regs->tr;
    bool inward = new_cpl < cpl(cpu);
    uint32_t offset = g->ist ? 0x24 + 8 * (g->ist - 1) : 4 + 8 * new_cpl;

    *stack = (struct frame_stack){
        .ss = cpu->regs->seg[SREG_SS], .sp = cpu->gpr[RSP], .width = 8, .user = new_cpl == 3};
    if (g->ist || inward) {
        if (offset + 7 > tr->limit)
            return fault(TRAP_TS, SELECTOR_ERROR(tr->selector), e);
        if (lin_read(cpu, tr->base + offset, 8, &stack->sp, false) == STEP_TRAP)
            return pending(cpu, e);
    }
    if (inward)
        stack->ss = (struct segment){.selector = (uint16_t)new_cpl, .access = (uint16_t)(new_cpl << 5)};
    stack->sp &= ~15ull;
    return NO_TRAP;
}

/* Protected mode: an inner handler has SS:ESP (or SS:SP) in the TSS. */
static struct trap inner_stack(struct cpu *cpu, const struct delivery_event *e, unsigned new_cpl,
                               struct frame_stack *stack)
{
    const struct segment *tr = &cpu->regs->tr;
    bool wide = SEG_TYPE(tr->access) & 8;
    unsigned size = wide ? 4 : 2;
    uint32_t offset = size + 2 * size * new_cpl;
    uint64_t sp, ss;

    if (offset + 2 * size - 1 > tr->limit)
        return fault(TRAP_TS, SELECTOR_ERROR(tr->selector), e);
    if (lin_read(cpu, tr->base + offset, size, &sp, false) == STEP_TRAP ||
        lin_read(cpu, tr->base + offset + size, 2, &ss, false) == STEP_TRAP ||
        !stack_segment(cpu, (uint16_t)ss, new_cpl, false, TRAP_TS, &stack->ss))
        return pending(cpu, e);
    stack->sp = sp;
    stack->width = stack->ss.access & SEG_DB ? 4 : 2;
    stack->user = new_cpl == 3;
    return NO_TRAP;
}

static bool frame_write(struct cpu *cpu, const struct delivery_event *e, struct frame_stack *stack,
                        unsigned size, bool with_stack)
{
    const struct cpu_regs *r = cpu->regs;
    uint64_t flags = rflags_get(cpu);

    if (e->kind == DELIVER_EXCEPTION && e->vector != TRAP_DB && e->vector != TRAP_BP && e->vector != TRAP_OF)
        flags |= RFLAGS_RF; /* a fault's image, so that a breakpoint there is not met twice */
    return (!with_stack || (frame_push(cpu, stack, size, r->seg[SREG_SS].selector) &&
                            frame_push(cpu, stack, size, cpu->gpr[RSP]))) &&
           frame_push(cpu, stack, size, flags) && frame_push(cpu, stack, size, r->seg[SREG_CS].selector) &&
           frame_push(cpu, stack, size, e->rip) && (!e->has_error || frame_push(cpu, stack, size, e->error));
}

static struct trap deliver_protected(struct cpu *cpu, const struct delivery_event *e)
{
    struct cpu_regs *r = cpu->regs;
    bool is_l = is_long(cpu), inward;
    struct frame_stack stack = current_stack(cpu);
    struct descriptor cs = {0};
    struct gate g = {0};
    struct trap t = gate_read(cpu, e, &g);
    unsigned new_cpl;

    if (trapped(t))
        return t;
    if (g.type == SYSTEM_GATE_TASK) /* no task switching: as if the TSS were no TSS */
        return fault(TRAP_GP, SELECTOR_ERROR(g.selector), e);
    t = handler_segment(cpu, e, &g, &cs);
    if (trapped(t))
        return t;
    new_cpl = cs.seg.access & SEG_CONFORMING ? cpl(cpu) : SEG_DPL(cs.seg.access);
    inward = new_cpl < cpl(cpu);
    if (is_l)
        t = long_stack(cpu, e, &g, new_cpl, &stack);
    else if (inward)
        t = inner_stack(cpu, e, new_cpl, &stack);
    if (trapped(t))
        return t;
    if (!frame_write(cpu, e, &stack, is_l ? 8 : g.type & 8 ? 4 : 2, is_l || inward))
        return pending(cpu, e);
    cs.seg.selector = (uint16_t)(SELECTOR_ERROR(g.selector) | new_cpl);
    r->seg[SREG_CS] = cs.seg;
    r->seg[SREG_SS] = stack.ss;
    cpu->gpr[RSP] = stack.sp;
    cpu->rip = g.offset;
    r->rflags &= ~(RFLAGS_TF | RFLAGS_NT | RFLAGS_RF | RFLAGS_VM | (g.type & 1 ? 0 : RFLAGS_IF));
    mode_update(cpu);
    return NO_TRAP;
}

struct trap deliver(struct cpu *cpu, const struct delivery_event *event)
{
    struct trap trap;

    cpu->pages_at_once = true; /* an event that is being delivered cannot be put off (APF-9) */
    trap = is_protected(cpu) ? deliver_protected(cpu, event) : deliver_real(cpu, event);
    cpu->pages_at_once = false;
    return trap;
}

static bool contributory(uint8_t vector)
{
    return vector == TRAP_DE || (vector >= TRAP_TS && vector <= TRAP_GP);
}

/* A second fault while the first is delivered: a double fault, or simply the next one. SDM table 6-5. */
static bool makes_double_fault(uint8_t first, uint8_t second)
{
    if (first == TRAP_PF)
        return second == TRAP_PF || contributory(second);
    return contributory(first) && contributory(second);
}

bool deliver_exception(struct cpu *cpu, struct trap trap)
{
    for (;;) {
        struct delivery_event e = {
            .vector = trap.vector, .kind = DELIVER_EXCEPTION, .error = trap.error, .rip = cpu->rip};
        struct trap next;

        if (trap.vector == TRAP_PF)
            cpu->regs->cr2 = trap.cr2;
        e.has_error = trap.has_error && is_protected(cpu);
        next = deliver(cpu, &e);
        if (!trapped(next))
            return true;
        if (trap.vector == TRAP_DF)
            return false;
        if (makes_double_fault(trap.vector, next.vector))
            next = (struct trap){.vector = TRAP_DF, .has_error = true};
        trap = next;
    }
}
