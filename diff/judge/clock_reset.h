/* What clock samples on both sides of a reset say about the TSC and about kvmclock. Internal to diff/judge; QEMU flags
 * specification S3, C4; spec STB-3. */
#ifndef DIFF_JUDGE_CLOCK_RESET_H
#define DIFF_JUDGE_CLOCK_RESET_H

#include "diff/judge/clock_rules.h"

/* The last sample of one vCPU before a reset and its first one after it, and their actions: a reset lies in between. */
struct reset_samples {
    uint32_t from, to;
    const struct clock_sample *before, *after;
};

/* CLOCK_NOT_SEEN where the program does something else to them in between. */
struct clock_finding clock_reset_tsc(const struct program *program, const struct transcript *transcript,
                                     uint32_t tsc_khz, const struct reset_samples *samples);
struct clock_finding clock_reset_time(const struct program *program, const struct reset_samples *samples);

#endif
