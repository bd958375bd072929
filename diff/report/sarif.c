/* report.sarif (SARIF 2.1.0): one result per difference, folded over flag sets, each with a place in its scenario,
 * and one per fuzz finding. */
#include "diff/report/report.h"

#include <cjson/cJSON.h>
#include <string.h>

#define SARIF_RESULTS 500 /* what code-scanning services accept */

/* Line of an action in its scenario's file: the text of canonical files holds one action a line. */
static unsigned action_line(const struct report *report, const struct check *check)
{
    const struct run_scenario *scenario = &report->run->scenarios[check->program];
    unsigned line = 1;
    const char *word = check->text;

    if (check->action == ACTION_WHOLE_PROGRAM || !*word)
        return 1;
    for (const char *at = scenario->text; at; line++) {
        const char *end = strchr(at, '\n');
        size_t length = end ? (size_t)(end - at) : strlen(at);

        if (length >= strlen(word) && !strncmp(at, word, strlen(word)))
            return line;
        at = end ? end + 1 : NULL;
    }
    return 1;
}

static void add_location(const struct report *report, const struct check *check, cJSON *result)
{
    cJSON *locations = cJSON_AddArrayToObject(result, "locations"), *location = cJSON_CreateObject();
    cJSON *physical = cJSON_AddObjectToObject(location, "physicalLocation");
    cJSON *artifact = cJSON_AddObjectToObject(physical, "artifactLocation");
    struct text uri = {0};

    if (*check->scenario)
        text_format(&uri, "corpora/diff/%s.pv", check->scenario);
    else
        text_add(&uri, "corpora/diff/matrix");
    cJSON_AddStringToObject(artifact, "uri", uri.bytes ? uri.bytes : "");
    cJSON_AddNumberToObject(cJSON_AddObjectToObject(physical, "region"), "startLine",
                            *check->scenario ? action_line(report, check) : 1);
    cJSON_AddItemToArray(locations, location);
    text_free(&uri);
}

static cJSON *result_json(const struct report *report, const struct difference_group *group)
{
    const struct check *check = group->first;
    cJSON *result = cJSON_CreateObject();
    struct text message = {0};
    char fingerprint[FINGERPRINT_SIZE];

    text_format(&message, "%s%s%s: ours %s, reference %s (%s, under %s", check->text,
                *check->text ? ": " : "", check->what, check->ours, check->theirs, check->rule, check->flags);
    if (group->count > 1)
        text_format(&message, " and %u more flag sets", group->count - 1);
    text_add(&message, ")");
    check_fingerprint(check, fingerprint);
    cJSON_AddStringToObject(result, "ruleId", *check->rule ? check->rule : "DIF-2");
    cJSON_AddStringToObject(result, "level", "error");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(result, "message"), "text",
                            message.bytes ? message.bytes : "");
    add_location(report, check, result);
    cJSON_AddStringToObject(cJSON_AddObjectToObject(result, "partialFingerprints"), "difference/v1",
                            fingerprint);
    text_free(&message);
    return result;
}

static cJSON *finding_json(const struct fuzz_finding *finding)
{
    cJSON *result = cJSON_CreateObject(), *locations, *location = cJSON_CreateObject();
    struct text message = {0};

    text_format(&message, "fuzzing found this input; to run it again: %s", finding->replay);
    cJSON_AddStringToObject(result, "ruleId", "fuzzing");
    cJSON_AddStringToObject(result, "level", "error");
    cJSON_AddStringToObject(cJSON_AddObjectToObject(result, "message"), "text",
                            message.bytes ? message.bytes : "");
    locations = cJSON_AddArrayToObject(result, "locations");
    cJSON_AddItemToArray(locations, location);
    cJSON_AddStringToObject(
        cJSON_AddObjectToObject(cJSON_AddObjectToObject(location, "physicalLocation"), "artifactLocation"),
        "uri", finding->file);
    text_free(&message);
    return result;
}

static void add_findings(const struct fuzzing *fuzzing, cJSON *results)
{
    for (uint32_t i = 0; i < fuzzing->count; i++)
        for (uint32_t f = 0; f < fuzzing->results[i].list_count; f++)
            if (cJSON_GetArraySize(results) < SARIF_RESULTS)
                cJSON_AddItemToArray(results, finding_json(&fuzzing->results[i].list[f]));
}

void report_sarif(const struct report *report, struct text *out)
{
    cJSON *root = cJSON_CreateObject(), *runs, *run, *driver, *results;

    cJSON_AddStringToObject(root, "$schema", "https://json.schemastore.org/sarif-2.1.0.json");
    cJSON_AddStringToObject(root, "version", "2.1.0");
    runs = cJSON_AddArrayToObject(root, "runs");
    run = cJSON_CreateObject();
    cJSON_AddItemToArray(runs, run);
    driver = cJSON_AddObjectToObject(cJSON_AddObjectToObject(run, "tool"), "driver");
    cJSON_AddStringToObject(driver, "name", "pv-diff");
    cJSON_AddStringToObject(driver, "version", report->run->version);
    results = cJSON_AddArrayToObject(run, "results");
    for (uint32_t i = 0; i < report->group_count[VERDICT_DIFFERENT] && i < SARIF_RESULTS; i++)
        cJSON_AddItemToArray(results, result_json(report, &report->groups[VERDICT_DIFFERENT][i]));
    add_findings(&report->fuzzing, results);
    text_add_json(out, root);
}
