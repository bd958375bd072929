/* Guest actions: one table row gives the instruction under test, its operands and what it may write. */
#include "diff/probe/cpu.h"

enum row_flags {
    HAS_MEMORY = 1 << 0,   /* operand at [rbx], or string operands */
    IS_HYPERCALL = 1 << 1, /* report the code bytes afterwards (HC-10) */
    IS_LOAD = 1 << 2,
    IS_APIC = 1 << 3, /* the first operand is an xAPIC offset */
    IS_HLT = 1 << 4,
    PARTIAL = 1 << 5,     /* a fault may leave registers of `writes` changed */
    WAKES = 1 << 6,       /* may send something to a vCPU, or admit what is pending */
    GIVES_CARRY = 1 << 7, /* report CF */
};

#define BIT(reg) (1u << (reg))
#define NO_REG   GPRS /* operand unused */

struct row {
    uint8_t code[4], code_len;
    uint8_t size;        /* of the memory operand; 8 in 32-bit modes is done as two halves */
    uint16_t flags;      /* enum row_flags */
    uint16_t writes;     /* mask of enum probe_gpr */
    uint8_t operands[5]; /* register of each argument */
};

#define LOAD(opcode, bytes)                                                                                  \
    {                                                                                                        \
        {opcode, 0x03}, 2, bytes, HAS_MEMORY | IS_LOAD, BIT(RAX),                                            \
        {                                                                                                    \
            RBX, NO_REG, NO_REG, NO_REG, NO_REG                                                              \
        }                                                                                                    \
    }
#define STORE(opcode, bytes)                                                                                 \
    {                                                                                                        \
        {opcode, 0x03}, 2, bytes, HAS_MEMORY, 0,                                                             \
        {                                                                                                    \
            RBX, RAX, NO_REG, NO_REG, NO_REG                                                                 \
        }                                                                                                    \
    }
#define HYPERCALL(opcode)                                                                                    \
    {                                                                                                        \
        {0x01, opcode}, 2, 0, IS_HYPERCALL | WAKES, BIT(RAX),                                                \
        {                                                                                                    \
            RAX, RBX, RCX, RDX, RSI                                                                          \
        }                                                                                                    \
    }
#define PLAIN(opcode, flags, writes)                                                                         \
    {                                                                                                        \
        {opcode}, 1, 0, flags, writes,                                                                       \
        {                                                                                                    \
            NO_REG, NO_REG, NO_REG, NO_REG, NO_REG                                                           \
        }                                                                                                    \
    }
#define PORT_READ(opcode, bytes)                                                                             \
    {                                                                                                        \
        {opcode}, 1, bytes, IS_LOAD, BIT(RAX),                                                               \
        {                                                                                                    \
            RDX, NO_REG, NO_REG, NO_REG, NO_REG                                                              \
        }                                                                                                    \
    }
#define PORT_WRITE(opcode, bytes)                                                                            \
    {                                                                                                        \
        {opcode}, 1, bytes, 0, 0,                                                                            \
        {                                                                                                    \
            RDX, RAX, NO_REG, NO_REG, NO_REG                                                                 \
        }                                                                                                    \
    }
#define TWO_BYTE(opcode, flags, writes, a, b)                                                                \
    {                                                                                                        \
        {0x0f, opcode}, 2, 0, flags, writes,                                                                 \
        {                                                                                                    \
            a, b, NO_REG, NO_REG, NO_REG                                                                     \
        }                                                                                                    \
    }

static const struct row rows[OP_COUNT] = {
    [OP_NOP] = PLAIN(0x90, 0, 0),
    [OP_CPUID] = TWO_BYTE(0xa2, 0, BIT(RAX) | BIT(RBX) | BIT(RCX) | BIT(RDX), RAX, RCX),
    [OP_RDMSR] = TWO_BYTE(0x32, 0, BIT(RAX) | BIT(RDX), RCX, NO_REG),
    [OP_WRMSR] = TWO_BYTE(0x30, WAKES, 0, RCX, RAX),
    [OP_VMCALL] = HYPERCALL(0xc1),
    [OP_VMMCALL] = HYPERCALL(0xd9),
    [OP_LOAD8] = LOAD(0x8a, 1),
    [OP_LOAD16] = LOAD(0x8b, 2),
    [OP_LOAD32] = LOAD(0x8b, 4),
    [OP_LOAD64] = LOAD(0x8b, 8),
    [OP_STORE8] = STORE(0x88, 1),
    [OP_STORE16] = STORE(0x89, 2),
    [OP_STORE32] = STORE(0x89, 4),
    [OP_STORE64] = STORE(0x89, 8),
    [OP_DUMP] = {{0xf3, 0xa4},
                 2,
                 0,
                 HAS_MEMORY | PARTIAL,
                 BIT(RCX) | BIT(RSI) | BIT(RDI),
                 {RSI, RCX, NO_REG, NO_REG, NO_REG}},
    [OP_FILL] =
        {{0xf3, 0xaa}, 2, 0, HAS_MEMORY | PARTIAL, BIT(RCX) | BIT(RDI), {RDI, RCX, RAX, NO_REG, NO_REG}},
    [OP_RDTSC] = TWO_BYTE(0x31, 0, BIT(RAX) | BIT(RDX), NO_REG, NO_REG),
    [OP_HLT] = PLAIN(0xf4, IS_HLT, 0),
    [OP_PAUSE] = {{0xf3, 0x90}, 2, 0, 0, 0, {NO_REG, NO_REG, NO_REG, NO_REG, NO_REG}},
    [OP_STI] = PLAIN(0xfb, WAKES, 0),
    [OP_CLI] = PLAIN(0xfa, 0, 0),
    [OP_APIC_READ] =
        {{0x8b, 0x03}, 2, 4, HAS_MEMORY | IS_LOAD | IS_APIC, BIT(RAX), {RBX, NO_REG, NO_REG, NO_REG, NO_REG}},
    [OP_APIC_WRITE] =
        {{0x89, 0x03}, 2, 4, HAS_MEMORY | IS_APIC | WAKES, 0, {RBX, RAX, NO_REG, NO_REG, NO_REG}},
    [OP_IPI] = {{0x89, 0x83}, 2, 4, HAS_MEMORY | WAKES, 0, {RAX, RCX, NO_REG, NO_REG, NO_REG}},
    [OP_EOI] = {{0x89, 0x03}, 2, 4, HAS_MEMORY | WAKES, 0, {NO_REG, NO_REG, NO_REG, NO_REG, NO_REG}},
    [OP_IN8] = PORT_READ(0xec, 1),
    [OP_IN16] = PORT_READ(0xed, 2),
    [OP_IN32] = PORT_READ(0xed, 4),
    [OP_OUT8] = PORT_WRITE(0xee, 1),
    [OP_OUT16] = PORT_WRITE(0xef, 2),
    [OP_OUT32] = PORT_WRITE(0xef, 4),
    [OP_RDTSCP] = {{0x0f, 0x01, 0xf9},
                   3,
                   0,
                   0,
                   BIT(RAX) | BIT(RCX) | BIT(RDX),
                   {NO_REG, NO_REG, NO_REG, NO_REG, NO_REG}},
    [OP_LOCK_CMPXCHG8] =
        {{0xf0, 0x0f, 0xb0, 0x0b}, 4, 1, HAS_MEMORY | IS_LOAD, BIT(RAX), {RBX, RAX, RCX, NO_REG, NO_REG}},
    [OP_TEST_CLEAR] =
        {{0x0f, 0xba, 0x33, 0x00}, 4, 4, HAS_MEMORY | GIVES_CARRY, 0, {RBX, NO_REG, NO_REG, NO_REG, NO_REG}},
    [OP_INVLPG] = {{0x0f, 0x01, 0x3b}, 3, 0, HAS_MEMORY, 0, {RBX, NO_REG, NO_REG, NO_REG, NO_REG}},
    [OP_X2APIC] = TWO_BYTE(0x30, WAKES, 0, NO_REG, NO_REG),
    [OP_WINDOW] = {{0xfb, 0x90, 0xfa}, 3, 0, WAKES, 0, {NO_REG, NO_REG, NO_REG, NO_REG, NO_REG}},
};

/* The local APIC's actions once it answers by MSR. */
static const struct row x2apic_rows[] = {
    [OP_APIC_READ - OP_APIC_READ] = TWO_BYTE(0x32, IS_LOAD, BIT(RAX) | BIT(RDX), NO_REG, NO_REG),
    [OP_APIC_WRITE - OP_APIC_READ] = TWO_BYTE(0x30, WAKES, 0, NO_REG, NO_REG),
    [OP_IPI - OP_APIC_READ] = TWO_BYTE(0x30, WAKES, 0, NO_REG, NO_REG),
    [OP_EOI - OP_APIC_READ] = TWO_BYTE(0x30, WAKES, 0, NO_REG, NO_REG),
};

static const struct row *row_of(const struct cpu *cpu, const struct probe_action *action)
{
    bool by_msr = cpu->x2apic && action->op >= OP_APIC_READ && action->op <= OP_EOI;

    return by_msr ? &x2apic_rows[action->op - OP_APIC_READ] : &rows[action->op];
}

#define APIC_ICR   0x300
#define APIC_ICR2  0x310
#define DUMP_MAX   64
#define FILL_MAX   4096
#define READ_TRIES 1000
#define INT3       0xcc

static bool is_64bit(uint8_t mode)
{
    return mode == MODE_64 || mode == MODE_64_CPL3;
}

static bool is_legacy(uint8_t mode)
{
    return mode == MODE_32 || mode == MODE_32_CPL3 || mode == MODE_16;
}

/* Prefixes that make the operand size bytes wide and its address 32 bits (64 in 64-bit mode), then the opcode. */
static uint8_t *emit(uint8_t *at, const struct row *row, uint8_t mode, unsigned size)
{
    bool real = mode == MODE_16;

    if (real && row->flags & HAS_MEMORY)
        *at++ = 0x67;
    if ((size == 2 && !real) || (size == 4 && real))
        *at++ = 0x66;
    if (size == 8)
        *at++ = 0x48;
    for (unsigned i = 0; i < row->code_len; i++)
        *at++ = row->code[i];
    return at;
}

static uint8_t *emit_u32(uint8_t *at, uint32_t value)
{
    for (unsigned i = 0; i < 4; i++)
        *at++ = (uint8_t)(value >> 8 * i);
    return at;
}

/* Writes the instruction and the int3 that ends it; returns the length without the int3. */
static unsigned emit_pad(uint8_t *pad, const struct row *row, const struct probe_action *action)
{
    uint8_t *at = pad;

    if (row->flags & IS_HYPERCALL) { /* the three bytes anew each time: a host may have patched them */
        *at++ = 0x0f;
        at = emit(at, row, action->mode, 0);
    } else if (action->op == OP_IPI &&
               row->flags & HAS_MEMORY) { /* mov [rbx+ICR2], eax; mov [rbx+ICR], ecx */
        at = emit_u32(emit(at, row, action->mode, 4), APIC_ICR2);
        at = emit(at, row, action->mode, 4);
        at[-1] |= RCX << 3;
        at = emit_u32(at, APIC_ICR);
    } else if (row->size == 8 && !is_64bit(action->mode)) { /* eax at [ebx], then edx at [ebx+4] */
        at = emit(at, row, action->mode, 4);
        at = emit(at, row, action->mode, 4);
        at[-1] = 0x53;
        *at++ = 4;
    } else {
        at = emit(at, row, action->mode, row->size);
    }
    *at = INT3;
    return (unsigned)(at - pad);
}

/* What WRMSR and RDMSR take for an action on the local APIC. */
static void load_apic_msr(struct context *c, const struct probe_action *action)
{
    uint32_t offset = action->op == OP_EOI   ? APIC_EOI
                      : action->op == OP_IPI ? APIC_ICR
                                             : (uint32_t)action->args[0] & 0xff0;
    uint64_t value = action->op == OP_IPI   ? action->args[0] << 32 | (uint32_t)action->args[1]
                     : action->op == OP_EOI ? 0
                                            : action->args[1];

    c->gpr[RCX] = MSR_X2APIC + offset / 16;
    if (action->op == OP_APIC_READ)
        return;
    c->gpr[RAX] = (uint32_t)value;
    c->gpr[RDX] = value >> 32;
}

static void load_operands(struct cpu *cpu, struct context *c, const struct row *row,
                          const struct probe_action *action)
{
    /* Every register has a value of its own, in both halves, so that a stray write shows. */
    for (unsigned i = 0; i < GPRS; i++)
        c->gpr[i] = 0x5a00010000a50100ull + i * 0x0000010100010001ull;
    for (unsigned i = 0; i < 5; i++)
        if (row->operands[i] < GPRS)
            c->gpr[row->operands[i]] = action->args[i];
    if (action->op == OP_WRMSR || (row->size == 8 && !is_64bit(action->mode)))
        c->gpr[RDX] = action->args[1] >> 32;
    switch (action->op) {
    case OP_DUMP:
        c->gpr[RDI] = (uintptr_t)cpu->buffer;
        c->gpr[RCX] = action->args[1] < DUMP_MAX ? action->args[1] : DUMP_MAX;
        break;
    case OP_FILL:
        c->gpr[RCX] = action->args[1] < FILL_MAX ? action->args[1] : FILL_MAX;
        break;
    case OP_IPI:
        c->gpr[RBX] = PROBE_MMIO_BASE;
        c->gpr[RAX] = action->args[0] << 24;
        break;
    case OP_EOI:
        c->gpr[RBX] = PROBE_MMIO_BASE + APIC_EOI;
        c->gpr[RAX] = 0;
        break;
    case OP_X2APIC: {
        uint64_t base = rdmsr(MSR_APIC_BASE) | APIC_BASE_X2APIC;

        c->gpr[RCX] = MSR_APIC_BASE;
        c->gpr[RAX] = (uint32_t)base;
        c->gpr[RDX] = base >> 32;
        break;
    }
    default:
        if (row->flags & IS_APIC)
            c->gpr[RBX] = PROBE_MMIO_BASE + (action->args[0] & 0xff0);
    }
    if (row >= x2apic_rows && row < x2apic_rows + sizeof(x2apic_rows) / sizeof(x2apic_rows[0]))
        load_apic_msr(c, action);
    if (is_legacy(action->mode))
        for (unsigned i = 0; i < GPRS; i++)
            c->gpr[i] = (uint32_t)c->gpr[i];
}

static uint32_t changed_registers(const struct context *before, const struct context *after, uint32_t allowed)
{
    uint32_t changed = 0;

    for (unsigned i = 0; i < GPRS; i++)
        if (before->gpr[i] != after->gpr[i])
            changed |= BIT(i);
    return changed & ~allowed;
}

/* What the instruction left in the registers that it may write; for loads the value alone. */
static void report_registers(struct outcome *o, const struct row *row, const struct context *c,
                             uint32_t writes)
{
    static const uint8_t order[4] = {RAX, RBX, RCX, RDX};
    unsigned bits = row->size * 8;

    if (row->flags & GIVES_CARRY)
        o->regs[0] = c->rflags & RFLAGS_CF;
    if (row->flags & IS_LOAD) {
        o->regs[0] = writes & BIT(RDX) ? (uint32_t)c->gpr[RAX] | c->gpr[RDX] << 32
                     : bits == 64      ? c->gpr[RAX]
                                       : c->gpr[RAX] & ((1ull << bits) - 1);
        return;
    }
    for (unsigned i = 0; i < 4; i++)
        if (writes & BIT(order[i]) && !(row->flags & PARTIAL))
            o->regs[i] = c->gpr[order[i]];
}

static void copy_bytes(uint8_t *to, const uint8_t *from, unsigned len)
{
    while (len--)
        *to++ = *from++;
}

static void fill_outcome(struct cpu *cpu, struct outcome *o, const struct row *row,
                         const struct probe_action *action, const struct context *before,
                         const struct context *after, unsigned pad_len)
{
    bool done = after->vector == 3 && after->rip == before->rip + pad_len + 1;
    uint32_t writes = row->writes;

    if (row->flags & IS_LOAD && row->size == 8 && !is_64bit(action->mode))
        writes |= BIT(RDX);
    o->flags = after->rflags & RFLAGS_IF ? OUTCOME_F_IF : 0;
    o->changed = changed_registers(before, after, done || row->flags & PARTIAL ? writes : 0);
    o->rip_delta = (uint32_t)(after->rip - before->rip) - (done ? 1 : 0);
    if (row->flags & IS_HYPERCALL) {
        o->data_len = 3;
        copy_bytes(o->data, cpu_pad(cpu), 3);
    }
    if (!done) {
        o->vector = after->vector;
        o->error = after->error;
        if (after->vector == 14)
            __asm__ volatile("movq %%cr2, %0" : "=r"(o->cr2));
        o->status = OUTCOME_FAULT;
        return;
    }
    report_registers(o, row, after, writes);
    if (row->flags & IS_HLT) {
        o->regs[0] = cpu->woken_by;
        o->regs[1] = cpu->woken_by ? cpu->woken_after : mailbox()->current;
    } else if (action->op == OP_DUMP) {
        o->data_len = (uint8_t)before->gpr[RCX];
        copy_bytes(o->data, cpu->buffer, o->data_len);
    }
    o->status = OUTCOME_OK;
}

/* The switch to or from x2APIC mode decides how later actions reach the local APIC. */
static void note_apic_mode(struct cpu *cpu, const struct probe_action *action, const struct context *before)
{
    if (action->op == OP_X2APIC || (action->op == OP_WRMSR && (uint32_t)action->args[0] == MSR_APIC_BASE))
        cpu->x2apic = is_x2apic(before->gpr[RAX]);
}

static void run_instruction(struct cpu *cpu, const struct probe_action *action, struct outcome *o)
{
    const struct row *row = row_of(cpu, action);
    struct context before = {.rip = (uintptr_t)cpu_pad(cpu)}, after;
    unsigned len = emit_pad(cpu_pad(cpu), row, action);

    before.rflags = RFLAGS_FIXED | (cpu->program_if ? RFLAGS_IF : 0);
    load_operands(cpu, &before, row, action);
    after = before;
    cpu_run_pad(cpu, action->mode, &after, row->flags & IS_HLT);
    cpu->program_if = after.rflags & RFLAGS_IF;
    fill_outcome(cpu, o, row, action, &before, &after, len);
    if (o->status == OUTCOME_OK)
        note_apic_mode(cpu, action, &before);
}

/* Not an instruction under test: the probe's own page tables and handler. */
static void run_setting(struct cpu *cpu, const struct probe_action *action, struct outcome *o)
{
    if (action->op == OP_ON_INTERRUPT) {
        if (action->args[0] > 0x100000000ull - 4)
            return;
        cpu->watch_at = action->args[0];
        cpu->watch_how = (uint8_t)action->args[1];
        cpu->watches = true;
    } else if (!window_map(action->args[0], action->args[1])) {
        return;
    }
    o->flags = cpu->program_if ? OUTCOME_F_IF : 0;
    o->status = OUTCOME_OK;
}

/* CLK-23. The version is 0 or odd in the sample when no stable reading could be had. */
static void read_clock(const volatile uint8_t *record, struct clock_sample *sample)
{
    const volatile uint32_t *version = (const volatile uint32_t *)record;

    for (unsigned tries = 0; tries < READ_TRIES; tries++) {
        uint32_t v = *version;

        sample->version = v;
        barrier();
        sample->tsc_timestamp = *(const volatile uint64_t *)(record + 8);
        sample->system_time = *(const volatile uint64_t *)(record + 16);
        sample->tsc_to_system_mul = *(const volatile uint32_t *)(record + 24);
        sample->tsc_shift = (int8_t)record[28];
        sample->flags = record[29];
        sample->tsc = rdtsc();
        barrier();
        if (*version == (v & ~1u))
            return;
        pause();
    }
}

static void run_clock(struct cpu *cpu, const struct probe_action *action, struct outcome *o)
{
    struct mailbox *m = mailbox();
    uint32_t request;

    if (action->args[0] > 0x100000000ull - 32) {
        o->status = OUTCOME_UNSUPPORTED;
        return;
    }
    m->sample_request = 0;
    m->sample_seq = 0;
    barrier();
    m->state = PROBE_SAMPLING;
    while ((request = m->sample_request) != UINT32_MAX) {
        if (request == m->sample_seq) {
            pause();
            continue;
        }
        m->sample = (struct clock_sample){.vcpu = (uint8_t)cpu->vcpu};
        read_clock((const volatile uint8_t *)(uintptr_t)action->args[0], &m->sample);
        barrier();
        m->sample_seq = request;
    }
    m->state = PROBE_RUNNING;
    o->status = OUTCOME_OK;
}

void action_run(struct cpu *cpu, uint32_t index)
{
    struct probe_action action = mailbox()->actions[index];
    struct outcome o = {.status = OUTCOME_UNSUPPORTED};

    if (action.op == OP_CLOCK)
        run_clock(cpu, &action, &o);
    else if (action.op == OP_MAP || action.op == OP_ON_INTERRUPT)
        run_setting(cpu, &action, &o);
    else if (action.op < OP_COUNT && rows[action.op].code_len && action.mode < MODE_COUNT)
        run_instruction(cpu, &action, &o);
    mailbox()->outcomes[index] = o;
}

bool action_may_wake(const struct probe_action *action)
{
    return action->op < OP_COUNT && rows[action->op].flags & WAKES;
}

bool action_is_host(const struct probe_action *action)
{
    return (action->op >= OP_ADVANCE && action->op <= OP_SAVE_RESTORE) ||
           (action->op >= OP_DESCHEDULE && action->op < OP_COUNT);
}
