/* Which mode the vCPU is in, as one small number that block lookup and decoding depend on. */
#include "vmm/cpu/state.h"

/* Present, writable data (or stack), base 0, limit 4 GiB, not expand-down: checks cannot fail. */
static bool flat(const struct segment *s)
{
    return s->base == 0 && s->limit == 0xffffffff &&
           (s->access & (SEG_P | SEG_S | SEG_CODE | 6)) == (SEG_P | SEG_S | 2);
}

void mode_update(struct cpu *cpu)
{
    const struct cpu_regs *r = cpu->regs;
    const struct segment *seg = r->seg;
    uint8_t mode;

    if ((r->efer & EFER_LMA) && (seg[SREG_CS].access & SEG_L)) {
        mode = MODE_64 | MODE_FLAT;
    } else {
        mode = seg[SREG_CS].access & SEG_DB ? MODE_32 : MODE_16;
        if (seg[SREG_SS].access & SEG_DB)
            mode |= MODE_SS32;
        if (flat(&seg[SREG_DS]) && flat(&seg[SREG_ES]) && flat(&seg[SREG_SS]))
            mode |= MODE_FLAT;
    }
    cpu->user = vcpu_cpl(cpu->vcpu) == 3;
    cpu->mode = mode | (cpu->user ? MODE_USER : 0);
}
