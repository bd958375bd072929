/* report.html: one file, no network, readable without its script. Guest and QEMU texts are always escaped. */
#include "diff/report/html.h"

#include <inttypes.h>
#include <string.h>
#include "diff/report/digest.h"

static void add_head(const struct report *report, struct text *out)
{
    char style[DIGEST_BASE64_SIZE], script[DIGEST_BASE64_SIZE];
    uint32_t different = check_total(&report->counts, VERDICT_DIFFERENT);

    digest_sha256_base64(page_css, page_css_size, style);
    digest_sha256_base64(page_js, page_js_size, script);
    text_add(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n");
    text_format(
        out,
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-%s'; "
        "script-src 'sha256-%s'\">\n",
        style, script);
    text_add(out, "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>");
    text_format(out, different ? "%u different" : "no difference", different);
    if (report->fuzzing.findings)
        text_format(out, ", %" PRIu64 " fuzz findings", report->fuzzing.findings);
    text_add(out, " - paravane</title>\n<style>");
    text_addn(out, page_css, page_css_size);
    text_add(out, "</style></head>\n<body><main>\n");
}

static void add_tile(const struct report *report, enum verdict verdict, const char *label, const char *anchor,
                     struct text *out)
{
    uint32_t count = check_total(&report->counts, verdict);

    text_format(out, "<a class=\"tile %s%s\" href=\"#%s\"><b>%u</b>%s</a>", verdict_name(verdict),
                count ? "" : " zero", anchor, count, label);
}

static void add_fuzz_verdict(const struct fuzzing *fuzzing, struct text *out)
{
    if (fuzzing->findings)
        text_format(out, ", <a href=\"#fuzzing\">%" PRIu64 " fuzz finding%s</a>", fuzzing->findings,
                    fuzzing->findings == 1 ? "" : "s");
    else if (fuzzing->count)
        text_add(out, ", no fuzz finding");
}

static void add_verdict(const struct report *report, struct text *out)
{
    uint32_t different = check_total(&report->counts, VERDICT_DIFFERENT);
    unsigned stale = report_stale(report);

    text_format(out, "<header class=\"card verdict%s\" id=\"verdict\"><h1>paravane ",
                report_status(report) ? " bad" : "");
    text_escape(out, report->run->version);
    text_add(out, " against ");
    {
        struct text title = {0};

        report_reference_title(report, &title);
        text_escape(out, title.bytes ? title.bytes : "");
        text_free(&title);
    }
    text_add(out, "</h1><p class=\"say\">");
    if (different)
        text_format(out, "%u unexplained difference%s", different, different == 1 ? "" : "s");
    else
        text_add(out, "No unexplained difference");
    add_fuzz_verdict(&report->fuzzing, out);
    text_format(out, "</p><p class=\"muted\">%zu checks under %u flag sets, %u scenarios",
                report->checks.count, report->run->set_count, report->run->scenario_count);
    text_format(out, " &middot; run %llu of ", (unsigned long long)report->run->id);
    text_escape(out, report->run->created);
    text_format(out, " &middot; exit status %d", report_status(report));
    if (stale)
        text_format(out, " &middot; <a href=\"#known\">%u stale known difference%s</a>", stale,
                    stale == 1 ? "" : "s");
    text_add(out, "</p><div class=\"tiles\">");
    add_tile(report, VERDICT_DIFFERENT, "different", "differences", out);
    add_tile(report, VERDICT_KNOWN, "known, with a reason", "known", out);
    add_tile(report, VERDICT_EQUAL, "equal", "counts", out);
    add_tile(report, VERDICT_NOT_COMPARED, "not compared", "not-compared", out);
    text_add(out, "</div><nav>");
    if (report->fuzzing.count)
        text_add(out, "<a href=\"#fuzzing\">Fuzzing</a>");
    text_add(out, "<a href=\"#differences\">Differences</a><a href=\"#features\">Features</a>"
                  "<a href=\"#clock\">Clock</a><a href=\"#counts\">Counts</a><a href=\"#known\">Known</a>"
                  "<a href=\"#not-compared\">Not compared</a><a href=\"#provenance\">Provenance</a>"
                  "<a href=\"#scenarios\">Scenarios</a></nav></header>\n");
}

static void add_bar(const uint32_t by[VERDICTS], struct text *out)
{
    static const enum verdict order[] = {VERDICT_EQUAL, VERDICT_KNOWN, VERDICT_DIFFERENT,
                                         VERDICT_NOT_COMPARED};
    double total = 0, x = 0;

    for (unsigned v = 0; v < VERDICTS; v++)
        total += by[v];
    text_add(out,
             "<svg class=\"bar\" viewBox=\"0 0 1000 12\" preserveAspectRatio=\"none\" aria-hidden=\"true\">");
    for (unsigned i = 0; total > 0 && i < VERDICTS; i++) {
        /* A single difference among thousands still gets a visible sliver. */
        double width = by[order[i]] ? 1000.0 * by[order[i]] / total : 0;

        width = width > 0 && width < 6 ? 6 : width;
        text_format(out, "<rect class=\"f-%s\" x=\"%.1f\" width=\"%.1f\" height=\"12\"/>",
                    verdict_name(order[i]), x, width);
        x += width;
    }
    text_add(out, "</svg>");
}

static void add_counts(const struct report *report, struct text *out)
{
    text_add(
        out,
        "<h2 id=\"counts\">Counts<small>a check is one register of one leaf, the outcome of one action, or one "
        "clock rule</small></h2><div class=\"card scroll\"><table><thead><tr><th>kind<th class=\"n\">equal"
        "<th class=\"n\">known<th class=\"n\">different<th class=\"n\">not compared<th></tr></thead><tbody>");
    for (unsigned kind = 0; kind < CHECK_KINDS; kind++) {
        const uint32_t *by = report->counts.by[kind];

        text_format(out,
                    "<tr><th>%s<td class=\"n\">%u<td class=\"n\">%u<td class=\"n\">%u<td class=\"n\">%u<td>",
                    check_kind_name(kind), by[VERDICT_EQUAL], by[VERDICT_KNOWN], by[VERDICT_DIFFERENT],
                    by[VERDICT_NOT_COMPARED]);
        add_bar(by, out);
    }
    text_add(out, "</tbody></table></div>\n");
}

void report_html(const struct report *report, struct text *out)
{
    add_head(report, out);
    add_verdict(report, out);
    if (report->fuzzing.findings) /* news come first */
        html_fuzzing(report, out);
    html_differences(report, out);
    html_features(report, out);
    html_clock(report, out);
    if (!report->fuzzing.findings)
        html_fuzzing(report, out);
    add_counts(report, out);
    html_known(report, out);
    html_not_compared(report, out);
    html_provenance(report, out);
    html_scenarios(report, out);
    text_add(
        out,
        "<footer>The same facts for machines: report.json, report.junit.xml, report.sarif beside this page. "
        "<span class=\"m\">pv-diff report ");
    text_format(out, "%llu", (unsigned long long)report->run->id);
    text_add(out, "</span> writes these bytes again.</footer>\n</main><script>");
    text_addn(out, page_js, page_js_size);
    text_add(out, "</script></body></html>\n");
}
