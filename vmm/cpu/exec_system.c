/* Privileged and hint instructions without segments: HLT, CPUID, MSRs, TSC, hypercalls, caches. Intel SDM vol. 2. */
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

enum step exec_ud(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    return raise_ud(cpu);
}

enum step exec_gp(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    return raise_gp(cpu, 0);
}

static enum step exec_nop(struct cpu *cpu, const struct insn *i)
{
    (void)cpu, (void)i;
    return STEP_NEXT;
}

static enum step exec_pause(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    cpu->leave_reason = CPU_EXIT_PAUSE;
    return end_and_leave(cpu);
}

static enum step privileged_exit(struct cpu *cpu, const struct insn *i, enum cpu_exit_reason reason)
{
    return cpl(cpu) ? raise_gp(cpu, 0) : leave_to_owner(cpu, i, reason);
}

static enum step exec_hlt(struct cpu *cpu, const struct insn *i)
{
    return privileged_exit(cpu, i, CPU_EXIT_HLT);
}

static enum step exec_rdmsr(struct cpu *cpu, const struct insn *i)
{
    return privileged_exit(cpu, i, CPU_EXIT_RDMSR);
}

static enum step exec_wrmsr(struct cpu *cpu, const struct insn *i)
{
    return privileged_exit(cpu, i, CPU_EXIT_WRMSR);
}

static enum step exec_cpuid(struct cpu *cpu, const struct insn *i)
{
    return leave_to_owner(cpu, i, CPU_EXIT_CPUID);
}

static enum step exec_rdtsc(struct cpu *cpu, const struct insn *i)
{
    if (cpl(cpu) && (cpu->regs->cr4 & CR4_TSD))
        return raise_gp(cpu, 0);
    return leave_to_owner(cpu, i, i->extra == SYSTEM_RDTSC ? CPU_EXIT_RDTSC : CPU_EXIT_RDTSCP);
}

static enum step exec_vmcall(struct cpu *cpu, const struct insn *i)
{
    return leave_to_owner(cpu, i, i->extra == SYSTEM_VMCALL ? CPU_EXIT_VMCALL : CPU_EXIT_VMMCALL);
}

static enum step exec_cache(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    return cpl(cpu) ? raise_gp(cpu, 0) : STEP_NEXT;
}

static enum step exec_invlpg(struct cpu *cpu, const struct insn *i)
{
    uint64_t va;

    if (cpl(cpu))
        return raise_gp(cpu, 0);
    va = insn_offset(cpu, i) + (i->seg == SEG_FLAT ? 0 : cpu->regs->seg[i->seg].base);
    if (cpu->large_pages) {
        cpu_tlb_flush(cpu);
        return STEP_END;
    }
    for (unsigned user = 0; user < 2; user++) {
        struct tlb_entry *e = tlb_slot(cpu, va, user);

        e->read = e->write = e->exec = TLB_NONE;
    }
    jumps_forget(cpu);
    return STEP_END;
}

/* Faults as a byte read would. */
static enum step exec_clflush(struct cpu *cpu, const struct insn *i)
{
    uint64_t v;

    return mem_read(cpu, i, 1, &v);
}

static enum step exec_clts(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    if (cpl(cpu))
        return raise_gp(cpu, 0);
    cpu->regs->cr0 &= ~CR0_TS;
    return STEP_NEXT;
}

static enum step exec_swapgs(struct cpu *cpu, const struct insn *i)
{
    uint64_t base = cpu->regs->seg[SREG_GS].base;

    (void)i;
    if (!is_64bit(cpu))
        return raise_ud(cpu);
    if (cpl(cpu))
        return raise_gp(cpu, 0);
    cpu->regs->seg[SREG_GS].base = cpu->regs->kernel_gs_base;
    cpu->regs->kernel_gs_base = base;
    return STEP_NEXT;
}

static enum step exec_xgetbv(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    if (!(cpu->regs->cr4 & CR4_OSXSAVE))
        return raise_ud(cpu);
    if ((uint32_t)cpu->gpr[RCX])
        return raise_gp(cpu, 0);
    cpu->gpr[RAX] = (uint32_t)cpu->regs->xcr0;
    cpu->gpr[RDX] = cpu->regs->xcr0 >> 32;
    return STEP_NEXT;
}

/* XCR0 may hold what leaf 0xd offers; bit 0 always, AVX only with SSE. */
static enum step exec_xsetbv(struct cpu *cpu, const struct insn *i)
{
    uint64_t v = (uint32_t)cpu->gpr[RAX] | cpu->gpr[RDX] << 32, offered;
    struct cpuid_regs leaf;

    (void)i;
    if (!(cpu->regs->cr4 & CR4_OSXSAVE))
        return raise_ud(cpu);
    leaf = vcpu_cpuid(cpu->vcpu, 0xd, 0);
    offered = leaf.eax | (uint64_t)leaf.edx << 32;
    if (cpl(cpu) || (uint32_t)cpu->gpr[RCX] || !(v & XSAVE_X87) || (v & ~offered) ||
        (v & (XSAVE_SSE | XSAVE_AVX)) == XSAVE_AVX)
        return raise_gp(cpu, 0);
    cpu->regs->xcr0 = v;
    return STEP_NEXT;
}

/* FNINIT, FWAIT: there is no x87 state yet, so only the refusals can be seen. */
static enum step exec_fpu(struct cpu *cpu, const struct insn *i)
{
    (void)i;
    if (cpu->regs->cr0 & (CR0_EM | CR0_TS))
        return raise_trap(cpu, (struct trap){.vector = TRAP_NM});
    return STEP_NEXT;
}

exec_fn *pick_system(const struct decoding *d, struct insn *i, unsigned op)
{
    static exec_fn *const handlers[SYSTEM_OPS] = {
        [SYSTEM_NOP] = exec_nop,         [SYSTEM_HLT] = exec_hlt,       [SYSTEM_PAUSE] = exec_pause,
        [SYSTEM_CPUID] = exec_cpuid,     [SYSTEM_RDMSR] = exec_rdmsr,   [SYSTEM_WRMSR] = exec_wrmsr,
        [SYSTEM_RDTSC] = exec_rdtsc,     [SYSTEM_RDTSCP] = exec_rdtsc,  [SYSTEM_VMCALL] = exec_vmcall,
        [SYSTEM_VMMCALL] = exec_vmcall,  [SYSTEM_CACHE] = exec_cache,   [SYSTEM_INVLPG] = exec_invlpg,
        [SYSTEM_CLFLUSH] = exec_clflush, [SYSTEM_CLTS] = exec_clts,     [SYSTEM_SWAPGS] = exec_swapgs,
        [SYSTEM_UD] = exec_ud,           [SYSTEM_XGETBV] = exec_xgetbv, [SYSTEM_XSETBV] = exec_xsetbv,
        [SYSTEM_FPU] = exec_fpu};

    (void)d;
    i->extra = (uint16_t)op;
    return handlers[op];
}
