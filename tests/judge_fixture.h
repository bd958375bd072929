/* Made-up transcripts for tests of the judge and the report. Never a reference: nothing here came from a machine. */
#ifndef TESTS_JUDGE_FIXTURE_H
#define TESTS_JUDGE_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/judge/judge.h"
#include "vmm/pv/clock.h"

#define FIXTURE_KHZ 2600000u

/* A program and what two machines made of it; both answers begin equal. */
struct fixture {
    struct flag_set flags;
    struct program program;
    struct transcript ours, theirs;
    struct judge_case judged;
    struct check_list checks;
    struct check_counts counts;
};

static inline void fixture_transcript(struct transcript *t, uint32_t actions)
{
    transcript_init(t);
    t->count = actions;
    t->outcomes = calloc(actions ? actions : 1, sizeof(*t->outcomes));
    for (uint32_t i = 0; i < actions; i++)
        t->outcomes[i] = (struct outcome){.status = OUTCOME_OK};
}

/* body: actions in text form, one a line. */
static inline void fixture_init(struct fixture *f, const char *body)
{
    struct program_error error;
    char text[8192];

    memset(f, 0, sizeof(*f));
    snprintf(text, sizeof(text), "paravane 1\nvcpus 2\n\n%s\n", body);
    program_init(&f->program);
    if (program_parse(&f->program, text, strlen(text), &error)) {
        fprintf(stderr, "fixture: line %u: %s\n", error.line, error.message);
        abort();
    }
    fixture_transcript(&f->ours, f->program.count);
    fixture_transcript(&f->theirs, f->program.count);
    f->flags =
        (struct flag_set){.name = "flags", .cpu = "qemu64", .machine = "pc", .smp = "2", .memory = "64M"};
    f->judged = (struct judge_case){
        .flags = &f->flags,
        .scenario = "scenario",
        .program = &f->program,
        .ours = {.transcript = &f->ours, .tsc_khz = FIXTURE_KHZ, .clocksource_tsc = true},
        .theirs = {.transcript = &f->theirs, .tsc_khz = FIXTURE_KHZ, .clocksource_tsc = true},
    };
    check_list_init(&f->checks);
}

static inline bool contains(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

/* Index of the n-th action of this kind. */
static inline uint32_t fixture_action(const struct fixture *f, enum action_op op, unsigned n)
{
    for (uint32_t i = 0; i < f->program.count; i++)
        if (f->program.actions[i].op == op && !n--)
            return i;
    abort();
}

static inline void fixture_judge(struct fixture *f)
{
    check_list_free(&f->checks);
    judge_program(&f->judged, &f->checks);
    check_count(&f->checks, &f->counts);
}

static inline uint32_t fixture_total(const struct fixture *f, enum verdict verdict)
{
    return check_total(&f->counts, verdict);
}

/* The first check with this verdict, or NULL. */
static inline const struct check *fixture_first(const struct fixture *f, enum verdict verdict)
{
    for (size_t i = 0; i < f->checks.count; i++)
        if (f->checks.checks[i].verdict == verdict)
            return &f->checks.checks[i];
    return NULL;
}

static inline const struct check *fixture_what(const struct fixture *f, const char *what)
{
    for (size_t i = 0; i < f->checks.count; i++)
        if (!strcmp(f->checks.checks[i].what, what))
            return &f->checks.checks[i];
    return NULL;
}

/* How a made-up clock reads: all of it at its best, and then one thing wrong. */
struct fixture_clock {
    double drift_ppm;
    int64_t noise_ns;      /* every other sample is off by this much */
    uint64_t bracket_ns;   /* 0: 1800 */
    uint32_t count;        /* 0: 200 */
    uint64_t span_ns;      /* 0: 2 s */
    uint64_t start_ns;     /* host time of the first sample */
    int64_t offset_ns;     /* guest minus host */
    uint8_t vcpu, flags;   /* flags 0: stable */
    uint32_t version;      /* 0: 2 */
    uint64_t tsc_began_ns; /* host time at which the TSC was 0, which is in the record too */
};

/* Adds the samples of one OP_CLOCK. The record says FIXTURE_KHZ; the TSC is made to show the wanted time. */
static inline void fixture_samples(struct transcript *t, uint32_t action, const struct fixture_clock *c)
{
    uint32_t count = c->count ? c->count : 200;
    uint64_t bracket = c->bracket_ns ? c->bracket_ns : 1800, span = c->span_ns ? c->span_ns : 2000000000;

    t->samples = realloc(t->samples, (t->sample_count + count) * sizeof(*t->samples));
    t->sample_runs = realloc(t->sample_runs, (t->sample_run_count + 1) * sizeof(*t->sample_runs));
    t->sample_runs[t->sample_run_count++] =
        (struct transcript_sample_run){.action = action, .first = t->sample_count, .count = count};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t host = c->start_ns + (count > 1 ? span * i / (count - 1) : 0);
        double guest =
            (double)(host + (uint64_t)c->offset_ns) + (double)(host - c->start_ns) * c->drift_ppm / 1e6;
        struct clock_sample s = {.system_time = c->tsc_began_ns,
                                 .vcpu = c->vcpu,
                                 .version = c->version ? c->version : 2,
                                 .flags = c->flags ? c->flags : 1};

        guest += i % 2 ? (double)c->noise_ns : 0;
        clock_scale(FIXTURE_KHZ, &s.tsc_to_system_mul, &s.tsc_shift);
        s.tsc = (uint64_t)((unsigned __int128)((uint64_t)guest - c->tsc_began_ns) * FIXTURE_KHZ / 1000000);
        s.before_ns = host - bracket / 2 + 1000000;
        s.after_ns = s.before_ns + bracket;
        t->samples[t->sample_count++] = s;
    }
}

static inline void fixture_free(struct fixture *f)
{
    check_list_free(&f->checks);
    transcript_free(&f->ours);
    transcript_free(&f->theirs);
    program_free(&f->program);
}

#endif
