/* Quoting for the shell: POSIX's '', and $'' of bash, zsh and ksh for bytes that do not print. Programs by PATH. */
#include "diff/shell.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "diff/utf8.h"

static bool is_plain(const char *word)
{
    return *word &&
           !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%")];
}

/* Bytes of the character that word begins with, or 0 where they would harm a terminal or a text that has to be UTF-8. */
static size_t printable(const char *word)
{
    uint32_t code;
    size_t length = utf8_decode(word, &code);

    return length && code >= 0x20 && (code < 0x7f || code >= 0xa0) ? length : 0;
}

static bool is_printable(const char *word)
{
    size_t length;

    while (*word && (length = printable(word)))
        word += length;
    return !*word;
}

static char *add_dollar_quoted(char *at, const char *word)
{
    at = stpcpy(at, "$'");
    while (*word) {
        size_t length = printable(word);

        if (!length) {
            /* \x would go on into a hexadecimal digit behind it. */
            at += sprintf(at, "\\%03o", (unsigned char)*word++);
            continue;
        }
        if (*word == '\'' || *word == '\\')
            *at++ = '\\';
        at = mempcpy(at, word, length);
        word += length;
    }
    return at;
}

static char *add_quoted(char *at, const char *word)
{
    *at++ = '\'';
    for (; *word; word++) {
        if (*word == '\'')
            at = stpcpy(at, "'\\'"); /* ends, says ' and begins again */
        *at++ = *word;
    }
    return at;
}

char *shell_quote(const char *word)
{
    char *text, *end;

    if (is_plain(word))
        return strdup(word);
    text = malloc(4 * strlen(word) + sizeof("$''"));
    if (!text)
        return NULL;
    end = is_printable(word) ? add_quoted(text, word) : add_dollar_quoted(text, word);
    strcpy(end, "'");
    return text;
}

bool shell_which(const char *name, char *path, size_t size)
{
    const char *list = getenv("PATH");

    if (!list)
        list = "/usr/bin:/bin";
    while (*list) {
        size_t len = strcspn(list, ":");

        int length = snprintf(path, size, "%.*s/%s", (int)len, list, name);

        if (len && length > 0 && (size_t)length < size && access(path, X_OK) == 0)
            return true;
        list += len + (list[len] == ':');
    }
    return false;
}
