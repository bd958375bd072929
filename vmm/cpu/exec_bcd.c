/* Decimal adjustment: DAA DAS AAA AAS AAM AAD, outside 64-bit mode. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

static void flags_bcd(struct cpu *cpu, uint8_t al, bool cf, bool af)
{
    flags_result(cpu, al, 1, cf, false);
    cpu->flags.aux |= af ? AUX_AF : 0;
}

/* DAA and DAS differ in the sign of the correction. */
static void decimal_adjust(struct cpu *cpu, int sign)
{
    uint8_t old = (uint8_t)reg_get(cpu, RAX * 8, 1), al = old;
    bool cf = flag_cf(cpu), low = (old & 15) > 9 || flag_af(cpu), high = old > 0x99 || cf;
    bool borrow = low && sign < 0 && old < 6;

    if (low)
        al = (uint8_t)(al + sign * 6);
    if (high)
        al = (uint8_t)(al + sign * 0x60);
    reg_set(cpu, RAX * 8, 1, al);
    flags_bcd(cpu, al, high || borrow, low);
}

static void ascii_adjust(struct cpu *cpu, int sign)
{
    uint16_t ax = (uint16_t)reg_get(cpu, RAX * 8, 2);
    bool adjust = (ax & 15) > 9 || flag_af(cpu);

    if (adjust)
        ax = (uint16_t)(ax + sign * 0x106);
    ax &= 0xff0f;
    reg_set(cpu, RAX * 8, 2, ax);
    flags_bcd(cpu, (uint8_t)ax, adjust, adjust);
}

static enum step exec_bcd(struct cpu *cpu, const struct insn *i)
{
    uint8_t al = (uint8_t)reg_get(cpu, RAX * 8, 1), base = (uint8_t)i->imm;

    switch (i->extra) {
    case BCD_DAA:
    case BCD_DAS:
        decimal_adjust(cpu, i->extra == BCD_DAA ? 1 : -1);
        break;
    case BCD_AAA:
    case BCD_AAS:
        ascii_adjust(cpu, i->extra == BCD_AAA ? 1 : -1);
        break;
    case BCD_AAM:
        if (!base)
            return raise_trap(cpu, (struct trap){.vector = TRAP_DE});
        reg_set(cpu, RAX * 8, 2, (uint64_t)(al / base) << 8 | al % base);
        flags_bcd(cpu, al % base, false, false);
        break;
    default:
        al = (uint8_t)(al + reg_get(cpu, RAX * 8 + 1, 1) * base);
        reg_set(cpu, RAX * 8, 2, al);
        flags_bcd(cpu, al, false, false);
        break;
    }
    return STEP_NEXT;
}

exec_fn *pick_bcd(const struct decoding *d, struct insn *i, unsigned op)
{
    (void)d;
    i->extra = (uint16_t)op;
    return exec_bcd;
}
