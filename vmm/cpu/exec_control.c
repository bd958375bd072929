/* Control and debug registers, descriptor-table registers, machine status word. Intel SDM vol. 2, vol. 3 ch. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

static enum step write_cr0(struct cpu *cpu, uint64_t v)
{
    struct cpu_regs *r = cpu->regs;
    bool pg = v & CR0_PG, pg_now = r->cr0 & CR0_PG;

    v = (v & ~0x1ffaffc0ull) | CR0_ET; /* reserved bits below 32 are ignored */
    if (v >> 32 || (pg && !(v & CR0_PE)) || ((v & CR0_NW) && !(v & CR0_CD)))
        return raise_gp(cpu, 0);
    if (pg && !pg_now && (r->efer & EFER_LME)) {
        if (!(r->cr4 & CR4_PAE) || (r->seg[SREG_CS].access & SEG_L))
            return raise_gp(cpu, 0);
        r->efer |= EFER_LMA;
    }
    if (!pg && pg_now) {
        if (is_64bit(cpu) || (r->cr4 & CR4_PCIDE))
            return raise_gp(cpu, 0);
        r->efer &= ~EFER_LMA;
    }
    r->cr0 = v;
    mode_update(cpu);
    cpu_tlb_flush(cpu);
    return STEP_END;
}

static enum step write_cr3(struct cpu *cpu, uint64_t v)
{
    if (is_long(cpu)) {
        if (cpu->regs->cr4 & CR4_PCIDE)
            v &= ~(1ull << 63); /* "keep translations": flushing more is allowed */
        if (v >> cpu->phys_bits)
            return raise_gp(cpu, 0);
    }
    cpu->regs->cr3 = v;
    cpu_tlb_flush(cpu);
    return STEP_END;
}

/* Bits that CPUID must offer before CR4 takes them; those without a row are always allowed or never. */
#define CR4_ALWAYS 0x7ffull /* VME PVI TSD DE PSE PAE MCE PGE PCE OSFXSR OSXMMEXCPT */
static const struct {
    uint8_t bit;
    uint32_t leaf;
    uint8_t reg; /* 1 ebx, 2 ecx */
    uint8_t feature;
} cr4_features[] = {{11, 7, 2, 2},  {16, 7, 1, 0}, {17, 1, 2, 17},
                    {18, 1, 2, 26}, {20, 7, 1, 7}, {21, 7, 1, 20}};

static uint64_t cr4_allowed(const struct cpu *cpu)
{
    uint64_t allowed = CR4_ALWAYS;

    for (unsigned n = 0; n < sizeof(cr4_features) / sizeof(*cr4_features); n++) {
        struct cpuid_regs leaf = vcpu_cpuid(cpu->vcpu, cr4_features[n].leaf, 0);
        uint32_t word = cr4_features[n].reg == 1 ? leaf.ebx : leaf.ecx;

        allowed |= (uint64_t)(word >> cr4_features[n].feature & 1) << cr4_features[n].bit;
    }
    return allowed;
}

static enum step write_cr4(struct cpu *cpu, uint64_t v)
{
    struct cpu_regs *r = cpu->regs;

    if ((v & ~cr4_allowed(cpu)) || (is_long(cpu) && !(v & CR4_PAE)))
        return raise_gp(cpu, 0);
    if ((v & ~r->cr4 & CR4_PCIDE) && (!is_long(cpu) || (r->cr3 & 0xfff)))
        return raise_gp(cpu, 0);
    r->cr4 = v;
    cpu_tlb_flush(cpu);
    return STEP_END;
}

/* CR8 is the local APIC's task priority, bits 7:4. */
static enum step write_cr8(struct cpu *cpu, uint64_t v)
{
    if (v & ~15ull)
        return raise_gp(cpu, 0);
    cpu->regs->cr8 = v;
    cpu->vcpu->apic.tpr = (uint32_t)v << 4;
    return end_and_leave(cpu);
}

enum step exec_mov_to_cr(struct cpu *cpu, const struct insn *i)
{
    uint64_t v = reg_get(cpu, i->reg[1], is_64bit(cpu) ? 8 : 4);

    if (cpl(cpu))
        return raise_gp(cpu, 0);
    switch (i->reg[0]) {
    case 0:
        return write_cr0(cpu, v);
    case 2:
        cpu->regs->cr2 = v;
        return STEP_NEXT;
    case 3:
        return write_cr3(cpu, v);
    case 4:
        return write_cr4(cpu, v);
    case 8:
        return write_cr8(cpu, v);
    default:
        return raise_ud(cpu);
    }
}

enum step exec_mov_from_cr(struct cpu *cpu, const struct insn *i)
{
    const struct cpu_regs *r = cpu->regs;
    uint64_t v;

    if (cpl(cpu))
        return raise_gp(cpu, 0);
    switch (i->reg[1]) {
    case 0:
        v = r->cr0;
        break;
    case 2:
        v = r->cr2;
        break;
    case 3:
        v = r->cr3;
        break;
    case 4:
        v = r->cr4;
        break;
    case 8:
        v = cpu->vcpu->apic.tpr >> 4 & 15;
        break;
    default:
        return raise_ud(cpu);
    }
    reg_set(cpu, i->reg[0], is_64bit(cpu) ? 8 : 4, v);
    return STEP_NEXT;
}

/* DR4 and DR5 are DR6 and DR7 unless CR4.DE says that they do not exist. */
static bool debug_register(struct cpu *cpu, unsigned *n)
{
    if (*n == 4 || *n == 5) {
        if (cpu->regs->cr4 & CR4_DE) {
            raise_ud(cpu);
            return false;
        }
        *n += 2;
    }
    if (cpl(cpu)) {
        raise_gp(cpu, 0);
        return false;
    }
    return true;
}

enum step exec_mov_to_dr(struct cpu *cpu, const struct insn *i)
{
    uint64_t v = reg_get(cpu, i->reg[1], is_64bit(cpu) ? 8 : 4);
    unsigned n = i->reg[0];

    if (!debug_register(cpu, &n))
        return STEP_TRAP;
    if (n >= 6 && v >> 32)
        return raise_gp(cpu, 0);
    if (n < 4)
        cpu->regs->dr[n] = v;
    else if (n == 6)
        cpu->regs->dr6 = (v & 0xe00f) | 0xffff0ff0;
    else if (v & 0x20ff)
        return not_implemented(cpu, i, "hardware breakpoints in DR7");
    else
        cpu->regs->dr7 = (v & 0xffff2bff) | 0x400;
    return STEP_NEXT;
}

enum step exec_mov_from_dr(struct cpu *cpu, const struct insn *i)
{
    unsigned n = i->reg[1];

    if (!debug_register(cpu, &n))
        return STEP_TRAP;
    reg_set(cpu, i->reg[0], is_64bit(cpu) ? 8 : 4,
            n < 4    ? cpu->regs->dr[n]
            : n == 6 ? cpu->regs->dr6
                     : cpu->regs->dr7);
    return STEP_NEXT;
}

/* imm: mask of the base: 24 bits with a 16-bit operand. The pair lies in memory as limit, base. */
static enum step load_table(struct cpu *cpu, const struct insn *i)
{
    unsigned base_size = is_64bit(cpu) ? 8 : 4;
    struct desc_table *table = i->extra == TABLE_LGDT ? &cpu->regs->gdtr : &cpu->regs->idtr;
    struct insn at = *i;
    uint64_t limit, base;

    if (cpl(cpu))
        return raise_gp(cpu, 0);
    at.disp += 2;
    if (mem_read(cpu, i, 2, &limit) == STEP_TRAP || mem_read(cpu, &at, base_size, &base) == STEP_TRAP)
        return STEP_TRAP;
    base &= i->imm;
    if (base_size == 8 && !canonical(base))
        return raise_gp(cpu, 0);
    *table = (struct desc_table){.base = base, .limit = (uint16_t)limit};
    return STEP_NEXT;
}

static bool user_mode_prevented(struct cpu *cpu)
{
    return cpl(cpu) && (cpu->regs->cr4 & CR4_UMIP);
}

static enum step store_table(struct cpu *cpu, const struct insn *i)
{
    const struct desc_table *table = i->extra == TABLE_SGDT ? &cpu->regs->gdtr : &cpu->regs->idtr;
    struct insn at = *i;

    if (user_mode_prevented(cpu))
        return raise_gp(cpu, 0);
    at.disp += 2;
    if (mem_write(cpu, i, 2, table->limit) == STEP_TRAP ||
        mem_write(cpu, &at, is_64bit(cpu) ? 8 : 4, table->base) == STEP_TRAP)
        return STEP_TRAP;
    return STEP_END;
}

exec_fn *pick_table(const struct decoding *d, struct insn *i, unsigned op)
{
    i->extra = (uint16_t)op;
    i->imm = (d->mode & MODE_SIZE) != MODE_64 && d->zi->operand_width == 16 ? 0xffffff : ~0ull;
    return op == TABLE_LGDT || op == TABLE_LIDT ? load_table : store_table;
}

static enum step exec_smsw(struct cpu *cpu, const struct insn *i)
{
    if (user_mode_prevented(cpu))
        return raise_gp(cpu, 0);
    return operand_write(cpu, i, 0, i->kind[0] == KIND_MEM ? 2 : i->size, cpu->regs->cr0);
}

exec_fn *pick_smsw(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_smsw;
}

/* PE can be set this way, not cleared; only PE, MP, EM, TS are written. */
static enum step exec_lmsw(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;

    if (cpl(cpu))
        return raise_gp(cpu, 0);
    if (operand_read(cpu, i, 0, 2, &v) == STEP_TRAP)
        return STEP_TRAP;
    return write_cr0(cpu, (cpu->regs->cr0 & ~0xeull) | (v & 15));
}

exec_fn *pick_lmsw(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d, (void)i, (void)arg;
    return exec_lmsw;
}

/* extra: segment, with 0x80 for the writing forms. */
static enum step exec_fsgsbase(struct cpu *cpu, const struct insn *i)
{
    uint64_t *base = &cpu->regs->seg[i->extra & 0x7f].base, v;

    if (!is_64bit(cpu) || !(cpu->regs->cr4 & CR4_FSGSBASE))
        return raise_ud(cpu);
    if (!(i->extra & 0x80)) {
        reg_set(cpu, i->reg[0], i->size, *base);
        return STEP_NEXT;
    }
    v = reg_get(cpu, i->reg[0], i->size);
    if (!canonical(v))
        return raise_gp(cpu, 0);
    *base = v;
    return STEP_NEXT;
}

exec_fn *pick_fsgsbase(const struct decoding *d, struct insn *i, unsigned arg)
{
    (void)d;
    i->extra = (uint16_t)arg;
    return exec_fsgsbase;
}
