/* Text form of programs, version 1, defined here: a header, then one action a line.
 *
 *   line   = [action | mode "{" | "}"] ["#" comment]
 *   action = ["@" vcpu] [mode] ["{"] word operand... ["}"]
 *
 * Every refusal names line and column and says what to write instead. */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include "diff/program/codec.h"
#include "diff/program/operand.h"
#include "diff/program/parse.h"
#include "diff/program/suggest.h"

int parse_fail(struct parser *p, const struct token *at, const char *format, ...)
{
    va_list args;

    p->error->line = p->line_number;
    p->error->column = at->at - p->line + 1;
    va_start(args, format);
    vsnprintf(p->error->message, sizeof(p->error->message), format, args);
    va_end(args);
    return -EINVAL;
}

bool token_is(const struct token *token, const char *word)
{
    return token->len == strlen(word) && !memcmp(token->at, word, token->len);
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* The next word, or a brace; empty at the end of the line or at a comment. */
static struct token next_token(struct parser *p)
{
    struct token token;

    while (p->at < p->end && is_blank(*p->at))
        p->at++;
    token.at = p->at;
    if (p->at < p->end && (*p->at == '{' || *p->at == '}'))
        p->at++;
    else
        while (p->at < p->end && !is_blank(*p->at) && !strchr("{}#", *p->at))
            p->at++;
    token.len = p->at - token.at;
    return token;
}

/* The next word if it is this one. */
static bool accept(struct parser *p, const char *word)
{
    const char *before = p->at;
    struct token token = next_token(p);

    if (token_is(&token, word))
        return true;
    p->at = before;
    return false;
}

static int parse_plain_number(struct parser *p, const char *what, uint64_t min, uint64_t max, uint64_t *value)
{
    struct token token = next_token(p);

    if (!number_parse(token.at, token.len, value) || *value < min || *value > max)
        return parse_fail(p, &token, "%s takes a number from %llu to %llu", what, (unsigned long long)min,
                          (unsigned long long)max);
    return 0;
}

/* Header lines. */

static int header_vcpus(struct parser *p, struct program_config *config)
{
    uint64_t vcpus;
    int err = parse_plain_number(p, "vcpus", 1, PROGRAM_VCPUS_MAX, &vcpus);

    if (!err)
        config->vcpus = vcpus;
    return err;
}

static int header_ram(struct parser *p, struct program_config *config)
{
    uint64_t pages;
    int err = parse_plain_number(p, "ram, in pages of 4 KiB,", 1, PROGRAM_RAM_MAX, &pages);

    if (!err)
        config->ram_pages = pages;
    return err;
}

static int header_irqchip(struct parser *p, struct program_config *config)
{
    struct token token = next_token(p);

    for (unsigned i = 0; i <= PROGRAM_IRQCHIP_NONE; i++)
        if (token_is(&token, irqchip_word(i))) {
            config->irqchip = i;
            return 0;
        }
    return parse_fail(p, &token, "irqchip takes kernel, split or none");
}

static int parse_bits(struct parser *p, const struct symbol_table *names, uint32_t *bits)
{
    *bits = 0;
    for (struct token token = next_token(p); token.len; token = next_token(p)) {
        struct suggestion near;
        uint64_t value = 0;

        suggestion_begin(&near, token.at, token.len);
        for (unsigned i = 0; i < names->count; i++) {
            suggestion_offer(&near, names->rows[i].name);
            if (token_is(&token, names->rows[i].name))
                value = names->rows[i].value;
        }
        if (!value && (!number_parse(token.at, token.len, &value) || value > UINT32_MAX))
            return parse_fail(p, &token, "unknown feature '%.*s' - %s%s", TOKEN_SHOWN(token),
                              near.best ? "did you mean " : "write QEMU's name for it, or the bits as 0x...",
                              near.best ? near.best : "");
        *bits |= value;
    }
    return 0;
}

static int header_features(struct parser *p, struct program_config *config)
{
    return parse_bits(p, &feature_symbols, &config->features);
}

static int header_hints(struct parser *p, struct program_config *config)
{
    return parse_bits(p, &hint_symbols, &config->hints);
}

static int parse_choice(struct parser *p, const char *keyword, const char *no, const char *yes, bool *choice)
{
    struct token token = next_token(p);

    *choice = token_is(&token, yes);
    if (!*choice && !token_is(&token, no))
        return parse_fail(p, &token, "%s takes %s or %s", keyword, no, yes);
    return 0;
}

static int header_enforce(struct parser *p, struct program_config *config)
{
    return parse_choice(p, "enforce", "off", "on", &config->enforce);
}

static int header_native(struct parser *p, struct program_config *config)
{
    return parse_choice(p, "native", "vmmcall", "vmcall", &config->vmcall_native);
}

static int header_hyperv(struct parser *p, struct program_config *config)
{
    return parse_choice(p, "hyperv", "off", "on", &config->hyperv);
}

static const struct {
    const char *word;
    int (*parse)(struct parser *p, struct program_config *config);
} header_lines[] = {
    {"vcpus", header_vcpus},       {"ram", header_ram},       {"irqchip", header_irqchip},
    {"features", header_features}, {"hints", header_hints},   {"enforce", header_enforce},
    {"native", header_native},     {"hyperv", header_hyperv},
};
#define HEADER_LINES (sizeof(header_lines) / sizeof(header_lines[0]))

static int parse_end(struct parser *p)
{
    struct token token = next_token(p);

    if (token.len)
        return parse_fail(p, &token, "'%.*s' is one word too many", TOKEN_SHOWN(token));
    return 0;
}

static int parse_version(struct parser *p, const struct token *first)
{
    uint64_t version;
    int err;

    if (!token_is(first, "paravane"))
        return parse_fail(p, first, "a program begins with the line 'paravane %d'", PROGRAM_VERSION);
    err = parse_plain_number(p, "paravane, the version of the language,", PROGRAM_VERSION, PROGRAM_VERSION,
                             &version);
    p->state = IN_HEADER;
    return err ? err : parse_end(p);
}

/* 1: not a header line. */
static int parse_header_line(struct parser *p, const struct token *first)
{
    for (unsigned i = 0; i < HEADER_LINES; i++) {
        int err;

        if (!token_is(first, header_lines[i].word))
            continue;
        if (p->state == IN_BODY)
            return parse_fail(p, first, "'%s' belongs to the header: move it above the first action",
                              header_lines[i].word);
        err = header_lines[i].parse(p, &p->program->config);
        return err ? err : parse_end(p);
    }
    return 1;
}

/* Actions. */

static bool mode_parse(const struct token *token, uint8_t *mode)
{
    for (unsigned i = MODE_64 + 1; i < MODE_COUNT; i++)
        if (token_is(token, mode_word(i))) {
            *mode = i;
            return true;
        }
    return false;
}

static int unknown_action(struct parser *p, const struct token *token)
{
    bool host = token->len && token->at[0] == '!';
    struct suggestion near;

    suggestion_begin(&near, token->at + host, token->len - host);
    for (unsigned i = 0; i < OP_COUNT; i++)
        if (op_info(i)->host == host)
            suggestion_offer(&near, op_info(i)->word);
    for (unsigned i = 0; !host && i < MODE_COUNT; i++)
        suggestion_offer(&near, mode_word(i));
    for (unsigned i = 0; p->state == IN_HEADER && !host && i < HEADER_LINES; i++)
        suggestion_offer(&near, header_lines[i].word);
    if (near.best)
        return parse_fail(p, token, "unknown action '%.*s' - did you mean %s%s?", TOKEN_SHOWN(*token),
                          host ? "!" : "", near.best);
    return parse_fail(p, token, "unknown action '%.*s' - 'pv-fuzz show --actions' lists them",
                      TOKEN_SHOWN(*token));
}

static int parse_word(struct parser *p, const struct token *token, uint8_t *op)
{
    bool host = token->len && token->at[0] == '!';
    struct token word = {token->at + host, token->len - host};

    if (!token->len)
        return parse_fail(p, token, "an action is missing here");
    for (unsigned i = 0; i < OP_COUNT; i++)
        if (i != OP_NOTE && op_info(i)->host == host && token_is(&word, op_info(i)->word)) {
            *op = i;
            return 0;
        }
    return unknown_action(p, token);
}

static int parse_args(struct parser *p, struct action *action)
{
    const struct op_info *op = op_info(action->op);

    for (unsigned i = 0; i < op->args; i++) {
        const char *before = p->at;
        struct token token = next_token(p);
        int err;

        if (!token.len || token_is(&token, "}")) {
            if (i < op->required)
                return parse_fail(p, &token, "%s takes %s", op->word, op_usage(op).text);
            p->at = before;
            return 0;
        }
        err = operand_parse(p, &token, op, op->kinds[i], &action->args[i]);
        if (err)
            return err;
    }
    return 0;
}

static int parse_vcpu(struct parser *p, struct token *token, struct action *action)
{
    uint64_t vcpu;

    if (!number_parse(token->at + 1, token->len - 1, &vcpu) || vcpu >= p->program->config.vcpus)
        return parse_fail(p, token,
                          "'%.*s' is no vCPU of this program: the header says vcpus %u, so @0 to @%u",
                          TOKEN_SHOWN(*token), p->program->config.vcpus, p->program->config.vcpus - 1);
    action->vcpu = vcpu;
    *token = next_token(p);
    return 0;
}

/* Only the parts after the prefixes; closed: a brace was opened on this line. */
static int parse_action_tail(struct parser *p, const struct token *word, struct action *action, bool prefixed,
                             bool closed)
{
    int err = parse_word(p, word, &action->op);

    if (err)
        return err;
    if (prefixed && !op_on_vcpu(action->op))
        return parse_fail(p, word, "'%.*s' runs on no vCPU: write it alone, outside of any block",
                          TOKEN_SHOWN(*word));
    err = parse_args(p, action);
    if (err)
        return err;
    if (closed && !accept(p, "}")) {
        struct token token = next_token(p);

        return parse_fail(p, &token, "a '}' is missing: one action between braces on one line");
    }
    err = parse_end(p);
    if (err)
        return err;
    return program_add(p->program, action)
               ? 0
               : parse_fail(p, word, "a program has at most %d lines of body", PROGRAM_ACTIONS_MAX);
}

static int parse_action(struct parser *p, struct token token)
{
    struct action action = {.vcpu = p->block.vcpu, .mode = p->block.mode};
    bool prefixed = p->in_block, braced = false;

    if (token.at[0] == '@') {
        int err = parse_vcpu(p, &token, &action);

        if (err)
            return err;
        prefixed = true;
    }
    if (mode_parse(&token, &action.mode)) {
        if (p->in_block)
            return parse_fail(p, &token, "blocks do not nest: close the one from line %u with '}' first",
                              p->block_line);
        prefixed = true;
        braced = accept(p, "{");
        token = next_token(p);
        if (braced && !token.len) {
            p->in_block = true;
            p->block = action;
            p->block_line = p->line_number;
            return 0;
        }
    }
    return parse_action_tail(p, &token, &action, prefixed, braced);
}

static int parse_block_end(struct parser *p, const struct token *token)
{
    if (!p->in_block)
        return parse_fail(p, token, "'}' closes nothing: a block begins with a mode and '{', as in 'cpl3 {'");
    p->in_block = false;
    p->block = (struct action){.op = OP_NOP};
    return parse_end(p);
}

static int parse_words(struct parser *p, const struct token *first)
{
    int err;

    if (p->state == AT_START)
        return parse_version(p, first);
    err = parse_header_line(p, first);
    if (err <= 0)
        return err;
    err = token_is(first, "}") ? parse_block_end(p, first) : parse_action(p, *first);
    p->state = IN_BODY;
    return err;
}

static bool add_comment(struct program *program, const char *from, size_t len, bool closes_action)
{
    char line[PROGRAM_NOTE_MAX + 1] = " ";

    memcpy(line + 1, from, len);
    return closes_action ? program_add_note(program, line, len + 1) : program_add_note(program, from, len);
}

/* The comment of the current line, if there is one, or the empty line that it is. */
static int parse_note(struct parser *p, bool had_words)
{
    uint32_t count = p->program->count;
    bool closes_action = had_words && p->state == IN_BODY && count > p->line_first_action;
    const char *from = p->at;
    const struct token here = {p->at, 0};

    while (from < p->end && is_blank(*from))
        from++;
    if (from == p->end && (had_words || p->skip_empty))
        return 0;
    for (const char *c = from; c < p->end; c++)
        if (!isprint((unsigned char)*c) && !is_blank(*c))
            return parse_fail(p, &(struct token){c, 1}, "a comment holds printable ASCII only");
    if (p->end - from > PROGRAM_NOTE_MAX - 1)
        return parse_fail(p, &here, "a comment has at most %d characters: break the line",
                          PROGRAM_NOTE_MAX - 1);
    if (!add_comment(p->program, from, p->end - from, closes_action))
        return parse_fail(p, &here, "a program has at most %d lines of body", PROGRAM_ACTIONS_MAX);
    return 0;
}

static int parse_line(struct parser *p)
{
    struct token first = next_token(p);
    int err;

    p->line_first_action = p->program->count;
    if (first.len) {
        err = parse_words(p, &first);
        if (err)
            return err;
    }
    err = parse_note(p, first.len);
    /* The empty line that parts header and body is layout, not content. */
    p->skip_empty = p->state == AT_START || (p->state == IN_HEADER && first.len);
    return err;
}

static int parse_lines(struct parser *p, const char *text, size_t len)
{
    const char *end = text + len;

    while (text < end) {
        const char *newline = memchr(text, '\n', end - text);
        int err;

        p->line = p->at = text;
        p->end = newline ? newline : end;
        while (p->end > p->line && is_blank(p->end[-1]))
            p->end--;
        p->line_number++;
        err = parse_line(p);
        if (err)
            return err;
        text = newline ? newline + 1 : end;
    }
    p->line = p->at = p->end = end;
    return 0;
}

int program_parse(struct program *program, const char *text, size_t len, struct program_error *error)
{
    struct parser p = {.program = program, .error = error, .skip_empty = true};
    struct token nothing = {text + len, 0};
    struct program fresh;
    int err;

    program_init(&fresh);
    program->config = fresh.config;
    program_clear(program);
    *error = (struct program_error){.line = 0};
    err = parse_lines(&p, text, len);
    if (err)
        return err;
    if (p.state == AT_START)
        return parse_fail(&p, &nothing, "an empty text: a program begins with the line 'paravane %d'",
                          PROGRAM_VERSION);
    if (p.in_block)
        return parse_fail(&p, &nothing, "the block from line %u is not closed: a line with '}' is missing",
                          p.block_line);
    return 0;
}
