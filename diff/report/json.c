/* report.json: the same facts as the page, for machines. 64-bit values are texts, never JSON numbers. */
#include "diff/report/host_facts.h"
#include "diff/report/report.h"

#include <cjson/cJSON.h>
#include <string.h>

#define NOT_COMPARED_MAX 1000 /* groups; the counts are always whole */

static cJSON *counts_json(const uint32_t counts[VERDICTS])
{
    cJSON *object = cJSON_CreateObject();

    for (unsigned verdict = 0; verdict < VERDICTS; verdict++)
        cJSON_AddNumberToObject(object, verdict_name(verdict), counts[verdict]);
    return object;
}

static void add_summary(const struct report *report, cJSON *root)
{
    uint32_t totals[VERDICTS];
    cJSON *summary, *kinds;

    for (unsigned verdict = 0; verdict < VERDICTS; verdict++)
        totals[verdict] = check_total(&report->counts, verdict);
    summary = counts_json(totals);
    cJSON_AddNumberToObject(summary, "stale", report_stale(report));
    cJSON_AddNumberToObject(summary, "fuzz_findings", (double)report->fuzzing.findings);
    kinds = cJSON_AddObjectToObject(summary, "kinds");
    for (unsigned kind = 0; kind < CHECK_KINDS; kind++)
        cJSON_AddItemToObject(kinds, check_kind_name(kind), counts_json(report->counts.by[kind]));
    cJSON_AddItemToObject(root, "summary", summary);
}

static void add_machine(cJSON *root, const char *name, const char *kind, const struct machine_info *info)
{
    cJSON *object = cJSON_AddObjectToObject(root, name);

    cJSON_AddStringToObject(object, "kind", kind);
    cJSON_AddStringToObject(object, "qemu_version", info->qemu_version);
    cJSON_AddStringToObject(object, "kernel_release", info->kernel_release);
    cJSON_AddStringToObject(object, "detail", info->detail);
    cJSON_AddStringToObject(object, "kvm_flavour", info->host.flavour);
    cJSON_AddStringToObject(object, "clocksource", info->host.clocksource);
    cJSON_AddNumberToObject(object, "tsc_khz", info->host.tsc_khz);
    cJSON_AddNumberToObject(object, "boots", info->boots);
    cJSON_AddNumberToObject(object, "boot_retries", info->boot_retries);
}

static void add_words(cJSON *object, const char *name, void (*say)(const struct host_record *, struct text *),
                      const struct host_record *host)
{
    struct text words = {0};

    say(host, &words);
    cJSON_AddStringToObject(object, name, words.bytes ? words.bytes : "");
    text_free(&words);
}

/* What is only the reference's: which recording it is, and the host under it. */
static void add_reference(const struct run *run, cJSON *root)
{
    static const char *const nested[] = {"unknown", "no kvm", "no", "yes"};
    const struct host_record *host = &run->theirs.host;
    cJSON *object;

    add_machine(root, "reference", *run->recording ? "recording" : run->reference, &run->theirs);
    object = cJSON_GetObjectItem(root, "reference");
    cJSON_AddStringToObject(object, "recording", run->recording);
    add_words(object, "host_cpu", host_cpu, host);
    add_words(object, "microcode", host_microcode, host);
    cJSON_AddStringToObject(object, "nested", nested[host_nesting(host)]);
    cJSON_AddStringToObject(object, "hypervisor", host->hypervisor);
    add_words(object, "nesting", host_nesting_words, host);
}

static void add_side(cJSON *set, const char *name, const struct run_side *side)
{
    cJSON *object = cJSON_AddObjectToObject(set, name);

    cJSON_AddStringToObject(object, "command_line", side->command_line);
    cJSON_AddStringToObject(object, "warnings", side->warnings);
    cJSON_AddStringToObject(object, "error", side->error);
    cJSON_AddBoolToObject(object, "refused", side->refused);
}

static void add_sets(const struct report *report, cJSON *root)
{
    cJSON *sets = cJSON_AddArrayToObject(root, "flag_sets");

    for (unsigned i = 0; i < report->run->set_count; i++) {
        const struct run_set *set = &report->run->sets[i];
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "name", set->name);
        cJSON_AddStringToObject(object, "cpu", set->cpu);
        cJSON_AddStringToObject(object, "machine", set->machine);
        cJSON_AddStringToObject(object, "smp", set->smp);
        cJSON_AddStringToObject(object, "memory", set->memory);
        add_side(object, "ours", &set->ours);
        add_side(object, "reference", &set->theirs);
        cJSON_AddItemToArray(sets, object);
    }
}

static void add_scenarios(const struct report *report, cJSON *root)
{
    cJSON *scenarios = cJSON_AddArrayToObject(root, "scenarios");

    for (unsigned i = 0; i < report->run->scenario_count; i++) {
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "name", report->run->scenarios[i].name);
        cJSON_AddStringToObject(object, "program", report->run->scenarios[i].text);
        cJSON_AddItemToArray(scenarios, object);
    }
}

static cJSON *check_json(const struct report *report, const struct check *check)
{
    cJSON *object = cJSON_CreateObject(), *reproduce;
    char fingerprint[FINGERPRINT_SIZE];
    struct text command = {0};

    check_fingerprint(check, fingerprint);
    cJSON_AddStringToObject(object, "fingerprint", fingerprint);
    cJSON_AddStringToObject(object, "kind", check_kind_name(check->kind));
    cJSON_AddStringToObject(object, "flags", check->flags);
    cJSON_AddStringToObject(object, "scenario", check->scenario);
    if (check->action == ACTION_WHOLE_PROGRAM)
        cJSON_AddNullToObject(object, "action");
    else
        cJSON_AddNumberToObject(object, "action", check->action);
    cJSON_AddStringToObject(object, "text", check->text);
    cJSON_AddStringToObject(object, "what", check->what);
    cJSON_AddStringToObject(object, "ours", check->ours);
    cJSON_AddStringToObject(object, "theirs", check->theirs);
    cJSON_AddStringToObject(object, "bits", check->bits);
    cJSON_AddStringToObject(object, "rule", check->rule);
    cJSON_AddStringToObject(object, "reason", check->reason);
    if (*check->known)
        cJSON_AddStringToObject(object, "known", check->known);
    report_reproduce(report, check, &command);
    reproduce = cJSON_AddObjectToObject(object, "reproduce");
    cJSON_AddStringToObject(reproduce, "command", command.bytes ? command.bytes : "");
    cJSON_AddStringToObject(reproduce, "scenario", check->scenario);
    text_free(&command);
    return object;
}

static void add_checks(const struct report *report, cJSON *root, const char *name, enum verdict verdict)
{
    cJSON *list = cJSON_AddArrayToObject(root, name);

    for (size_t i = 0; i < report->checks.count; i++)
        if (report->checks.checks[i].verdict == verdict)
            cJSON_AddItemToArray(list, check_json(report, &report->checks.checks[i]));
}

static void add_known_entries(const struct report *report, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "known_entries");

    for (unsigned i = 0; i < report->known.count; i++) {
        const struct known_entry *entry = &report->known.entries[i];
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "name", entry->name);
        cJSON_AddStringToObject(object, "reason", entry->reason);
        cJSON_AddStringToObject(object, "evidence", entry->evidence);
        cJSON_AddNumberToObject(object, "matched", entry->matched);
        cJSON_AddBoolToObject(object, "stale", known_is_stale(entry));
        cJSON_AddItemToArray(list, object);
    }
}

static void add_not_compared(const struct report *report, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "not_compared");

    for (uint32_t i = 0; i < report->group_count[VERDICT_NOT_COMPARED] && i < NOT_COMPARED_MAX; i++) {
        const struct difference_group *group = &report->groups[VERDICT_NOT_COMPARED][i];
        cJSON *object = cJSON_CreateObject(), *flags = cJSON_AddArrayToObject(object, "flags");

        cJSON_AddStringToObject(object, "kind", check_kind_name(group->first->kind));
        cJSON_AddStringToObject(object, "scenario", group->first->scenario);
        cJSON_AddStringToObject(object, "text", group->first->text);
        cJSON_AddStringToObject(object, "what", group->first->what);
        cJSON_AddStringToObject(object, "reason", group->first->reason);
        for (uint32_t c = 0; c < group->count; c++)
            cJSON_AddItemToArray(flags, cJSON_CreateString(report->checks.checks[group->checks[c]].flags));
        cJSON_AddItemToArray(list, object);
    }
}

static const char *answer_word(enum feature_answer answer)
{
    static const char *const words[] = {"not tried", "no", "yes", "invisible", "does not apply"};

    return words[answer];
}

static void add_cell(const struct report *report, unsigned set, unsigned feature, enum feature_level level,
                     cJSON *object)
{
    bool enforced = run_set_enforced(&report->run->sets[set]);
    enum feature_answer ours = feature_answer(&report->ours[set], feature, level, enforced);
    enum feature_answer theirs = feature_answer(&report->theirs[set], feature, level, enforced);
    const char *why = feature_reason(feature, level, feature_decided(theirs) ? ours : theirs, enforced);
    cJSON *cell = cJSON_AddObjectToObject(object, feature_level_names[level]);

    cJSON_AddStringToObject(cell, "ours", answer_word(ours));
    cJSON_AddStringToObject(cell, "reference", answer_word(theirs));
    if (*why)
        cJSON_AddStringToObject(cell, "reason", why);
}

static void add_features(const struct report *report, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "features");

    for (unsigned set = 0; set < report->run->set_count; set++)
        for (unsigned f = 0; f < PV_FEATURES; f++) {
            cJSON *object = cJSON_CreateObject();

            cJSON_AddStringToObject(object, "flags", report->run->sets[set].name);
            cJSON_AddStringToObject(object, "feature", pv_features[f].name);
            for (unsigned level = 0; level < FEATURE_LEVELS; level++)
                add_cell(report, set, f, level, object);
            cJSON_AddItemToArray(list, object);
        }
}

static void add_fuzz_findings(const struct fuzz_result *result, cJSON *object)
{
    cJSON *list = cJSON_AddArrayToObject(object, "findings_list");

    for (uint32_t i = 0; i < result->list_count; i++) {
        cJSON *finding = cJSON_CreateObject();

        cJSON_AddStringToObject(finding, "file", result->list[i].file);
        cJSON_AddStringToObject(finding, "replay", result->list[i].replay);
        cJSON_AddItemToArray(list, finding);
    }
}

static void add_fuzzing(const struct report *report, cJSON *root)
{
    cJSON *list = cJSON_AddArrayToObject(root, "fuzzing");

    for (uint32_t i = 0; i < report->fuzzing.count; i++) {
        const struct fuzz_result *result = &report->fuzzing.results[i];
        cJSON *object = cJSON_CreateObject();

        cJSON_AddStringToObject(object, "target", result->target);
        cJSON_AddStringToObject(object, "engine", result->engine);
        cJSON_AddNumberToObject(object, "seconds", result->seconds);
        cJSON_AddNumberToObject(object, "jobs", result->jobs);
        cJSON_AddNumberToObject(object, "runs", (double)result->runs); /* at most 2^53 */
        cJSON_AddNumberToObject(object, "findings", result->findings);
        add_fuzz_findings(result, object);
        cJSON_AddItemToArray(list, object);
    }
}

void report_json(const struct report *report, struct text *out)
{
    const struct run *run = report->run;
    cJSON *root = cJSON_CreateObject();

    cJSON_AddStringToObject(root, "schema", "paravane-report-1");
    cJSON_AddNumberToObject(root, "run", (double)run->id);
    cJSON_AddStringToObject(root, "created", run->created);
    cJSON_AddStringToObject(root, "version", run->version);
    add_summary(report, root);
    add_machine(root, "ours", "soft", &run->ours);
    add_reference(run, root);
    add_sets(report, root);
    add_scenarios(report, root);
    add_checks(report, root, "differences", VERDICT_DIFFERENT);
    add_checks(report, root, "known", VERDICT_KNOWN);
    add_known_entries(report, root);
    add_not_compared(report, root);
    add_features(report, root);
    add_fuzzing(report, root);
    text_add_json(out, root);
}
