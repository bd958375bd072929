/* The clock rules, one short function each over the samples of one machine. */
#include "diff/judge/clock_rules.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/judge/clock_reset.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/msr_index.h"
#include "vmm/pv/clock.h"

const struct clock_rule_info clock_rules[CLOCK_RULES] = {
    [CLOCK_VERSION] = {"version", "CLK-8", "even, never shrinks, grows over a registration", CLOCK_EXACT},
    [CLOCK_PADS] = {"pads", "CLK-9", "zero", CLOCK_EXACT},
    [CLOCK_FLAGS] = {"flags", "CLK-10", "no bits but stable and guest-stopped", CLOCK_EXACT},
    [CLOCK_STABLE] = {"stable bit", "STB-2", "stable", CLOCK_EXACT},
    [CLOCK_SCALE] = {"multiplier and shift", "CLK-26", "follow from the kHz", CLOCK_EXACT},
    [CLOCK_SNAPSHOT] = {"snapshot", "CLK-12", "the time stamp stays over a registration", CLOCK_EXACT},
    [CLOCK_RATE] = {"rate", "CLK-11", "within 1 ppm of the host", CLOCK_BANDED},
    [CLOCK_OFFSET] = {"offset", "CLK-13", "within 5 us of a straight line", CLOCK_BANDED},
    [CLOCK_MONOTONE] = {"never backwards", "CLK-25", "on each vCPU", CLOCK_INVARIANT},
    [CLOCK_MONOTONE_ALL] = {"never backwards across vCPUs", "STB-2", "while stable", CLOCK_INVARIANT},
    [CLOCK_PAUSE] = {"stands still while stopped", "C5", "guest time did not move", CLOCK_BANDED},
    [CLOCK_PAUSE_FLAG] = {"guest-stopped after resume", "CLK-20", "set", CLOCK_EXACT},
    [CLOCK_RESET_TSC] = {"TSC after a reset", "S3", "begins anew, or goes on within a second", CLOCK_EXACT},
    [CLOCK_RESET] = {"goes on over a reset", "C4", "guest time moved as the host's", CLOCK_BANDED},
};

/* What all rules look at: the sample runs that hold, in program order. */
struct clock_case {
    const struct program *program;
    const struct transcript *transcript;
    uint32_t tsc_khz;
};

static void __attribute__((format(printf, 3, 4)))
say(struct clock_finding *finding, enum clock_verdict verdict, const char *format, ...)
{
    va_list args;

    if (finding->verdict == CLOCK_BROKEN)
        return; /* the first break is the one to tell */
    finding->verdict = verdict;
    va_start(args, format);
    vsnprintf(finding->text, sizeof(finding->text), format, args);
    va_end(args);
}

/* The samples of run r, or NULL when the transcript's numbers do not add up. */
static const struct clock_sample *run_samples(const struct transcript *t, uint32_t r, uint32_t *count)
{
    const struct transcript_sample_run *run = &t->sample_runs[r];

    *count = run->count;
    if (run->first > t->sample_count || run->count > t->sample_count - run->first || !run->count)
        return NULL;
    return &t->samples[run->first];
}

static bool is_op(const struct program *program, uint32_t action, enum action_op op)
{
    return action < program->count && program->actions[action].op == op;
}

/* Whether an action of this kind lies between two others. */
static bool between(const struct program *program, uint32_t from, uint32_t to, enum action_op op)
{
    for (uint32_t i = from + 1; i < to && i < program->count; i++)
        if (program->actions[i].op == op)
            return true;
    return false;
}

static bool registers_between(const struct program *program, uint32_t from, uint32_t to, uint8_t vcpu,
                              uint32_t msr)
{
    for (uint32_t i = from + 1; i < to && i < program->count; i++) {
        const struct action *action = &program->actions[i];

        if (action->op == OP_WRMSR && action->vcpu == vcpu && (uint32_t)action->args[0].value == msr)
            return true;
    }
    return false;
}

static bool disturbed_between(const struct program *program, uint32_t from, uint32_t to)
{
    return between(program, from, to, OP_PAUSE_VM) || between(program, from, to, OP_RESUME_VM) ||
           between(program, from, to, OP_RESET) || between(program, from, to, OP_SAVE_RESTORE) ||
           between(program, from, to, OP_MIGRATE);
}

static void check_sample_fields(const struct clock_case *c, const struct clock_sample *s,
                                struct clock_finding findings[CLOCK_RULES])
{
    uint32_t mul = 0;
    int8_t shift = 0;

    say(&findings[CLOCK_FLAGS],
        s->flags & ~(PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED) ? CLOCK_BROKEN : CLOCK_HOLDS,
        "flags 0x%x", s->flags);
    say(&findings[CLOCK_STABLE], s->flags & PVCLOCK_TSC_STABLE_BIT ? CLOCK_HOLDS : CLOCK_BROKEN,
        s->flags & PVCLOCK_TSC_STABLE_BIT ? "stable" : "not stable");
    if (!c->tsc_khz) {
        say(&findings[CLOCK_SCALE], CLOCK_UNDECIDED, "the kernel's kHz is not known");
        return;
    }
    clock_scale(c->tsc_khz, &mul, &shift);
    if (s->tsc_to_system_mul != mul || s->tsc_shift != shift)
        say(&findings[CLOCK_SCALE], CLOCK_BROKEN, "%u kHz wants 0x%08x >> %d, the record has 0x%08x >> %d",
            c->tsc_khz, mul, -shift, s->tsc_to_system_mul, -s->tsc_shift);
    else
        say(&findings[CLOCK_SCALE], CLOCK_HOLDS, "%u kHz gives 0x%08x, shift %d", c->tsc_khz, mul, shift);
}

/* Two samples of one vCPU, the first earlier in the program; `fresh`: a registration lies between. */
static void check_version_step(const struct clock_sample *before, const struct clock_sample *after,
                               bool fresh, struct clock_finding *finding)
{
    uint32_t step = after->version - before->version; /* modulo 2^32, as the record counts */

    if (after->version & 1)
        say(finding, CLOCK_BROKEN, "version 0x%x is odd at rest", after->version);
    else if (step >= 0x80000000u)
        say(finding, CLOCK_BROKEN, "version went from 0x%x back to 0x%x", before->version, after->version);
    else if (fresh && !step)
        say(finding, CLOCK_BROKEN, "version stayed 0x%x over a registration", after->version);
    else
        say(finding, CLOCK_HOLDS, "even and growing");
}

static void check_fields(const struct clock_case *c, struct clock_finding findings[CLOCK_RULES])
{
    for (uint32_t r = 0; r < c->transcript->sample_run_count; r++) {
        uint32_t count;
        const struct clock_sample *samples = run_samples(c->transcript, r, &count);

        for (uint32_t i = 0; samples && i < count; i++) {
            check_sample_fields(c, &samples[i], findings);
            check_version_step(&samples[i ? i - 1 : 0], &samples[i], false, &findings[CLOCK_VERSION]);
        }
    }
}

static void check_pads(const struct clock_case *c, struct clock_finding *finding)
{
    static const uint8_t zero[4];

    for (uint32_t i = 0; i < c->transcript->count; i++) {
        const struct outcome *o = &c->transcript->outcomes[i];

        if (!is_op(c->program, i, OP_CLOCK) || o->status != OUTCOME_OK || o->data_len < 32)
            continue;
        if (memcmp(o->data + 4, zero, 4) || memcmp(o->data + 30, zero, 2))
            say(finding, CLOCK_BROKEN, "pads are not zero after action %u", i);
        else
            say(finding, CLOCK_HOLDS, "zero");
    }
}

static void check_snapshot(const struct clock_sample *before, const struct clock_sample *after,
                           struct clock_finding *finding)
{
    if (!(before->flags & after->flags & PVCLOCK_TSC_STABLE_BIT))
        say(finding, CLOCK_UNDECIDED, "the record is not stable: time stamps are taken afresh");
    else if (before->tsc_timestamp != after->tsc_timestamp || before->system_time != after->system_time)
        say(finding, CLOCK_BROKEN, "the time stamp moved by %" PRId64 " cycles, %" PRId64 " ns",
            (int64_t)(after->tsc_timestamp - before->tsc_timestamp),
            (int64_t)(after->system_time - before->system_time));
    else
        say(finding, CLOCK_HOLDS, "unchanged");
}

/* How long the program made the VM wait while it was stopped. */
static uint64_t stopped_ns(const struct program *program, uint32_t from, uint32_t to)
{
    uint64_t total = 0;
    bool stopped = false;

    for (uint32_t i = from + 1; i < to && i < program->count; i++) {
        if (program->actions[i].op == OP_PAUSE_VM || program->actions[i].op == OP_RESUME_VM)
            stopped = program->actions[i].op == OP_PAUSE_VM;
        else if (program->actions[i].op == OP_ADVANCE && stopped)
            total += program->actions[i].args[0].value;
    }
    return total;
}

static void check_pause(const struct clock_case *c, uint32_t from, uint32_t to,
                        const struct clock_sample *before, const struct clock_sample *after,
                        struct clock_finding findings[CLOCK_RULES])
{
    uint64_t stopped = stopped_ns(c->program, from, to), host = after->after_ns - before->before_ns;
    uint64_t guest_before, guest_after;
    int64_t moved, most;

    say(&findings[CLOCK_PAUSE_FLAG], after->flags & PVCLOCK_GUEST_STOPPED ? CLOCK_HOLDS : CLOCK_BROKEN,
        after->flags & PVCLOCK_GUEST_STOPPED ? "set" : "not set");
    if (!stopped || after->after_ns <= before->before_ns || host < stopped ||
        !clock_sample_ns(before, &guest_before) || !clock_sample_ns(after, &guest_after)) {
        say(&findings[CLOCK_PAUSE], CLOCK_UNDECIDED, "the host's times around the pause do not hold");
        return;
    }
    moved = (int64_t)(guest_after - guest_before);
    most = (int64_t)(host - stopped + (uint64_t)CLOCK_OFFSET_BAND_NS);
    say(&findings[CLOCK_PAUSE], moved < 0 || moved > most ? CLOCK_BROKEN : CLOCK_HOLDS,
        "moved %" PRId64 " us over %" PRIu64 " us of which %" PRIu64 " us stopped (band 5 us)", moved / 1000,
        host / 1000, stopped / 1000);
}

/* What one pair leaves open does not take back what another has shown. */
static void say_if_decided(struct clock_finding *finding, const struct clock_finding *said)
{
    if (said->verdict >= CLOCK_HOLDS || (said->verdict && !finding->verdict))
        say(finding, said->verdict, "%s", said->text);
}

static void check_reset(const struct clock_case *c, const struct reset_samples *samples,
                        struct clock_finding findings[CLOCK_RULES])
{
    struct clock_finding tsc = clock_reset_tsc(c->program, c->transcript, c->tsc_khz, samples);
    struct clock_finding time = clock_reset_time(c->program, samples);

    say_if_decided(&findings[CLOCK_RESET_TSC], &tsc);
    say_if_decided(&findings[CLOCK_RESET], &time);
}

/* Rules about two sample runs of the same vCPU, one after the other. */
static void check_run_pair(const struct clock_case *c, uint32_t first, uint32_t second,
                           struct clock_finding findings[CLOCK_RULES])
{
    const struct transcript *t = c->transcript;
    uint32_t from = t->sample_runs[first].action, to = t->sample_runs[second].action, count_a, count_b;
    const struct clock_sample *a = run_samples(t, first, &count_a), *b = run_samples(t, second, &count_b);
    bool by_old = registers_between(c->program, from, to, a->vcpu, MSR_KVM_SYSTEM_TIME);
    bool by_new = registers_between(c->program, from, to, a->vcpu, MSR_KVM_SYSTEM_TIME_NEW);
    bool same_place = c->program->actions[from].args[0].base == c->program->actions[to].args[0].base &&
                      c->program->actions[from].args[0].value == c->program->actions[to].args[0].value;

    a += count_a - 1;
    if (between(c->program, from, to, OP_RESET))
        check_reset(c, &(struct reset_samples){from, to, a, b}, findings);
    if (between(c->program, from, to, OP_RESET) || between(c->program, from, to, OP_MIGRATE))
        return; /* the record begins anew */
    if (between(c->program, from, to, OP_RESUME_VM))
        check_pause(c, from, to, a, b, findings);
    if (same_place)
        check_version_step(a, b, by_old || by_new, &findings[CLOCK_VERSION]);
    /* A change between the two MSRs moves the master clock (CLK-6): only the same one keeps the snapshot. */
    if (by_new && !by_old && !disturbed_between(c->program, from, to))
        check_snapshot(a, b, &findings[CLOCK_SNAPSHOT]);
}

static void check_pairs(const struct clock_case *c, struct clock_finding findings[CLOCK_RULES])
{
    const struct transcript *t = c->transcript;
    uint32_t last[PROBE_VCPUS];
    uint32_t count;

    memset(last, 0xff, sizeof(last));
    for (uint32_t r = 0; r < t->sample_run_count; r++) {
        const struct clock_sample *samples = run_samples(t, r, &count);

        if (!samples || samples->vcpu >= PROBE_VCPUS ||
            !is_op(c->program, t->sample_runs[r].action, OP_CLOCK))
            continue;
        if (last[samples->vcpu] != UINT32_MAX)
            check_run_pair(c, last[samples->vcpu], r, findings);
        last[samples->vcpu] = r;
    }
}

static void check_line(const struct clock_fit *fit, struct clock_finding findings[CLOCK_RULES])
{
    bool sharp = fit->slope_error_ppm < CLOCK_RATE_BAND_PPM;
    bool quiet = (double)fit->best_bracket_ns / 2 < CLOCK_OFFSET_BAND_NS;
    double slope = fit->slope_ppm < 0 ? -fit->slope_ppm : fit->slope_ppm;

    if (sharp)
        say(&findings[CLOCK_RATE], slope <= CLOCK_RATE_BAND_PPM ? CLOCK_HOLDS : CLOCK_BROKEN,
            "%+.3f ppm +/- %.3f (band 1 ppm, %u of %u samples, best bracket %" PRIu64 " ns)", fit->slope_ppm,
            fit->slope_error_ppm, fit->used, fit->samples, fit->best_bracket_ns);
    else
        say(&findings[CLOCK_RATE], CLOCK_UNDECIDED, "too noisy: +/- %.3f ppm (band 1 ppm, %u of %u samples)",
            fit->slope_error_ppm, fit->used, fit->samples);
    if (quiet)
        say(&findings[CLOCK_OFFSET], fit->residual_ns <= CLOCK_OFFSET_BAND_NS ? CLOCK_HOLDS : CLOCK_BROKEN,
            "%.0f ns off the line at most (band 5000 ns, %u of %u samples, best bracket %" PRIu64 " ns)",
            fit->residual_ns, fit->used, fit->samples, fit->best_bracket_ns);
    else
        say(&findings[CLOCK_OFFSET], CLOCK_UNDECIDED, "too noisy: best bracket %" PRIu64 " ns (band 5000 ns)",
            fit->best_bracket_ns);
}

static bool tsc_written_between(const struct program *program, uint32_t from, uint32_t to)
{
    for (uint32_t i = from + 1; i < to && i < program->count; i++)
        if (program->actions[i].op == OP_WRMSR && (program->actions[i].args[0].value == MSR_IA32_TSC ||
                                                   program->actions[i].args[0].value == MSR_IA32_TSC_ADJUST))
            return true; /* CLK-15 */
    return false;
}

bool clock_stretch(const struct program *program, const struct transcript *transcript, unsigned vcpu,
                   unsigned n, struct clock_sample *out, uint32_t *count)
{
    unsigned stretch = 0;
    uint32_t previous = 0, in_run;

    *count = 0;
    for (uint32_t r = 0; r < transcript->sample_run_count && stretch <= n; r++) {
        uint32_t action = transcript->sample_runs[r].action;
        const struct clock_sample *samples = run_samples(transcript, r, &in_run);

        stretch += r && (disturbed_between(program, previous, action) ||
                         tsc_written_between(program, previous, action));
        previous = action;
        if (!samples || stretch != n || samples->vcpu != vcpu || in_run > transcript->sample_count - *count)
            continue;
        memcpy(out + *count, samples, in_run * sizeof(*samples));
        *count += in_run;
    }
    return stretch >= n && transcript->sample_run_count;
}

bool clock_is_steady(const struct clock_sample *samples, uint32_t count)
{
    return count >= CLOCK_RATE_SAMPLES &&
           samples[count - 1].before_ns - samples[0].before_ns >= CLOCK_RATE_SPAN_NS;
}

static void check_lines(const struct clock_case *c, struct clock_finding findings[CLOCK_RULES])
{
    struct clock_sample *samples = calloc(c->transcript->sample_count + 1, sizeof(*samples));
    uint32_t count;

    if (!samples)
        say(&findings[CLOCK_RATE], CLOCK_UNDECIDED, "out of memory");
    for (unsigned vcpu = 0; samples && vcpu < PROBE_VCPUS; vcpu++)
        for (unsigned n = 0; clock_stretch(c->program, c->transcript, vcpu, n, samples, &count); n++) {
            struct clock_fit fit;

            if (clock_is_steady(samples, count) && clock_fit(samples, count, &fit))
                check_line(&fit, findings);
        }
    free(samples);
}

/* The furthest that any vCPU of a set had got, and the worst step back from it. */
struct forward {
    bool any;
    uint64_t furthest;
    int64_t worst;
    uint32_t samples;
};

static void forward_step(struct forward *f, uint64_t ns)
{
    int64_t step = (int64_t)(ns - f->furthest);

    f->samples++;
    if (f->any && step < f->worst)
        f->worst = step;
    if (!f->any || step > 0)
        f->furthest = ns;
    f->any = true;
}

static void say_forward(const struct forward *f, struct clock_finding *finding)
{
    if (f->samples < 2)
        return;
    if (f->worst < 0)
        say(finding, CLOCK_BROKEN, "went back by %" PRId64 " ns (%u samples)", -f->worst, f->samples);
    else
        say(finding, CLOCK_HOLDS, "no step back in %u samples", f->samples);
}

/* Samples are requested one after the other, so their order in the transcript is their order in time. */
static void check_forward(const struct clock_case *c, struct clock_finding findings[CLOCK_RULES])
{
    struct forward each[PROBE_VCPUS] = {0}, all = {0};
    unsigned vcpus = 0;
    uint32_t previous = 0, count;

    for (uint32_t r = 0; r < c->transcript->sample_run_count; r++) {
        const struct clock_sample *samples = run_samples(c->transcript, r, &count);
        uint32_t action = c->transcript->sample_runs[r].action;

        if (r && between(c->program, previous, action, OP_RESET)) {
            memset(each, 0, sizeof(each));
            all = (struct forward){0};
        }
        previous = action;
        for (uint32_t i = 0; samples && i < count; i++) {
            uint64_t ns;

            if (samples[i].vcpu >= PROBE_VCPUS || !clock_sample_ns(&samples[i], &ns))
                continue;
            vcpus |= 1u << samples[i].vcpu;
            forward_step(&each[samples[i].vcpu], ns);
            say_forward(&each[samples[i].vcpu], &findings[CLOCK_MONOTONE]);
            if (samples[i].flags & PVCLOCK_TSC_STABLE_BIT)
                forward_step(&all, ns);
            if (vcpus & (vcpus - 1))
                say_forward(&all, &findings[CLOCK_MONOTONE_ALL]);
        }
    }
}

void clock_rules_check(const struct program *program, const struct transcript *transcript, uint32_t tsc_khz,
                       struct clock_finding findings[CLOCK_RULES])
{
    struct clock_case c = {.program = program, .transcript = transcript, .tsc_khz = tsc_khz};

    memset(findings, 0, CLOCK_RULES * sizeof(*findings));
    check_fields(&c, findings);
    check_pads(&c, &findings[CLOCK_PADS]);
    check_pairs(&c, findings);
    check_lines(&c, findings);
    check_forward(&c, findings);
}
