/* Keeps every lane busy, judges what comes back, then confirms and shrinks what differs. */
#include "diff/flags/campaign.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/flags/lane.h"
#include "diff/flags/shrink.h"
#include "diff/machine/deadline.h"

#define POLL_MS       20
#define PLAIN_EVERY   64  /* one string in so many is started plain too */
#define SHRINK_BUDGET 400 /* QEMU starts for one finding */

struct job {
    struct lane lane;
    char text[FLAGS_TEXT_MAX];
    uint64_t index;
};

struct work {
    struct campaign *campaign;
    const struct flags_source *source;
    const struct progress *progress;
    struct job *jobs;  /* campaign->jobs of them */
    struct job *plain; /* starts QEMU without the fork server */
    struct flags_outcome ours, theirs;
    struct flags_outcome check; /* what plain's string gave under the fork server */
    uint64_t next;
    uint64_t started_ns;
};

static bool cancelled(void *ctx)
{
    const struct progress *progress = ((struct work *)ctx)->progress;

    return progress->cancelled && progress->cancelled(progress->ctx);
}

static int fail(struct campaign *campaign, int err, const char *what)
{
    snprintf(campaign->why, sizeof(campaign->why), "%s: %s", what, strerror(-err));
    return err;
}

static void show_progress(const struct work *work)
{
    const struct campaign *campaign = work->campaign;
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - work->started_ns) / 1e9;
    char what[80];

    if (!work->progress->step)
        return;
    snprintf(what, sizeof(what), "flags, %.0f strings/s, %llu differ", (double)campaign->done / seconds,
             (unsigned long long)campaign->different);
    work->progress->step(work->progress->ctx, what, (unsigned)campaign->done, (unsigned)work->source->count);
}

static void keep_finding(struct work *work, const struct job *job, enum flags_difference difference,
                         const char *what)
{
    struct campaign *campaign = work->campaign;
    struct flags_finding *finding;

    campaign->different++;
    if (campaign->finding_count == CAMPAIGN_FINDINGS)
        return;
    finding = calloc(1, sizeof(*finding));
    if (!finding)
        return;
    finding->difference = difference;
    finding->silent = work->theirs.fate == FATE_SILENT;
    finding->index = job->index;
    finding->strings = 1;
    memcpy(finding->text, job->text, sizeof(finding->text));
    memcpy(finding->minimal, job->text, sizeof(finding->minimal));
    snprintf(finding->what, sizeof(finding->what), "%s", what);
    campaign->findings[campaign->finding_count++] = finding;
}

/* One string is answered: judge it, and hand every PLAIN_EVERYth to the plain lane. */
static int judge(struct work *work, struct job *job, const struct qemu_end *end)
{
    struct campaign *campaign = work->campaign;
    enum flags_difference difference;
    char what[400];
    int err;

    flags_ours(&work->ours, job->text, campaign->machine, campaign->supported);
    flags_theirs(&work->theirs, end);
    difference = flags_compare(&work->ours, &work->theirs, what);
    campaign->done++;
    campaign->fates[work->theirs.fate]++;
    campaign->kinds[work->theirs.error.kind] += work->theirs.fate == FATE_REFUSED;
    campaign->warned += work->theirs.warnings.total != 0;
    campaign->not_modelled += difference == FLAGS_NOT_MODELLED;
    if (difference > FLAGS_NOT_MODELLED)
        keep_finding(work, job, difference, what);
    if (!campaign->forkserver || job->index % PLAIN_EVERY || work->plain->lane.busy ||
        work->theirs.fate == FATE_SILENT)
        return 0;
    memcpy(work->plain->text, job->text, sizeof(job->text));
    work->check = work->theirs;
    err = lane_start(&work->plain->lane, work->plain->text);
    return err ? fail(campaign, err, "cannot start QEMU") : 0;
}

/* A fork server that answers otherwise than QEMU would make all of this worthless. */
static int check_plain(struct work *work)
{
    struct campaign *campaign = work->campaign;
    struct qemu_end end;
    char what[400];

    if (!work->plain->lane.busy || !lane_ended(&work->plain->lane, &end))
        return 0;
    flags_theirs(&work->theirs, &end);
    if (work->theirs.fate == FATE_SILENT) /* a slow host: says nothing about the fork server */
        return 0;
    campaign->checked_plain++;
    if (!flags_compare(&work->check, &work->theirs, what) &&
        work->check.error.kind == work->theirs.error.kind)
        return 0;
    snprintf(campaign->why, sizeof(campaign->why),
             "QEMU answers otherwise under the fork server (ours in what follows): %s; use --plain", what);
    return -EPROTO;
}

static int start_next(struct work *work, struct job *job)
{
    int err;

    job->index = work->next++;
    work->source->string(work->source->ctx, job->index, job->text);
    err = lane_start(&job->lane, job->text);
    return err ? fail(work->campaign, err, "cannot start QEMU") : 0;
}

static int advance(struct work *work)
{
    int err = 0;

    for (unsigned i = 0; !err && i < work->campaign->jobs; i++) {
        struct job *job = &work->jobs[i];
        struct qemu_end end;

        if (job->lane.busy && lane_ended(&job->lane, &end))
            err = judge(work, job, &end);
        if (!err && !job->lane.busy && work->next < work->source->count)
            err = start_next(work, job);
    }
    return err ? err : check_plain(work);
}

/* Until something ends. Returns false when nothing runs any more. */
static bool wait_for_lanes(const struct work *work)
{
    struct pollfd fds[CAMPAIGN_JOBS_MAX + 1];
    unsigned count = 0;
    bool busy = false;
    int timeout = POLL_MS;

    for (unsigned i = 0; i <= work->campaign->jobs; i++) {
        const struct lane *lane = i < work->campaign->jobs ? &work->jobs[i].lane : &work->plain->lane;

        if (!lane->busy)
            continue;
        busy = true;
        if (lane_fd(lane) < 0) /* closed its output, about to end */
            timeout = 1;
        else
            fds[count++] = (struct pollfd){.fd = lane_fd(lane), .events = POLLIN};
    }
    if (busy)
        poll(fds, count, timeout);
    return busy;
}

static int run_all(struct work *work)
{
    uint64_t shown_ns = 0;
    int err;

    work->started_ns = clock_ns(CLOCK_MONOTONIC);
    do {
        if (cancelled(work))
            return -EINTR;
        err = advance(work);
        if (clock_ns(CLOCK_MONOTONIC) - shown_ns > 200000000) {
            shown_ns = clock_ns(CLOCK_MONOTONIC);
            show_progress(work);
        }
    } while (!err && wait_for_lanes(work));
    work->campaign->seconds = (double)(clock_ns(CLOCK_MONOTONIC) - work->started_ns) / 1e9;
    return err;
}

/* For the shrinker: does the string show the same kind of difference? */
struct question {
    struct work *work;
    struct lane *lane;
    enum flags_difference difference;
    int err;
};

static enum flags_difference ask(struct question *question, const char *text, char what[400])
{
    struct work *work = question->work;
    struct qemu_end end;

    question->err = lane_run(question->lane, text, cancelled, work, &end);
    if (question->err)
        return FLAGS_SAME;
    flags_ours(&work->ours, text, work->campaign->machine, work->campaign->supported);
    flags_theirs(&work->theirs, &end);
    return flags_compare(&work->ours, &work->theirs, what);
}

static bool shows(void *ctx, const char *text)
{
    struct question *question = ctx;

    return !question->err && ask(question, text, NULL) == question->difference;
}

static struct flags_outcome *copy(const struct flags_outcome *outcome)
{
    struct flags_outcome *copied = malloc(sizeof(*copied));

    if (copied)
        *copied = *outcome;
    return copied;
}

/* By plain starts before and after. A finding that a plain start does not show gets FLAGS_SAME. */
static int confirm_and_shrink(struct work *work, struct flags_finding *finding)
{
    struct question plain = {work, &work->plain->lane, finding->difference, 0};
    struct question fast = {work, &work->jobs[0].lane, finding->difference, 0};
    struct flags_oracle oracle = {shows, &fast, SHRINK_BUDGET};

    finding->difference = ask(&plain, finding->text, finding->what);
    if (plain.err || !finding->difference)
        return plain.err;
    fast.difference = finding->difference;
    if (work->theirs.fate != FATE_SILENT) /* each question would last until the deadline */
        flags_shrink(finding->minimal, &oracle);
    if (fast.err)
        return fast.err;
    finding->difference = ask(&plain, finding->minimal, finding->what);
    finding->ours = copy(&work->ours);
    finding->theirs = copy(&work->theirs);
    return plain.err ? plain.err : finding->ours && finding->theirs ? 0 : -ENOMEM;
}

static void finding_free(struct flags_finding *finding)
{
    free(finding->ours);
    free(finding->theirs);
    free(finding);
}

static struct flags_finding *find_same(const struct campaign *campaign, unsigned count,
                                       const struct flags_finding *finding)
{
    for (unsigned i = 0; i < count; i++)
        if (!strcmp(campaign->findings[i]->minimal, finding->minimal))
            return campaign->findings[i];
    return NULL;
}

/* Confirms each, and keeps one of those that shrink to the same string. */
static int settle_findings(struct work *work)
{
    struct campaign *campaign = work->campaign;
    unsigned count = campaign->finding_count, kept = 0, i;
    int err = 0;

    for (i = 0; !err && i < count; i++) {
        struct flags_finding *finding = campaign->findings[i], *same;

        if (work->progress->step)
            work->progress->step(work->progress->ctx, "shrinking", i, count);
        err = confirm_and_shrink(work, finding);
        same = find_same(campaign, kept, finding);
        if (!err && !finding->difference && !finding->silent) {
            snprintf(campaign->why, sizeof(campaign->why),
                     "QEMU shows a difference under the fork server only, for %.300s; use --plain",
                     finding->text);
            err = -EPROTO;
        }
        if (!err && !finding->difference) {
            campaign->different--;
            campaign->retried++;
            finding_free(finding);
        } else if (!err && same) {
            same->strings++;
            finding_free(finding);
        } else {
            campaign->findings[kept++] = finding;
        }
    }
    for (; i < count; i++)
        campaign->findings[kept++] = campaign->findings[i];
    campaign->finding_count = kept;
    return err;
}

static int open_lanes(struct work *work)
{
    const struct campaign *campaign = work->campaign;
    int err = lane_open(&work->plain->lane, campaign->machine, NULL);

    for (unsigned i = 0; !err && i < campaign->jobs; i++)
        err = lane_open(&work->jobs[i].lane, campaign->machine, campaign->forkserver);
    return err ? fail(work->campaign, err, "cannot start QEMU") : 0;
}

int campaign_run(struct campaign *campaign, const struct flags_source *source,
                 const struct progress *progress)
{
    struct work *work = calloc(1, sizeof(*work));
    struct job *jobs = calloc(campaign->jobs + 1, sizeof(*jobs));
    int err = work && jobs ? 0 : -ENOMEM;

    if (!err) {
        *work = (struct work){.campaign = campaign,
                              .source = source,
                              .progress = progress,
                              .jobs = jobs,
                              .plain = &jobs[campaign->jobs]};
        for (unsigned i = 0; i <= campaign->jobs; i++)
            lane_init(&jobs[i].lane);
        err = open_lanes(work);
    }
    if (!err)
        err = run_all(work);
    if (!err)
        err = settle_findings(work);
    for (unsigned i = 0; jobs && i <= campaign->jobs; i++)
        lane_close(&jobs[i].lane);
    free(jobs);
    free(work);
    return err;
}

void campaign_free(struct campaign *campaign)
{
    for (unsigned i = 0; i < campaign->finding_count; i++)
        finding_free(campaign->findings[i]);
    campaign->finding_count = 0;
}
