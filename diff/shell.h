/* Words of commands that we print, as a shell reads them back. */
#ifndef DIFF_SHELL_H
#define DIFF_SHELL_H

/* As it is, in '' where a shell would see more than text, in $'' where a terminal would. NULL: no memory; free it. */
char *shell_quote(const char *word);

#endif
