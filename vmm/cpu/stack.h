/* Pushes and pops on the current stack: RSP, ESP or SP by mode. Intel SDM vol. 1, 6.2. */
#ifndef VMM_CPU_STACK_H
#define VMM_CPU_STACK_H

#include "vmm/cpu/mem.h"

INLINE unsigned stack_width(const struct cpu *cpu)
{
    return is_64bit(cpu) ? 8 : cpu->mode & MODE_SS32 ? 4 : 2;
}
INLINE void stack_set(struct cpu *cpu, uint64_t sp)
{
    uint64_t mask = size_mask(stack_width(cpu));

    cpu->gpr[RSP] = (cpu->gpr[RSP] & ~mask) | (sp & mask);
}
INLINE bool stack_linear(struct cpu *cpu, uint64_t sp, unsigned size, enum access access, uint64_t *va)
{
    if (is_64bit(cpu)) {
        *va = sp;
        return true;
    }
    return segment_linear(cpu, SREG_SS, sp & size_mask(stack_width(cpu)), size, access, va);
}
/* A non-canonical stack address is #SS, not #GP. */
static inline enum step stack_step(struct cpu *cpu, enum step step)
{
    if (step == STEP_TRAP && cpu->trap.vector == TRAP_GP)
        cpu->trap.vector = TRAP_SS;
    return step;
}
/* The same at sp instead of the current top: several values must all be there before RSP moves. */
INLINE enum step stack_write(struct cpu *cpu, uint64_t sp, unsigned size, uint64_t val)
{
    uint64_t va;

    if (!stack_linear(cpu, sp, size, ACCESS_WRITE, &va))
        return STEP_TRAP;
    return stack_step(cpu, lin_write(cpu, va, size, val, cpu->user));
}
INLINE enum step stack_read(struct cpu *cpu, uint64_t sp, unsigned size, uint64_t *val)
{
    uint64_t va;

    if (!stack_linear(cpu, sp, size, ACCESS_READ, &va))
        return STEP_TRAP;
    return stack_step(cpu, lin_read(cpu, va, size, val, cpu->user));
}
INLINE enum step push(struct cpu *cpu, unsigned size, uint64_t val)
{
    uint64_t sp = cpu->gpr[RSP] - size;
    enum step step = stack_write(cpu, sp, size, val);

    if (step != STEP_TRAP)
        stack_set(cpu, sp);
    return step;
}
INLINE enum step pop(struct cpu *cpu, unsigned size, uint64_t *val)
{
    enum step step = stack_read(cpu, cpu->gpr[RSP], size, val);

    if (step != STEP_TRAP)
        stack_set(cpu, cpu->gpr[RSP] + size);
    return step;
}

#endif
