/* Reading descriptors and loading segment registers. Intel SDM vol. 3 ch. 3 and 5, vol. 2 MOV. */
#include "vmm/cpu/segment.h"
#include "vmm/cpu/mem.h"

static void descriptor_parse(struct descriptor *d, uint16_t selector)
{
    struct segment *s = &d->seg;

    s->selector = selector;
    s->access = d->low >> 40 & 0xf0ff;
    s->limit = (uint32_t)((d->low & 0xffff) | (d->low >> 32 & 0xf0000));
    if (s->access & SEG_G)
        s->limit = s->limit << 12 | 0xfff;
    s->base = (d->low >> 16 & 0xffffff) | (d->low >> 32 & 0xff000000) | d->high << 32;
}

bool descriptor_read(struct cpu *cpu, uint16_t selector, bool wide, struct descriptor *d, bool *outside)
{
    const struct cpu_regs *r = cpu->regs;
    bool local = selector & SELECTOR_TI;
    uint64_t base = local ? r->ldtr.base : r->gdtr.base;
    uint32_t limit = local ? r->ldtr.limit : r->gdtr.limit, offset = selector & ~7u;

    *outside = offset + (wide ? 15 : 7) > limit || (local && !(r->ldtr.access & SEG_P));
    if (*outside)
        return false;
    d->linear = base + offset;
    d->high = 0;
    if (lin_read(cpu, d->linear, 8, &d->low, false) == STEP_TRAP)
        return false;
    if (wide && lin_read(cpu, d->linear + 8, 8, &d->high, false) == STEP_TRAP)
        return false;
    descriptor_parse(d, selector);
    return true;
}

bool descriptor_load(struct cpu *cpu, uint16_t selector, enum vector vector, struct descriptor *d)
{
    bool outside;

    if (descriptor_read(cpu, selector, false, d, &outside))
        return true;
    if (outside)
        raise_error(cpu, vector, SELECTOR_ERROR(selector));
    return false;
}

void descriptor_set_accessed(struct cpu *cpu, struct descriptor *d)
{
    if (d->seg.access & SEG_ACCESSED)
        return;
    d->seg.access |= SEG_ACCESSED;
    lin_write(cpu, d->linear + 5, 1, d->seg.access & 0xff, false); /* in ROM the write is lost, as on a PC */
}

void segment_load_real(struct cpu *cpu, enum sreg sreg, uint16_t selector)
{
    cpu->regs->seg[sreg].selector = selector;
    cpu->regs->seg[sreg].base = (uint64_t)selector << 4;
}

bool stack_segment(struct cpu *cpu, uint16_t selector, unsigned new_cpl, bool to_64bit, enum vector vector,
                   struct segment *out)
{
    struct descriptor d;
    uint16_t a;

    if (!SELECTOR_ERROR(selector)) {
        if (!to_64bit || new_cpl == 3 || SELECTOR_RPL(selector) != new_cpl) {
            raise_error(cpu, vector, 0);
            return false;
        }
        /* unusable, but its DPL still is the privilege level */
        *out = (struct segment){.selector = selector, .access = (uint16_t)(new_cpl << 5)};
        return true;
    }
    if (!descriptor_load(cpu, selector, vector, &d))
        return false;
    a = d.seg.access;
    if (SELECTOR_RPL(selector) != new_cpl || SEG_DPL(a) != new_cpl || !(a & SEG_S) || (a & SEG_CODE) ||
        !(a & SEG_READABLE)) {
        raise_error(cpu, vector, SELECTOR_ERROR(selector));
        return false;
    }
    if (!(a & SEG_P)) {
        raise_error(cpu, TRAP_SS, SELECTOR_ERROR(selector));
        return false;
    }
    descriptor_set_accessed(cpu, &d);
    *out = d.seg;
    return true;
}

static enum step data_segment_load(struct cpu *cpu, enum sreg sreg, uint16_t selector)
{
    struct descriptor d;
    unsigned privilege = SELECTOR_RPL(selector) > cpl(cpu) ? SELECTOR_RPL(selector) : cpl(cpu);
    bool conforming;
    uint16_t a;

    if (!SELECTOR_ERROR(selector)) {
        cpu->regs->seg[sreg] = (struct segment){.selector = selector};
        return STEP_NEXT;
    }
    if (!descriptor_load(cpu, selector, TRAP_GP, &d))
        return STEP_TRAP;
    a = d.seg.access;
    conforming = (a & SEG_CODE) && (a & SEG_CONFORMING);
    if (!(a & SEG_S) || ((a & SEG_CODE) && !(a & SEG_READABLE)) || (!conforming && privilege > SEG_DPL(a)))
        return raise_gp(cpu, SELECTOR_ERROR(selector));
    if (!(a & SEG_P))
        return raise_error(cpu, TRAP_NP, SELECTOR_ERROR(selector));
    descriptor_set_accessed(cpu, &d);
    cpu->regs->seg[sreg] = d.seg;
    return STEP_NEXT;
}

enum step segment_load(struct cpu *cpu, enum sreg sreg, uint16_t selector)
{
    struct segment ss;

    if (!is_protected(cpu)) {
        segment_load_real(cpu, sreg, selector);
    } else if (sreg == SREG_SS) {
        if (!stack_segment(cpu, selector, cpl(cpu), is_64bit(cpu), TRAP_GP, &ss))
            return STEP_TRAP;
        cpu->regs->seg[SREG_SS] = ss;
    } else if (data_segment_load(cpu, sreg, selector) == STEP_TRAP) {
        return STEP_TRAP;
    }
    mode_update(cpu);
    return STEP_NEXT;
}
