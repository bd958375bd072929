/* Decoding by Zydis 4, reduced to struct insn. Operand numbers are those of Intel syntax. */
#include "vmm/cpu/decode.h"
#include "vmm/cpu/exec.h"

enum form insn_form(const struct insn *i)
{
    static const enum form forms[][3] = {/* by operand 0 (REG, MEM), operand 1 (REG, MEM, IMM) */
                                         {FORM_RR, FORM_RM, FORM_RI},
                                         {FORM_MR, FORMS, FORM_MI}};

    if (i->kind[0] < KIND_REG || i->kind[0] > KIND_MEM || i->kind[1] < KIND_REG || i->kind[1] > KIND_IMM)
        return FORMS;
    return forms[i->kind[0] - KIND_REG][i->kind[1] - KIND_REG];
}

unsigned size_index(unsigned size)
{
    return size == 1 ? 0 : size == 2 ? 1 : size == 4 ? 2 : 3;
}

/* Byte offset of a general register in cpu->gpr; AH, CH, DH, BH lie one byte up. */
static bool gpr_offset(ZydisRegister reg, uint8_t *off)
{
    ZydisRegisterClass class = ZydisRegisterGetClass(reg);
    int id = ZydisRegisterGetId(reg);

    switch (class) {
    case ZYDIS_REGCLASS_GPR8: /* AL CL DL BL AH CH DH BH SPL BPL SIL DIL R8B ... in Zydis's order */
        if (id >= 4 && id <= 7)
            *off = (uint8_t)((id - 4) * 8 + 1);
        else
            *off = (uint8_t)((id < 4 ? id : id - 4) * 8);
        return true;
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64:
        *off = (uint8_t)(id * 8);
        return true;
    default:
        return false;
    }
}

static bool decode_register(ZydisRegister reg, struct insn *i, unsigned n)
{
    if (gpr_offset(reg, &i->reg[n])) {
        i->kind[n] = KIND_REG;
        return true;
    }
    i->reg[n] = (uint8_t)ZydisRegisterGetId(reg);
    switch (ZydisRegisterGetClass(reg)) {
    case ZYDIS_REGCLASS_SEGMENT:
        i->kind[n] = KIND_SREG;
        return true;
    case ZYDIS_REGCLASS_CONTROL:
        i->kind[n] = KIND_CR;
        return true;
    case ZYDIS_REGCLASS_DEBUG:
        i->kind[n] = KIND_DR;
        return true;
    default:
        return false;
    }
}

static uint8_t decode_segment(ZydisRegister reg, uint8_t mode)
{
    unsigned seg = (unsigned)ZydisRegisterGetId(reg); /* ES CS SS DS FS GS, as enum sreg */

    if (seg >= SREG_FS)
        return (uint8_t)seg;
    if ((mode & MODE_SIZE) == MODE_64 || ((mode & MODE_FLAT) && seg != SREG_CS))
        return SEG_FLAT;
    return (uint8_t)seg;
}

static uint8_t address_slot(ZydisRegister reg)
{
    return reg == ZYDIS_REGISTER_NONE ? SLOT_ZERO : (uint8_t)ZydisRegisterGetId(reg);
}

static void decode_memory(const struct decoding *d, const ZydisDecodedOperand *op, struct insn *i)
{
    bool rip_relative = op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP;

    i->seg = op->mem.segment == ZYDIS_REGISTER_NONE ? SEG_FLAT : decode_segment(op->mem.segment, d->mode);
    i->base = rip_relative ? SLOT_BLOCK : address_slot(op->mem.base);
    i->index = address_slot(op->mem.index);
    i->scale = (uint8_t)(op->mem.scale ? __builtin_ctz(op->mem.scale) : 0);
    i->disp = op->mem.disp.value + (rip_relative ? i->length : 0);
}

static bool decode_operand(const struct decoding *d, struct insn *i, unsigned n)
{
    const ZydisDecodedOperand *op = &d->op[n];

    switch (op->type) {
    case ZYDIS_OPERAND_TYPE_REGISTER:
        return decode_register(op->reg.value, i, n);
    case ZYDIS_OPERAND_TYPE_MEMORY:
        i->kind[n] = KIND_MEM;
        decode_memory(d, op, i);
        return true;
    case ZYDIS_OPERAND_TYPE_IMMEDIATE:
        i->kind[n] = KIND_IMM;
        i->imm = op->imm.value.u + (op->imm.is_relative ? i->length : 0);
        return true;
    case ZYDIS_OPERAND_TYPE_POINTER:
        i->kind[n] = KIND_PTR;
        i->imm = op->ptr.offset;
        i->extra = op->ptr.segment;
        return true;
    default:
        return false;
    }
}

static uint8_t decode_rep(const ZydisDecodedInstruction *zi)
{
    if (zi->attributes & ZYDIS_ATTRIB_HAS_REPNE)
        return REP_NE;
    return zi->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE) ? REP_E : REP_NONE;
}

/* The effective segment of a string's source. */
static uint8_t decode_override(const ZydisDecodedInstruction *zi, uint8_t mode)
{
    static const struct {
        ZydisInstructionAttributes attribute;
        ZydisRegister reg;
    } overrides[] = {{ZYDIS_ATTRIB_HAS_SEGMENT_CS, ZYDIS_REGISTER_CS},
                     {ZYDIS_ATTRIB_HAS_SEGMENT_SS, ZYDIS_REGISTER_SS},
                     {ZYDIS_ATTRIB_HAS_SEGMENT_ES, ZYDIS_REGISTER_ES},
                     {ZYDIS_ATTRIB_HAS_SEGMENT_FS, ZYDIS_REGISTER_FS},
                     {ZYDIS_ATTRIB_HAS_SEGMENT_GS, ZYDIS_REGISTER_GS}};

    for (unsigned n = 0; n < sizeof(overrides) / sizeof(*overrides); n++)
        if (zi->attributes & overrides[n].attribute)
            return decode_segment(overrides[n].reg, mode);
    return decode_segment(ZYDIS_REGISTER_DS, mode);
}

/* A refused byte string: too long is #GP, everything else #UD. */
static enum decoded decode_failed(ZyanStatus status, unsigned size, struct insn *i)
{
    if (status == ZYDIS_STATUS_NO_MORE_DATA && size < ZYDIS_MAX_INSTRUCTION_LENGTH)
        return DECODED_SHORT;
    i->exec = status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA ? exec_gp
                                                                                                 : exec_ud;
    i->length = 1;
    return DECODED_LAST;
}

enum decoded decode(const ZydisDecoder *decoder, uint8_t mode, const uint8_t *code, unsigned size,
                    struct insn *i)
{
    ZydisDecodedInstruction zi;
    ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
    struct decoding d = {.zi = &zi, .op = ops, .mode = mode};
    const struct opcode *opcode;
    ZyanStatus status;

    if (size > ZYDIS_MAX_INSTRUCTION_LENGTH)
        size = ZYDIS_MAX_INSTRUCTION_LENGTH;
    *i = (struct insn){.base = SLOT_ZERO, .index = SLOT_ZERO, .seg = SEG_FLAT};
    status = ZydisDecoderDecodeFull(decoder, code, size, &zi, ops);
    if (!ZYAN_SUCCESS(status))
        return decode_failed(status, size, i);
    i->length = zi.length;
    i->asize = zi.address_width / 8;
    i->size = zi.operand_width / 8;
    i->rep = decode_rep(&zi);
    opcode = &opcodes[zi.mnemonic];
    i->exec = exec_unimplemented;
    if (!opcode->pick)
        return DECODED_LAST;
    for (unsigned n = 0; n < zi.operand_count_visible && n < 3; n++)
        if (!decode_operand(&d, i, n))
            return DECODED_LAST; /* a vector or x87 register */
    if (zi.operand_count_visible > 0 && ops[0].size && ops[0].size <= 64)
        i->size = (uint8_t)(ops[0].size / 8);
    if (zi.operand_count_visible > 1)
        i->src_size = (uint8_t)(ops[1].size / 8);
    if (zi.meta.category == ZYDIS_CATEGORY_STRINGOP || zi.meta.category == ZYDIS_CATEGORY_IOSTRINGOP ||
        zi.mnemonic == ZYDIS_MNEMONIC_XLAT)
        i->seg = decode_override(&zi, mode);
    i->exec = opcode->pick(&d, i, opcode->arg);
    if (!i->exec)
        i->exec = exec_unimplemented;
    return opcode->last || i->exec == exec_unimplemented ? DECODED_LAST : DECODED_NEXT;
}

void decode_rebase(struct insn *i)
{
    if (i->base == SLOT_BLOCK)
        i->disp += i->start;
}
