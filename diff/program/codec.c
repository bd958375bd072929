/* Binary form of programs, version 1, defined here: a strict or forgiving header, then a body in which every byte string
 * is a program.
 *
 *   header, 16 bytes: 0x89 'P' 'V', version, vcpus, machine bits, ram_pages - 1 (2), features (4), hints (4)
 *   action: opcode; guest actions: context, bits 3:0 vcpu, 6:4 mode; then the operands of its op table row
 *   operand: bit 7 set: bits 6:0 are a small number, or a row of the kind's symbol table
 *            bit 7 clear: bits 6:4 base, bits 3:0 how many bytes follow: little-endian, sign-extended
 *   note: one operand, the length, then that many characters
 *
 * Bytes that are missing read as zero. Values out of range are reduced into it, so that decode is total and
 * encode(decode(x)) is a fixpoint; encode always picks the shortest spelling. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/codec.h"

static const uint8_t magic[3] = {0x89, 'P', 'V'}; /* the first byte keeps it from being text */

enum machine_bits { IRQCHIP_MASK = 3, ENFORCE = 4, VMCALL_NATIVE = 8, HYPERV = 16, MACHINE_BITS = 31 };
enum operand_bits {
    SHORT = 0x80,
    SHORT_MASK = 0x7f,
    BASE_SHIFT = 4,
    BASE_MASK = 7,
    LENGTH_MASK = 7,
    LENGTH_8 = 8
};
enum context_bits { VCPU_MASK = 15, MODE_SHIFT = 4, MODE_MASK = 7 };

bool program_has_magic(const uint8_t *data, size_t len)
{
    return len >= sizeof(magic) && !memcmp(data, magic, sizeof(magic));
}

struct reader {
    const uint8_t *at, *end;
};

/* What reads from a body is inlined, so that its reader stays in registers. */
#define INLINED __attribute__((always_inline)) static inline

INLINED uint8_t take_u8(struct reader *r)
{
    return r->at < r->end ? *r->at++ : 0;
}

INLINED uint64_t take_le(struct reader *r, unsigned bytes)
{
    uint64_t value = 0;

    if (r->end - r->at >= 8) { /* at once, not byte by byte */
        memcpy(&value, r->at, sizeof(value));
        r->at += bytes;
        return bytes < 8 ? value & ((1ull << 8 * bytes) - 1) : value;
    }
    for (unsigned i = 0; i < bytes; i++)
        value |= (uint64_t)take_u8(r) << (8 * i);
    return value;
}

INLINED uint64_t take_sign_extended(struct reader *r, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;

    return bytes ? (uint64_t)((int64_t)(take_le(r, bytes) << shift) >> shift) : 0;
}

/* What the kind can hold; the parser refuses what this reduces. */
static inline uint64_t reduce(const struct op_info *op, enum operand_kind kind, uint64_t value)
{
    switch (kind) {
    case ARG_MSR:
    case ARG_LEAF:
        return (uint32_t)value;
    case ARG_APIC_REG:
        return value & 0xff0;
    case ARG_BYTES:
    case ARG_COUNT:
        return value % (op->limit + 1u);
    case ARG_VCPU:
        return value % PROGRAM_VCPUS_MAX;
    default:
        return value;
    }
}

INLINED struct operand take_operand(struct reader *r, const struct op_info *op, enum operand_kind kind)
{
    uint8_t lead = take_u8(r), base = BASE_NONE;
    uint64_t value;

    if (lead & SHORT) {
        const struct symbol_table *symbols = operand_symbols(kind);
        unsigned row = lead & SHORT_MASK;

        value = row;
        if (symbols)
            value = symbols->rows[row < symbols->count ? row : row % symbols->count].value;
    } else {
        unsigned counts_from = lead >> BASE_SHIFT & BASE_MASK;

        if (counts_from < BASE_COUNT && operand_takes_base(kind))
            base = counts_from;
        value = take_sign_extended(r, lead & LENGTH_8 ? 8 : lead & LENGTH_MASK);
    }
    return (struct operand){base, reduce(op, kind, value)};
}

INLINED bool take_note(struct reader *r, struct program *program)
{
    size_t len = take_operand(r, op_info(OP_NOTE), ARG_U64).value, left = r->end - r->at;
    const char *line = (const char *)r->at;

    if (len > left)
        len = left;
    r->at += len;
    return program_add_note(program, line, len);
}

INLINED bool take_action(struct reader *r, struct program *program)
{
    uint8_t opcode = take_u8(r);
    const struct op_info *op;
    struct action *action;
    unsigned args;

    if (opcode == OP_NOTE)
        return take_note(r, program);
    action = program_append(program);
    if (!action)
        return false;
    /* Field by field: clearing a hundred bytes first would cost more than all of decoding. */
    action->op = opcode < OP_COUNT ? opcode : OP_NOP;
    action->mode = MODE_64;
    action->vcpu = 0;
    action->note = 0;
    op = op_info(action->op);
    if (op_on_vcpu(action->op)) {
        uint8_t context = take_u8(r);
        unsigned mode = context >> MODE_SHIFT & MODE_MASK;
        unsigned vcpu = context & VCPU_MASK, vcpus = program->config.vcpus;

        action->mode = mode < MODE_COUNT ? mode : MODE_64;
        action->vcpu = vcpu < vcpus ? vcpu : vcpu % vcpus;
    }
    args = op->args;
    for (unsigned i = 0; i < args; i++)
        action->args[i] = take_operand(r, op, op->kinds[i]);
    for (unsigned i = args; i < PROGRAM_ARGS; i++)
        action->args[i] = (struct operand){BASE_NONE, 0};
    return true;
}

static void take_body(struct reader body, struct program *program)
{
    program_clear(program);
    while (body.at < body.end && take_action(&body, program))
        ;
}

struct header {
    uint8_t version, vcpus, machine;
    uint32_t ram_pages, features, hints;
};

static struct header take_header(struct reader *r)
{
    struct header header;

    take_le(r, sizeof(magic));
    header.version = take_u8(r);
    header.vcpus = take_u8(r);
    header.machine = take_u8(r);
    header.ram_pages = take_le(r, 2) + 1;
    header.features = take_le(r, 4);
    header.hints = take_le(r, 4);
    return header;
}

static struct program_config header_config(const struct header *header)
{
    unsigned irqchip = header->machine & IRQCHIP_MASK;

    return (struct program_config){
        .vcpus = header->vcpus ? (header->vcpus - 1) % PROGRAM_VCPUS_MAX + 1 : 1,
        .irqchip = irqchip <= PROGRAM_IRQCHIP_NONE ? irqchip : PROGRAM_IRQCHIP_KERNEL,
        .enforce = header->machine & ENFORCE,
        .vmcall_native = header->machine & VMCALL_NATIVE,
        .hyperv = header->machine & HYPERV,
        .ram_pages = header->ram_pages,
        .features = header->features,
        .hints = header->hints,
    };
}

void program_decode_total(struct program *program, const uint8_t *data, size_t len)
{
    struct reader r = {data, data + len};
    struct header header = take_header(&r);

    program->config = header_config(&header);
    take_body(r, program);
}

static int refuse(struct program_error *error, const char *message)
{
    *error = (struct program_error){.line = 0};
    strncpy(error->message, message, sizeof(error->message) - 1);
    return -EINVAL;
}

int program_decode(struct program *program, const uint8_t *data, size_t len, struct program_error *error)
{
    struct reader r = {data, data + len};
    struct header header;

    if (!program_has_magic(data, len))
        return refuse(error, "not a binary program: the magic bytes 89 50 56 are missing");
    if (len < PROGRAM_HEADER_SIZE)
        return refuse(error, "the header is cut short: it takes 16 bytes");
    header = take_header(&r);
    if (header.version != PROGRAM_VERSION)
        return refuse(error, "unknown version of the binary form: this build reads version 1");
    if (header.vcpus < 1 || header.vcpus > PROGRAM_VCPUS_MAX)
        return refuse(error, "header byte 4, vcpus, is not between 1 and 16");
    if ((header.machine & ~MACHINE_BITS) || (header.machine & IRQCHIP_MASK) > PROGRAM_IRQCHIP_NONE)
        return refuse(error, "header byte 5, machine bits, holds an unknown irqchip or bit");
    program->config = header_config(&header);
    take_body(r, program);
    return 0;
}

/* The encoder writes into a buffer that is known to be large enough. */
struct writer {
    uint8_t *at;
};

static void put_le(struct writer *w, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        *w->at++ = value >> (8 * i);
}

static unsigned sign_extended_size(uint64_t value)
{
    unsigned bytes = 0;

    while (bytes < 8 &&
           (bytes ? (int64_t)(value << (64 - 8 * bytes)) >> (64 - 8 * bytes) : 0) != (int64_t)value)
        bytes++;
    return bytes;
}

/* Row of value in the kind's table, or a small number: what fits the short form; -1: nothing does. */
static int short_form(enum operand_kind kind, const struct operand *arg)
{
    const struct symbol_table *symbols = operand_symbols(kind);

    if (arg->base != BASE_NONE)
        return -1;
    if (!symbols)
        return arg->value <= SHORT_MASK ? (int)arg->value : -1;
    for (unsigned i = 0; i < symbols->count; i++)
        if (symbols->rows[i].value == arg->value)
            return i;
    return -1;
}

static void put_operand(struct writer *w, enum operand_kind kind, const struct operand *arg)
{
    int row = short_form(kind, arg);
    uint64_t value = operand_is_32bit(kind) ? (uint64_t)(int32_t)arg->value : arg->value;
    unsigned bytes = sign_extended_size(value);

    if (row >= 0) {
        *w->at++ = SHORT | row;
        return;
    }
    *w->at++ = arg->base << BASE_SHIFT | bytes;
    put_le(w, value, bytes);
}

static void put_note(struct writer *w, const char *line)
{
    struct operand len = {.value = strlen(line)};

    put_operand(w, ARG_U64, &len);
    memcpy(w->at, line, len.value);
    w->at += len.value;
}

static void put_action(struct writer *w, const struct program *program, const struct action *action)
{
    const struct op_info *op = op_info(action->op);

    *w->at++ = action->op;
    if (action->op == OP_NOTE)
        put_note(w, program->notes + action->note);
    else if (op_on_vcpu(action->op))
        *w->at++ = action->mode << MODE_SHIFT | action->vcpu;
    for (unsigned i = 0; i < op->args; i++)
        put_operand(w, op->kinds[i], &action->args[i]);
}

/* Bytes that are surely enough. Notes are counted one by one: actions may share one. */
static size_t encoded_most(const struct program *program)
{
    size_t most = PROGRAM_HEADER_SIZE + (size_t)program->count * (2 + PROGRAM_ARGS * 9);

    for (uint32_t i = 0; i < program->count; i++)
        if (program->actions[i].op == OP_NOTE)
            most += strlen(program->notes + program->actions[i].note);
    return most;
}

int program_encode(const struct program *program, uint8_t **out, size_t *len)
{
    const struct program_config *config = &program->config;
    size_t most = encoded_most(program);
    struct writer w;

    *out = malloc(most);
    if (!*out)
        return -ENOMEM;
    w.at = *out;
    memcpy(w.at, magic, sizeof(magic));
    w.at += sizeof(magic);
    *w.at++ = PROGRAM_VERSION;
    *w.at++ = config->vcpus;
    *w.at++ = config->irqchip | (config->enforce ? ENFORCE : 0) |
              (config->vmcall_native ? VMCALL_NATIVE : 0) | (config->hyperv ? HYPERV : 0);
    put_le(&w, config->ram_pages - 1, 2);
    put_le(&w, config->features, 4);
    put_le(&w, config->hints, 4);
    for (uint32_t i = 0; i < program->count; i++)
        put_action(&w, program, &program->actions[i]);
    *len = w.at - *out;
    return 0;
}
