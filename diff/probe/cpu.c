/* Runs instructions under test in their mode; interrupts become events, anything unexpected a panic. */
#include "diff/probe/cpu.h"

void enter_64(struct cpu *cpu);
void enter_32(struct cpu *cpu);
void enter_16(struct cpu *cpu);

#define VECTOR_NMI 2
#define VECTOR_BP  3
#define PAD_SIZE   64
#define EXIT_PORT  0x80 /* a write leaves to the user space of any VMM and has no effect */

static void enter_long(struct cpu *cpu, uint16_t cs, uint16_t ss, struct context *c)
{
    struct frame64 *f = &cpu->frame64;
    uint64_t *g = c->gpr;

    *f = (struct frame64){g[R15], g[R14], g[R13], g[R12],    g[R11],         g[R10], g[R9],  g[R8],
                          g[RDI], g[RSI], g[RBP], g[RBX],    g[RDX],         g[RCX], g[RAX], 0,
                          0,      c->rip, cs,     c->rflags, (uintptr_t)cpu, ss};
    enter_64(cpu);
    g[RAX] = f->rax, g[RCX] = f->rcx, g[RDX] = f->rdx, g[RBX] = f->rbx;
    g[RBP] = f->rbp, g[RSI] = f->rsi, g[RDI] = f->rdi;
    g[R8] = f->r8, g[R9] = f->r9, g[R10] = f->r10, g[R11] = f->r11;
    g[R12] = f->r12, g[R13] = f->r13, g[R14] = f->r14, g[R15] = f->r15;
    c->rip = f->rip;
    c->rflags = f->rflags;
    c->vector = (uint8_t)f->vector;
    c->error = (uint32_t)f->error;
}

/* Registers that 16 and 32-bit code can see: into a frame, in the order of POPAD, and back. The others keep what context
 * holds. */
#define LEGACY_FRAME(g)                                                                                      \
    (uint32_t)(g)[RDI], (uint32_t)(g)[RSI], (uint32_t)(g)[RBP], 0, (uint32_t)(g)[RBX], (uint32_t)(g)[RDX],   \
        (uint32_t)(g)[RCX], (uint32_t)(g)[RAX]
#define LEGACY_GPRS(g, f)                                                                                    \
    g[RAX] = f->eax, g[RCX] = f->ecx, g[RDX] = f->edx, g[RBX] = f->ebx, g[RBP] = f->ebp, g[RSI] = f->esi,    \
    g[RDI] = f->edi

static void enter_protected(struct cpu *cpu, uint16_t cs, uint16_t ss, struct context *c)
{
    struct frame32 *f = &cpu->frame32;
    uint64_t *g = c->gpr;

    *f = (struct frame32){LEGACY_FRAME(g),          0, 0, (uint32_t)c->rip, cs, (uint32_t)c->rflags,
                          (uint32_t)(uintptr_t)cpu, ss};
    enter_32(cpu);
    LEGACY_GPRS(g, f);
    c->rip = f->eip;
    c->rflags = f->eflags;
    c->vector = (uint8_t)f->vector;
    c->error = f->error;
}

static void enter_real(struct cpu *cpu, struct context *c)
{
    struct frame16 *f = &cpu->frame16;
    uint64_t *g = c->gpr;

    *f = (struct frame16){LEGACY_FRAME(g), 0, (uint16_t)c->rip, 0, (uint16_t)c->rflags};
    enter_16(cpu);
    LEGACY_GPRS(g, f);
    c->rip = f->ip;
    c->rflags = f->flags;
    c->vector = (uint8_t)f->vector;
    c->error = 0;
}

void cpu_enter(struct cpu *cpu, uint8_t mode, struct context *context)
{
    cpu->entered = 1;
    switch (mode) {
    case MODE_64_CPL3:
        enter_long(cpu, SEL_UCODE64, SEL_UDATA, context);
        break;
    case MODE_COMPAT:
        enter_long(cpu, SEL_CODE32, SEL_DATA, context);
        break;
    case MODE_COMPAT_CPL3:
        enter_long(cpu, SEL_UCODE32, SEL_UDATA, context);
        break;
    case MODE_32:
        enter_protected(cpu, SEL_CODE32, SEL_DATA, context);
        break;
    case MODE_32_CPL3:
        enter_protected(cpu, SEL_UCODE32, SEL_UDATA, context);
        break;
    case MODE_16:
        enter_real(cpu, context);
        break;
    default:
        enter_long(cpu, SEL_CODE64, SEL_DATA, context);
        break;
    }
}

static uint8_t look(const struct cpu *cpu)
{
    if (cpu->watch_how & ON_INTERRUPT_EXIT)
        outb(EXIT_PORT, 0);
    return *(const volatile uint8_t *)(uintptr_t)cpu->watch_at;
}

void cpu_log_event(struct cpu *cpu, uint8_t vector)
{
    struct mailbox *m = mailbox();
    uint32_t n = m->event_count[cpu->vcpu];

    if (!cpu->woken_by) {
        cpu->woken_by = vector;
        cpu->woken_after = m->current;
    }
    if (n >= MAILBOX_EVENTS)
        return;
    m->events[cpu->vcpu][n] = (struct probe_event){
        .after = m->current, .vector = vector, .watched = cpu->watches, .byte = cpu->watches ? look(cpu) : 0};
    m->event_count[cpu->vcpu] = n + 1;
}

/* Bit 0 of the 32-bit word, in one instruction. */
static bool test_and_clear(volatile void *word)
{
    bool was;

    __asm__ volatile("btrl $0, %1" : "=@ccc"(was), "+m"(*(volatile uint32_t *)word)::"memory");
    return was;
}

/* The rest of what OP_ON_INTERRUPT asked for. */
static void end_interrupt(struct cpu *cpu)
{
    if (cpu->watches && cpu->watch_how & ON_INTERRUPT_EOI &&
        !test_and_clear((volatile void *)(uintptr_t)cpu->watch_at))
        apic_write(cpu, APIC_EOI, 0);
}

void cpu_nmi(struct cpu *cpu)
{
    cpu_log_event(cpu, VECTOR_NMI);
}

static _Noreturn void panic(uint8_t vector, uint64_t rip, uint64_t error)
{
    struct mailbox *m = mailbox();
    uint64_t cr2;

    __asm__ volatile("movq %%cr2, %0" : "=r"(cr2));
    m->panic_vector = vector;
    m->panic_rip = rip;
    m->panic_cr2 = cr2;
    m->panic_error = error;
    m->state = PROBE_PANIC;
    for (;;)
        __asm__ volatile("cli; hlt");
}

void cpu_panic(struct cpu *cpu)
{
    panic((uint8_t)cpu->frame64.vector, cpu->frame64.rip, cpu->frame64.error);
}

static bool is_interrupt(const struct context *c)
{
    return c->vector >= 32 || c->vector == VECTOR_NMI;
}

void cpu_run_pad(struct cpu *cpu, uint8_t mode, struct context *context, bool ends_when_woken)
{
    uint64_t start = context->rip;

    cpu->woken_by = 0;
    for (;;) {
        cpu_enter(cpu, mode, context);
        if (context->rip - start > PAD_SIZE)
            panic(context->vector, context->rip, context->error);
        if (!is_interrupt(context))
            return;
        cpu_log_event(cpu, context->vector);
        if (context->vector != VECTOR_NMI)
            end_interrupt(cpu);
        /* An interrupt on the way to a HLT is the one that HLT was to wait for. */
        if (ends_when_woken && context->rip == start)
            context->rip++;
    }
}

void cpu_settle(struct cpu *cpu)
{
    struct context c = {.rip = (uintptr_t)cpu_pad(cpu) + 32};
    uint8_t *pad = (uint8_t *)(uintptr_t)c.rip;

    outb(EXIT_PORT, 0);
    if (!cpu->program_if)
        return;
    pad[0] = 0x90;
    pad[1] = 0xcc;
    c.rflags = RFLAGS_FIXED | RFLAGS_IF;
    cpu_run_pad(cpu, MODE_64, &c, false);
}
