/* Inside diff/program: operands in text. */
#ifndef DIFF_PROGRAM_OPERAND_H
#define DIFF_PROGRAM_OPERAND_H

#include "diff/program/parse.h"

/* Decimal or 0x, an optional minus; false when it is not wholly a number of at most 64 bits. */
bool number_parse(const char *text, size_t len, uint64_t *value);
int operand_parse(struct parser *p, const struct token *token, const struct op_info *op,
                  enum operand_kind kind, struct operand *arg);

#endif
