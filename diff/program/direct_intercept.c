/* Instructions of the direct machine's guest that exit with its registers (cpuid, rdmsr, wrmsr, hypercalls): loads those that
 * the probe would load, lets the VMM do the instruction, and reports which ones changed. diff/probe is the model. */
#include "diff/program/direct_guest.h"
#include "vmm/board/core_count.h"
#include "vmm/pv/intercept.h"

#define BIT(reg) (1u << (reg))

static bool is_long(enum action_mode mode)
{
    return mode <= MODE_COMPAT_CPL3;
}

/* A value of its own in every register, in both halves, so that a stray write shows: the probe's values. */
static inline uint64_t pattern(unsigned reg)
{
    return 0x5a00010000a50100 + reg * 0x0000010100010001;
}

/* Which registers take the operands, and which ones the instruction may write: in 64-bit terms. */
struct frame {
    unsigned count; /* of operands */
    uint8_t operands[PROGRAM_ARGS];
    uint16_t writes;
};

static inline void load_registers(struct step *step, const struct frame *frame, uint64_t width)
{
    struct cpu_regs *regs = &step->vcpu->regs;

    for (unsigned i = 0; i < GPRS; i++)
        regs->gpr[i] = pattern(i) & width;
    for (unsigned i = 0; i < frame->count; i++)
        regs->gpr[frame->operands[i]] = step->args[i] & width;
}

/* Bits of the registers that do not hold the pattern. Mostly there is none, and that is soon seen: unrolled, all patterns
 * are constants. */
static uint32_t strays(const struct cpu_regs *regs, uint64_t width)
{
    uint64_t differences = 0;
    uint32_t found = 0;

#pragma GCC unroll 16
    for (unsigned i = 0; i < GPRS; i++)
        differences |= regs->gpr[i] ^ (pattern(i) & width);
    for (unsigned i = 0; differences && i < GPRS; i++)
        found |= (uint32_t)(regs->gpr[i] != (pattern(i) & width)) << i;
    return found;
}

/* What the instruction may write goes to the outcome, an operand must be as it was loaded; with the pattern in their place
 * again, whatever differs has changed against the rules. */
static inline void report_registers(struct step *step, const struct frame *frame, uint64_t width, bool done)
{
    static const uint8_t order[4] = {RAX, RBX, RCX, RDX};
    struct cpu_regs *regs = &step->vcpu->regs;
    unsigned writes = done ? frame->writes : 0;
    uint32_t changed = 0;

    for (unsigned i = 0; i < frame->count; i++) {
        unsigned reg = frame->operands[i];

        if (writes & BIT(reg))
            continue;
        changed |= (uint32_t)(regs->gpr[reg] != (step->args[i] & width)) << reg;
        regs->gpr[reg] = pattern(reg) & width;
    }
    for (unsigned i = 0; writes && i < 4; i++) {
        if (!(writes & BIT(order[i])))
            continue;
        step->outcome->regs[i] = regs->gpr[order[i]];
        regs->gpr[order[i]] = pattern(order[i]) & width;
    }
    step->outcome->changed = changed | strays(regs, width);
}

/* Instructions that exit to the VMM with all their registers. MSRs outside of ring 0 fault there, too (GEN-1). Each has it
 * inlined: with a frame that is known the loops over it vanish, and the sanitizers' checks of their indices. */
__attribute__((always_inline)) static inline struct trap
intercepted(struct step *step, const struct frame *frame, struct trap (*call)(struct step *step))
{
    /* Outside of long mode there is no way to load or see the upper halves. */
    uint64_t width = is_long(step->action->mode) ? ~0ull : UINT32_MAX;
    struct trap trap;

    load_registers(step, frame, width);
    trap = call(step);
    report_registers(step, frame, width, !trapped(trap));
    return trap;
}

static struct trap call_cpuid(struct step *step)
{
    return intercept_cpuid(step->vcpu);
}

/* The board has one register, and answers for it at once: as many cores as vCPUs, which is -smp N. */
static struct trap call_rdmsr(struct step *step)
{
    struct vcpu *vcpu = step->vcpu;
    struct trap trap = intercept_rdmsr(vcpu);

    if (!(vcpu->hold & HOLD_EXIT))
        return trap;
    core_count_answer(vcpu, vcpu->vm->config.vcpus, 1);
    vcpu->answered = false;
    return NO_TRAP;
}

static struct trap call_wrmsr(struct step *step)
{
    return intercept_wrmsr(step->vcpu);
}

/* Byte by byte: of a memcpy this small AddressSanitizer makes a call. */
static void put_instruction(uint8_t code[3], enum hc_insn insn)
{
    for (unsigned i = 0; i < 3; i++)
        code[i] = hypercall_bytes[insn][i];
}

/* HC-10: the foreign form is rewritten in guest memory and runs again, natively. */
static struct trap call_hypercall(struct step *step)
{
    struct vm *vm = &step->m->vm;
    enum hc_insn insn = step->action->op == OP_VMCALL ? HC_VMCALL : HC_VMMCALL;
    uint8_t *code = gpa_host(&vm->memory, step->vcpu->regs.rip, 3, true);
    struct trap trap = NO_TRAP;

    put_instruction(code, insn);
    if (intercept_hypercall(step->vcpu, insn, &trap) == HC_REWRITE) {
        put_instruction(code, vm->config.native);
        intercept_hypercall(step->vcpu, vm->config.native, &trap);
    }
    for (unsigned i = 0; i < 3; i++)
        step->outcome->data[i] = code[i];
    step->outcome->data_len = 3;
    return trap;
}

struct trap direct_cpuid(struct step *step)
{
    static const struct frame frame = {2, {RAX, RCX}, BIT(RAX) | BIT(RBX) | BIT(RCX) | BIT(RDX)};

    return intercepted(step, &frame, call_cpuid);
}

struct trap direct_rdmsr(struct step *step)
{
    static const struct frame frame = {1, {RCX}, BIT(RAX) | BIT(RDX)};

    return intercepted(step, &frame, call_rdmsr);
}

struct trap direct_wrmsr(struct step *step)
{
    static const struct frame frame = {3, {RCX, RAX, RDX}, 0};

    step->args[2] = step->args[1] >> 32;
    return intercepted(step, &frame, call_wrmsr);
}

struct trap direct_hypercall(struct step *step)
{
    static const struct frame frame = {5, {RAX, RBX, RCX, RDX, RSI}, BIT(RAX)};

    return intercepted(step, &frame, call_hypercall);
}
