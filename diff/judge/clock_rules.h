/* What one machine's clock samples say, rule by rule: pure functions of a transcript. spec CLK-*, STB-*, QEMU's C5;
 * bands and noise: decision 4. */
#ifndef DIFF_JUDGE_CLOCK_RULES_H
#define DIFF_JUDGE_CLOCK_RULES_H

#include "diff/program/transcript.h"
#include "diff/program/program.h"

#define CLOCK_RATE_BAND_PPM  1.0
#define CLOCK_OFFSET_BAND_NS 5000.0
#define CLOCK_RATE_SAMPLES   16 /* fewer, or over less time, say nothing about a rate */
#define CLOCK_RATE_SPAN_NS   500000000ull

enum clock_rule {
    CLOCK_VERSION,      /* exact: even, and never shrinks on a vCPU; grows over a registration */
    CLOCK_PADS,         /* exact: zero */
    CLOCK_FLAGS,        /* exact: no bits but stable and guest-stopped */
    CLOCK_STABLE,       /* exact: the stable bit as the machine shows it */
    CLOCK_SCALE,        /* exact: multiplier and shift follow from the kHz */
    CLOCK_SNAPSHOT,     /* exact: stable records keep their time stamp over a registration */
    CLOCK_RATE,         /* banded */
    CLOCK_OFFSET,       /* banded */
    CLOCK_MONOTONE,     /* invariant: never backwards on one vCPU */
    CLOCK_MONOTONE_ALL, /* invariant: nor across vCPUs, while stable */
    CLOCK_PAUSE,        /* banded: stands still while the VM is stopped */
    CLOCK_PAUSE_FLAG,   /* exact: guest-stopped after a resume */
    CLOCK_RESET_TSC,    /* exact: begins anew at a reset, or goes on, by the time since the last one */
    CLOCK_RESET,        /* banded: kvmclock goes on over a reset */
    CLOCK_RULES
};

enum clock_class { CLOCK_EXACT, CLOCK_BANDED, CLOCK_INVARIANT };
struct clock_rule_info {
    const char *name;  /* "rate" */
    const char *rule;  /* "CLK-13" */
    const char *holds; /* what it means that the rule holds, for people */
    uint8_t class;     /* enum clock_class */
};
extern const struct clock_rule_info clock_rules[CLOCK_RULES];

enum clock_verdict {
    CLOCK_NOT_SEEN,  /* the program has nothing to judge it by */
    CLOCK_UNDECIDED, /* too noisy, or a fact is missing; text says which */
    CLOCK_HOLDS,
    CLOCK_BROKEN,
};

struct clock_finding {
    enum clock_verdict verdict;
    char text[200]; /* what was measured: value, band, samples, noise floor */
};

/* tsc_khz 0: unknown. Samples are not trusted: any values give an answer. */
void clock_rules_check(const struct program *program, const struct transcript *transcript, uint32_t tsc_khz,
                       struct clock_finding findings[CLOCK_RULES]);

/* The samples of one vCPU over stretch number n of the program: from one pause, reset or TSC write to the next, over
 * all its readings. out has room for transcript->sample_count. False: there is no such stretch. */
bool clock_stretch(const struct program *program, const struct transcript *transcript, unsigned vcpu,
                   unsigned n, struct clock_sample *out, uint32_t *count);

/* Whether a stretch is long enough to judge a rate by. */
bool clock_is_steady(const struct clock_sample *samples, uint32_t count);

/* CLK-24 for one sample; false when the shift means nothing. */
bool clock_sample_ns(const struct clock_sample *sample, uint64_t *ns);

/* A bracket that is one, and a record that can be read. */
bool clock_sample_usable(const struct clock_sample *sample);
/* Host time since the first sample, and how far the guest has run ahead since then, in ns. False: as above. */
bool clock_point(const struct clock_sample *sample, const struct clock_sample *first, double *x, double *y);

/* Least squares through guest minus host against host, over the samples whose bracket is at most twice the best. */
struct clock_fit {
    uint32_t used, samples;
    double slope_ppm, slope_error_ppm; /* three standard errors */
    double residual_ns;                /* largest distance from the line */
    double offset_ns;                  /* guest minus host at the middle */
    uint64_t best_bracket_ns;
};
/* false: nothing to fit (no samples, no spread). */
bool clock_fit(const struct clock_sample *samples, uint32_t count, struct clock_fit *fit);

#endif
