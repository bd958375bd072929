/* The two forms of a campaign's result. Strings may hold any byte: shown so that a shell reads them back. */
#include "diff/flags/report.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "diff/json_out.h"
#include "diff/shell.h"

/* JSON is UTF-8: bytes that are not ASCII text are escaped as \xNN, and backslashes doubled. */
static char *escape(const char *text)
{
    char *out = malloc(strlen(text) * 4 + 1), *at = out;

    for (; out && *text; text++) {
        if (*text == '\\')
            at += sprintf(at, "\\\\");
        else if (isascii(*text) && isprint((unsigned char)*text))
            *at++ = *text;
        else
            at += sprintf(at, "\\x%02x", (unsigned char)*text);
    }
    if (out)
        *at = 0;
    return out;
}

static uint64_t same(const struct campaign *campaign)
{
    return campaign->done - campaign->different - campaign->not_modelled;
}

static const char *kind_name(unsigned kind)
{
    return kind < CPU_ERROR_KINDS ? cpu_error_kind_name(kind) : "unknown";
}

static void text_kinds(FILE *out, const struct campaign *campaign)
{
    const char *separator = " (";

    for (unsigned kind = 0; kind <= CPU_ERROR_KINDS; kind++) {
        if (!campaign->kinds[kind])
            continue;
        fprintf(out, "%s%s %" PRIu64, separator, kind_name(kind), campaign->kinds[kind]);
        separator = ", ";
    }
    if (*separator == ',')
        fputc(')', out);
}

static void text_finding(FILE *out, const struct flags_finding *finding, unsigned number)
{
    char *quoted = shell_quote(finding->minimal), *what = shell_quote(finding->what);

    if (quoted && what)
        fprintf(out, "\n%u. %s, %u string%s: %s\n   %s\n   again: pv-diff flags --string %s\n", number,
                flags_difference_name(finding->difference), finding->strings,
                finding->strings == 1 ? "" : "s", quoted, what, quoted);
    free(quoted);
    free(what);
}

void flags_report_text(FILE *out, const struct flags_run *run)
{
    const struct campaign *campaign = &run->campaign;

    fprintf(out, "%s, TCG, -machine %s\n", run->version, campaign->machine);
    fprintf(out, "%" PRIu64 " strings", campaign->done);
    if (run->random_count)
        fprintf(out, ", %" PRIu64 " of them random with seed %" PRIu64, run->random_count, run->seed);
    fprintf(out, "\nQEMU: accepted %" PRIu64 ", refused %" PRIu64, campaign->fates[FATE_ACCEPTED],
            campaign->fates[FATE_REFUSED]);
    text_kinds(out, campaign);
    fprintf(out, ", aborted %" PRIu64 ", help %" PRIu64 "; warned about %" PRIu64 "\n",
            campaign->fates[FATE_ABORTED], campaign->fates[FATE_HELP], campaign->warned);
    fprintf(out, "the same %" PRIu64 ", different %" PRIu64, same(campaign), campaign->different);
    if (campaign->not_modelled)
        fprintf(out, ", not compared because we say that we do not model it %" PRIu64,
                campaign->not_modelled);
    fputc('\n', out);
    for (unsigned i = 0; i < campaign->finding_count; i++)
        text_finding(out, campaign->findings[i], i + 1);
    fprintf(out, "%s%.1f s, %.0f strings/s, %u at once, %s", campaign->finding_count ? "\n" : "",
            campaign->seconds, campaign->seconds > 0 ? (double)campaign->done / campaign->seconds : 0,
            campaign->jobs, campaign->forkserver ? "forked from a loaded QEMU" : "started plain");
    if (campaign->forkserver)
        fprintf(out, ", %" PRIu64 " held against a plain start", campaign->checked_plain);
    fprintf(out, "%s\n", campaign->retried ? "; some were slow and asked again" : "");
}

static void add_text(cJSON *object, const char *name, const char *text)
{
    char *escaped = escape(text);

    cJSON_AddStringToObject(object, name, escaped ? escaped : "");
    free(escaped);
}

static void add_outcome(cJSON *parent, const char *name, const struct flags_outcome *outcome)
{
    cJSON *object = cJSON_AddObjectToObject(parent, name), *warnings;

    if (!outcome)
        return;
    cJSON_AddStringToObject(object, "fate", flags_fate_name(outcome->fate));
    if (outcome->error.text[0]) {
        cJSON_AddStringToObject(object, "kind", kind_name(outcome->error.kind));
        add_text(object, "text", outcome->error.text);
    }
    warnings = cJSON_AddArrayToObject(object, "warnings");
    for (uint32_t i = 0; i < messages_kept(&outcome->warnings); i++) {
        char *escaped = escape(outcome->warnings.list[i].text);

        cJSON_AddItemToArray(warnings, cJSON_CreateString(escaped ? escaped : ""));
        free(escaped);
    }
    cJSON_AddNumberToObject(object, "warning_count", outcome->warnings.total);
}

static void add_finding(cJSON *array, const struct flags_finding *finding)
{
    char *quoted = shell_quote(finding->minimal), *again = NULL;
    cJSON *object = cJSON_CreateObject();

    cJSON_AddItemToArray(array, object);
    cJSON_AddStringToObject(object, "difference", flags_difference_name(finding->difference));
    cJSON_AddNumberToObject(object, "strings", finding->strings);
    cJSON_AddNumberToObject(object, "first_index", (double)finding->index);
    add_text(object, "string", finding->text);
    add_text(object, "minimal", finding->minimal);
    add_text(object, "what", finding->what);
    add_outcome(object, "ours", finding->ours);
    add_outcome(object, "qemu", finding->theirs);
    if (quoted && asprintf(&again, "pv-diff flags --string %s", quoted) >= 0) {
        cJSON_AddStringToObject(object, "reproduce", again);
        free(again);
    }
    free(quoted);
}

static void add_counts(cJSON *root, const struct campaign *campaign)
{
    cJSON *fates = cJSON_AddObjectToObject(root, "qemu_outcomes");
    cJSON *kinds = cJSON_AddObjectToObject(root, "qemu_refusals");

    for (unsigned fate = 0; fate < FATES; fate++)
        cJSON_AddNumberToObject(fates, flags_fate_name(fate), (double)campaign->fates[fate]);
    for (unsigned kind = 0; kind <= CPU_ERROR_KINDS; kind++)
        if (campaign->kinds[kind])
            cJSON_AddNumberToObject(kinds, kind_name(kind), (double)campaign->kinds[kind]);
}

static cJSON *to_json(const struct flags_run *run)
{
    const struct campaign *campaign = &run->campaign;
    cJSON *root = cJSON_CreateObject(), *findings;
    char seed[24];

    cJSON_AddStringToObject(root, "qemu_version", run->version);
    cJSON_AddStringToObject(root, "machine", campaign->machine);
    cJSON_AddStringToObject(root, "accel", "tcg");
    cJSON_AddNumberToObject(root, "random", (double)run->random_count);
    snprintf(seed, sizeof(seed), "%" PRIu64, run->seed); /* may need all 64 bits */
    cJSON_AddStringToObject(root, "seed", seed);
    cJSON_AddNumberToObject(root, "strings", (double)campaign->done);
    cJSON_AddNumberToObject(root, "equal", (double)same(campaign));
    cJSON_AddNumberToObject(root, "not_modelled", (double)campaign->not_modelled);
    cJSON_AddNumberToObject(root, "different", (double)campaign->different);
    add_counts(root, campaign);
    cJSON_AddNumberToObject(root, "qemu_warned", (double)campaign->warned);
    cJSON_AddNumberToObject(root, "checked_plain", (double)campaign->checked_plain);
    cJSON_AddNumberToObject(root, "retried", (double)campaign->retried);
    cJSON_AddBoolToObject(root, "forked", campaign->forkserver != NULL);
    cJSON_AddNumberToObject(root, "jobs", campaign->jobs);
    cJSON_AddNumberToObject(root, "seconds", campaign->seconds);
    findings = cJSON_AddArrayToObject(root, "differences");
    for (unsigned i = 0; i < campaign->finding_count; i++)
        add_finding(findings, campaign->findings[i]);
    return root;
}

int flags_report_json(const char *path, const struct flags_run *run)
{
    return json_write(path, to_json(run));
}
