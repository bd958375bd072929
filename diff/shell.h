/* What a shell does with words: quoting them back, finding a program by its name. */
#ifndef DIFF_SHELL_H
#define DIFF_SHELL_H

#include <stdbool.h>
#include <stddef.h>

/* As it is, in '' where a shell would see more than text, in $'' where a terminal would. NULL: no memory; free it. */
char *shell_quote(const char *word);
/* The first folder of PATH that holds the program: fills path. False: none does. */
bool shell_which(const char *name, char *path, size_t size);

#endif
