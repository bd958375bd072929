/* kvmclock arithmetic, without a machine: factors, scaling, reading. spec CLK-19, CLK-24, CLK-26, CLK-27. */
#include "vmm/pv/clock.h"

#define NS_PER_SEC 1000000000ull

void clock_scale(uint32_t khz, uint32_t *mul, int8_t *shift)
{
    uint64_t hz = khz * 1000ull;
    int8_t s = 0;

    /* One day at any rate must fit: the shift keeps hz in (S, 2S] instead of being fixed (KB-37). */
    while (hz > 2 * NS_PER_SEC || hz >> 32) {
        hz /= 2;
        s--;
    }
    while (hz && hz <= NS_PER_SEC) {
        hz *= 2;
        s++;
    }
    *mul = hz ? (uint32_t)((NS_PER_SEC << 32) / hz) : 0;
    *shift = s;
}

uint64_t clock_scale_delta(uint64_t cycles, uint32_t mul, int8_t shift)
{
    if (shift <= -64 || shift >= 64)
        return 0;
    cycles = shift >= 0 ? cycles << shift : cycles >> -shift;
    return (uint64_t)((unsigned __int128)cycles * mul >> 32);
}

uint64_t clock_read(const struct pvclock_vcpu_time_info *record, uint64_t tsc)
{
    return record->system_time +
           clock_scale_delta(tsc - record->tsc_timestamp, record->tsc_to_system_mul, record->tsc_shift);
}

uint64_t clock_khz(uint32_t mul, int8_t shift)
{
    uint64_t khz;

    if (!mul || shift <= -64 || shift >= 64)
        return 0;
    khz = (1000000ull << 32) / mul;
    return shift < 0 ? khz << -shift : khz >> shift;
}

void clock_wall(uint64_t realtime_ns, uint64_t kvmclock_ns, uint32_t *sec, uint32_t *nsec)
{
    uint64_t wall = realtime_ns - kvmclock_ns;

    *nsec = (uint32_t)(wall % NS_PER_SEC);
    *sec = (uint32_t)(wall / NS_PER_SEC);
}
