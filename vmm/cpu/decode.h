/* From Zydis's full description of an instruction to the compact one that is executed. */
#ifndef VMM_CPU_DECODE_H
#define VMM_CPU_DECODE_H

#include <Zydis/Zydis.h>
#include "vmm/cpu/state.h"

enum decoded {
    DECODED_NEXT,  /* the block may go on */
    DECODED_LAST,  /* it ends here */
    DECODED_SHORT, /* the instruction needs more bytes than size */
};
/* Always yields something to execute unless DECODED_SHORT: what is no instruction raises #UD when executed. */
enum decoded decode(const ZydisDecoder *decoder, uint8_t mode, const uint8_t *code, unsigned size,
                    struct insn *i);
/* Makes RIP-relative parts relative to the block's start, once i->start is known. */
void decode_rebase(struct insn *i);

/* What a family's picker gets to choose a handler from. */
struct decoding {
    const ZydisDecodedInstruction *zi;
    const ZydisDecodedOperand *op; /* the visible ones */
    uint8_t mode;                  /* MODE_* */
};
/* Returns the handler, NULL if there is none for these operands; may complete *i. arg comes from the opcode's row. */
typedef exec_fn *pick_fn(const struct decoding *d, struct insn *i, unsigned arg);

struct opcode {
    pick_fn *pick;
    uint8_t arg;
    bool last; /* ends its block */
};
extern const struct opcode
    opcodes[ZYDIS_MNEMONIC_MAX_VALUE + 1]; /* opcodes.c; pick is NULL: not implemented */

/* enum operand forms of handlers that are worth one instance each. */
enum form { FORM_RR, FORM_RI, FORM_RM, FORM_MR, FORM_MI, FORMS };
/* FORMS if operands 0 and 1 make none of them. */
enum form insn_form(const struct insn *i);
/* 0, 1, 2, 3 for 1, 2, 4, 8 bytes. */
unsigned size_index(unsigned size);

#endif
