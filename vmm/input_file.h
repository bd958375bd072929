/* Files that a command line names. What they are is looked at before they are read: nothing here waits for a writer that
 * may never come, or reads without end. */
#ifndef VMM_INPUT_FILE_H
#define VMM_INPUT_FILE_H

#include <stddef.h>

#define INPUT_WHY 80 /* bytes of a reason, with its NUL */

/* A regular file; flags are open()'s. A descriptor; -1: errno, and why in words, which do not say the path. */
int input_file_open(const char *path, int flags, char why[INPUT_WHY]);
/* All of a file of at most max bytes and a NUL after them, to be freed; *len counts without the NUL. Read are regular files,
 * character devices, and pipes of the shell's: <(command), /dev/stdin. NULL: errno (EFBIG: it has more) and why. */
void *input_file_read(const char *path, size_t max, size_t *len, char why[INPUT_WHY]);
/* The same of a descriptor, whatever it is. */
void *input_descriptor_read(int fd, size_t max, size_t *len, char why[INPUT_WHY]);

#endif
