/* The feature matrix: advertised is not usable, so each feature has four columns; a letter says what, a colour whether
 * both machines agree. */
#include <string.h>
#include "diff/report/html.h"

static const char letters[FEATURE_LEVELS] = {'A', 'C', 'E', 'X'};
static const char *const questions[FEATURE_LEVELS] = {"advertised", "MSR or hypercall accepted",
                                                      "effect seen", "closed when enforced"};

static void add_summary_cell(const struct feature_tally *tally, unsigned feature, unsigned level,
                             struct text *out)
{
    unsigned tried = tally->yes[1] + tally->no[1];

    if (!tried && !(tally->yes[0] + tally->no[0])) {
        text_add(out, "<td class=\"muted\">");
        text_escape(out, feature_reason(feature, level, tally->other, true));
        return;
    }
    if (tally->differ)
        text_format(out, "<td><span class=\"broken\">differs in %u</span>", tally->differ);
    else
        text_add(out, "<td><span class=\"holds\">agree</span>");
    text_format(out, " <span class=\"muted\">%u | %u of %u</span>", tally->yes[0], tally->yes[1], tried);
}

static void add_summary(const struct report *report, struct text *out)
{
    text_add(
        out,
        "<details class=\"card scroll\"><summary>in numbers</summary><table class=\"levels\"><thead><tr><th>feature");
    for (unsigned level = 0; level < FEATURE_LEVELS; level++)
        text_format(out, "<th>%c %s", letters[level], questions[level]);
    text_add(out, "</tr></thead><tbody>");
    for (unsigned feature = 0; feature < PV_FEATURES; feature++) {
        text_format(out, "<tr><th class=\"m\">%s", pv_features[feature].name);
        for (unsigned level = 0; level < FEATURE_LEVELS; level++) {
            struct feature_tally tally = feature_tally(report, feature, (enum feature_level)level);

            add_summary_cell(&tally, feature, level, out);
        }
    }
    text_add(out, "</tbody></table><p class=\"muted\">yes: ours | reference, of the flag sets where the "
                  "reference was asked.</p></details>");
}

static void add_square(enum feature_answer ours, enum feature_answer theirs, unsigned level, const char *why,
                       struct text *out)
{
    const char *class = "", *title = why;
    char letter = '\0';

    if (feature_decided(ours) && feature_decided(theirs)) {
        class = ours != theirs ? "d" : ours == ANSWER_YES ? "y" : "o";
        title = ours != theirs       ? (ours == ANSWER_YES ? "only ours" : "only the reference")
                : ours == ANSWER_YES ? "both"
                                     : "neither";
        letter = ours == theirs && ours == ANSWER_NO ? '-' : letters[level];
    }
    text_format(out, "<i%s%s title=\"%s: %s\">", *class ? " class=" : "", class, questions[level], title);
    if (letter)
        text_addn(out, &letter, 1);
    text_add(out, "</i>");
}

static void add_cell(const struct report *report, unsigned set, unsigned feature, unsigned level,
                     struct text *out)
{
    bool enforced = run_set_enforced(&report->run->sets[set]);
    enum feature_answer ours =
        feature_answer(&report->ours[set], feature, (enum feature_level)level, enforced);
    enum feature_answer theirs =
        feature_answer(&report->theirs[set], feature, (enum feature_level)level, enforced);

    add_square(
        ours, theirs, level,
        feature_reason(feature, (enum feature_level)level, feature_decided(theirs) ? ours : theirs, enforced),
        out);
}

static void add_grid(const struct report *report, struct text *out)
{
    text_add(
        out,
        "<div class=\"card scroll\"><div class=\"legend\"><span><i class=\"y\">A</i>both do</span><span><i class=\"o\">-</i>"
        "neither does</span><span><i class=\"d\">C</i>they disagree</span><span>A advertised, C accepted, E effective, "
        "X closed when enforced; empty: no answer, its title says why</span></div><table class=\"grid\"><thead><tr><td>");
    for (unsigned set = 0; set < report->run->set_count; set++) {
        text_add(out, "<th>");
        text_escape(out, report->run->sets[set].name);
    }
    text_add(out, "</tr></thead><tbody>");
    for (unsigned feature = 0; feature < PV_FEATURES; feature++) {
        text_format(out, "<tr><th class=\"m\">%s", pv_features[feature].name);
        for (unsigned set = 0; set < report->run->set_count; set++) {
            text_add(out, "<td><div class=\"cell\">");
            for (unsigned level = 0; level < FEATURE_LEVELS; level++)
                add_cell(report, set, feature, level, out);
            text_add(out, "</div>");
        }
        text_add(out, "\n");
    }
    text_add(out, "</tbody></table></div>");
}

void html_features(const struct report *report, struct text *out)
{
    text_add(
        out,
        "<h2 id=\"features\">Features<small>advertised is not usable: each is asked four questions</small></h2>");
    add_grid(report, out);
    add_summary(report, out);
}
