/* The lists of the page: differences, known differences, what was not compared, scenarios. */
#include <string.h>
#include "diff/report/html.h"

/* A page opens in a second: what is beyond is counted here and whole in report.json. */
#define DIFFERENCES_MAX  300
#define NOT_COMPARED_MAX 200
#define FLAGS_SHOWN      4

/* The part in the middle that the two values do not share is marked. */
static void add_marked(const char *value, const char *other, struct text *out)
{
    size_t length = strlen(value), other_length = strlen(other), head = 0, tail = 0;
    struct text piece = {0};

    while (head < length && head < other_length && value[head] == other[head])
        head++;
    while (tail < length - head && tail < other_length - head &&
           value[length - 1 - tail] == other[other_length - 1 - tail])
        tail++;
    text_addn(&piece, value, head);
    text_addn(&piece, "", 0);
    text_escape(out, piece.bytes ? piece.bytes : "");
    text_free(&piece);
    if (head + tail < length) {
        text_add(out, "<mark>");
        text_addn(&piece, value + head, length - head - tail);
        text_escape(out, piece.bytes ? piece.bytes : "");
        text_free(&piece);
        text_add(out, "</mark>");
    }
    text_escape(out, value + length - tail);
}

static void add_flags(const struct report *report, const struct difference_group *group, struct text *out)
{
    text_add(out, "<p class=\"muted\">");
    if (*group->first->scenario) {
        text_add(out, "in <a href=\"#s-");
        text_escape(out, group->first->scenario);
        text_add(out, "\">");
        text_escape(out, group->first->scenario);
        text_add(out, "</a>");
        if (group->first->action != ACTION_WHOLE_PROGRAM)
            text_format(out, ", action %u", group->first->action);
    }
    text_add(out, " under ");
    for (uint32_t i = 0; i < group->count; i++) {
        const struct check *check = &report->checks.checks[group->checks[i]];

        if (i == FLAGS_SHOWN && group->count > FLAGS_SHOWN + 1)
            text_format(out, " <details><summary>and %u more flag sets</summary>", group->count - i);
        else if (i)
            text_add(out, ", ");
        text_add(out, "<span class=\"m\">");
        text_escape(out, check->flags);
        text_add(out, "</span>");
    }
    if (group->count > FLAGS_SHOWN + 1)
        text_add(out, "</details>");
    text_add(out, "</p>");
}

static void add_first_seen(const struct report *report, const struct check *check, struct text *out)
{
    char fingerprint[FINGERPRINT_SIZE];
    uint64_t first;

    if (!report->first_seen)
        return;
    check_fingerprint(check, fingerprint);
    first = report->first_seen(report->first_seen_ctx, fingerprint);
    if (first == report->run->id)
        text_add(out, "<span class=\"tag bad\">new in this run</span>");
    else if (first)
        text_format(out, "<span class=\"tag\">since run %llu</span>", (unsigned long long)first);
}

static void add_value(const char *class, const char *who, const char *value, const char *other,
                      struct text *out)
{
    text_format(out, "<span class=\"who %s\">%s</span><span class=\"m\">", class, who);
    add_marked(value, other, out);
    text_add(out, "</span>");
}

static void add_group(const struct report *report, const struct difference_group *group, struct text *out)
{
    const struct check *check = group->first;
    bool known = check->verdict == VERDICT_KNOWN;
    struct text command = {0};

    text_format(out, "<article class=\"card diff%s\" id=\"d-%s\"><div class=\"head\"><span class=\"what m\">",
                known ? " known" : "", group->id);
    text_escape(out, *check->text ? check->text : check->what);
    text_add(out, "</span>");
    if (*check->text && strcmp(check->what, "outcome")) {
        text_add(out, "<span class=\"m\">");
        text_escape(out, check->what);
        text_add(out, "</span>");
    }
    text_format(out, "<span class=\"tag\">%s</span>", check_kind_name(check->kind));
    if (*check->rule) {
        text_add(out, "<span class=\"tag\">rule ");
        text_escape(out, check->rule);
        text_add(out, "</span>");
    }
    if (known) {
        text_add(out, "<span class=\"tag known\">known: ");
        text_escape(out, check->known);
        text_add(out, "</span>");
    } else {
        add_first_seen(report, check, out);
    }
    text_format(out, "<a class=\"anchor\" href=\"#d-%s\" aria-label=\"link to this difference\">#</a></div>",
                group->id);
    text_add(out, "<div class=\"values\">");
    add_value("ours", "ours", check->ours, check->theirs, out);
    add_value("theirs", "reference", check->theirs, check->ours, out);
    if (*check->bits) {
        text_add(out, "<span class=\"who muted\">bits</span><span>");
        text_escape(out, check->bits);
        text_add(out, "</span>");
    }
    if (*check->reason) {
        text_add(out, "<span class=\"who muted\">note</span><span>");
        text_escape(out, check->reason);
        text_add(out, "</span>");
    }
    text_add(out, "</div>");
    add_flags(report, group, out);
    report_reproduce(report, check, &command);
    text_add(out, "<details><summary>reproduce</summary><code class=\"cmd\">");
    text_escape(out, command.bytes ? command.bytes : "");
    text_add(out, "</code>");
    text_add(out, "</details></article>\n");
    text_free(&command);
}

void html_differences(const struct report *report, struct text *out)
{
    uint32_t count = report->group_count[VERDICT_DIFFERENT];

    if (!count) { /* the verdict has said it: one line */
        text_add(
            out,
            "<p class=\"card\" id=\"differences\">Every check that could be made gave the same answer on "
            "both machines, or one whose reason is known.</p>");
        return;
    }
    text_format(
        out,
        "<h2 id=\"differences\">Differences<small>%u, folded over flag sets into %u; %u equal checks are not "
        "shown</small></h2><div id=\"difference-list\">",
        check_total(&report->counts, VERDICT_DIFFERENT), count, check_total(&report->counts, VERDICT_EQUAL));
    for (uint32_t i = 0; i < count && i < DIFFERENCES_MAX; i++)
        add_group(report, &report->groups[VERDICT_DIFFERENT][i], out);
    text_add(out, "</div>");
    if (count > DIFFERENCES_MAX)
        text_format(out, "<p class=\"card\"><b>%u more</b> are in report.json.</p>", count - DIFFERENCES_MAX);
}

static const char *entry_state(const struct known_entry *entry)
{
    if (!entry->applies)
        return "another kernel or QEMU";
    if (entry->matched)
        return "matched";
    return entry->looked_at ? "STALE: remove it or explain it anew" : "not exercised by this run";
}

static void add_entry(const struct known_entry *entry, struct text *out)
{
    text_add(out, "<tr><td><b>");
    text_escape(out, entry->name);
    text_format(out, "</b><br><span class=\"%s\">%s</span><td class=\"n\">%u<td>",
                known_is_stale(entry) ? "broken" : "muted", entry_state(entry), entry->matched);
    text_escape(out, entry->reason);
    text_add(out, "<br><span class=\"muted\">");
    text_escape(out, entry->evidence);
    text_add(out, "</span>");
}

void html_known(const struct report *report, struct text *out)
{
    uint32_t groups = report->group_count[VERDICT_KNOWN];

    text_format(out, "<h2 id=\"known\">Known differences<small>%u entries, %u stale</small></h2>",
                report->known.count, report_stale(report));
    if (!report->known.count) {
        text_add(out, "<p class=\"card\">The file of known differences is empty.</p>");
        return;
    }
    text_add(
        out,
        "<div class=\"card scroll\"><table><thead><tr><th>entry<th class=\"n\">explains<th>reason and evidence</tr>"
        "</thead><tbody>");
    for (unsigned stale = 2; stale-- > 0;) /* stale ones first: they hide the next regression */
        for (unsigned i = 0; i < report->known.count; i++)
            if (known_is_stale(&report->known.entries[i]) == (stale == 1))
                add_entry(&report->known.entries[i], out);
    text_add(out, "</tbody></table></div>");
    if (groups)
        text_format(out, "<details><summary>%u known differences in full</summary>", groups);
    for (uint32_t i = 0; i < groups && i < DIFFERENCES_MAX / 3; i++)
        add_group(report, &report->groups[VERDICT_KNOWN][i], out);
    text_add(out, groups ? "</details>" : "");
}

void html_not_compared(const struct report *report, struct text *out)
{
    uint32_t count = report->group_count[VERDICT_NOT_COMPARED];

    text_format(out, "<h2 id=\"not-compared\">Not compared<small>%u checks, and why</small></h2>",
                check_total(&report->counts, VERDICT_NOT_COMPARED));
    if (!count) {
        text_add(out, "<p class=\"card\">Everything was compared.</p>");
        return;
    }
    text_add(
        out,
        "<details class=\"card scroll\" open><summary>the list</summary><table><thead><tr><th>kind<th>what<th>reason"
        "<th>under</tr></thead><tbody>");
    for (uint32_t i = 0; i < count && i < NOT_COMPARED_MAX; i++) {
        const struct difference_group *group = &report->groups[VERDICT_NOT_COMPARED][i];

        text_format(out, "<tr><td>%s<td>", check_kind_name(group->first->kind));
        text_escape(out, group->first->scenario);
        text_add(out, " <span class=\"m\">");
        text_escape(out, *group->first->text ? group->first->text : group->first->what);
        text_add(out, "</span><td>");
        text_escape(out, group->first->reason);
        text_add(out, "<td>");
        text_escape(out, group->first->flags);
        if (group->count > 1)
            text_format(out, " and %u more", group->count - 1);
    }
    text_add(out, "</tbody></table>");
    if (count > NOT_COMPARED_MAX)
        text_format(out, "<p>%u more are in report.json.</p>", count - NOT_COMPARED_MAX);
    text_add(out, "</details>");
}

void html_scenarios(const struct report *report, struct text *out)
{
    text_add(
        out,
        "<h2 id=\"scenarios\">Scenarios<small>what the guest did, as <span class=\"m\">pv-diff run --scenario</span> "
        "reads it</small></h2>");
    for (unsigned i = 0; i < report->run->scenario_count; i++) {
        const struct run_scenario *scenario = &report->run->scenarios[i];

        text_add(out, "<details id=\"s-");
        text_escape(out, scenario->name);
        text_add(out, "\"><summary>");
        text_escape(out, scenario->name);
        text_format(out, " <span class=\"muted\">%u lines</span></summary><pre class=\"program\">",
                    scenario->program.count);
        text_escape(out, scenario->text);
        text_add(out, "</pre></details>\n");
    }
}
