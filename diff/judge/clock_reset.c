/* The rules of clock_reset.h: bounds by the host's times around the samples, so a slow host leaves them open and never breaks
 * them. */
#include "diff/judge/clock_reset.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/msr_index.h"

#define WINDOW_NS   1000000000ull /* KVM's: a TSC write this near to what it expects joins */
#define BAND_NS     ((uint64_t)CLOCK_OFFSET_BAND_NS)
#define FIRST_RESET UINT32_MAX

struct range {
    uint64_t least, most; /* ns */
};

static struct clock_finding __attribute__((format(printf, 2, 3)))
found(enum clock_verdict verdict, const char *format, ...)
{
    struct clock_finding finding = {.verdict = verdict};
    va_list args;

    va_start(args, format);
    vsnprintf(finding.text, sizeof(finding.text), format, args);
    va_end(args);
    return finding;
}

/* Host time from one sample to a later one. False: their times do not hold. */
static bool host_between(const struct clock_sample *before, const struct clock_sample *after,
                         struct range *range)
{
    if (before->after_ns < before->before_ns || after->before_ns < before->after_ns ||
        after->after_ns < after->before_ns)
        return false;
    *range = (struct range){after->before_ns - before->after_ns, after->after_ns - before->before_ns};
    return true;
}

static bool writes_msr(const struct action *action, uint32_t a, uint32_t b)
{
    uint32_t index = (uint32_t)action->args[0].value;

    return action->op == OP_WRMSR && (index == a || index == b);
}

/* What else than a reset moves a TSC, stops a clock or sets it. */
static bool disturbs(const struct action *action)
{
    return writes_msr(action, MSR_IA32_TSC, MSR_IA32_TSC_ADJUST) || action->op == OP_PAUSE_VM ||
           action->op == OP_SAVE_RESTORE || action->op == OP_MIGRATE || action->op == OP_SET_CLOCK;
}

static bool disturbed(const struct program *program, uint32_t from, uint32_t to)
{
    for (uint32_t i = from; i < to && i < program->count; i++)
        if (disturbs(&program->actions[i]))
            return true;
    return false;
}

/* The agent resets a machine whose action hangs: a reset that the program does not show. */
static bool hung(const struct transcript *transcript, uint32_t to)
{
    for (uint32_t i = 0; i < to && i < transcript->count; i++)
        if (transcript->outcomes[i].status == OUTCOME_TIMEOUT)
            return true;
    return false;
}

/* The last reset before an action, or FIRST_RESET: the one that every program begins with. */
static uint32_t reset_before(const struct program *program, uint32_t action)
{
    while (action-- > 0)
        if (program->actions[action].op == OP_RESET)
            return action;
    return FIRST_RESET;
}

static uint64_t advanced_ns(const struct program *program, const struct transcript *transcript, uint32_t from,
                            uint32_t to)
{
    uint64_t total = 0;

    for (uint32_t i = from; i < to && i < transcript->count; i++)
        if (program->actions[i].op == OP_ADVANCE && transcript->outcomes[i].status == OUTCOME_HOST)
            total += program->actions[i].args[0].value;
    return total;
}

/* The last sample of any vCPU that was taken before an action; NULL: none. */
static const struct clock_sample *sample_before(const struct transcript *t, uint32_t action)
{
    const struct clock_sample *last = NULL;

    for (uint32_t r = 0; r < t->sample_run_count && t->sample_runs[r].action < action; r++) {
        const struct transcript_sample_run *run = &t->sample_runs[r];

        if (run->first <= t->sample_count && run->count && run->count <= t->sample_count - run->first)
            last = &t->samples[run->first + run->count - 1];
    }
    return last;
}

/* Host time between two resets, the later one somewhere before `after` was taken. */
static struct range between_resets(const struct program *program, const struct transcript *transcript,
                                   uint32_t last, uint32_t reset, const struct clock_sample *after)
{
    struct range range = {advanced_ns(program, transcript, last == FIRST_RESET ? 0 : last, reset),
                          UINT64_MAX};
    const struct clock_sample *earlier = last == FIRST_RESET ? NULL : sample_before(transcript, last);

    if (earlier && after->after_ns > earlier->before_ns)
        range.most = after->after_ns - earlier->before_ns;
    return range;
}

static uint64_t cycles(uint64_t ns, uint32_t tsc_khz)
{
    return (uint64_t)((unsigned __int128)ns * tsc_khz / 1000000);
}

static struct clock_finding judge_tsc(bool began, bool went_on, struct range since, uint64_t tsc)
{
    const char *what = began ? "began anew" : "went on";

    if (began == went_on)
        return began ? found(CLOCK_UNDECIDED, "too young to tell whether it began anew")
                     : found(CLOCK_BROKEN, "neither began anew nor went on: 0x%" PRIx64, tsc);
    if (since.least < WINDOW_NS && since.most >= WINDOW_NS)
        return found(CLOCK_UNDECIDED, "%s, but the last reset may be less than a second ago or more", what);
    return found(began == (since.least >= WINDOW_NS) ? CLOCK_HOLDS : CLOCK_BROKEN,
                 "%s %s a second after the last reset", what,
                 since.least >= WINDOW_NS ? "more than" : "within");
}

struct clock_finding clock_reset_tsc(const struct program *program, const struct transcript *transcript,
                                     uint32_t tsc_khz, const struct reset_samples *samples)
{
    uint32_t reset = reset_before(program, samples->to), last = reset_before(program, reset);
    uint64_t tsc = samples->after->tsc, before = samples->before->tsc;
    bool one_reset = last == FIRST_RESET || last < samples->from;
    struct range host;

    if (!one_reset || disturbed(program, 0, samples->to) || hung(transcript, samples->to))
        return found(CLOCK_NOT_SEEN, "%s", "");
    if (!tsc_khz || !host_between(samples->before, samples->after, &host))
        return found(CLOCK_UNDECIDED, "the kernel's kHz or the host's times are not known");
    return judge_tsc(tsc <= cycles(host.most + BAND_NS, tsc_khz),
                     tsc >= before && tsc - before <= cycles(host.most + BAND_NS, tsc_khz) &&
                         tsc - before + cycles(BAND_NS, tsc_khz) >= cycles(host.least, tsc_khz),
                     between_resets(program, transcript, last, reset, samples->after), tsc);
}

static bool registered(const struct program *program, uint32_t from, uint32_t to, uint8_t vcpu)
{
    for (uint32_t i = from; i < to; i++)
        if (program->actions[i].vcpu == vcpu &&
            writes_msr(&program->actions[i], MSR_KVM_SYSTEM_TIME, MSR_KVM_SYSTEM_TIME_NEW))
            return true;
    return false;
}

struct clock_finding clock_reset_time(const struct program *program, const struct reset_samples *samples)
{
    uint32_t reset = reset_before(program, samples->to);
    uint64_t before, after;
    struct range host;
    int64_t moved;

    if (disturbed(program, samples->from, samples->to) ||
        !registered(program, reset, samples->to, samples->after->vcpu))
        return found(CLOCK_NOT_SEEN, "%s", "");
    if (!host_between(samples->before, samples->after, &host) || !clock_sample_ns(samples->before, &before) ||
        !clock_sample_ns(samples->after, &after))
        return found(CLOCK_UNDECIDED, "the host's times around the reset do not hold");
    moved = (int64_t)(after - before);
    return found(moved < 0 || (uint64_t)moved > host.most + BAND_NS || (uint64_t)moved + BAND_NS < host.least
                     ? CLOCK_BROKEN
                     : CLOCK_HOLDS,
                 "moved %" PRId64 " us over %" PRIu64 " to %" PRIu64 " us (band 5 us)", moved / 1000,
                 host.least / 1000, host.most / 1000);
}
