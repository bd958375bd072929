/* What the lane and the preloaded object agree on. */
#ifndef DIFF_FLAGS_FORKSERVER_H
#define DIFF_FLAGS_FORKSERVER_H

#define FORKSERVER_CONTROL "PARAVANE_FLAGS_CONTROL" /* environment: "CONTROL_FD TEXT_FD" */
#define FORKSERVER_CPU     "@"                      /* the argument that every string takes the place of */
#define FORKSERVER_READY   (-1) /* the first status it sends; then one status, as of waitpid, for each string */

#endif
