/* The clock panel: guest time minus host time over the run, both machines on the same axes, with the band drawn. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include "diff/report/html.h"

#define PANELS_MAX 6
#define WIDTH      860.0
#define HEIGHT     250.0
#define LEFT       64.0
#define RIGHT      16.0
#define TOP        18.0
#define BOTTOM     34.0

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
    return curve->count > 0;
}

struct axes {
    double x_max, y_max;
};

static void axes_include(struct axes *axes, const struct curve *curve)
{
    for (uint32_t i = 0; i < curve->count; i++) {
        axes->x_max = fmax(axes->x_max, curve->x[i]);
        axes->y_max = fmax(axes->y_max, fabs(curve->y[i]) * 1.1);
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

static void add_axes(const struct axes *axes, struct text *out)
{
    double step = tick_step(2 * axes->y_max, 6), band = CLOCK_OFFSET_BAND_NS / 1e3;

    text_format(out, "<rect class=\"band\" x=\"%.0f\" y=\"%.1f\" width=\"%.0f\" height=\"%.1f\"/>", LEFT,
                at_y(axes, band), WIDTH - LEFT - RIGHT, at_y(axes, -band) - at_y(axes, band));
    for (double y = -floor(axes->y_max / step) * step; y <= axes->y_max; y += step) {
        bool zero = fabs(y) < step / 2;

        text_format(out, "<line class=\"%s\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>",
                    zero ? "zero" : "axis", LEFT, WIDTH - RIGHT, at_y(axes, y), at_y(axes, y));
        text_format(out, "<text x=\"%.0f\" y=\"%.1f\" text-anchor=\"end\">%+.3g us</text>", LEFT - 8,
                    at_y(axes, y) + 4, zero ? 0.0 : y);
    }
    step = tick_step(axes->x_max, 8);
    for (double x = 0; x <= axes->x_max * 1.0001; x += step)
        text_format(out, "<text x=\"%.1f\" y=\"%.0f\" text-anchor=\"middle\">%.3g s</text>", at_x(axes, x),
                    HEIGHT - 12, x);
}

static void add_curve(const struct axes *axes, const struct curve *curve, const char *class, struct text *out)
{
    text_format(out, "<path class=\"p-%s\" d=\"", class);
    for (uint32_t i = 0; i < curve->count; i++)
        text_format(out, "M%.1f %.1fh0", at_x(axes, curve->x[i]), at_y(axes, curve->y[i]));
    text_add(out, "\"/>");
}

static void add_caption(const char *class, const char *who, const struct curve *curve, struct text *out)
{
    if (!curve->count) {
        text_format(out, "<span><b class=\"%s\">%s</b> no samples</span>", class, who);
        return;
    }
    text_format(
        out,
        "<span><b class=\"%s\">%s</b> %+.3f ppm &plusmn; %.3f, %.0f ns off the line at most, best bracket %" PRIu64
        " ns, %u of %u samples</span>",
        class, who, curve->fit.slope_ppm, curve->fit.slope_error_ppm, curve->fit.residual_ns,
        curve->fit.best_bracket_ns, curve->fit.used, curve->fit.samples);
}

static void add_panel(const struct report *report, unsigned set, unsigned scenario, const struct curve *ours,
                      const struct curve *theirs, struct text *out)
{
    struct axes axes = {.x_max = 1e-3, .y_max = CLOCK_OFFSET_BAND_NS / 1e3 * 1.25};

    axes_include(&axes, ours);
    axes_include(&axes, theirs);
    text_add(out, "<figure class=\"card\"><figcaption><b>");
    text_escape(out, report->run->scenarios[scenario].name);
    text_add(out, "</b> under <span class=\"m\">");
    text_escape(out, report->run->sets[set].name);
    text_add(
        out,
        "</span> <span class=\"muted\">guest minus host, from the middle of each machine's own offset</span>"
        "<div class=\"legend\">");
    add_caption("ours", "ours", ours, out);
    add_caption("theirs", "reference", theirs, out);
    text_format(out, "<span>band: %.0f us from a straight line, %.0f ppm</span></div></figcaption>",
                CLOCK_OFFSET_BAND_NS / 1e3, CLOCK_RATE_BAND_PPM);
    text_format(
        out,
        "<svg class=\"plot\" viewBox=\"0 0 %.0f %.0f\" role=\"img\" aria-label=\"guest minus host time\">",
        WIDTH, HEIGHT);
    add_axes(&axes, out);
    add_curve(&axes, theirs, "theirs", out);
    add_curve(&axes, ours, "ours", out);
    text_add(out, "</svg></figure>\n");
}

static unsigned add_panels(const struct report *report, struct text *out)
{
    unsigned panels = 0;

    for (unsigned set = 0; set < report->run->set_count; set++)
        for (unsigned scenario = 0; scenario < report->run->scenario_count; scenario++) {
            const struct program *program = &report->run->scenarios[scenario].program;
            struct curve ours, theirs;
            bool has_ours =
                curve_take(program, run_transcript(&report->run->sets[set].ours, scenario), &ours);
            bool has_theirs =
                curve_take(program, run_transcript(&report->run->sets[set].theirs, scenario), &theirs);

            if ((has_ours || has_theirs) && panels++ < PANELS_MAX)
                add_panel(report, set, scenario, &ours, &theirs, out);
            curve_free(&ours);
            curve_free(&theirs);
        }
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

static void add_rules(const struct report *report, struct text *out)
{
    const struct check *before = NULL;

    text_add(
        out,
        "<details class=\"card scroll\" open><summary>the rules, machine by machine</summary><table><thead><tr><th>rule<th "
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
        text_add(out, "<tr><td>");
        text_escape(out, check->what);
        text_add(out, " <span class=\"tag\">");
        text_escape(out, check->rule);
        text_add(out, "</span>");
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
    if (rules)
        add_rules(report, out);
    else
        text_add(out, "<p class=\"card\">No scenario of this run sampled a clock.</p>");
}
