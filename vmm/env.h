/* The outside world as function pointers: the only way time and scheduling reach the VMM. */
#ifndef VMM_ENV_H
#define VMM_ENV_H

#include <stdint.h>

struct env {                       /* scripted in fuzzing and tests, instruction-counted or real in pv-vmm */
    uint64_t (*tsc)(void *ctx);    /* host cycles */
    uint64_t (*now_ns)(void *ctx); /* raw monotonic, including suspend */
    uint64_t (*realtime_ns)(void *ctx);                    /* wall clock, since 1970 */
    uint64_t (*run_delay_ns)(void *ctx, unsigned vcpu_id); /* total so far, never decreases */
    void *ctx;
    uint32_t tsc_khz; /* rate of tsc() */
    /* the host keeps time by its TSC: master clock possible (STB-2), pairing works */
    uint8_t clocksource_tsc;
};

#endif
