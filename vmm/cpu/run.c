/* The interpreter's loop, and what its owner may ask of a vCPU between runs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "vmm/cpu/block.h"
#include "vmm/cpu/deliver.h"
#include "vmm/cpu/exec.h"
#include "vmm/cpu/flags.h"
#include "vmm/cpu/mem.h"

#define DR6_BS (1ull << 14)

int cpu_create(struct cpu **out, struct code_cache *cache, struct vcpu *vcpu)
{
    struct cpu *cpu = calloc(1, sizeof(*cpu));

    if (!cpu)
        return -ENOMEM;
    cpu->vcpu = vcpu;
    cpu->regs = &vcpu->regs;
    cpu->cache = cache;
    cpu->mem = cache->mem;
    cpu->next = cache->cpus;
    cache->cpus = cpu;
    vcpu->tlb = cpu;
    cpu->tlb_cr0 = ~0ull; /* nothing was translated yet */
    cpu_tlb_flush(cpu);
    *out = cpu;
    return 0;
}

void cpu_destroy(struct cpu *cpu)
{
    struct cpu **link;

    if (!cpu)
        return;
    for (link = &cpu->cache->cpus; *link != cpu; link = &(*link)->next)
        ;
    *link = cpu->next;
    cpu->vcpu->tlb = NULL;
    free(cpu);
}

/* Takes over what may have changed outside: registers, paging, slots. */
static void cpu_begin(struct cpu *cpu)
{
    const struct cpu_regs *r = cpu->regs;

    memcpy(cpu->gpr, r->gpr, sizeof(r->gpr));
    cpu->rip = r->rip;
    flags_set_arith(cpu, r->rflags);
    if (cpu->cache->mem_generation != cpu->mem->generation)
        code_cache_flush(cpu->cache);
    if (cpu->mem_generation != cpu->mem->generation || cpu->tlb_cr0 != r->cr0 || cpu->tlb_cr3 != r->cr3 ||
        cpu->tlb_cr4 != r->cr4 || cpu->tlb_efer != r->efer || cpu->tlb_flushes != cpu->vcpu->tlb_flushes) {
        cpu_tlb_flush(cpu);
        cpu->tlb_flushes = cpu->vcpu->tlb_flushes;
        cpu->phys_bits = cpu->vcpu->phys_bits ? cpu->vcpu->phys_bits : 36; /* 36: no table was set */
    }
    mode_update(cpu);
}

static void cpu_end(struct cpu *cpu)
{
    struct cpu_regs *r = cpu->regs;

    memcpy(r->gpr, cpu->gpr, sizeof(r->gpr));
    r->rip = cpu->rip;
    r->rflags = rflags_get(cpu);
    cpu->tlb_cr0 = r->cr0;
    cpu->tlb_cr3 = r->cr3;
    cpu->tlb_cr4 = r->cr4;
    cpu->tlb_efer = r->efer;
}

/* Executes up to count instructions of block, which starts at cpu->rip; *done of them completed. */
static enum step block_run(struct cpu *cpu, const struct block *block, unsigned count, unsigned *done)
{
    const struct insn *i = block->insns, *end = i + count;
    enum step step;

    cpu->gpr[SLOT_BLOCK] = cpu->rip;
    do {
        step = i->exec(cpu, i);
        if (__builtin_expect(step != STEP_NEXT, 0))
            break;
    } while (++i != end);
    if (step == STEP_NEXT)
        i--;
    *done = (unsigned)(i - block->insns) + (step != STEP_TRAP && step != STEP_EXIT);
    if (step == STEP_TRAP || step == STEP_EXIT)
        cpu->rip = insn_rip(cpu, i);
    else if (step != STEP_BRANCH)
        cpu->rip = insn_next(cpu, i);
    return step;
}

static bool single_step_trap(struct cpu *cpu)
{
    cpu->regs->dr6 |= DR6_BS;
    return deliver_exception(cpu, (struct trap){.vector = TRAP_DB});
}

/* One block, or one instruction under TF or in an interrupt shadow. False: cpu->exit says why to leave. */
static bool run_block(struct cpu *cpu, uint64_t budget)
{
    bool tf = cpu->regs->rflags & RFLAGS_TF, shadow = cpu->regs->shadow;
    struct block *block = block_find(cpu);
    enum step step = STEP_TRAP;
    unsigned done = 0, count;

    if (!block && !trapped(cpu->trap)) {
        not_implemented(cpu, NULL, "instruction fetch from outside RAM");
        return false;
    }
    if (block) {
        count = tf || shadow ? 1 : block->count;
        cpu->regs->shadow = false;
        cpu->pages_at_once = shadow; /* no interrupt could wake it (APF-9) */
        step = block_run(cpu, block, count < budget ? count : (unsigned)budget, &done);
        cpu->pages_at_once = false;
    }
    cpu->exit->executed += done;
    if (step == STEP_EXIT) {
        cpu->regs->shadow = shadow;
        cpu->exit->executed += cpu->exit->reason != CPU_EXIT_UNIMPLEMENTED;
        return false;
    }
    cpu->leave |= shadow; /* interrupts that waited for this instruction */
    if (step == STEP_TRAP && cpu->trap.vector == TRAP_RETRY) {
        cpu->regs->shadow = shadow;
        cpu->exit->reason = CPU_EXIT_EVENT; /* its owner knows that it waits */
        cpu->exit->executed++;
    } else if (step == STEP_TRAP) {
        cpu->exit->executed++; /* so that a guest that only faults ends, too */
        if (!deliver_exception(cpu, cpu->trap))
            cpu->exit->reason = CPU_EXIT_SHUTDOWN;
    } else if (tf && !single_step_trap(cpu)) {
        cpu->exit->reason = CPU_EXIT_SHUTDOWN;
    }
    if (cpu->exit->reason == CPU_EXIT_BUDGET && cpu->leave)
        cpu->exit->reason = cpu->leave_reason;
    return cpu->exit->reason == CPU_EXIT_BUDGET;
}

void cpu_run(struct cpu *cpu, uint64_t budget, struct cpu_exit *exit)
{
    *exit = (struct cpu_exit){.reason = CPU_EXIT_BUDGET};
    cpu->exit = exit;
    cpu->leave = false;
    cpu->leave_reason = CPU_EXIT_EVENT;
    cpu_begin(cpu);
    while (exit->executed < budget && run_block(cpu, budget - exit->executed))
        ;
    cpu_end(cpu);
    cpu->exit = NULL;
}

bool cpu_finish(struct cpu *cpu, unsigned length)
{
    struct cpu_regs *r = cpu->regs;
    bool alive = true;

    r->rip += length;
    if (!vcpu_64bit(cpu->vcpu))
        r->rip &= 0xffffffff;
    r->shadow = false;
    if (r->rflags & RFLAGS_TF) {
        cpu_begin(cpu);
        alive = single_step_trap(cpu);
        cpu_end(cpu);
    }
    return alive;
}

bool cpu_deliver(struct cpu *cpu, enum cpu_event_kind kind, struct trap trap)
{
    struct delivery_event e = {.vector = trap.vector, .kind = DELIVER_EXTERNAL};
    bool alive = true;

    cpu_begin(cpu);
    e.rip = cpu->rip;
    if (kind != EVENT_EXCEPTION)
        trap = deliver(cpu, &e);
    if (kind == EVENT_NMI)
        cpu->nmi_blocked = true;
    if (trapped(trap))
        alive = deliver_exception(cpu, trap);
    cpu_end(cpu);
    return alive;
}

bool cpu_nmi_open(const struct cpu *cpu)
{
    return !cpu->nmi_blocked;
}

struct trap cpu_patch(struct cpu *cpu, const uint8_t *bytes, unsigned len)
{
    uint64_t v = 0;
    struct trap trap = NO_TRAP;

    memcpy(&v, bytes, len);
    cpu_begin(cpu);
    cpu->pages_at_once = true;
    if (mem_write_slow(cpu, cpu->rip, len, v, cpu->user) == STEP_TRAP)
        trap = cpu->trap;
    cpu->pages_at_once = false;
    cpu_end(cpu);
    return trap;
}

/* Bytes at CS:RIP as far as they can be read without side effects on the guest other than accessed bits. */
static unsigned peek_code(struct cpu *cpu, uint8_t bytes[15])
{
    uint64_t base = is_64bit(cpu) ? 0 : cpu->regs->seg[SREG_CS].base, gpa;
    unsigned n;

    for (n = 0; n < 15; n++) {
        uint64_t va = base + cpu->rip + n;
        const uint8_t *p = mem_fetch(cpu, is_64bit(cpu) ? va : va & 0xffffffff, &gpa);

        if (!p)
            break;
        bytes[n] = *p;
    }
    return n;
}

static void describe(struct cpu *cpu, char *text, size_t size)
{
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    ZydisFormatter formatter;
    struct trap trap = cpu->trap;
    uint8_t bytes[15];
    char name[96] = "(not an instruction)", hex[31] = "";
    unsigned len, shown;

    cpu->pages_at_once = true;
    len = shown = peek_code(cpu, bytes);
    cpu->pages_at_once = false;

    if (ZYAN_SUCCESS(
            ZydisDecoderDecodeFull(&cpu->cache->decoders[cpu->mode & MODE_SIZE], bytes, len, &zi, ops))) {
        ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL);
        ZydisFormatterFormatInstruction(&formatter, &zi, ops, zi.operand_count_visible, name, sizeof(name),
                                        cpu->rip, NULL);
        shown = zi.length;
    }
    for (unsigned n = 0; n < shown; n++)
        snprintf(hex + 2 * n, 3, "%02x", bytes[n]);
    snprintf(text, size, "%04x:%016llx: %-20s %s", cpu->regs->seg[SREG_CS].selector,
             (unsigned long long)cpu->rip, hex, name);
    cpu->trap = trap;
}

void cpu_describe(struct cpu *cpu, char *text, size_t size)
{
    cpu_begin(cpu);
    describe(cpu, text, size);
}

enum step not_implemented(struct cpu *cpu, const struct insn *i, const char *what)
{
    char where[128];

    if (i)
        cpu->rip = insn_rip(cpu, i);
    describe(cpu, where, sizeof(where));
    cpu->exit->reason = CPU_EXIT_UNIMPLEMENTED;
    snprintf(cpu->exit->text, sizeof(cpu->exit->text), "%.40s: %.115s", what, where);
    return STEP_EXIT;
}

enum step exec_unimplemented(struct cpu *cpu, const struct insn *i)
{
    return not_implemented(cpu, i, "not implemented");
}
