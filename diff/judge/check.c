/* The list of checks and the texts it owns. */
#include "diff/judge/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 65536u

struct check_block {
    struct check_block *next;
    size_t used, size;
    char bytes[];
};

const char *check_kind_name(enum check_kind kind)
{
    static const char *const names[CHECK_KINDS] = {"cpuid",  "msr",       "hypercall",
                                                   "record", "interrupt", "clock"};

    return names[kind];
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[VERDICTS] = {"equal", "known", "different", "not_compared"};

    return names[verdict];
}

void check_list_init(struct check_list *list)
{
    *list = (struct check_list){0};
}

void check_list_free(struct check_list *list)
{
    while (list->blocks) {
        struct check_block *next = list->blocks->next;

        free(list->blocks);
        list->blocks = next;
    }
    free(list->checks);
    check_list_init(list);
}

static const char *text_or_empty(const char *text)
{
    return text ? text : "";
}

void check_add(struct check_list *list, const struct check *check)
{
    struct check *slot;

    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 256;
        struct check *grown = realloc(list->checks, capacity * sizeof(*grown));

        if (!grown) {
            list->out_of_memory = true;
            return;
        }
        list->checks = grown;
        list->capacity = capacity;
    }
    slot = &list->checks[list->count++];
    *slot = *check;
    slot->flags = text_or_empty(check->flags);
    slot->scenario = text_or_empty(check->scenario);
    slot->text = text_or_empty(check->text);
    slot->what = text_or_empty(check->what);
    slot->ours = text_or_empty(check->ours);
    slot->theirs = text_or_empty(check->theirs);
    slot->bits = text_or_empty(check->bits);
    slot->rule = text_or_empty(check->rule);
    slot->reason = text_or_empty(check->reason);
    slot->known = text_or_empty(check->known);
}

static char *block_take(struct check_list *list, size_t size)
{
    struct check_block *block = list->blocks;

    if (!block || block->size - block->used < size) {
        size_t room = size > BLOCK_SIZE ? size : BLOCK_SIZE;

        block = malloc(sizeof(*block) + room);
        if (!block) {
            list->out_of_memory = true;
            return NULL;
        }
        *block = (struct check_block){.next = list->blocks, .size = room};
        list->blocks = block;
    }
    block->used += size;
    return block->bytes + block->used - size;
}

const char *check_text(struct check_list *list, const char *format, ...)
{
    va_list args, again;
    int length;
    char *text;

    va_start(args, format);
    va_copy(again, args);
    length = vsnprintf(NULL, 0, format, args);
    va_end(args);
    text = length < 0 ? NULL : block_take(list, (size_t)length + 1);
    if (text)
        vsnprintf(text, (size_t)length + 1, format, again);
    va_end(again);
    return text_or_empty(text);
}

void check_count(const struct check_list *list, struct check_counts *counts)
{
    *counts = (struct check_counts){0};
    for (size_t i = 0; i < list->count; i++)
        counts->by[list->checks[i].kind][list->checks[i].verdict]++;
}

uint32_t check_total(const struct check_counts *counts, enum verdict verdict)
{
    uint32_t total = 0;

    for (unsigned kind = 0; kind < CHECK_KINDS; kind++)
        total += counts->by[kind][verdict];
    return total;
}
