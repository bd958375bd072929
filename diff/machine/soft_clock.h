/* The time of the soft machine: real, or counted. Decision 19. */
#ifndef DIFF_MACHINE_SOFT_CLOCK_H
#define DIFF_MACHINE_SOFT_CLOCK_H

#include "vmm/backend/soft.h"
#include "vmm/env.h"

struct soft_clock {
    const struct soft *soft; /* NULL: nothing ran yet */
    bool counted;            /* what the vCPUs did makes the time: equal runs, equal times */
    uint32_t tsc_khz;
    uint64_t jumped_ns; /* counted: while nothing ran */
};

/* The clocks of env; the rest of it is the caller's. */
void soft_clock_env(struct soft_clock *clock, struct env *env);
/* Monotonic; struct soft_clock as ctx. */
uint64_t soft_clock_ns(void *ctx);
/* Nothing runs before wake_ns, UINT64_MAX: for good. Returns soon. */
void soft_clock_idle(struct soft_clock *clock, uint64_t wake_ns);

#endif
