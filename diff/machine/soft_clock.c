/* Real time, or a time in which work takes little and waiting much: a guest waits by PAUSE or HLT, so that a deadline of a
 * second costs no second. soft_clock.h */
#include "diff/machine/soft_clock.h"

#include "diff/machine/deadline.h"

#define INSTRUCTION_NS 10u
#define PAUSE_NS       100000u
#define IDLE_NS        1000000u
#define LOOK_US        50
#define EPOCH_NS       1577836800000000000u /* 2020-01-01, so that equal runs are equal on every day */

uint64_t soft_clock_ns(void *ctx)
{
    const struct soft_clock *clock = ctx;

    if (!clock->counted)
        return clock_ns(CLOCK_MONOTONIC_RAW);
    return clock->jumped_ns + (clock->soft ? soft_instructions(clock->soft) * INSTRUCTION_NS +
                                                 soft_pauses(clock->soft) * PAUSE_NS
                                           : 0);
}

static uint64_t tsc(void *ctx)
{
    const struct soft_clock *clock = ctx;

    return (uint64_t)((unsigned __int128)soft_clock_ns(ctx) * clock->tsc_khz / 1000000u);
}

static uint64_t realtime_ns(void *ctx)
{
    const struct soft_clock *clock = ctx;

    return clock->counted ? EPOCH_NS + soft_clock_ns(ctx) : clock_ns(CLOCK_REALTIME);
}

static uint64_t run_delay_ns(void *ctx, unsigned vcpu_id)
{
    (void)ctx;
    (void)vcpu_id;
    return 0;
}

void soft_clock_env(struct soft_clock *clock, struct env *env)
{
    env->tsc = tsc;
    env->now_ns = soft_clock_ns;
    env->realtime_ns = realtime_ns;
    env->run_delay_ns = run_delay_ns;
    env->ctx = clock;
    env->tsc_khz = clock->tsc_khz;
}

void soft_clock_idle(struct soft_clock *clock, uint64_t wake_ns)
{
    uint64_t now = soft_clock_ns(clock);

    if (!clock->counted)
        pause_us(LOOK_US);
    else
        clock->jumped_ns += wake_ns > now && wake_ns - now < IDLE_NS ? wake_ns - now : IDLE_NS;
}
