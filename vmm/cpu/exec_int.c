/* INT n, INT3, INT1, INTO. Intel SDM vol. 2. */
#include "vmm/cpu/deliver.h"
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

static enum step software_interrupt(struct cpu *cpu, const struct insn *i, uint8_t vector)
{
    struct delivery_event e = {.vector = vector, .kind = DELIVER_SOFTWARE, .rip = insn_next(cpu, i)};
    struct trap t = deliver(cpu, &e);

    return trapped(t) ? raise_trap(cpu, t) : STEP_BRANCH;
}

static enum step exec_int(struct cpu *cpu, const struct insn *i)
{
    return software_interrupt(cpu, i, (uint8_t)i->imm);
}

static enum step exec_int3(struct cpu *cpu, const struct insn *i)
{
    return software_interrupt(cpu, i, TRAP_BP);
}

static enum step exec_into(struct cpu *cpu, const struct insn *i)
{
    return flag_of(cpu) ? software_interrupt(cpu, i, TRAP_OF) : STEP_NEXT;
}

/* INT1 is a trap of its own: no DPL check. */
static enum step exec_int1(struct cpu *cpu, const struct insn *i)
{
    struct delivery_event e = {.vector = TRAP_DB, .kind = DELIVER_EXCEPTION, .rip = insn_next(cpu, i)};
    struct trap t = deliver(cpu, &e);

    return trapped(t) ? raise_trap(cpu, t) : STEP_BRANCH;
}

#define PICK(name)                                                                                           \
    exec_fn *pick_##name(const struct decoding *d, struct insn *i, unsigned arg)                             \
    {                                                                                                        \
        (void)d, (void)i, (void)arg;                                                                         \
        return exec_##name;                                                                                  \
    }
PICK(int)
PICK(int3)
PICK(into)
PICK(int1)
