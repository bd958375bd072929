/* pv-diff compare: what changed between two stored runs; provenance apart from differences. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include "diff/command.h"
#include "diff/report/report.h"
#include "diff/report/store.h"

struct options {
    const char *runs[2], *store;
    bool json;
};

enum { KEY_JSON = 0x100, KEY_STORE };

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case KEY_JSON:
        options->json = true;
        break;
    case KEY_STORE:
        options->store = arg;
        break;
    case ARGP_KEY_ARG:
        if (state->arg_num > 1)
            argp_error(state, "two runs are compared, not more: %s", arg);
        options->runs[state->arg_num] = arg;
        break;
    case ARGP_KEY_END:
        if (state->arg_num < 2)
            argp_error(state, "name two runs: their numbers, or last");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

struct loaded {
    struct run *run;
    struct report report;
    bool built;
};

static int load(struct store *store, const char *which, struct loaded *loaded, char why[240])
{
    int err;

    loaded->run = calloc(1, sizeof(*loaded->run));
    if (!loaded->run)
        return -ENOMEM;
    err = store_load(store, which, loaded->run, why);
    if (err) {
        free(loaded->run);
        loaded->run = NULL;
        return err;
    }
    err = report_build(&loaded->report, loaded->run, why);
    loaded->built = !err;
    return err;
}

static void unload(struct loaded *loaded)
{
    if (loaded->built)
        report_free(&loaded->report);
    if (loaded->run)
        run_free(loaded->run);
    free(loaded->run);
}

/* The verdict of the same check in the other run; VERDICTS: it was not made there. */
static unsigned verdict_in(const struct report *report, const char *fingerprint)
{
    for (size_t i = 0; i < report->checks.count; i++) {
        char other[FINGERPRINT_SIZE];

        check_fingerprint(&report->checks.checks[i], other);
        if (!strcmp(other, fingerprint))
            return report->checks.checks[i].verdict;
    }
    return VERDICTS;
}

enum change { CHANGE_NEW, CHANGE_GONE, CHANGE_UNSEEN, CHANGES };
static const char *const change_names[CHANGES] = {"new", "gone", "unseen"};

static void show_change(enum change change, const struct check *check, cJSON *list)
{
    if (list) {
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "change", change_names[change]);
        cJSON_AddStringToObject(object, "kind", check_kind_name(check->kind));
        cJSON_AddStringToObject(object, "flags", check->flags);
        cJSON_AddStringToObject(object, "scenario", check->scenario);
        cJSON_AddStringToObject(object, "text", check->text);
        cJSON_AddStringToObject(object, "what", check->what);
        cJSON_AddStringToObject(object, "ours", check->ours);
        cJSON_AddStringToObject(object, "theirs", check->theirs);
        cJSON_AddItemToArray(list, object);
        return;
    }
    printf("  %-7s %s %s: ours %s, reference %s  (%s under %s)\n", change_names[change], check->text,
           check->what, check->ours, check->theirs, check->scenario, check->flags);
}

/* Differences of one run that the other does not have. gone: the check was made again and is equal or known now. */
static void each_change(const struct report *of, const struct report *other, bool newer,
                        uint32_t counts[CHANGES], cJSON *list)
{
    for (size_t i = 0; i < of->checks.count; i++) {
        const struct check *check = &of->checks.checks[i];
        char fingerprint[FINGERPRINT_SIZE];
        enum change change;
        unsigned verdict;

        if (check->verdict != VERDICT_DIFFERENT)
            continue;
        check_fingerprint(check, fingerprint);
        verdict = verdict_in(other, fingerprint);
        if (verdict == VERDICT_DIFFERENT)
            continue;
        change = newer                                                  ? CHANGE_NEW
                 : verdict == VERDICT_EQUAL || verdict == VERDICT_KNOWN ? CHANGE_GONE
                                                                        : CHANGE_UNSEEN;
        counts[change]++;
        show_change(change, check, list);
    }
}

static void print_provenance(const char *name, const char *before, const char *after)
{
    if (strcmp(before, after))
        printf("  %-10s %s -> %s\n", name, before, after);
}

static void print_provenances(const struct run *before, const struct run *after)
{
    print_provenance("version", before->version, after->version);
    print_provenance("reference", before->reference, after->reference);
    print_provenance("QEMU", before->theirs.qemu_version, after->theirs.qemu_version);
    print_provenance("kernel", before->theirs.kernel_release, after->theirs.kernel_release);
    print_provenance("machine", before->theirs.detail, after->theirs.detail);
}

static int compare(const struct loaded *before, const struct loaded *after, bool json)
{
    uint32_t counts[CHANGES] = {0};
    cJSON *root = json ? cJSON_CreateObject() : NULL,
          *list = json ? cJSON_AddArrayToObject(root, "changes") : NULL;

    if (!json) {
        printf("run %llu -> run %llu\n", (unsigned long long)before->run->id,
               (unsigned long long)after->run->id);
        print_provenances(before->run, after->run);
    }
    each_change(&after->report, &before->report, true, counts, list);
    each_change(&before->report, &after->report, false, counts, list);
    if (json) {
        char *text;

        for (unsigned change = 0; change < CHANGES; change++)
            cJSON_AddNumberToObject(root, change_names[change], counts[change]);
        text = cJSON_Print(root);
        puts(text ? text : "{}");
        free(text);
        cJSON_Delete(root);
    } else {
        printf("new %u, gone %u, no longer looked at %u\n", counts[CHANGE_NEW], counts[CHANGE_GONE],
               counts[CHANGE_UNSEEN]);
    }
    return counts[CHANGE_NEW] ? EXIT_FINDINGS : EXIT_DONE;
}

int cmd_compare(int argc, char **argv)
{
    static const struct argp_option argp_options[] = {
        {"json", KEY_JSON, NULL, 0, "for machines", 0},
        {"store", KEY_STORE, "FILE", 0, "run store ($XDG_DATA_HOME/paravane/runs.db)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = argp_options,
        .parser = parse_option,
        .args_doc = "BEFORE AFTER",
        .doc =
            "Says which differences are new in the second run and which are gone.\v"
            "Example:\n  pv-diff compare 3 last\n\n"
            "Exit status: 0 nothing new; 1 a new difference; 2 wrong usage; 3 no such run; 4 our own fault.",
    };
    struct options options = {0};
    struct loaded before = {0}, after = {0};
    struct store *store;
    char why[240] = "out of memory";
    int err, status;

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    err = store_open(&store, options.store, false, why);
    if (!err)
        err = load(store, options.runs[0], &before, why);
    if (!err)
        err = load(store, options.runs[1], &after, why);
    if (err)
        fprintf(stderr, "pv-diff: %s\n", why);
    status = err ? err == -ENOENT ? EXIT_MISSING : EXIT_OUR_FAULT : compare(&before, &after, options.json);
    unload(&after);
    unload(&before);
    store_close(store);
    return status;
}
