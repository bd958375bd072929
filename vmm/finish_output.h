/* What a program printed must have been taken: a full disk is an exit status, not a shorter file. */
#ifndef VMM_FINISH_OUTPUT_H
#define VMM_FINISH_OUTPUT_H

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "vmm/exit_status.h"

/* For atexit(): argp leaves by exit() too. */
static inline void finish_output(void)
{
    int err = fflush(stdout) ? errno : ferror(stdout) ? EIO : 0;

    if (!err)
        return;
    fprintf(stderr, "%s: cannot write standard output: %s\n", program_invocation_short_name, strerror(err));
    _exit(EXIT_MISSING);
}

#endif
