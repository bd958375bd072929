/* What an interpreter's exit means: the same intercepts that every machine shares. KVM paravirtual spec GEN-*, HC-*. */
#include "vmm/backend/soft_parts.h"
#include "vmm/pv/intercept.h"

/* The outcome of an intercept: past the instruction, the exception at it, or still there until the VMM answers. */
static bool resolve(struct cpu *cpu, const struct cpu_exit *exit, struct trap trap)
{
    if (trap.vector == TRAP_RETRY)
        return true;
    return trapped(trap) ? cpu_deliver(cpu, EVENT_EXCEPTION, trap) : cpu_finish(cpu, exit->length);
}

static bool handle_tsc(struct cpu *cpu, struct vcpu *vcpu, const struct cpu_exit *exit)
{
    uint64_t tsc = vcpu_tsc(vcpu), *gpr = vcpu->regs.gpr;

    gpr[RAX] = (uint32_t)tsc;
    gpr[RDX] = tsc >> 32;
    if (exit->reason == CPU_EXIT_RDTSCP)
        gpr[RCX] = (uint32_t)vcpu->regs.tsc_aux;
    return cpu_finish(cpu, exit->length);
}

static bool handle_halt(struct cpu *cpu, struct vcpu *vcpu, const struct cpu_exit *exit)
{
    bool alive = cpu_finish(cpu, exit->length);

    vcpu_halt(vcpu);
    return alive;
}

static bool handle_hypercall(struct cpu *cpu, struct vcpu *vcpu, const struct cpu_exit *exit,
                             enum hc_insn insn)
{
    struct trap trap = NO_TRAP;

    switch (intercept_hypercall(vcpu, insn, &trap)) {
    case HC_DONE:
        return cpu_finish(cpu, exit->length);
    case HC_REWRITE: /* runs again at the same RIP, as the native form */
        trap = cpu_patch(cpu, hypercall_bytes[vcpu->vm->config.native], 3);
        return !trapped(trap) || cpu_deliver(cpu, EVENT_EXCEPTION, trap);
    case HC_EXIT:
        return true;
    default:
        return cpu_deliver(cpu, EVENT_EXCEPTION, trap);
    }
}

bool soft_handle_exit(struct cpu *cpu, struct vcpu *vcpu, const struct cpu_exit *exit)
{
    switch (exit->reason) {
    case CPU_EXIT_HLT:
        return handle_halt(cpu, vcpu, exit);
    case CPU_EXIT_CPUID:
        return resolve(cpu, exit, intercept_cpuid(vcpu));
    case CPU_EXIT_RDMSR:
        return resolve(cpu, exit, intercept_rdmsr(vcpu));
    case CPU_EXIT_WRMSR:
        return resolve(cpu, exit, intercept_wrmsr(vcpu));
    case CPU_EXIT_RDTSC:
    case CPU_EXIT_RDTSCP:
        return handle_tsc(cpu, vcpu, exit);
    case CPU_EXIT_VMCALL:
        return handle_hypercall(cpu, vcpu, exit, HC_VMCALL);
    case CPU_EXIT_VMMCALL:
        return handle_hypercall(cpu, vcpu, exit, HC_VMMCALL);
    default:
        return true;
    }
}
