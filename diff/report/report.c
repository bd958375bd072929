/* Judges a stored run and folds what repeats. */
#include "diff/report/report.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>
#include "diff/judge/judge.h"
#include "diff/shell.h"

static struct judge_side side_of(const struct run_side *side, const struct machine_info *info,
                                 unsigned scenario)
{
    return (struct judge_side){
        .transcript = run_transcript(side, scenario),
        .why = *side->error ? side->error : "it did not run",
        .tsc_khz = side->tsc_khz ? side->tsc_khz : info->host.tsc_khz,
        .clocksource_tsc = !strcmp(info->host.clocksource, "tsc"),
    };
}

static struct judge_case case_of(const struct run *run, const struct flag_set *flags, unsigned set,
                                 unsigned scenario)
{
    struct judge_case judged = {
        .flags = flags,
        .item = set,
        .scenario = run->scenarios[scenario].name,
        .program_index = scenario,
        .program = &run->scenarios[scenario].program,
        .ours = side_of(&run->sets[set].ours, &run->ours, scenario),
        .theirs = side_of(&run->sets[set].theirs, &run->theirs, scenario),
    };

    /* Our clock runs at the reference's rate by construction: its record is built over the same host (decision 3). */
    if (!judged.ours.tsc_khz) {
        judged.ours.tsc_khz = judged.theirs.tsc_khz;
        judged.ours.clocksource_tsc = judged.theirs.clocksource_tsc;
    }
    return judged;
}

bool report_has_both(const struct report *report, unsigned set, unsigned scenario)
{
    const struct run_set *s = &report->run->sets[set];

    return run_transcript(&s->ours, scenario) && run_transcript(&s->theirs, scenario);
}

static void judge_scenario(struct report *report, const struct flag_set *flags, unsigned set,
                           unsigned scenario)
{
    const struct run *run = report->run;
    struct judge_case judged = case_of(run, flags, set, scenario);
    char buf[160];
    const char *skipped = run_skip_reason(run, set, scenario, buf, sizeof(buf));

    if (skipped) {
        judge_skipped(&judged, check_text(&report->checks, "%s", skipped), &report->checks);
        return;
    }
    judge_program(&judged, &report->checks);
    if (judged.ours.transcript)
        features_observe(&judged, judged.ours.transcript, &report->ours[set]);
    if (judged.theirs.transcript)
        features_observe(&judged, judged.theirs.transcript, &report->theirs[set]);
}

static void judge_set(struct report *report, unsigned set)
{
    const struct run_set *s = &report->run->sets[set];
    struct flag_set flags = run_flags(s);

    if (s->ours.refused || s->theirs.refused) {
        struct judge_case judged = {.flags = &flags, .item = set};

        judge_refusal(&judged, s->ours.refused ? s->ours.error : NULL,
                      s->theirs.refused ? s->theirs.error : NULL, &report->checks);
        return;
    }
    for (unsigned scenario = 0; scenario < report->run->scenario_count; scenario++)
        if (run_wants(report->run, set, scenario))
            judge_scenario(report, &flags, set, scenario);
}

static void hash_to_hex(uint64_t hash, char hex[FINGERPRINT_SIZE])
{
    snprintf(hex, FINGERPRINT_SIZE, "%016" PRIx64, hash);
}

static uint64_t hash_texts(uint64_t seed, const char *const *texts, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        seed = XXH64(texts[i], strlen(texts[i]) + 1, seed); /* with its end: "a","b" is not "ab","" */
    return seed;
}

/* Not the action's number: a line added to a scenario must not make every difference new. */
void check_fingerprint(const struct check *check, char fingerprint[FINGERPRINT_SIZE])
{
    const char *const texts[] = {check->flags, check->scenario, check->text, check->what};

    hash_to_hex(hash_texts(check->kind, texts, 4), fingerprint);
}

static uint64_t group_hash(const struct check *check)
{
    const char *const texts[] = {check->scenario, check->text,   check->what,
                                 check->ours,     check->theirs, check->reason};

    return hash_texts((uint64_t)check->action << 8 | check->kind, texts, 6);
}

struct order {
    uint64_t hash;
    uint32_t index;
};

static int by_hash(const void *a, const void *b)
{
    const struct order *x = a, *y = b;

    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    return x->index < y->index ? -1 : 1;
}

static int by_first(const void *a, const void *b)
{
    const struct difference_group *x = a, *y = b;

    if (x->first->kind != y->first->kind)
        return x->first->kind < y->first->kind ? -1 : 1;
    return x->first < y->first ? -1 : 1;
}

static int groups_alloc(struct report *report, enum verdict verdict, uint32_t checks)
{
    report->groups[verdict] = calloc(checks ? checks : 1, sizeof(struct difference_group));
    return report->groups[verdict] ? 0 : -ENOMEM;
}

static int take_group(struct report *report, enum verdict verdict, const struct order *rows, uint32_t count)
{
    struct difference_group *group = &report->groups[verdict][report->group_count[verdict]];

    group->checks = calloc(count, sizeof(*group->checks));
    if (!group->checks)
        return -ENOMEM;
    for (uint32_t i = 0; i < count; i++)
        group->checks[i] = rows[i].index;
    group->count = count;
    group->first = &report->checks.checks[rows[0].index];
    hash_to_hex(rows[0].hash, group->id);
    report->group_count[verdict]++;
    return 0;
}

static int fold(struct report *report, enum verdict verdict)
{
    uint32_t total = check_total(&report->counts, verdict), taken = 0;
    struct order *rows = calloc(total ? total : 1, sizeof(*rows));
    int err = rows ? groups_alloc(report, verdict, total) : -ENOMEM;

    for (size_t i = 0; !err && i < report->checks.count; i++)
        if (report->checks.checks[i].verdict == verdict)
            rows[taken++] = (struct order){group_hash(&report->checks.checks[i]), (uint32_t)i};
    if (!err)
        qsort(rows, taken, sizeof(*rows), by_hash);
    for (uint32_t i = 0, end; !err && i < taken; i = end) {
        for (end = i + 1; end < taken && rows[end].hash == rows[i].hash;)
            end++;
        err = take_group(report, verdict, &rows[i], end - i);
    }
    if (!err)
        qsort(report->groups[verdict], report->group_count[verdict], sizeof(struct difference_group),
              by_first);
    free(rows);
    return err;
}

int report_build(struct report *report, const struct run *run, char message[200])
{
    int err;

    memset(report, 0, sizeof(*report));
    message[0] = 0;
    report->run = run;
    check_list_init(&report->checks);
    report->ours = calloc(run->set_count ? run->set_count : 1, sizeof(*report->ours));
    report->theirs = calloc(run->set_count ? run->set_count : 1, sizeof(*report->theirs));
    err = report->ours && report->theirs
              ? known_parse(&report->known, run->known, strlen(run->known), message)
              : -ENOMEM;
    if (!err)
        err = fuzzing_parse(&report->fuzzing, run->fuzz, strlen(run->fuzz), message);
    for (unsigned set = 0; !err && set < run->set_count; set++)
        judge_set(report, set);
    if (!err) {
        known_apply(&report->known, &report->checks, run->theirs.kernel_release, run->theirs.qemu_version);
        check_count(&report->checks, &report->counts);
        err = report->checks.out_of_memory ? -ENOMEM : 0;
    }
    for (unsigned verdict = VERDICT_KNOWN; !err && verdict < VERDICTS; verdict++)
        err = fold(report, verdict);
    if (err)
        report_free(report);
    return err;
}

void report_free(struct report *report)
{
    for (unsigned verdict = 0; verdict < VERDICTS; verdict++) {
        for (uint32_t i = 0; i < report->group_count[verdict]; i++)
            free(report->groups[verdict][i].checks);
        free(report->groups[verdict]);
    }
    free(report->ours);
    free(report->theirs);
    known_free(&report->known);
    fuzzing_free(&report->fuzzing);
    check_list_free(&report->checks);
}

int report_status(const struct report *report)
{
    return check_total(&report->counts, VERDICT_DIFFERENT) || report->fuzzing.findings ? 1 : 0;
}

unsigned report_stale(const struct report *report)
{
    unsigned stale = 0;

    for (unsigned i = 0; i < report->known.count; i++)
        stale += known_is_stale(&report->known.entries[i]);
    return stale;
}

static void add_option(struct text *out, const char *option, const char *value)
{
    char *word = shell_quote(value);

    text_format(out, " %s ", option);
    if (word)
        text_add(out, word);
    else
        out->out_of_memory = true;
    free(word);
}

void report_reproduce(const struct report *report, const struct check *check, struct text *out)
{
    const struct run *run = report->run;
    const struct run_set *set = &run->sets[check->item];
    const char *file = *check->scenario ? run->scenarios[check->program].file : "";

    text_add(out, "pv-diff run");
    add_option(out, "-cpu", set->cpu);
    add_option(out, "-machine", set->machine);
    add_option(out, "-smp", set->smp);
    add_option(out, "-m", set->memory);
    if (*check->scenario)
        add_option(out, "--scenario", *file ? file : check->scenario);
    add_option(out, "--reference", run->reference);
}

void report_reference_title(const struct report *report, struct text *out)
{
    const struct run *run = report->run;

    text_format(out, "QEMU %s", *run->theirs.qemu_version ? run->theirs.qemu_version : "of unknown version");
    if (*run->theirs.kernel_release)
        text_format(out, " on Linux %s", run->theirs.kernel_release);
    text_format(out, " (%s)", run->reference);
}
