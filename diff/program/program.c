/* The container of actions and notes, and what follows from them: needs, and which form some bytes are in. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/codec.h"
#include "diff/program/program.h"

void program_init(struct program *program)
{
    *program = (struct program){.config = {.vcpus = 1, .irqchip = PROGRAM_IRQCHIP_KERNEL, .ram_pages = 64}};
}

void program_free(struct program *program)
{
    free(program->actions);
    free(program->notes);
    program_init(program);
}

void program_clear(struct program *program)
{
    program->count = 0;
    program->notes_size = 0;
}

/* Room for `wanted` elements in all; the array doubles, so that adding is cheap. NULL: no memory, the old array stays. */
static void *grow(void *array, uint32_t *capacity, size_t wanted, size_t size)
{
    size_t room = *capacity ? *capacity : 64;
    void *grown;

    while (room < wanted)
        room *= 2;
    grown = realloc(array, room * size);
    if (grown)
        *capacity = room;
    return grown;
}

struct action *program_append(struct program *program)
{
    if (program->count >= PROGRAM_ACTIONS_MAX)
        return NULL;
    if (program->count == program->capacity) {
        struct action *grown =
            grow(program->actions, &program->capacity, program->count + 1, sizeof(struct action));

        if (!grown)
            return NULL;
        program->actions = grown;
    }
    return &program->actions[program->count++];
}

bool program_add(struct program *program, const struct action *action)
{
    struct action *slot = program_append(program);

    if (slot)
        *slot = *action;
    return slot;
}

/* A comment can close a line only if there is an action on it. */
static bool action_before(const struct program *program)
{
    return program->count && program->actions[program->count - 1].op != OP_NOTE;
}

bool program_add_note(struct program *program, const char *line, size_t len)
{
    bool closing = len > 1 && line[0] == ' ' && line[1] == '#' && action_before(program);
    struct action note = {.op = OP_NOTE, .note = program->notes_size};
    char *out;

    while (len && !isgraph((unsigned char)line[len - 1]) && !((unsigned char)line[len - 1] & 0x80))
        len--;
    if (len > PROGRAM_NOTE_MAX)
        len = PROGRAM_NOTE_MAX;
    if (program->notes_size + len + 1 > program->notes_capacity) {
        out = grow(program->notes, &program->notes_capacity, program->notes_size + len + 1, 1);
        if (!out)
            return false;
        program->notes = out;
    }
    out = program->notes + program->notes_size;
    for (size_t i = 0; i < len; i++)
        out[i] = (unsigned char)line[i] & 0x80 ? '?' : isgraph((unsigned char)line[i]) ? line[i] : ' ';
    if (len && !closing)
        out[0] = '#';
    while (len && out[len - 1] == ' ')
        len--;
    out[len] = '\0';
    if (!program_add(program, &note))
        return false;
    program->notes_size += len + 1;
    return true;
}

uint32_t program_needs(const struct program *program)
{
    uint32_t needs = program->config.vcpus > 1 ? NEED_SMP : 0;

    for (uint32_t i = 0; i < program->count; i++) {
        const struct action *action = &program->actions[i];
        const struct op_info *op = op_info(action->op);

        needs |= op->needs;
        if (op_on_vcpu(action->op) && action->mode <= MODE_COMPAT_CPL3)
            needs |= NEED_LONG_MODE;
    }
    return needs;
}

static bool is_text(const uint8_t *data, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (data[i] != '\t' && data[i] != '\n' && data[i] != '\r' && (data[i] < ' ' || data[i] == 0x7f))
            return false;
    return true;
}

int program_load(struct program *program, const uint8_t *data, size_t len, struct program_error *error)
{
    if (program_has_magic(data, len))
        return program_decode(program, data, len, error);
    if (is_text(data, len))
        return program_parse(program, (const char *)data, len, error);
    program_decode_total(program, data, len);
    return 0;
}
