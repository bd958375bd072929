/* Inside diff/program: what the line parser and the operand parser share. */
#ifndef DIFF_PROGRAM_PARSE_H
#define DIFF_PROGRAM_PARSE_H

#include "diff/program/program.h"

struct token { /* a piece of the current line; len 0: the line ends here */
    const char *at;
    size_t len;
};
/* For "%.*s": enough of a token to recognise it. */
#define TOKEN_SHOWN(t) (int)((t).len < 32 ? (t).len : 32), (t).at

struct parser {
    struct program *program;
    struct program_error *error;
    const char *line, *at, *end; /* the current line and where in it */
    unsigned line_number;
    enum { AT_START, IN_HEADER, IN_BODY } state;
    bool skip_empty; /* the next line, if empty, is no note */
    bool in_block;
    struct action block; /* vcpu and mode of the open block */
    unsigned block_line;
    uint32_t line_first_action; /* program->count when the line began */
};

/* Fills the error for this place and returns -EINVAL. */
__attribute__((format(printf, 3, 4))) int parse_fail(struct parser *p, const struct token *at,
                                                     const char *format, ...);
bool token_is(const struct token *token, const char *word);

#endif
