/* Guest actions of the direct machine: loads the registers that the probe would load, lets the VMM do the instruction,
 * and reports as the probe does (diff/probe/actions.c, mailbox.h). */
#include <string.h>
#include "diff/program/direct_guest.h"
#include "vmm/abi/apic.h"
#include "vmm/apic/lapic.h"
#include "vmm/pv/async_pf.h"
#include "vmm/pv/intercept.h"
#include "vmm/pv/msr.h"

/* How the CPU stands in each mode when the probe has entered it. */
static const struct mode_state {
    uint16_t cs, ss; /* access rights */
    uint64_t cr0;
    uint64_t efer; /* LMA follows from paging; LME stays set in all of them */
} mode_states[MODE_COUNT] = {
#define CODE(extra, dpl) (SEG_ACCESSED | 2 | SEG_CODE | SEG_S | SEG_P | (dpl) << 5 | (extra))
#define DATA(dpl)        (SEG_ACCESSED | 2 | SEG_S | SEG_P | SEG_DB | SEG_G | (dpl) << 5)
#define CR0_LONG         0x80010033 /* PG, WP, NE, ET, MP, PE */
#define CR0_FLAT         0x00010033
#define CR0_REAL         0x00010032
    [MODE_64] = {CODE(SEG_L | SEG_G, 0), DATA(0), CR0_LONG, EFER_LME | EFER_LMA},
    [MODE_64_CPL3] = {CODE(SEG_L | SEG_G, 3), DATA(3), CR0_LONG, EFER_LME | EFER_LMA},
    [MODE_COMPAT] = {CODE(SEG_DB | SEG_G, 0), DATA(0), CR0_LONG, EFER_LME | EFER_LMA},
    [MODE_COMPAT_CPL3] = {CODE(SEG_DB | SEG_G, 3), DATA(3), CR0_LONG, EFER_LME | EFER_LMA},
    [MODE_32] = {CODE(SEG_DB | SEG_G, 0), DATA(0), CR0_FLAT, EFER_LME},
    [MODE_32_CPL3] = {CODE(SEG_DB | SEG_G, 3), DATA(3), CR0_FLAT, EFER_LME},
    [MODE_16] = {CODE(0, 0), CODE(0, 0) & ~SEG_CODE, CR0_REAL, EFER_LME},
};

static bool is_64bit(enum action_mode mode)
{
    return mode <= MODE_64_CPL3;
}

static void enter_mode(struct step *step)
{
    const struct action *action = step->action;
    struct cpu_regs *regs = &step->vcpu->regs;
    const struct mode_state *state = &mode_states[action->mode];

    regs->seg[SREG_CS].access = state->cs;
    regs->seg[SREG_CS].base = 0;
    regs->seg[SREG_SS].access = state->ss;
    regs->cr0 = state->cr0;
    regs->cr4 = CR4_PAE;
    regs->efer = (regs->efer & ~(EFER_LME | EFER_LMA)) | state->efer;
    regs->rip = PROBE_PADS + 64 * action->vcpu;
    regs->rflags = 2 | (step->shell->interrupts ? RFLAGS_IF : 0);
    regs->shadow = false;
}

/* The probe goes back to 64-bit mode, which turns paging on again. */
static void leave_mode(struct step *step)
{
    struct cpu_regs *regs = &step->vcpu->regs;

    if (regs->cr0 & CR0_PG)
        return;
    regs->cr0 = mode_states[MODE_64].cr0;
    apf_paging_changed(step->vcpu);
}

static uint64_t size_bits(uint64_t value, unsigned size)
{
    return size == 8 ? value : value & ((1ull << 8 * size) - 1);
}

static struct trap act_nop(struct step *step)
{
    (void)step;
    return NO_TRAP;
}

/* Outside of 64-bit mode the probe does 8 bytes in two instructions; the second may fault alone. */
static struct trap access(struct step *step, unsigned size, uint64_t *value, bool write)
{
    unsigned piece = size == 8 && !is_64bit(step->action->mode) ? 4 : size;

    for (unsigned done = 0; done < size; done += piece) {
        uint8_t *bytes = (uint8_t *)value + done;
        struct trap trap = write ? direct_write(step, step->args[0] + done, bytes, piece)
                                 : direct_read(step, step->args[0] + done, bytes, piece);

        if (trapped(trap))
            return trap;
    }
    return NO_TRAP;
}

static struct trap act_load(struct step *step)
{
    return access(step, 1 << (step->action->op - OP_LOAD8), &step->outcome->regs[0], false);
}

static struct trap act_store(struct step *step)
{
    return access(step, 1 << (step->action->op - OP_STORE8), &step->args[1], true);
}

/* REP MOVSB: page by page, so that nothing is reported when a later page faults. */
static struct trap act_dump(struct step *step)
{
    unsigned len = step->args[1] < sizeof(step->outcome->data) ? step->args[1] : sizeof(step->outcome->data);
    uint8_t bytes[sizeof(step->outcome->data)];

    for (unsigned done = 0; done < len;) {
        uint64_t gva = step->args[0] + done;
        unsigned left = GPA_PAGE_SIZE - (gva & (GPA_PAGE_SIZE - 1)),
                 chunk = len - done < left ? len - done : left;
        struct trap trap = NO_TRAP;

        /* A device is read as the instruction reads it: one byte at a time. */
        if (!memory_slot(&step->m->vm.memory, gva))
            chunk = 1;
        trap = direct_read(step, gva, bytes + done, chunk);
        if (trapped(trap))
            return trap;
        done += chunk;
    }
    memcpy(step->outcome->data, bytes, len);
    step->outcome->data_len = len;
    return NO_TRAP;
}

static struct trap act_fill(struct step *step)
{
    unsigned most = op_info(OP_FILL)->limit;

    return direct_fill(step, step->args[0], step->args[2], step->args[1] < most ? step->args[1] : most);
}

static struct trap act_rdtsc(struct step *step)
{
    uint64_t tsc = vcpu_tsc(step->vcpu);

    step->outcome->regs[0] = (uint32_t)tsc;
    step->outcome->regs[3] = tsc >> 32;
    return NO_TRAP;
}

static struct trap act_hlt(struct step *step)
{
    if (vcpu_cpl(step->vcpu))
        return GP0;
    direct_halt(step);
    return NO_TRAP;
}

static struct trap set_interrupts(struct step *step, bool on)
{
    if (vcpu_cpl(step->vcpu)) /* IOPL is 0 */
        return GP0;
    step->shell->interrupts = on;
    return NO_TRAP;
}

static struct trap act_sti(struct step *step)
{
    return set_interrupts(step, true);
}

static struct trap act_cli(struct step *step)
{
    return set_interrupts(step, false);
}

static struct trap apic_store(struct step *step, uint32_t reg, uint32_t value)
{
    return direct_write(step, PROBE_MMIO_BASE + reg, &value, sizeof(value));
}

/* A register of the local APIC in x2APIC mode; value NULL: read it. */
static struct trap apic_msr(struct step *step, uint32_t reg, const uint64_t *value)
{
    uint64_t *gpr = step->vcpu->regs.gpr;
    struct trap trap;

    gpr[RCX] = MSR_X2APIC_BASE + reg / 16;
    if (value) {
        gpr[RAX] = (uint32_t)*value;
        gpr[RDX] = *value >> 32;
        return intercept_wrmsr(step->vcpu);
    }
    trap = intercept_rdmsr(step->vcpu);
    if (!trapped(trap))
        step->outcome->regs[0] = (uint32_t)gpr[RAX] | gpr[RDX] << 32;
    return trap;
}

static struct trap act_apic_read(struct step *step)
{
    if (lapic_x2apic(step->vcpu))
        return apic_msr(step, step->args[0] & 0xff0, NULL);
    return direct_read(step, PROBE_MMIO_BASE + (step->args[0] & 0xff0), &step->outcome->regs[0], 4);
}

static struct trap act_apic_write(struct step *step)
{
    if (lapic_x2apic(step->vcpu))
        return apic_msr(step, step->args[0] & 0xff0, &step->args[1]);
    return apic_store(step, step->args[0] & 0xff0, step->args[1]);
}

static struct trap act_ipi(struct step *step)
{
    uint64_t icr = step->args[0] << 32 | (uint32_t)step->args[1];

    if (lapic_x2apic(step->vcpu))
        return apic_msr(step, APIC_ICR, &icr);
    apic_store(step, APIC_ICR2, step->args[0] << 24);
    return apic_store(step, APIC_ICR, step->args[1]);
}

static struct trap act_eoi(struct step *step)
{
    const uint64_t any = 0;

    if (lapic_x2apic(step->vcpu))
        return apic_msr(step, APIC_EOI, &any);
    return apic_store(step, APIC_EOI, 0);
}

static struct trap act_x2apic(struct step *step)
{
    uint64_t *gpr = step->vcpu->regs.gpr, base = 0;

    vcpu_rdmsr(step->vcpu, MSR_IA32_APICBASE, &base, ORIGIN_VMM);
    base |= APICBASE_ENABLE | APICBASE_EXTD;
    gpr[RCX] = MSR_IA32_APICBASE;
    gpr[RAX] = (uint32_t)base;
    gpr[RDX] = base >> 32;
    return intercept_wrmsr(step->vcpu);
}

static struct trap act_port(struct step *step, unsigned size, bool write)
{
    struct bus *bus = &step->m->vm.bus;
    uint16_t port = (uint16_t)step->args[0];

    if (vcpu_cpl(step->vcpu)) /* IOPL is 0, and no port is open to ring 3 */
        return GP0;
    vcpu_exit(step->vcpu);
    if (write)
        bus_write(bus, BUS_PIO, step->vcpu, port, size, size_bits(step->args[1], size));
    else
        step->outcome->regs[0] = size_bits(bus_read(bus, BUS_PIO, step->vcpu, port, size), size);
    return NO_TRAP;
}

static struct trap act_in(struct step *step)
{
    return act_port(step, 1 << (step->action->op - OP_IN8), false);
}

static struct trap act_out(struct step *step)
{
    return act_port(step, 1 << (step->action->op - OP_OUT8), true);
}

static struct trap act_rdtscp(struct step *step)
{
    const uint32_t rdtscp = 1u << 27;

    if (!(vcpu_cpuid(step->vcpu, 0x80000001, 0).edx & rdtscp))
        return (struct trap){.vector = TRAP_UD};
    step->outcome->regs[2] = (uint32_t)step->vcpu->regs.tsc_aux;
    return act_rdtsc(step);
}

static struct trap act_lock_cmpxchg8(struct step *step)
{
    uint8_t old, expected = (uint8_t)step->args[1], value = (uint8_t)step->args[2];
    struct trap trap = direct_rmw(step, step->args[0], &old, 1);

    if (trapped(trap))
        return trap;
    step->outcome->regs[0] = old;
    return direct_write(step, step->args[0], old == expected ? &value : &old, 1);
}

static struct trap act_test_clear(struct step *step)
{
    uint32_t word, cleared;
    struct trap trap = direct_rmw(step, step->args[0], &word, sizeof(word));

    if (trapped(trap))
        return trap;
    step->outcome->regs[0] = word & 1;
    cleared = word & ~1u;
    return direct_write(step, step->args[0], &cleared, sizeof(cleared));
}

static struct trap act_invlpg(struct step *step)
{
    return vcpu_cpl(step->vcpu) ? GP0 : NO_TRAP;
}

static struct trap act_map(struct step *step)
{
    uint64_t page = (step->args[0] - PROBE_WINDOW) / GPA_PAGE_SIZE;

    if (page >= PROBE_WINDOW_PAGES) {
        step->outcome->status = OUTCOME_UNSUPPORTED;
        return NO_TRAP;
    }
    step->m->window[page] = step->args[1] & PROBE_PTE_BITS;
    step->m->window_used = true;
    return NO_TRAP;
}

static struct trap act_on_interrupt(struct step *step)
{
    struct direct_vcpu *shell = step->shell;

    if (step->args[0] > DIRECT_MAPPED - 4) {
        step->outcome->status = OUTCOME_UNSUPPORTED;
        return NO_TRAP;
    }
    shell->watches = true;
    shell->watch_at = step->args[0];
    shell->watch_how = (uint8_t)step->args[1];
    return NO_TRAP;
}

/* STI, then an instruction in whose shadow nothing comes in, then CLI. */
static struct trap act_window(struct step *step)
{
    struct trap trap = set_interrupts(step, true);

    if (trapped(trap))
        return trap;
    step->vcpu->regs.rflags |= RFLAGS_IF;
    vcpu_enter(step->vcpu);
    direct_take_interrupts(step->m, step->vcpu);
    step->vcpu->regs.rflags &= ~RFLAGS_IF;
    return set_interrupts(step, false);
}

static struct trap (*const acts[OP_COUNT])(struct step *step) = {
    [OP_NOP] = act_nop,
    [OP_CPUID] = direct_cpuid,
    [OP_RDMSR] = direct_rdmsr,
    [OP_WRMSR] = direct_wrmsr,
    [OP_VMCALL] = direct_hypercall,
    [OP_VMMCALL] = direct_hypercall,
    [OP_LOAD8] = act_load,
    [OP_LOAD16] = act_load,
    [OP_LOAD32] = act_load,
    [OP_LOAD64] = act_load,
    [OP_STORE8] = act_store,
    [OP_STORE16] = act_store,
    [OP_STORE32] = act_store,
    [OP_STORE64] = act_store,
    [OP_DUMP] = act_dump,
    [OP_FILL] = act_fill,
    [OP_RDTSC] = act_rdtsc,
    [OP_HLT] = act_hlt,
    [OP_PAUSE] = act_nop,
    [OP_STI] = act_sti,
    [OP_CLI] = act_cli,
    [OP_APIC_READ] = act_apic_read,
    [OP_APIC_WRITE] = act_apic_write,
    [OP_IPI] = act_ipi,
    [OP_EOI] = act_eoi,
    [OP_IN8] = act_in,
    [OP_IN16] = act_in,
    [OP_IN32] = act_in,
    [OP_OUT8] = act_out,
    [OP_OUT16] = act_out,
    [OP_OUT32] = act_out,
    [OP_RDTSCP] = act_rdtscp,
    [OP_LOCK_CMPXCHG8] = act_lock_cmpxchg8,
    [OP_TEST_CLEAR] = act_test_clear,
    [OP_INVLPG] = act_invlpg,
    [OP_MAP] = act_map,
    [OP_X2APIC] = act_x2apic,
    [OP_WINDOW] = act_window,
    [OP_ON_INTERRUPT] = act_on_interrupt,
};

/* Bytes that the probe's code for this action advances RIP by: prefixes by mode, then the instruction. */
static uint32_t code_length(const struct step *step)
{
    const struct action *action = step->action;
    bool real = action->mode == MODE_16, wide = is_64bit(action->mode);
    unsigned length = op_info(action->op)->length;

    if (action->op >= OP_APIC_READ && action->op <= OP_EOI && lapic_x2apic(step->vcpu))
        return 2; /* RDMSR or WRMSR */
    switch (action->op) {
    case OP_LOAD8:
    case OP_STORE8:
    case OP_DUMP:
    case OP_FILL:
    case OP_LOCK_CMPXCHG8:
    case OP_INVLPG:
    case OP_IN32:
    case OP_OUT32:
        return length + real;
    case OP_IN16:
    case OP_OUT16:
        return length + !real;
    case OP_LOAD16:
    case OP_STORE16:
        return length + 1; /* 66, or in real mode 67 */
    case OP_LOAD32:
    case OP_STORE32:
    case OP_APIC_READ:
    case OP_APIC_WRITE:
    case OP_EOI:
    case OP_TEST_CLEAR:
        return length + 2 * real;
    case OP_LOAD64:
    case OP_STORE64:
        return wide ? length + 1 : 2 * (length + 2 * real) + 1; /* two halves, the second at [ebx+4] */
    case OP_IPI:
        return 2 * (length + 2 * real);
    default:
        return length;
    }
}

static void report_fault(struct outcome *outcome, struct trap trap)
{
    memset(outcome->regs, 0, sizeof(outcome->regs));
    outcome->status = OUTCOME_FAULT;
    outcome->vector = trap.vector;
    outcome->error = trap.has_error ? trap.error : 0;
    outcome->cr2 = trap.vector == TRAP_PF ? trap.cr2 : 0;
}

void direct_act(struct step *step)
{
    struct outcome *outcome = step->outcome;
    struct trap trap;

    enter_mode(step);
    outcome->status = OUTCOME_OK;
    trap = acts[step->action->op](step);
    leave_mode(step);
    if (outcome->status != OUTCOME_OK)
        return;
    if (trap.vector == TRAP_RETRY)
        direct_wait(step);
    else if (trapped(trap))
        report_fault(outcome, trap);
    else
        outcome->rip_delta = code_length(step);
    if (step->shell->interrupts)
        outcome->flags |= OUTCOME_F_IF;
}
