/* From a run to what people and machines read, and the exit status that says the same. */
#include "diff/present.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "diff/command.h"
#include "diff/report/store.h"
#include "diff/shell.h"

enum { KEY_JSON = 0x200, KEY_STRICT, KEY_STORE }; /* beyond the keys of the commands */

static const struct argp_option present_options[] = {
    {NULL, 'o', "DIR", 0, "write report.html, .json, .junit.xml and .sarif here", 0},
    {"json", KEY_JSON, NULL, 0, "print report.json instead of the table", 0},
    {"strict", KEY_STRICT, NULL, 0, "a stale known difference is a finding", 0},
    {"store", KEY_STORE, "FILE", 0, "run store ($XDG_DATA_HOME/paravane/runs.db)", 0},
    {0},
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct presentation *show = state->input;

    switch (key) {
    case 'o':
        show->folder = arg;
        break;
    case KEY_JSON:
        show->json = true;
        break;
    case KEY_STRICT:
        show->strict = true;
        break;
    case KEY_STORE:
        show->store = arg;
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

const struct argp present_argp = {.options = present_options, .parser = parse_option};

struct history {
    struct store *store;
    uint64_t run;
};

static uint64_t first_seen(void *ctx, const char *fingerprint)
{
    const struct history *history = ctx;

    return store_first_seen(history->store, fingerprint, history->run);
}

/* Wrong flags are found by both machines alike, and are no success for it. */
static bool all_refused(const struct run *run)
{
    for (unsigned i = 0; i < run->set_count; i++)
        if (!run->sets[i].ours.refused || !run->sets[i].theirs.refused)
            return false;
    return true;
}

static bool nothing_compared(const struct report *report)
{
    return !check_total(&report->counts, VERDICT_EQUAL) && !check_total(&report->counts, VERDICT_KNOWN) &&
           !check_total(&report->counts, VERDICT_DIFFERENT);
}

/* A machine that broke under a set leaves its checks unmade: that is never a plain success. */
static int status_of(const struct report *report, const struct presentation *show)
{
    int status = EXIT_DONE;

    if (report_status(report) || (show->strict && report_stale(report)))
        return EXIT_FINDINGS;
    for (unsigned i = 0; i < report->run->set_count; i++) {
        const struct run_set *set = &report->run->sets[i];

        if (*set->ours.error && !set->ours.refused)
            return EXIT_OUR_FAULT;
        if (*set->theirs.error && !set->theirs.refused)
            status = EXIT_MISSING;
    }
    if (all_refused(report->run))
        return EXIT_USAGE;
    return nothing_compared(report) ? EXIT_MISSING : status;
}

static int print_report(const struct report *report, const struct presentation *show)
{
    struct text text = {0};
    bool failed;

    if (show->json)
        report_json(report, &text);
    else
        report_terminal(report, terminal_colour(STDOUT_FILENO), &text);
    failed = text.out_of_memory || !text.bytes;
    if (failed)
        fprintf(stderr, "pv-diff: out of memory\n");
    else
        fputs(text.bytes, stdout);
    fflush(stdout); /* what standard error says comes after it; whether it was taken is asked at the end */
    text_free(&text);
    return failed ? EXIT_OUR_FAULT : EXIT_DONE;
}

static void print_next(uint64_t run, const char *folder, int status)
{
    char *word = folder ? shell_quote(folder) : NULL;

    if (folder)
        printf("next: open %s/report.html", word ? word : folder);
    else
        printf("next: pv-diff report %llu -o out", (unsigned long long)run);
    printf("      exit %d\n", status);
    free(word);
}

static int show_report(const struct report *report, const struct presentation *show)
{
    char why[240];
    bool written = !show->folder || !report_write(report, show->folder, why);
    int status = print_report(report, show);

    if (!written) /* after the table, where it is seen */
        fprintf(stderr, "pv-diff: %s\n", why);
    if (!written || status)
        return EXIT_MISSING;
    status = status_of(report, show);
    if (status == EXIT_USAGE)
        fprintf(stderr, "pv-diff: both machines refuse these flags: nothing could be compared\n");
    else if (nothing_compared(report))
        fprintf(stderr, report->checks.count ? "pv-diff: nothing could be compared; the report says why\n"
                                             : "pv-diff: these scenarios make no check under these flags\n");
    if (!show->json) {
        print_next(report->run->id, show->folder, status);
    }
    return status;
}

static int build(struct report *report, const struct run *run)
{
    char message[200] = "";
    int err = report_build(report, run, message);

    if (err)
        fprintf(stderr, "pv-diff: %s\n", *message ? message : strerror(-err));
    return err;
}

/* The fingerprints of the differences, for first and last seen. */
static int save(struct store *store, struct run *run, const struct report *report, char why[240])
{
    uint32_t total = check_total(&report->counts, VERDICT_DIFFERENT), count = 0;
    char(*texts)[FINGERPRINT_SIZE] = calloc(total + 1, sizeof(*texts));
    const char **different = calloc(total + 1, sizeof(*different));
    int err = texts && different ? 0 : -ENOMEM;

    for (size_t i = 0; !err && i < report->checks.count; i++)
        if (report->checks.checks[i].verdict == VERDICT_DIFFERENT) {
            check_fingerprint(&report->checks.checks[i], texts[count]);
            different[count] = texts[count];
            count++;
        }
    if (!err)
        err = store_save(store, run, different, count, why);
    free(different);
    free(texts);
    return err;
}

static int show_with_history(struct report *report, struct history *history, const struct presentation *show)
{
    history->run = report->run->id;
    report->first_seen = first_seen;
    report->first_seen_ctx = history;
    return show_report(report, show);
}

int present_new_run(struct run *run, const struct presentation *show)
{
    struct history history = {0};
    struct report report;
    char why[240] = "out of memory";
    int status;

    if (build(&report, run))
        return EXIT_OUR_FAULT;
    if (store_open(&history.store, show->store, true, why) || save(history.store, run, &report, why)) {
        /* The result of minutes of work is shown even so; the status says that it is not kept. */
        fprintf(stderr, "pv-diff: the run is not stored: %s\n", why);
        show_report(&report, show);
        status = EXIT_OUR_FAULT;
    } else {
        status = show_with_history(&report, &history, show);
    }
    store_close(history.store);
    report_free(&report);
    return status;
}

int present_stored_run(const char *which, const struct presentation *show)
{
    struct history history = {0};
    struct run *run = calloc(1, sizeof(*run));
    struct report report;
    char why[240] = "out of memory";
    int err = run ? store_open(&history.store, show->store, false, why) : -ENOMEM, status;

    if (!err)
        err = store_load(history.store, which, run, why);
    if (err) {
        fprintf(stderr, "pv-diff: %s\n", why);
        status = err == -ENOENT ? EXIT_MISSING : EXIT_OUR_FAULT;
    } else if (build(&report, run)) {
        status = EXIT_OUR_FAULT;
    } else {
        status = show_with_history(&report, &history, show);
        report_free(&report);
    }
    if (run && !err)
        run_free(run);
    free(run);
    store_close(history.store);
    return status;
}
