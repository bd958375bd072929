/* Quoting for the shell: POSIX's '', and $'' of bash, zsh and ksh for bytes that do not print. */
#include "diff/shell.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool is_plain(const char *word)
{
    return *word &&
           !word[strspn(word, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_=+,./:@%")];
}

/* UTF-8 passes: only control characters harm a terminal. */
static bool is_control(char c)
{
    return (unsigned char)c < 0x20 || c == 0x7f;
}

static bool has_control(const char *word)
{
    while (*word && !is_control(*word))
        word++;
    return *word;
}

static char *add_dollar_quoted(char *at, const char *word)
{
    at += sprintf(at, "$'");
    for (; *word; word++) {
        if (is_control(*word)) {
            at += sprintf(at, "\\%03o",
                          (unsigned char)*word); /* \x would go on into a hexadecimal digit behind it */
            continue;
        }
        if (*word == '\'' || *word == '\\')
            *at++ = '\\';
        *at++ = *word;
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
    end = has_control(word) ? add_dollar_quoted(text, word) : add_quoted(text, word);
    strcpy(end, "'");
    return text;
}
