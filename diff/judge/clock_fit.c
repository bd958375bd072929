/* The line through a clock's samples. Host time is CLOCK_MONOTONIC_RAW of the kernel that runs the VM (decision 4). */
#include "diff/judge/clock_rules.h"

#include <math.h>
#include "vmm/pv/clock.h"

bool clock_sample_ns(const struct clock_sample *sample, uint64_t *ns)
{
    struct pvclock_vcpu_time_info record = {
        .tsc_timestamp = sample->tsc_timestamp,
        .system_time = sample->system_time,
        .tsc_to_system_mul = sample->tsc_to_system_mul,
        .tsc_shift = sample->tsc_shift,
    };

    if (sample->tsc_shift <= -64 || sample->tsc_shift >= 64)
        return false;
    *ns = clock_read(&record, sample->tsc);
    return true;
}

static uint64_t bracket(const struct clock_sample *sample)
{
    return sample->after_ns - sample->before_ns;
}

bool clock_sample_usable(const struct clock_sample *sample)
{
    uint64_t ns;

    return sample->after_ns > sample->before_ns && clock_sample_ns(sample, &ns);
}

/* Differences from the first sample are small numbers, which doubles hold exactly. */
bool clock_point(const struct clock_sample *sample, const struct clock_sample *first, double *x, double *y)
{
    uint64_t guest, guest_first, host = sample->before_ns + bracket(sample) / 2;
    uint64_t host_first = first->before_ns + bracket(first) / 2;

    if (!clock_sample_ns(sample, &guest) || !clock_sample_ns(first, &guest_first))
        return false;
    *x = (double)(int64_t)(host - host_first);
    *y = (double)(int64_t)((guest - guest_first) - (host - host_first));
    return true;
}

static uint64_t best_bracket(const struct clock_sample *samples, uint32_t count,
                             const struct clock_sample **first)
{
    uint64_t best = UINT64_MAX;

    for (uint32_t i = 0; i < count; i++) {
        if (!clock_sample_usable(&samples[i]))
            continue;
        *first = *first ? *first : &samples[i];
        best = bracket(&samples[i]) < best ? bracket(&samples[i]) : best;
    }
    return best;
}

struct sums {
    double n, x, y, xx, xy;
};

static bool take(const struct clock_sample *sample, const struct clock_sample *first, uint64_t best,
                 double *x, double *y)
{
    return clock_sample_usable(sample) && bracket(sample) / 2 <= best && clock_point(sample, first, x, y);
}

bool clock_fit(const struct clock_sample *samples, uint32_t count, struct clock_fit *fit)
{
    const struct clock_sample *first = NULL;
    struct sums s = {0};
    double slope, level, spread, x, y, squares = 0;

    *fit = (struct clock_fit){.samples = count, .best_bracket_ns = best_bracket(samples, count, &first)};
    for (uint32_t i = 0; first && i < count; i++) {
        if (!take(&samples[i], first, fit->best_bracket_ns, &x, &y))
            continue;
        s = (struct sums){s.n + 1, s.x + x, s.y + y, s.xx + x * x, s.xy + x * y};
    }
    fit->used = (uint32_t)s.n;
    spread = s.n > 0 ? s.xx - s.x * s.x / s.n : 0;
    if (s.n < 3 || !(spread > 0))
        return false;
    slope = (s.xy - s.x * s.y / s.n) / spread;
    level = (s.y - slope * s.x) / s.n;
    for (uint32_t i = 0; i < count; i++) {
        double off;

        if (!take(&samples[i], first, fit->best_bracket_ns, &x, &y))
            continue;
        off = y - (level + slope * x);
        squares += off * off;
        fit->residual_ns = fabs(off) > fit->residual_ns ? fabs(off) : fit->residual_ns;
    }
    fit->slope_ppm = slope * 1e6;
    fit->slope_error_ppm = 3e6 * sqrt(squares / (s.n - 2) / spread);
    fit->offset_ns = s.y / s.n;
    return true;
}
