/* The interpreter against the CPU that runs the test: the same instructions, operands and flags on both. */
#include "cpu_fixture.h"

#if defined(__x86_64__)
#include <stdio.h>
#include <sys/mman.h>

#define ARENA      0x40000000ull /* the same address on the host and in the guest, below 2 GiB */
#define ARENA_SIZE 0x10000ull
#define DATA       (ARENA + 0x2000)
#define DATA_SIZE  256
#define CONTEXT    (ARENA + 0x1000) /* 16 registers, flags, host RSP */
#define CTX_FLAGS  (CONTEXT + 128)
#define CTX_RSP    (CONTEXT + 136)

#define CF    0x001u
#define PF    0x004u
#define AF    0x010u
#define ZF    0x040u
#define SF    0x080u
#define OF    0x800u
#define ARITH (CF | PF | AF | ZF | SF | OF)

enum { S8 = 1, S16 = 2, S32 = 4, S64 = 8, S_ALL = 15, S_WIDE = 14 };
enum immediate { IMM_NONE, IMM_8, IMM_Z };
enum {
    NO_MEM = 1,
    MOD_RM_ONLY_MEM = 2,
    NO_REX_BYTE = 4,
    BSF_LIKE = 8,
    CL_COUNT = 16,
    SRC_BYTE = 32,
    SRC_WORD = 64
};

struct row {
    const char *name;
    uint8_t prefix, map, opcode; /* map: 0x0f or 0 */
    int8_t ext;                  /* ModRM.reg, -1: a register, -2: no ModRM */
    uint8_t sizes, imm;
    uint16_t undefined; /* flags that the manual leaves undefined */
    uint8_t traits;
};
/* opcode is that of the wide form where sizes has S8: the byte form is one less. */
#define ALU(n, base)                                                                                         \
    {n " rm,r", 0, 0, (base) + 1, -1, S_ALL, IMM_NONE, 0, 0},                                                \
        {n " r,rm", 0, 0, (base) + 3, -1, S_ALL, IMM_NONE, 0, 0},                                            \
        {n " rm,imm8", 0, 0, 0x83, (base) >> 3, S_WIDE, IMM_8, 0, 0},                                        \
        {n " rm,imm", 0, 0, 0x81, (base) >> 3, S_ALL, IMM_Z, 0, 0},                                          \
    {                                                                                                        \
        n " a,imm", 0, 0, (base) + 5, -2, S_ALL, IMM_Z, 0, 0                                                 \
    }
#define SHIFT(n, ext, undef)                                                                                 \
    {n " rm,imm", 0, 0, 0xc1, ext, S_ALL, IMM_8, undef, 0},                                                  \
        {n " rm,cl", 0, 0, 0xd3, ext, S_ALL, IMM_NONE, undef, CL_COUNT},                                     \
    {                                                                                                        \
        n " rm,1", 0, 0, 0xd1, ext, S_ALL, IMM_NONE, (undef)&AF, 0                                           \
    }
#define BITS(n, op, ext)                                                                                     \
    {n " r,r", 0, 0x0f, op, -1, S_WIDE, IMM_NONE, PF | AF | SF | OF, NO_MEM},                                \
    {                                                                                                        \
        n " rm,imm", 0, 0x0f, 0xba, ext, S_WIDE, IMM_8, PF | AF | SF | OF, 0                                 \
    }

static const struct row rows[] = {
    ALU("add", 0x00),
    ALU("or", 0x08),
    ALU("adc", 0x10),
    ALU("sbb", 0x18),
    ALU("and", 0x20),
    ALU("sub", 0x28),
    ALU("xor", 0x30),
    ALU("cmp", 0x38),
    {"test rm,r", 0, 0, 0x85, -1, S_ALL, IMM_NONE, AF, 0},
    {"test rm,imm", 0, 0, 0xf7, 0, S_ALL, IMM_Z, AF, 0},
    {"inc", 0, 0, 0xff, 0, S_ALL, IMM_NONE, 0, 0},
    {"dec", 0, 0, 0xff, 1, S_ALL, IMM_NONE, 0, 0},
    {"not", 0, 0, 0xf7, 2, S_ALL, IMM_NONE, 0, 0},
    {"neg", 0, 0, 0xf7, 3, S_ALL, IMM_NONE, 0, 0},
    {"mul", 0, 0, 0xf7, 4, S_ALL, IMM_NONE, PF | AF | ZF | SF, 0},
    {"imul rm", 0, 0, 0xf7, 5, S_ALL, IMM_NONE, PF | AF | ZF | SF, 0},
    {"imul r,rm", 0, 0x0f, 0xaf, -1, S_WIDE, IMM_NONE, PF | AF | ZF | SF, 0},
    {"imul r,rm,imm8", 0, 0, 0x6b, -1, S_WIDE, IMM_8, PF | AF | ZF | SF, 0},
    {"imul r,rm,imm", 0, 0, 0x69, -1, S_WIDE, IMM_Z, PF | AF | ZF | SF, 0},
    SHIFT("rol", 0, OF),
    SHIFT("ror", 1, OF),
    SHIFT("rcl", 2, OF),
    SHIFT("rcr", 3, OF),
    SHIFT("shl", 4, OF | AF | CF),
    SHIFT("shr", 5, OF | AF | CF),
    SHIFT("sar", 7, OF | AF),
    {"shld imm", 0, 0x0f, 0xa4, -1, S32 | S64, IMM_8, OF | AF, 0},
    {"shld cl", 0, 0x0f, 0xa5, -1, S32 | S64, IMM_NONE, OF | AF, CL_COUNT},
    {"shrd imm", 0, 0x0f, 0xac, -1, S32 | S64, IMM_8, OF | AF, 0},
    {"shrd cl", 0, 0x0f, 0xad, -1, S32 | S64, IMM_NONE, OF | AF, CL_COUNT},
    BITS("bt", 0xa3, 4),
    BITS("bts", 0xab, 5),
    BITS("btr", 0xb3, 6),
    BITS("btc", 0xbb, 7),
    {"bsf", 0, 0x0f, 0xbc, -1, S_WIDE, IMM_NONE, CF | PF | AF | SF | OF, BSF_LIKE},
    {"bsr", 0, 0x0f, 0xbd, -1, S_WIDE, IMM_NONE, CF | PF | AF | SF | OF, BSF_LIKE},
    {"popcnt", 0xf3, 0x0f, 0xb8, -1, S_WIDE, IMM_NONE, 0, 0},
    {"mov rm,r", 0, 0, 0x89, -1, S_ALL, IMM_NONE, 0, 0},
    {"mov r,rm", 0, 0, 0x8b, -1, S_ALL, IMM_NONE, 0, 0},
    {"mov rm,imm", 0, 0, 0xc7, 0, S_ALL, IMM_Z, 0, 0},
    {"movzx b", 0, 0x0f, 0xb6, -1, S_WIDE, IMM_NONE, 0, SRC_BYTE},
    {"movzx w", 0, 0x0f, 0xb7, -1, S_WIDE, IMM_NONE, 0, SRC_WORD},
    {"movsx b", 0, 0x0f, 0xbe, -1, S_WIDE, IMM_NONE, 0, SRC_BYTE},
    {"movsx w", 0, 0x0f, 0xbf, -1, S_WIDE, IMM_NONE, 0, SRC_WORD},
    {"movsxd", 0, 0, 0x63, -1, S64, IMM_NONE, 0, 0},
    {"lea", 0, 0, 0x8d, -1, S_WIDE, IMM_NONE, 0, MOD_RM_ONLY_MEM},
    {"xchg", 0, 0, 0x87, -1, S_ALL, IMM_NONE, 0, 0},
    {"xadd", 0, 0x0f, 0xc1, -1, S_ALL, IMM_NONE, 0, 0},
    {"cmpxchg", 0, 0x0f, 0xb1, -1, S_ALL, IMM_NONE, 0, 0},
    {"cmpxchg8b", 0, 0x0f, 0xc7, 1, S32, IMM_NONE, 0, MOD_RM_ONLY_MEM},
    {"cmpxchg16b", 0, 0x0f, 0xc7, 1, S64, IMM_NONE, 0, MOD_RM_ONLY_MEM},
    {"cbw family", 0, 0, 0x98, -2, S_WIDE, IMM_NONE, 0, 0},
    {"cwd family", 0, 0, 0x99, -2, S_WIDE, IMM_NONE, 0, 0},
    {"cmovo", 0, 0x0f, 0x40, -1, S_WIDE, IMM_NONE, 0, 0},
    {"cmovb", 0, 0x0f, 0x42, -1, S_WIDE, IMM_NONE, 0, 0},
    {"cmovz", 0, 0x0f, 0x44, -1, S_WIDE, IMM_NONE, 0, 0},
    {"cmovbe", 0, 0x0f, 0x46, -1, S_WIDE, IMM_NONE, 0, 0},
    {"cmovs", 0, 0x0f, 0x48, -1, S_WIDE, IMM_NONE, 0, 0},
    {"cmovp", 0, 0x0f, 0x4a, -1, S_WIDE, IMM_NONE, 0, 0},
    {"cmovl", 0, 0x0f, 0x4c, -1, S_WIDE, IMM_NONE, 0, 0},
    {"cmovle", 0, 0x0f, 0x4e, -1, S_WIDE, IMM_NONE, 0, 0},
    {"setnbe", 0, 0x0f, 0x97, 0, S8, IMM_NONE, 0, NO_REX_BYTE},
    {"setnl", 0, 0x0f, 0x9d, 0, S8, IMM_NONE, 0, NO_REX_BYTE},
    {"setnle", 0, 0x0f, 0x9f, 0, S8, IMM_NONE, 0, NO_REX_BYTE},
    {"setnp", 0, 0x0f, 0x9b, 0, S8, IMM_NONE, 0, NO_REX_BYTE},
    {"clc", 0, 0, 0xf8, -2, S32, IMM_NONE, 0, 0},
    {"stc", 0, 0, 0xf9, -2, S32, IMM_NONE, 0, 0},
    {"cmc", 0, 0, 0xf5, -2, S32, IMM_NONE, 0, 0},
    {"lahf", 0, 0, 0x9f, -2, S32, IMM_NONE, 0, 0},
    {"sahf", 0, 0, 0x9e, -2, S32, IMM_NONE, 0, 0},
    {"movs", 0, 0, 0xa5, -2, S_ALL, IMM_NONE, 0, 0},
    {"stos", 0, 0, 0xab, -2, S_ALL, IMM_NONE, 0, 0},
    {"lods", 0, 0, 0xad, -2, S_ALL, IMM_NONE, 0, 0},
    {"scas", 0, 0, 0xaf, -2, S_ALL, IMM_NONE, 0, 0},
    {"cmps", 0, 0, 0xa7, -2, S_ALL, IMM_NONE, 0, 0},
    {"rep movs", 0xf3, 0, 0xa5, -2, S_ALL, IMM_NONE, 0, 0},
    {"rep stos", 0xf3, 0, 0xab, -2, S_ALL, IMM_NONE, 0, 0},
    {"repe cmps", 0xf3, 0, 0xa7, -2, S_ALL, IMM_NONE, 0, 0},
    {"repne scas", 0xf2, 0, 0xaf, -2, S_ALL, IMM_NONE, 0, 0},
    {"repne cmps", 0xf2, 0, 0xa7, -2, S_ALL, IMM_NONE, 0, 0},
};

/* Fixed seed: a failure is the same failure every time. */
static uint64_t random64(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ull);

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ z >> 27) * 0x94d049bb133111ebull;
    return z ^ z >> 31;
}

/* Borders of the sizes come up often: they are where flags change. */
static uint64_t random_operand(uint64_t *state)
{
    static const uint64_t borders[] = {0,
                                       1,
                                       2,
                                       0x7f,
                                       0x80,
                                       0xff,
                                       0x7fff,
                                       0x8000,
                                       0xffff,
                                       0x7fffffff,
                                       0x80000000,
                                       0xffffffff,
                                       0x7fffffffffffffff,
                                       0x8000000000000000,
                                       ~0ull};
    uint64_t r = random64(state);

    return r & 1 ? borders[(r >> 8) % (sizeof(borders) / sizeof(*borders))] : random64(state);
}

struct code {
    uint8_t bytes[512];
    unsigned len;
};
static void emit(struct code *c, uint64_t v, unsigned bytes)
{
    memcpy(c->bytes + c->len, &v, bytes);
    c->len += bytes;
}

/* One random instance of a row. Operands in memory lie at [rsi + disp8] or [rbx + rdi*1 - ...] near DATA. */
static void emit_row(struct code *c, const struct row *row, unsigned size, uint64_t *seed)
{
    static const uint8_t usable[] = {0, 1, 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    unsigned reg = usable[random64(seed) % 15], rm = usable[random64(seed) % 15], rex = size == 8 ? 8 : 0;
    bool mem = row->ext != -2 && !(row->traits & NO_MEM) &&
               (row->traits & MOD_RM_ONLY_MEM || random64(seed) % 3 == 0);
    bool byte = size == 1 && !(row->traits & NO_REX_BYTE);

    if (size == 2)
        emit(c, 0x66, 1);
    if (row->prefix)
        emit(c, row->prefix, 1);
    if (row->ext >= 0)
        reg = (unsigned)row->ext;
    if (row->ext != -2)
        rex |= (reg >> 3) << 2 | (mem ? 0 : rm >> 3);
    if (rex || (random64(seed) & 1 && row->ext != -2))
        emit(c, 0x40 | rex, 1);
    if (row->map)
        emit(c, row->map, 1);
    emit(c, row->opcode - (byte ? 1 : 0) - (byte && row->opcode == 0x83 ? 2 : 0), 1);
    if (mem) {
        emit(c, 0x46 | (reg & 7) << 3, 1); /* [rsi + disp8] */
        emit(c, (random64(seed) % 6) * 16, 1);
    } else if (row->ext != -2) {
        emit(c, 0xc0 | (reg & 7) << 3 | (rm & 7), 1);
    }
    if (row->imm == IMM_8 || (row->imm == IMM_Z && byte))
        emit(c, random_operand(seed), 1);
    else if (row->imm == IMM_Z)
        emit(c, random_operand(seed), size == 2 ? 2 : 4);
}

/* Native code around the instruction: registers from CONTEXT, and back. */
static void emit_prologue(struct code *c)
{
    static const uint8_t saved[] = {0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57};

    for (unsigned n = 0; n < sizeof(saved); n++)
        emit(c, saved[n], 1);
    emit(c, 0x2534ff, 3); /* push qword [flags] */
    emit(c, CTX_FLAGS, 4);
    emit(c, 0x9d, 1); /* popfq */
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP) { /* mov r, [context + 8r] */
            emit(c, 0x48 | (r >> 3) << 2, 1);
            emit(c, 0x8b, 1);
            emit(c, 0x04 | (r & 7) << 3, 1);
            emit(c, 0x25, 1);
            emit(c, CONTEXT + 8 * r, 4);
        }
}
static void emit_epilogue(struct code *c)
{
    static const uint8_t restored[] = {0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d,
                                       0x41, 0x5c, 0x5d, 0x5b, 0xfc, 0xc3};

    for (unsigned r = 0; r < 16; r++)
        if (r != RSP) {
            emit(c, 0x48 | (r >> 3) << 2, 1);
            emit(c, 0x89, 1);
            emit(c, 0x04 | (r & 7) << 3, 1);
            emit(c, 0x25, 1);
            emit(c, CONTEXT + 8 * r, 4);
        }
    emit(c, 0x9c, 1);     /* pushfq */
    emit(c, 0x25048f, 3); /* pop qword [flags] */
    emit(c, CTX_FLAGS, 4);
    for (unsigned n = 0; n < sizeof(restored); n++)
        emit(c, restored[n], 1);
}

struct state {
    uint64_t gpr[16], flags;
    uint8_t data[DATA_SIZE];
};

static void run_native(const struct code *insn, struct state *s)
{
    struct code c = {0};

    emit_prologue(&c);
    memcpy(c.bytes + c.len, insn->bytes, insn->len);
    c.len += insn->len;
    emit_epilogue(&c);
    memcpy((void *)(uintptr_t)ARENA, c.bytes, c.len);
    memcpy((void *)(uintptr_t)CONTEXT, s->gpr, sizeof(s->gpr));
    memcpy((void *)(uintptr_t)CTX_FLAGS, &s->flags, 8);
    memcpy((void *)(uintptr_t)DATA, s->data, DATA_SIZE);
    ((void (*)(void))(uintptr_t)ARENA)();
    memcpy(s->gpr, (void *)(uintptr_t)CONTEXT, sizeof(s->gpr));
    memcpy(&s->flags, (void *)(uintptr_t)CTX_FLAGS, 8);
    memcpy(s->data, (void *)(uintptr_t)DATA, DATA_SIZE);
}

static void run_interpreter(struct cpu_fixture *f, const struct code *insn, struct state *s)
{
    fix_write(f, FIX_CODE, insn->bytes, insn->len);
    fix_write(f, DATA, s->data, DATA_SIZE);
    memcpy(f->regs->gpr, s->gpr, sizeof(s->gpr));
    f->regs->gpr[RSP] = FIX_STACK;
    f->regs->rflags = s->flags | 2;
    f->regs->rip = FIX_CODE;
    cr_assert(eq(int, fix_run(f, 1), CPU_EXIT_BUDGET), "%s", f->exit.text);
    cr_assert(eq(u64, f->regs->rip, FIX_CODE + insn->len));
    memcpy(s->gpr, f->regs->gpr, sizeof(s->gpr));
    s->flags = f->regs->rflags;
    cr_assert(gpa_read(&f->vm.memory, DATA, s->data, DATA_SIZE));
}

static void compare(const struct row *row, const struct code *insn, const struct state *before,
                    const struct state *native, const struct state *ours, uint64_t undefined)
{
    char hex[40] = "";

    for (unsigned n = 0; n < insn->len; n++)
        snprintf(hex + 2 * n, 3, "%02x", insn->bytes[n]);
    for (unsigned r = 0; r < 16; r++)
        if (r != RSP)
            cr_assert(eq(u64, ours->gpr[r], native->gpr[r]),
                      "%s (%s): register %u, was %llx, rcx %llx rax %llx", row->name, hex, r,
                      (long long)before->gpr[r], (long long)before->gpr[RCX], (long long)before->gpr[RAX]);
    cr_assert(eq(u64, ours->flags & ARITH & ~undefined, native->flags & ARITH & ~undefined),
              "%s (%s): flags, were %llx; rax %llx rcx %llx", row->name, hex, (long long)before->flags,
              (long long)before->gpr[RAX], (long long)before->gpr[RCX]);
    cr_assert(zero(int, memcmp(ours->data, native->data, DATA_SIZE)), "%s (%s): memory", row->name, hex);
}

static void random_state(struct state *s, uint64_t *seed)
{
    for (unsigned r = 0; r < 16; r++)
        s->gpr[r] = random_operand(seed);
    for (unsigned n = 0; n < DATA_SIZE; n += 8) {
        uint64_t v = random_operand(seed);
        memcpy(s->data + n, &v, 8);
    }
    s->gpr[RSI] = DATA + 64;
    s->gpr[RDI] = DATA + 128;
    s->flags = 2 | (random64(seed) & ARITH);
}

static bool is_string(const struct row *row)
{
    return row->ext == -2 && !row->map && row->opcode >= 0xa5 && row->opcode <= 0xaf;
}

static void try_row(struct cpu_fixture *f, const struct row *row, unsigned size, uint64_t *seed)
{
    struct state before, native, ours;
    struct code insn = {0};
    uint64_t undefined = row->undefined;

    emit_row(&insn, row, size, seed);
    random_state(&before, seed);
    if (is_string(row)) {
        before.gpr[RCX] = random64(seed) % 8;
        before.flags |= random64(seed) & 0x400;
        if (random64(seed) & 1)
            before.gpr[RDI] = before.gpr[RSI] + 1; /* overlapping upwards: the first element repeats */
    }
    if (row->traits & CL_COUNT && !(random64(seed) % 4))
        before.gpr[RCX] = 0;
    if (!strncmp(row->name, "cmpxchg8", 8) && random64(seed) & 1) {
        memcpy(&before.gpr[RAX], before.data + 64, 4);
        memcpy(&before.gpr[RDX], before.data + 68, 4);
    }
    native = ours = before;
    run_native(&insn, &native);
    run_interpreter(f, &insn, &ours);
    if (row->traits & BSF_LIKE &&
        (native.flags & ZF)) /* destination of a zero source: undefined upper half */
        memcpy(ours.gpr, native.gpr, sizeof(ours.gpr));
    compare(row, &insn, &before, &native, &ours, undefined);
}

static void *arena(void)
{
    void *p = mmap((void *)(uintptr_t)ARENA, ARENA_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

    return p == (void *)(uintptr_t)ARENA ? p : NULL;
}

static void native_init(struct cpu_fixture *f)
{
    if (!arena())
        cr_skip_test("the host maps nothing at %#llx", ARENA);
    fix_init(f);
    cr_assert(eq(int, memory_slot_add(&f->vm.memory, ARENA, ARENA_SIZE, 0), 0));
    fix_write64(f, FIX_PDPT + 8, ARENA | 0x87); /* a 1 GiB page */
}

Test(cpu_native, every_form_gives_what_this_cpu_gives)
{
    struct cpu_fixture f;
    uint64_t seed = 1;

    native_init(&f);
    for (unsigned n = 0; n < sizeof(rows) / sizeof(*rows); n++)
        for (unsigned size = 1; size <= 8; size *= 2)
            if (rows[n].sizes & size)
                for (int k = 0; k < 150; k++)
                    try_row(&f, &rows[n], size, &seed);
    fix_done(&f);
}

/* Operands for which DIV and IDIV cannot fault, in each size. */
Test(cpu_native, division_gives_what_this_cpu_gives)
{
    static const struct row div = {"div", 0, 0, 0xf7, 6, S_ALL, IMM_NONE, ARITH, 0},
                            idiv = {"idiv", 0, 0, 0xf7, 7, S_ALL, IMM_NONE, ARITH, 0};
    struct cpu_fixture f;
    uint64_t seed = 2;

    native_init(&f);
    for (int k = 0; k < 4000; k++) {
        unsigned size = 1u << (random64(&seed) & 3);
        bool is_signed = random64(&seed) & 1;
        uint64_t mask = size == 8 ? ~0ull : (1ull << 8 * size) - 1, top = (mask >> 1) + 1, high;
        struct state before, native, ours;
        struct code insn = {0};

        random_state(&before, &seed);
        before.gpr[RBX] = random_operand(&seed);
        if (!(before.gpr[RBX] & mask) || (before.gpr[RBX] & mask) == mask)
            before.gpr[RBX] = 3;
        high = is_signed && (before.gpr[RAX] & top) ? mask : 0;
        if (!is_signed && (before.gpr[RBX] & mask) > 1)
            high = random64(&seed) % (before.gpr[RBX] & mask);
        if (size == 1)
            before.gpr[RAX] = (before.gpr[RAX] & 0xff) | (high & 0xff) << 8;
        else
            before.gpr[RDX] = high;
        if (size == 2)
            emit(&insn, 0x66, 1);
        if (size == 8)
            emit(&insn, 0x48, 1);
        emit(&insn, size == 1 ? 0xf6 : 0xf7, 1);
        emit(&insn, is_signed ? 0xfb : 0xf3, 1);
        native = ours = before;
        run_native(&insn, &native);
        run_interpreter(&f, &insn, &ours);
        compare(is_signed ? &idiv : &div, &insn, &before, &native, &ours, ARITH);
    }
    fix_done(&f);
}
#else
Test(cpu_native, every_form_gives_what_this_cpu_gives)
{
    cr_skip_test("the host is no x86-64");
}
#endif
