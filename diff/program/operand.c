/* Operands in text: numbers, names from the symbol tables, symbolic addresses, times with a unit. */
#include <stdio.h>
#include <string.h>
#include "diff/program/codec.h"
#include "diff/program/operand.h"
#include "diff/program/suggest.h"

static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : 16;
}

static bool magnitude_parse(const char *text, size_t len, uint64_t *value)
{
    unsigned radix = len > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X') ? 16 : 10;
    size_t i = radix == 16 ? 2 : 0;

    *value = 0;
    if (i == len)
        return false;
    for (; i < len; i++) {
        unsigned digit = digit_of(text[i]);

        if (digit >= radix || __builtin_mul_overflow(*value, radix, value) ||
            __builtin_add_overflow(*value, digit, value))
            return false;
    }
    return true;
}

bool number_parse(const char *text, size_t len, uint64_t *value)
{
    bool minus = len && text[0] == '-';

    if (!magnitude_parse(text + minus, len - minus, value))
        return false;
    if (minus)
        *value = -*value;
    return true;
}

static bool has_prefix(const struct token *token, const char *prefix)
{
    size_t len = strlen(prefix);

    return token->len >= len && !memcmp(token->at, prefix, len);
}

/* MSRs are printed by Linux's names; the manuals' ones, without MSR_, are understood. */
static bool symbol_is(const struct token *token, const char *name, enum operand_kind kind)
{
    return token_is(token, name) || (kind == ARG_MSR && token_is(token, name + strlen("MSR_")));
}

static bool symbol_parse(const struct token *token, enum operand_kind kind, uint64_t *value)
{
    const struct symbol_table *symbols = operand_symbols(kind);

    for (unsigned i = 0; symbols && i < symbols->count; i++)
        if (symbols->rows[i].name && symbol_is(token, symbols->rows[i].name, kind)) {
            *value = symbols->rows[i].value;
            return true;
        }
    return false;
}

/* ram, ram+0x2000, ram_end-32. */
static bool address_parse(const struct token *token, struct operand *arg)
{
    for (unsigned base = BASE_NONE + 1; base < BASE_COUNT; base++) {
        size_t len = strlen(base_word(base));
        bool minus;

        if (!has_prefix(token, base_word(base)))
            continue;
        arg->base = base;
        arg->value = 0;
        if (token->len == len)
            return true;
        minus = token->at[len] == '-';
        if (!minus && token->at[len] != '+')
            continue; /* ram_end begins with ram */
        if (!magnitude_parse(token->at + len + 1, token->len - len - 1, &arg->value))
            return false;
        if (minus)
            arg->value = -arg->value;
        return true;
    }
    return false;
}

static bool ns_parse(const struct token *token, uint64_t *ns)
{
    for (unsigned i = 0; i < time_unit_count; i++) {
        size_t len = strlen(time_units[i].name);

        if (token->len > len && !memcmp(token->at + token->len - len, time_units[i].name, len) &&
            magnitude_parse(token->at, token->len - len, ns))
            return !__builtin_mul_overflow(*ns, time_units[i].value, ns);
    }
    return false;
}

static const struct {
    const char *name, *usage; /* in a usage line; in "... takes" */
} kinds[] = {
    [ARG_U64] = {"value", "a number, or an address such as ram+0x2000"},
    [ARG_ADDR] = {"address", "an address such as ram+0x2000, ram_end-32, hole, rom, mmio+0x20 or a number"},
    [ARG_MSR] = {"MSR", "the name of an MSR such as MSR_KVM_STEAL_TIME, or its index"},
    [ARG_LEAF] = {"leaf", "a CPUID leaf of 32 bits such as 0x40000001"},
    [ARG_HYPERCALL] = {"hypercall", "the name of a hypercall such as KVM_HC_KICK_CPU, or its number"},
    [ARG_APIC_REG] = {"register",
                      "a register such as APIC_SPIV, or its offset: a multiple of 16 below 0x1000"},
    [ARG_BYTES] = {"bytes", "a number of bytes"},
    [ARG_COUNT] = {"count", "a count"},
    [ARG_VCPU] = {"vCPU", "the number of a vCPU"},
    [ARG_NS] = {"time", "a time with its unit: d, h, min, s, ms, us or ns, as in 5ms"},
};

struct op_usage op_usage(const struct op_info *op)
{
    struct op_usage usage = {""};
    size_t len = 0;

    for (unsigned i = 0; i < op->args; i++) {
        const char *format = i < op->required ? "%s%s" : "%s[%s]";

        len += snprintf(usage.text + len, sizeof(usage.text) - len, format, i ? " " : "",
                        kinds[op->kinds[i]].name);
    }
    return usage;
}

static int unknown_value(struct parser *p, const struct token *token, enum operand_kind kind)
{
    const struct symbol_table *symbols = operand_symbols(kind);
    struct suggestion near;

    suggestion_begin(&near, token->at, token->len);
    for (unsigned i = 0; symbols && i < symbols->count; i++)
        if (symbols->rows[i].name)
            suggestion_offer(&near, symbols->rows[i].name);
    for (unsigned i = 0; operand_takes_base(kind) && i < BASE_COUNT; i++)
        suggestion_offer(&near, base_word(i));
    if (near.best)
        return parse_fail(p, token, "unknown %s '%.*s' - did you mean %s?", kinds[kind].name,
                          TOKEN_SHOWN(*token), near.best);
    return parse_fail(p, token, "'%.*s' is no %s: write %s", TOKEN_SHOWN(*token), kinds[kind].name,
                      kinds[kind].usage);
}

/* What the kind can hold; decode reduces what this refuses. */
static int check_range(struct parser *p, const struct token *token, const struct op_info *op,
                       enum operand_kind kind, uint64_t value)
{
    switch (kind) {
    case ARG_MSR:
    case ARG_LEAF:
        if (value > UINT32_MAX)
            return parse_fail(p, token, "a %s has 32 bits", kinds[kind].name);
        return 0;
    case ARG_APIC_REG:
        if (value & ~0xff0ull)
            return parse_fail(p, token, "'%.*s' is no register: write %s", TOKEN_SHOWN(*token),
                              kinds[kind].usage);
        return 0;
    case ARG_BYTES:
    case ARG_COUNT:
        if (value > op->limit)
            return parse_fail(p, token, "%s takes at most %u here", op->word, op->limit);
        return 0;
    case ARG_VCPU:
        if (value >= PROGRAM_VCPUS_MAX)
            return parse_fail(p, token, "a vCPU is a number below %d", PROGRAM_VCPUS_MAX);
        return 0;
    default:
        return 0;
    }
}

int operand_parse(struct parser *p, const struct token *token, const struct op_info *op,
                  enum operand_kind kind, struct operand *arg)
{
    bool known;

    *arg = (struct operand){.base = BASE_NONE};
    if (kind == ARG_NS)
        known = ns_parse(token, &arg->value);
    else
        known = symbol_parse(token, kind, &arg->value) || number_parse(token->at, token->len, &arg->value) ||
                (operand_takes_base(kind) && address_parse(token, arg));
    if (!known)
        return unknown_value(p, token, kind);
    return check_range(p, token, op, kind, arg->value);
}
