/* Inside diff/program: what the container and the two forms share. */
#ifndef DIFF_PROGRAM_CODEC_H
#define DIFF_PROGRAM_CODEC_H

#include "diff/program/program.h"

/* A new action at the end, contents undefined; NULL when PROGRAM_ACTIONS_MAX is reached or memory is short. */
struct action *program_append(struct program *program);
/* Forgets actions and notes, keeps their memory. */
void program_clear(struct program *program);
bool program_has_magic(const uint8_t *data, size_t len);

/* Operands that are 32 bits wide whatever is written. */
static inline bool operand_is_32bit(enum operand_kind kind)
{
    return kind == ARG_MSR || kind == ARG_LEAF || kind == ARG_APIC_REG;
}

/* Only numbers and addresses may count from a base: an MSR index or a length cannot. */
static inline bool operand_takes_base(enum operand_kind kind)
{
    return kind == ARG_U64 || kind == ARG_ADDR;
}

/* Units of ARG_NS, largest first, in nanoseconds; the last one is 1 ns. */
extern const struct symbol time_units[];
extern const unsigned time_unit_count;

#endif
