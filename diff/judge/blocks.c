/* Parser of block files: known differences and the matrix of flag sets. */
#include "diff/judge/blocks.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

struct block_parser {
    const struct block_format *format;
    char *entries, *entry; /* entry NULL: none is open */
    unsigned count, line;
    const char *line_start;
    struct block_place opener; /* of the open block */
    char *message;             /* 200 bytes */
};

static const char **member(const struct block_parser *p, unsigned key)
{
    return (const char **)(void *)(p->entry + p->format->keys[key].offset);
}

static struct block_place place_of(const struct block_parser *p, const char *at)
{
    return (struct block_place){p->line, (unsigned)(at - p->line_start) + 1};
}

static int refuse(struct block_parser *p, struct block_place place, const char *why, const char *about)
{
    snprintf(p->message, 200, "%u:%u: %s%.60s", place.line, place.column, why, about);
    return -EINVAL;
}

static int entry_finish(struct block_parser *p)
{
    for (unsigned key = 0; p->entry && key < p->format->key_count; key++)
        if (!*member(p, key)) {
            if (p->format->keys[key].required)
                return refuse(p, p->opener, "this block has no ", p->format->keys[key].word);
            *member(p, key) = "";
        }
    p->entry = NULL;
    return 0;
}

static int entry_begin(struct block_parser *p, const char *word, const char *name)
{
    int err = entry_finish(p);

    if (err)
        return err;
    if (!*name)
        return refuse(p, place_of(p, name), "write a name after ", p->format->opener);
    if (p->count == p->format->entries_max)
        return refuse(p, place_of(p, word), "too many blocks", "");
    p->opener = place_of(p, word);
    p->entry = p->entries + p->count++ * p->format->entry_size;
    memset(p->entry, 0, p->format->entry_size);
    *(const char **)(void *)(p->entry + p->format->name_offset) = name;
    *(unsigned *)(void *)(p->entry + p->format->line_offset) = p->line;
    return 0;
}

static int unknown_key(struct block_parser *p, const char *word)
{
    char words[100] = "";
    size_t used = 0;

    for (unsigned key = 0; key < p->format->key_count && used < sizeof(words) - 16; key++)
        used += (size_t)snprintf(words + used, sizeof(words) - used, " %s", p->format->keys[key].word);
    snprintf(p->message, 200, "%u:%u: no key '%.30s'; write '%s NAME' or one of%s", p->line,
             place_of(p, word).column, word, p->format->opener, words);
    return -EINVAL;
}

static int entry_set(struct block_parser *p, const char *word, const char *value)
{
    for (unsigned key = 0; key < p->format->key_count; key++) {
        if (strcmp(p->format->keys[key].word, word))
            continue;
        if (!p->entry)
            return refuse(p, place_of(p, word), "a block begins with ", p->format->opener);
        if (*member(p, key))
            return refuse(p, place_of(p, word), "said twice: ", word);
        *member(p, key) = value;
        return 0;
    }
    return unknown_key(p, word);
}

static int parse_line(struct block_parser *p, char *line)
{
    char *word = line + strspn(line, " \t"), *value, *end = line + strlen(line);

    while (end > word && isspace((unsigned char)end[-1]))
        *--end = 0;
    if (!*word || *word == '#')
        return 0;
    value = word + strcspn(word, " \t");
    if (*value) {
        *value++ = 0;
        value += strspn(value, " \t");
    }
    return strcmp(word, p->format->opener) ? entry_set(p, word, value) : entry_begin(p, word, value);
}

struct block_place blocks_place(const char *text, size_t offset)
{
    struct block_place place = {1, 1};

    for (size_t i = 0; i < offset; i++)
        place = text[i] == '\n' ? (struct block_place){place.line + 1, 1}
                                : (struct block_place){place.line, place.column + 1};
    return place;
}

int blocks_parse(const struct block_format *format, char *text, size_t length, void *entries, unsigned *count,
                 char message[200])
{
    struct block_parser p = {.format = format, .entries = entries, .message = message};
    int err = 0;

    message[0] = 0;
    if (strlen(text) != length)
        err = refuse(&p, blocks_place(text, strlen(text)), "a zero byte: this is no text", "");
    for (char *line = text; !err && line;) {
        char *next = strchr(line, '\n');

        if (next)
            *next++ = 0;
        p.line++;
        p.line_start = line;
        err = parse_line(&p, line);
        line = next;
    }
    if (!err)
        err = entry_finish(&p);
    *count = err ? 0 : p.count;
    return err;
}
