/* Deadlines on CLOCK_MONOTONIC, in nanoseconds; everything that waits for another process has one. clock_gettime(2). */
#ifndef DIFF_MACHINE_DEADLINE_H
#define DIFF_MACHINE_DEADLINE_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

static inline uint64_t clock_ns(clockid_t clock)
{
    struct timespec ts;

    clock_gettime(clock, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

static inline uint64_t deadline_in_ms(unsigned ms)
{
    return clock_ns(CLOCK_MONOTONIC) + ms * 1000000ull;
}

static inline bool deadline_passed(uint64_t deadline_ns)
{
    return clock_ns(CLOCK_MONOTONIC) >= deadline_ns;
}

/* Milliseconds that are left, 0 when none, for poll(2). */
static inline int deadline_left_ms(uint64_t deadline_ns)
{
    uint64_t now = clock_ns(CLOCK_MONOTONIC);

    return now >= deadline_ns ? 0 : (int)((deadline_ns - now + 999999) / 1000000);
}

static inline void pause_us(unsigned us)
{
    nanosleep(&(struct timespec){.tv_nsec = us * 1000l}, NULL);
}

#endif
