/* report.junit.xml: one test case per flag set and scenario, and per fuzzing campaign. failure: a difference; skipped: nothing was compared;
 * error: a machine broke. */
#include "diff/report/report.h"

#include <string.h>

#define FAILURE_LINES 50

struct tally {
    uint32_t by[VERDICTS];
};

static struct tally tally_case(const struct report *report, unsigned set, unsigned scenario)
{
    struct tally tally = {0};

    for (size_t i = 0; i < report->checks.count; i++) {
        const struct check *check = &report->checks.checks[i];

        if (check->item == set && check->program == scenario && *check->scenario)
            tally.by[check->verdict]++;
    }
    return tally;
}

static void add_failures(const struct report *report, unsigned set, unsigned scenario, uint32_t total,
                         struct text *out)
{
    uint32_t shown = 0;

    text_format(out, "<failure message=\"%u differences\">", total);
    for (size_t i = 0; i < report->checks.count && shown < FAILURE_LINES; i++) {
        const struct check *check = &report->checks.checks[i];

        if (check->item != set || check->program != scenario || check->verdict != VERDICT_DIFFERENT ||
            !*check->scenario)
            continue;
        shown++;
        text_escape(out, check->text);
        text_add(out, *check->text ? ": " : "");
        text_escape(out, check->what);
        text_add(out, ": ours ");
        text_escape(out, check->ours);
        text_add(out, ", reference ");
        text_escape(out, check->theirs);
        text_add(out, "\n");
    }
    if (total > shown)
        text_format(out, "and %u more\n", total - shown);
    text_add(out, "</failure>");
}

static const char *skip_reason(const struct report *report, unsigned set, unsigned scenario)
{
    for (size_t i = 0; i < report->checks.count; i++) {
        const struct check *check = &report->checks.checks[i];

        if (check->item == set && check->program == scenario && check->verdict == VERDICT_NOT_COMPARED)
            return check->reason;
    }
    return "nothing to compare";
}

static void add_case(const struct report *report, unsigned set, unsigned scenario, struct text *out)
{
    struct tally tally = tally_case(report, set, scenario);

    text_add(out, "<testcase classname=\"");
    text_escape(out, report->run->sets[set].name);
    text_add(out, "\" name=\"");
    text_escape(out, report->run->scenarios[scenario].name);
    text_add(out, "\">");
    if (tally.by[VERDICT_DIFFERENT]) {
        add_failures(report, set, scenario, tally.by[VERDICT_DIFFERENT], out);
    } else if (!tally.by[VERDICT_EQUAL] && !tally.by[VERDICT_KNOWN]) {
        text_add(out, "<skipped message=\"");
        text_escape(out, skip_reason(report, set, scenario));
        text_add(out, "\"/>");
    }
    text_add(out, "</testcase>\n");
}

/* A set that no scenario ran under: refused by one side only, or a machine that broke. */
static void add_set_trouble(const struct report *report, unsigned set, struct text *out)
{
    const struct run_set *s = &report->run->sets[set];
    bool refused = s->ours.refused || s->theirs.refused;

    text_add(out, "<testcase classname=\"");
    text_escape(out, s->name);
    text_add(out, "\" name=\"flags accepted\">");
    if (!refused || s->ours.refused != s->theirs.refused) {
        text_add(out, refused ? "<failure message=\"" : "<error message=\"");
        text_escape(out, *s->theirs.error ? s->theirs.error : s->ours.error);
        text_add(out, "\"/>");
    }
    text_add(out, "</testcase>\n");
}

static bool set_in_trouble(const struct run_set *set)
{
    return *set->ours.error || *set->theirs.error;
}

static void add_campaign(const struct fuzz_result *result, struct text *out)
{
    text_add(out, "<testcase classname=\"fuzzing\" name=\"");
    text_escape(out, result->target);
    text_format(out, "\" time=\"%.1f\">", result->seconds);
    if (result->findings) {
        text_format(out, "<failure message=\"%u findings\">", result->findings);
        for (uint32_t i = 0; i < result->list_count && i < FAILURE_LINES; i++) {
            text_escape(out, result->list[i].replay);
            text_add(out, "\n");
        }
        text_add(out, "</failure>");
    }
    text_add(out, "</testcase>\n");
}

struct totals {
    unsigned tests, failures, errors, skipped;
};

static struct totals count_cases(const struct report *report)
{
    struct totals totals = {.tests = report->fuzzing.count};

    for (uint32_t i = 0; i < report->fuzzing.count; i++)
        totals.failures += report->fuzzing.results[i].findings != 0;
    for (unsigned set = 0; set < report->run->set_count; set++) {
        const struct run_set *s = &report->run->sets[set];

        if (set_in_trouble(s)) {
            totals.tests++;
            totals.failures += s->ours.refused != s->theirs.refused;
            totals.errors += !s->ours.refused && !s->theirs.refused;
            continue;
        }
        for (unsigned scenario = 0; scenario < report->run->scenario_count; scenario++) {
            struct tally tally;

            if (!run_wants(report->run, set, scenario))
                continue;
            tally = tally_case(report, set, scenario);
            totals.tests++;
            totals.failures += tally.by[VERDICT_DIFFERENT] != 0;
            totals.skipped +=
                !tally.by[VERDICT_DIFFERENT] && !tally.by[VERDICT_EQUAL] && !tally.by[VERDICT_KNOWN];
        }
    }
    return totals;
}

void report_junit(const struct report *report, struct text *out)
{
    struct totals totals = count_cases(report);

    text_add(out, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    text_format(
        out,
        "<testsuites><testsuite name=\"pv-diff\" tests=\"%u\" failures=\"%u\" errors=\"%u\" skipped=\"%u\" "
        "timestamp=\"",
        totals.tests, totals.failures, totals.errors, totals.skipped);
    text_escape(out, report->run->created);
    text_add(out, "\">\n");
    for (unsigned set = 0; set < report->run->set_count; set++) {
        if (set_in_trouble(&report->run->sets[set])) {
            add_set_trouble(report, set, out);
            continue;
        }
        for (unsigned scenario = 0; scenario < report->run->scenario_count; scenario++)
            if (run_wants(report->run, set, scenario))
                add_case(report, set, scenario, out);
    }
    for (uint32_t i = 0; i < report->fuzzing.count; i++)
        add_campaign(&report->fuzzing.results[i], out);
    text_add(out, "</testsuite></testsuites>\n");
}
