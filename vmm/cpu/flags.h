/* Arithmetic flags, kept as the last result and its carries until somebody asks. Intel SDM vol. 1, 3.4.3. */
#ifndef VMM_CPU_FLAGS_H
#define VMM_CPU_FLAGS_H

#include "vmm/cpu/state.h"

/* aux: bit 31 carry out of the top bit, bit 30 carry into it (they differ: overflow), bit 3 carry out of bit 3;
 * bit 0 and bits 8-15 correct sign and parity of res where a result cannot have the flags that were loaded. */
#define AUX_CF     (1u << 31)
#define AUX_INTO   (1u << 30)
#define AUX_AF     8u
#define AUX_SIGN   1u
#define AUX_PARITY 8 /* shift */

INLINE bool flag_cf(const struct cpu *cpu)
{
    return cpu->flags.aux >> 31;
}
INLINE bool flag_of(const struct cpu *cpu)
{
    return (cpu->flags.aux + AUX_INTO) >> 31;
}
INLINE bool flag_zf(const struct cpu *cpu)
{
    return cpu->flags.res == 0;
}
INLINE bool flag_sf(const struct cpu *cpu)
{
    return (cpu->flags.res >> 63) ^ (cpu->flags.aux & AUX_SIGN);
}
INLINE bool flag_pf(const struct cpu *cpu)
{
    return !__builtin_parity((cpu->flags.res ^ cpu->flags.aux >> AUX_PARITY) & 0xff);
}
INLINE bool flag_af(const struct cpu *cpu)
{
    return cpu->flags.aux & AUX_AF;
}

INLINE uint64_t sign_extend(uint64_t v, unsigned size)
{
    switch (size) {
    case 1:
        return (uint64_t)(int8_t)v;
    case 2:
        return (uint64_t)(int16_t)v;
    case 4:
        return (uint64_t)(int32_t)v;
    default:
        return v;
    }
}

INLINE uint32_t aux_carry_overflow(bool cf, bool of)
{
    return (cf ? AUX_CF : 0) | (cf != of ? AUX_INTO : 0);
}
/* carries: bit n is the carry (or borrow) out of bit n. */
INLINE uint32_t aux_from_carries(uint64_t carries, unsigned size)
{
    return (uint32_t)(carries & AUX_AF) | (uint32_t)(carries >> (8 * size - 2)) << 30;
}
/* All operands are masked to size. */
INLINE void flags_add(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t r, unsigned size)
{
    cpu->flags.res = sign_extend(r, size);
    cpu->flags.aux = aux_from_carries((a & b) | ((a | b) & ~r), size);
}
INLINE void flags_sub(struct cpu *cpu, uint64_t a, uint64_t b, uint64_t r, unsigned size)
{
    cpu->flags.res = sign_extend(r, size);
    cpu->flags.aux = aux_from_carries((~a & b) | ((~a ^ b) & r), size);
}
INLINE void flags_logic(struct cpu *cpu, uint64_t r, unsigned size)
{
    cpu->flags.res = sign_extend(r, size);
    cpu->flags.aux = 0;
}
/* SF, ZF, PF of r with given CF and OF; AF clear. */
INLINE void flags_result(struct cpu *cpu, uint64_t r, unsigned size, bool cf, bool of)
{
    cpu->flags.res = sign_extend(r, size);
    cpu->flags.aux = aux_carry_overflow(cf, of);
}
INLINE void flag_set_cf(struct cpu *cpu, bool cf)
{
    cpu->flags.aux = (cpu->flags.aux & ~(AUX_CF | AUX_INTO)) | aux_carry_overflow(cf, flag_of(cpu));
}
static inline uint64_t flags_arith(const struct cpu *cpu)
{
    return (flag_cf(cpu) ? RFLAGS_CF : 0) | (flag_pf(cpu) ? RFLAGS_PF : 0) | (flag_af(cpu) ? RFLAGS_AF : 0) |
           (flag_zf(cpu) ? RFLAGS_ZF : 0) | (flag_sf(cpu) ? RFLAGS_SF : 0) | (flag_of(cpu) ? RFLAGS_OF : 0);
}
static inline void flags_set_arith(struct cpu *cpu, uint64_t rflags)
{
    bool zf = rflags & RFLAGS_ZF, pf = rflags & RFLAGS_PF;

    cpu->flags.res = zf ? 0 : 1; /* parity of 0 is even, of 1 odd */
    cpu->flags.aux = aux_carry_overflow(rflags & RFLAGS_CF, rflags & RFLAGS_OF) |
                     (rflags & RFLAGS_AF ? AUX_AF : 0) | (rflags & RFLAGS_SF ? AUX_SIGN : 0) |
                     (zf != pf ? 1u << AUX_PARITY : 0);
}
static inline void flag_set_zf(struct cpu *cpu, bool zf)
{
    flags_set_arith(cpu, (flags_arith(cpu) & ~RFLAGS_ZF) | (zf ? RFLAGS_ZF : 0));
}
/* The whole register, as PUSHF sees it. */
static inline uint64_t rflags_get(const struct cpu *cpu)
{
    return (cpu->regs->rflags & ~RFLAGS_ARITH) | flags_arith(cpu) | RFLAGS_ONE;
}
static inline void rflags_set(struct cpu *cpu, uint64_t rflags)
{
    cpu->regs->rflags = rflags | RFLAGS_ONE;
    flags_set_arith(cpu, rflags);
}

/* cc as encoded in Jcc, SETcc, CMOVcc: odd ones negate. */
INLINE bool condition(const struct cpu *cpu, unsigned cc)
{
    bool v;

    switch (cc >> 1) {
    case 0:
        v = flag_of(cpu);
        break;
    case 1:
        v = flag_cf(cpu);
        break;
    case 2:
        v = flag_zf(cpu);
        break;
    case 3:
        v = flag_cf(cpu) || flag_zf(cpu);
        break;
    case 4:
        v = flag_sf(cpu);
        break;
    case 5:
        v = flag_pf(cpu);
        break;
    case 6:
        v = flag_sf(cpu) != flag_of(cpu);
        break;
    default:
        v = flag_zf(cpu) || flag_sf(cpu) != flag_of(cpu);
        break;
    }
    return v != (cc & 1);
}

#endif
