/* IN and OUT, with the TSS's permission map. Intel SDM vol. 1 ch. 19. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/mem.h"

#define TSS_IO_MAP 0x66 /* offset of the map's offset; 32- and 64-bit TSS alike */

/* The map has a bit per port; all bits of the access must be 0 and inside the limit. */
static bool io_map_allows(struct cpu *cpu, uint16_t port, unsigned size)
{
    const struct segment *tr = &cpu->regs->tr;
    unsigned type = tr->access & 15;
    uint64_t base, bits, byte;

    if (!(tr->access & SEG_P) || (type != 9 && type != 11) || tr->limit < TSS_IO_MAP + 1)
        return false;
    if (lin_read(cpu, tr->base + TSS_IO_MAP, 2, &base, false) == STEP_TRAP)
        return false;
    byte = base + port / 8;
    if (byte + 1 > tr->limit || lin_read(cpu, tr->base + byte, 2, &bits, false) == STEP_TRAP)
        return false;
    return !(bits >> (port & 7) & ((1u << size) - 1));
}

bool io_allowed(struct cpu *cpu, uint16_t port, unsigned size)
{
    if (!is_protected(cpu) || cpl(cpu) <= (cpu->regs->rflags >> 12 & 3) || io_map_allows(cpu, port, size))
        return true;
    raise_gp(cpu, 0);
    return false;
}

/* Operand n names the port: DX or an immediate byte. */
static uint16_t port_of(const struct cpu *cpu, const struct insn *i, unsigned n)
{
    return i->kind[n] == KIND_IMM ? (uint8_t)i->imm : (uint16_t)cpu->gpr[RDX];
}

static enum step exec_in(struct cpu *cpu, const struct insn *i)
{
    uint16_t port = port_of(cpu, i, 1);

    if (!io_allowed(cpu, port, i->size))
        return STEP_TRAP;
    reg_set(cpu, RAX * 8, i->size, bus_read(&cpu->vcpu->vm->bus, BUS_PIO, cpu->vcpu, port, i->size));
    return STEP_NEXT;
}

static enum step exec_out(struct cpu *cpu, const struct insn *i)
{
    uint16_t port = port_of(cpu, i, 0);

    if (!io_allowed(cpu, port, i->src_size))
        return STEP_TRAP;
    bus_write(&cpu->vcpu->vm->bus, BUS_PIO, cpu->vcpu, port, i->src_size, reg_get(cpu, RAX * 8, i->src_size));
    return end_and_leave(cpu); /* a device may have asked to stop */
}

exec_fn *pick_in(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_in;
}

exec_fn *pick_out(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_out;
}
