/* Canonical text of programs: one action a line, the shortest spelling that parse.c reads back unchanged. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include "diff/program/codec.h"

/* snprintf that goes on where the last call stopped; len counts what did not fit, too. */
struct text {
    char *buf;
    size_t size, len;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *t, const char *format, ...)
{
    size_t used = t->len < t->size ? t->len : t->size;
    va_list args;
    int written;

    va_start(args, format);
    written = vsnprintf(t->size > used ? t->buf + used : NULL, t->size - used, format, args);
    va_end(args);
    if (written > 0)
        t->len += written;
}

static void put_number(struct text *t, uint64_t value)
{
    put(t, value < 10 ? "%" PRIu64 : "0x%" PRIx64, value);
}

static void put_address(struct text *t, const struct operand *arg)
{
    bool below = (int64_t)arg->value < 0;

    put(t, "%s", base_word(arg->base));
    if (!arg->value)
        return;
    put(t, below ? "-" : "+");
    put_number(t, below ? -arg->value : arg->value);
}

/* In the largest unit that divides it. */
static void put_ns(struct text *t, uint64_t ns)
{
    unsigned i = 0;

    while (i < time_unit_count - 1 && (!ns || ns % time_units[i].value))
        i++;
    put(t, "%" PRIu64 "%s", ns / time_units[i].value, time_units[i].name);
}

static void put_operand(struct text *t, enum operand_kind kind, const struct operand *arg)
{
    const struct symbol_table *symbols = operand_symbols(kind);

    if (arg->base != BASE_NONE) {
        put_address(t, arg);
        return;
    }
    for (unsigned i = 0; symbols && i < symbols->count; i++)
        if (symbols->rows[i].name && symbols->rows[i].value == arg->value) {
            put(t, "%s", symbols->rows[i].name);
            return;
        }
    if (kind == ARG_NS)
        put_ns(t, arg->value);
    else if (kind == ARG_BYTES || kind == ARG_COUNT)
        put(t, "%" PRIu64, arg->value);
    else
        put_number(t, arg->value);
}

/* How many operands must be written: the rest are zero and optional. */
static unsigned args_shown(const struct op_info *op, const struct action *action)
{
    unsigned shown = op->args;

    while (shown > op->required && action->args[shown - 1].base == BASE_NONE &&
           !action->args[shown - 1].value)
        shown--;
    return shown;
}

int action_print(const struct program *program, const struct action *action, char *buf, size_t size)
{
    const struct op_info *op = op_info(action->op);
    const char *mode = op_on_vcpu(action->op) ? mode_word(action->mode) : "";
    struct text t = {buf, size, 0};

    if (action->op == OP_NOTE) {
        put(&t, "%s", program->notes + action->note);
        return t.len;
    }
    if (action->vcpu && op_on_vcpu(action->op))
        put(&t, "@%u ", action->vcpu);
    if (*mode)
        put(&t, "%s { ", mode);
    put(&t, "%s%s", op->host ? "!" : "", op->word);
    for (unsigned i = 0; i < args_shown(op, action); i++) {
        put(&t, " ");
        put_operand(&t, op->kinds[i], &action->args[i]);
    }
    if (*mode)
        put(&t, " }");
    return t.len;
}

/* Names for the bits that have one, the rest as one number: kvmclock kvm-steal-time 0x400. */
static void print_bits(FILE *out, const char *word, uint32_t bits, const struct symbol_table *names)
{
    if (!bits)
        return;
    fputs(word, out);
    for (unsigned i = 0; i < names->count; i++) {
        uint32_t mask = names->rows[i].value;

        if ((bits & mask) == mask) {
            fprintf(out, " %s", names->rows[i].name);
            bits &= ~mask;
        }
    }
    if (bits)
        fprintf(out, " 0x%" PRIx32, bits);
    fputc('\n', out);
}

static void print_header(FILE *out, const struct program_config *config)
{
    fprintf(out, "paravane %d\nvcpus %u\nram %u\nirqchip %s\n", PROGRAM_VERSION, config->vcpus,
            config->ram_pages, irqchip_word(config->irqchip));
    print_bits(out, "features", config->features, &feature_symbols);
    print_bits(out, "hints", config->hints, &hint_symbols);
    if (config->enforce)
        fputs("enforce on\n", out);
    if (config->vmcall_native)
        fputs("native vmcall\n", out);
    if (config->hyperv)
        fputs("hyperv on\n", out);
}

/* An empty line parts header and body; a comment " #..." stays on the line of its action. */
static void print_body(FILE *out, const struct program *program)
{
    char line[PROGRAM_NOTE_MAX + 2];

    for (uint32_t i = 0; i < program->count; i++) {
        action_print(program, &program->actions[i], line, sizeof(line));
        if (line[0] != ' ')
            fputc('\n', out);
        fputs(line, out);
    }
    if (program->count)
        fputc('\n', out);
}

int program_print(const struct program *program, char **out, size_t *len)
{
    FILE *stream = open_memstream(out, len);
    int failed;

    if (!stream)
        return -ENOMEM;
    print_header(stream, &program->config);
    print_body(stream, program);
    failed = ferror(stream) | fclose(stream);
    if (failed)
        free(*out);
    return failed ? -ENOMEM : 0;
}
