/* How the programs end: the same numbers everywhere. README.md, "Exit status". */
#ifndef VMM_EXIT_STATUS_H
#define VMM_EXIT_STATUS_H

enum exit_status {
    EXIT_DONE = 0,          /* nothing unexpected */
    EXIT_FINDINGS = 1,      /* an unexplained difference, a broken rule, a crash */
    EXIT_USAGE = 2,         /* the command line or an input is wrong */
    EXIT_MISSING = 3,       /* something is needed here; the message names the fix */
    EXIT_OUR_FAULT = 4,     /* a bug, or no memory */
    EXIT_INTERRUPTED = 130, /* Ctrl-C: nothing was stored or written */
};

#endif
