/* The clock panel: guest time minus host time over the run, both machines on the same axes, with the band drawn. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "diff/report/html.h"

#define PANELS_MAX 6
#define WIDTH      860.0
#define HEIGHT     250.0
#define LEFT       58.0
#define RIGHT      14.0
#define TOP        10.0
#define BOTTOM     44.0
#define POINTS_MIN 10            /* fewer show nothing */
#define Y_MAX_US   (4 * BAND_US) /* beyond it points are counted, so that the band stays readable */
#define BAND_US    (CLOCK_OFFSET_BAND_NS / 1e3)

/* One machine's samples as a curve: seconds against microseconds from the middle of its own offset. */
struct curve {
    double *x, *y;
    uint32_t count;
    struct clock_fit fit;
};

static void curve_free(struct curve *curve)
{
    free(curve->x);
    free(curve->y);
}

/* The first stretch of vCPU 0 that is long enough to show a rate. */
static bool steady_samples(const struct program *program, const struct transcript *t,
                           struct clock_sample *samples, uint32_t *count)
{
    for (unsigned n = 0; clock_stretch(program, t, 0, n, samples, count); n++)
        if (clock_is_steady(samples, *count))
            return true;
    return false;
}

static void curve_add(struct curve *curve, const struct clock_sample *sample,
                      const struct clock_sample *first)
{
    double x, y;

    if (!clock_sample_usable(sample) || !clock_point(sample, first, &x, &y))
        return;
    if ((sample->after_ns - sample->before_ns) / 2 > curve->fit.best_bracket_ns)
        return; /* too wide a bracket: not judged, not drawn */
    curve->x[curve->count] = x / 1e9;
    curve->y[curve->count++] = (y - curve->fit.offset_ns) / 1e3;
}

static bool curve_take(const struct program *program, const struct transcript *transcript,
                       struct curve *curve)
{
    struct clock_sample *samples = transcript ? calloc(transcript->sample_count + 1, sizeof(*samples)) : NULL;
    uint32_t count = 0, first = 0;

    *curve = (struct curve){0};
    if (samples && steady_samples(program, transcript, samples, &count) &&
        clock_fit(samples, count, &curve->fit)) {
        curve->x = calloc(count, sizeof(double));
        curve->y = calloc(count, sizeof(double));
        while (first < count && !clock_sample_usable(&samples[first]))
            first++;
        for (uint32_t i = first; curve->x && curve->y && i < count; i++)
            curve_add(curve, &samples[i], &samples[first]);
    }
    free(samples);
    return curve->count >= POINTS_MIN;
}

struct axes {
    double x_max, y_max;
};

static void axes_include(struct axes *axes, const struct curve *curve)
{
    for (uint32_t i = 0; i < curve->count; i++) {
        axes->x_max = fmax(axes->x_max, curve->x[i]);
        axes->y_max = fmin(Y_MAX_US, fmax(axes->y_max, fabs(curve->y[i]) * 1.1));
    }
}

static double at_x(const struct axes *axes, double x)
{
    return LEFT + x / axes->x_max * (WIDTH - LEFT - RIGHT);
}

static double at_y(const struct axes *axes, double y)
{
    return TOP + (1 - y / axes->y_max) / 2 * (HEIGHT - TOP - BOTTOM);
}

/* 1, 2 or 5 times a power of ten, so that a range has about `parts` of them. */
static double tick_step(double range, double parts)
{
    double raw = range / parts, power = pow(10, floor(log10(raw)));

    return (raw / power < 1.5 ? 1 : raw / power < 3.5 ? 2 : raw / power < 7.5 ? 5 : 10) * power;
}

static void add_titles(struct text *out)
{
    double middle = TOP + (HEIGHT - TOP - BOTTOM) / 2;

    text_format(out,
                "<text x=\"%.0f\" y=\"%.0f\" text-anchor=\"middle\">seconds since the first sample</text>",
                LEFT + (WIDTH - LEFT - RIGHT) / 2, HEIGHT - 6);
    text_format(out,
                "<text transform=\"translate(13 %.0f) rotate(-90)\" text-anchor=\"middle\">guest minus host, "
                "&#181;s</text>",
                middle);
}

static void add_axes(const struct axes *axes, struct text *out)
{
    double step = tick_step(2 * axes->y_max, 6);

    text_format(out, "<rect class=\"band\" x=\"%.0f\" y=\"%.1f\" width=\"%.0f\" height=\"%.1f\"/>", LEFT,
                at_y(axes, BAND_US), WIDTH - LEFT - RIGHT, at_y(axes, -BAND_US) - at_y(axes, BAND_US));
    for (double y = -floor(axes->y_max / step) * step; y <= axes->y_max; y += step) {
        bool zero = fabs(y) < step / 2;

        text_format(out, "<line class=\"%s\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                    zero ? "zero" : "axis", LEFT, WIDTH - RIGHT, at_y(axes, y), at_y(axes, y));
        text_format(out,
                    zero ? "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%g</text>"
                         : "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%+g</text>",
                    LEFT - 7, at_y(axes, y) + 4, zero ? 0.0 : y);
    }
    step = tick_step(axes->x_max, 8);
    for (double x = 0; x <= axes->x_max * 1.0001; x += step)
        text_format(out, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%.3g</text>", at_x(axes, x),
                    HEIGHT - BOTTOM + 17, x);
    add_titles(out);
}

static void add_curve(const struct axes *axes, const struct curve *curve, const char *class, struct text *out)
{
    text_format(out, "<path class=\"p-%s\" d=\"", class);
    for (uint32_t i = 0; i < curve->count; i++)
        if (fabs(curve->y[i]) <= axes->y_max)
            text_format(out, "M%.1f %.1fh0", at_x(axes, curve->x[i]), at_y(axes, curve->y[i]));
    text_add(out, "\"/>");
}

static uint32_t points_beyond(const struct curve *curve, const struct axes *axes)
{
    uint32_t beyond = 0;

    for (uint32_t i = 0; i < curve->count; i++)
        beyond += fabs(curve->y[i]) > axes->y_max;
    return beyond;
}

static void add_caption(const char *class, const char *who, const struct curve *curve,
                        const struct axes *axes, struct text *out)
{
    uint32_t beyond = points_beyond(curve, axes);

    text_format(out, "<tr><th><i class=\"dot %s\"></i>%s", class, who);
    if (!curve->count) {
        text_add(out, "<td colspan=\"4\">too few samples within a narrow bracket");
        return;
    }
    text_format(
        out,
        "<td class=\"n\">%+.3f ppm &plusmn; %.3f<td class=\"n\">%.1f &#181;s<td class=\"n\">%.1f &#181;s"
        "<td class=\"n\">%u of %u",
        curve->fit.slope_ppm, curve->fit.slope_error_ppm, curve->fit.residual_ns / 1e3,
        (double)curve->fit.best_bracket_ns / 1e3, curve->fit.used, curve->fit.samples);
    if (beyond)
        text_format(out, ", %u beyond the axis", beyond);
}

static void add_panel(const struct report *report, unsigned set, unsigned scenario, const struct curve *ours,
                      const struct curve *theirs, struct text *out)
{
    struct axes axes = {.x_max = 1e-3, .y_max = BAND_US * 1.25};

    axes_include(&axes, ours);
    axes_include(&axes, theirs);
    text_add(out, "<figure class=\"card\"><figcaption><b>");
    text_escape(out, report->run->scenarios[scenario].name);
    text_add(out, "</b> under <span class=\"m\">");
    text_escape(out, report->run->sets[set].name);
    text_format(
        out,
        "</span> <i class=\"swatch\"></i><span class=\"muted\">band: &plusmn;%.0f &#181;s about a straight "
        "line, %.0f ppm</span></figcaption>",
        BAND_US, CLOCK_RATE_BAND_PPM);
    text_format(
        out,
        "<svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"guest minus host time\">",
        WIDTH, HEIGHT);
    add_axes(&axes, out);
    add_curve(&axes, theirs, "theirs", out);
    add_curve(&axes, ours, "ours", out);
    text_add(out,
             "</svg><table class=\"fits\"><thead><tr><th><th class=\"n\">rate<th class=\"n\">off the line at "
             "most<th class=\"n\">best bracket<th class=\"n\">samples used</tr></thead><tbody>");
    add_caption("ours", "ours", ours, &axes, out);
    add_caption("theirs", "reference", theirs, &axes, out);
    text_add(out, "</tbody></table></figure>\n");
}

/* One pair of curves; quiet: only where both machines were, else only where not. Says whether there was a panel. */
static bool add_pair(const struct report *report, unsigned set, unsigned scenario, bool quiet, bool draw,
                     struct text *out)
{
    const struct program *program = &report->run->scenarios[scenario].program;
    const struct run_set *s = &report->run->sets[set];
    struct curve ours, theirs;
    bool has_ours = curve_take(program, run_transcript(&s->ours, scenario), &ours);
    bool has_theirs = curve_take(program, run_transcript(&s->theirs, scenario), &theirs);
    bool is_quiet = has_ours && has_theirs && ours.fit.residual_ns <= CLOCK_OFFSET_BAND_NS &&
                    theirs.fit.residual_ns <= CLOCK_OFFSET_BAND_NS;
    bool panel = (has_ours || has_theirs) && is_quiet == quiet;

    if (panel && draw)
        add_panel(report, set, scenario, &ours, &theirs, out);
    curve_free(&ours);
    curve_free(&theirs);
    return panel;
}

/* The telling ones first: on a busy host most of a box's samples are noise. */
static unsigned add_panels(const struct report *report, struct text *out)
{
    unsigned panels = 0;

    for (unsigned pass = 0; pass < 2; pass++)
        for (unsigned set = 0; set < report->run->set_count; set++)
            for (unsigned scenario = 0; scenario < report->run->scenario_count; scenario++)
                panels += add_pair(report, set, scenario, pass == 0, panels < PANELS_MAX, out);
    return panels;
}

static void add_finding(const char *finding, struct text *out)
{
    size_t word = strcspn(finding, ":");

    text_add(out, "<td><span class=\"");
    text_addn(out, finding,
              strspn(finding, "abcdefghijklmnopqrstuvwxyz")); /* holds, broken, undecided, not */
    text_add(out, "\">");
    text_addn(out, finding, word);
    text_add(out, "</span> ");
    text_escape(out, finding[word] ? finding + word + 1 : "");
}

static bool is_clock_rule(const struct check *check)
{
    return check->kind == CHECK_CLOCK && check->action == ACTION_WHOLE_PROGRAM &&
           strcmp(check->what, "program");
}

/* How often a finding of one word was made: holds, broken, undecided. */
#define FINDINGS_MAX 6
struct finding_count {
    const char *word;
    size_t len;
    uint32_t count;
};

static void count_finding(const char *finding, struct finding_count counts[FINDINGS_MAX])
{
    size_t len = strcspn(finding, ":"), i = 0;

    while (i < FINDINGS_MAX - 1 && counts[i].count &&
           (counts[i].len != len || memcmp(counts[i].word, finding, len)))
        i++;
    if (!counts[i].count)
        counts[i] = (struct finding_count){.word = finding, .len = len};
    counts[i].count++;
}

static void add_counts(const struct finding_count counts[FINDINGS_MAX], struct text *out)
{
    text_add(out, "<td>");
    for (unsigned i = 0; i < FINDINGS_MAX && counts[i].count; i++) {
        text_add(out, i ? ", <span class=\"" : "<span class=\"");
        text_addn(out, counts[i].word, strspn(counts[i].word, "abcdefghijklmnopqrstuvwxyz"));
        text_add(out, "\">");
        text_addn(out, counts[i].word, counts[i].len);
        text_format(out, "</span> %u", counts[i].count);
    }
}

static bool same_rule(const struct check *a, const struct check *b)
{
    return !strcmp(a->what, b->what) && !strcmp(a->rule, b->rule);
}

static void add_rule_name(const struct check *check, struct text *out)
{
    text_add(out, "<tr><td>");
    text_escape(out, check->what);
    text_add(out, " <span class=\"tag\">");
    text_escape(out, check->rule);
    text_add(out, "</span>");
}

/* One row for each rule: what most readers want to know of hundreds of them. */
static void add_rule_counts(const struct report *report, struct text *out)
{
    const struct check_list *checks = &report->checks;

    text_add(out, "<div class=\"card scroll\"><table><thead><tr><th>rule<th class=\"ours\">ours"
                  "<th class=\"theirs\">reference</tr></thead><tbody>");
    for (size_t i = 0; i < checks->count; i++) {
        struct finding_count ours[FINDINGS_MAX] = {0}, theirs[FINDINGS_MAX] = {0};
        size_t first = 0;

        if (!is_clock_rule(&checks->checks[i]))
            continue;
        while (!is_clock_rule(&checks->checks[first]) ||
               !same_rule(&checks->checks[first], &checks->checks[i]))
            first++;
        if (first < i)
            continue;
        for (size_t n = i; n < checks->count; n++)
            if (is_clock_rule(&checks->checks[n]) && same_rule(&checks->checks[n], &checks->checks[i])) {
                count_finding(checks->checks[n].ours, ours);
                count_finding(checks->checks[n].theirs, theirs);
            }
        add_rule_name(&checks->checks[i], out);
        add_counts(ours, out);
        add_counts(theirs, out);
    }
    text_add(out, "</tbody></table></div>");
}

static void add_rules(const struct report *report, struct text *out)
{
    const struct check *before = NULL;

    text_add(
        out,
        "<details class=\"card scroll\"><summary>each time, machine by machine</summary><table><thead><tr><th>rule<th "
        "class=\"ours\">ours<th class=\"theirs\">reference</tr></thead><tbody>");
    for (size_t i = 0; i < report->checks.count; i++) {
        const struct check *check = &report->checks.checks[i];

        if (!is_clock_rule(check))
            continue;
        if (!before || before->item != check->item || before->program != check->program) {
            text_add(out, "<tr><th colspan=\"3\">");
            text_escape(out, check->scenario);
            text_add(out, " <span class=\"muted\">under ");
            text_escape(out, check->flags);
            text_add(out, "</span>");
        }
        before = check;
        add_rule_name(check, out);
        add_finding(check->ours, out);
        add_finding(check->theirs, out);
    }
    text_add(out, "</tbody></table></details>");
}

void html_clock(const struct report *report, struct text *out)
{
    unsigned panels;
    uint32_t rules = 0;

    for (size_t i = 0; i < report->checks.count; i++)
        rules += is_clock_rule(&report->checks.checks[i]);
    text_format(
        out,
        "<h2 id=\"clock\">Clock<small>%u rules judged; each machine against its own host's CLOCK_MONOTONIC_RAW"
        "</small></h2>",
        rules);
    panels = add_panels(report, out);
    if (panels > PANELS_MAX)
        text_format(out, "<p class=\"muted\">%u more panels are not drawn.</p>", panels - PANELS_MAX);
    if (rules) {
        add_rule_counts(report, out);
        add_rules(report, out);
    } else {
        text_add(out, "<p class=\"card\">No scenario of this run sampled a clock.</p>");
    }
}
