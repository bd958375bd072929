/* The fuzzing block: what pv-fuzz ran before the comparison, and how to run each finding again. */
#include <inttypes.h>
#include "diff/report/html.h"

static void add_findings(const struct fuzz_result *result, struct text *out)
{
    text_format(out, "<tr><td colspan=\"6\" class=\"finds\"><details open><summary>%u finding%s</summary>",
                result->findings, result->findings == 1 ? "" : "s");
    for (uint32_t i = 0; i < result->list_count; i++) {
        text_add(out, "<code class=\"cmd\">");
        text_escape(out, result->list[i].replay);
        text_add(out, "</code>");
    }
    if (result->findings > result->list_count)
        text_format(out, "<p>%u more are in the campaign's folder.</p>",
                    result->findings - result->list_count);
    text_add(out, "</details>");
}

static void add_result(const struct fuzz_result *result, struct text *out)
{
    text_add(out, "<tr><th>");
    text_escape(out, result->target);
    text_add(out, "<td>");
    text_escape(out, result->engine);
    text_format(out,
                "<td class=\"n\">%.0f s, %u job%s<td class=\"n\">%" PRIu64
                "<td class=\"n\">%.0f<td class=\"n\"><span class=\"%s\">%u</span>",
                result->seconds, result->jobs, result->jobs == 1 ? "" : "s", result->runs,
                fuzz_runs_per_second(result), result->findings ? "broken" : "holds", result->findings);
    if (result->findings)
        add_findings(result, out);
}

void html_fuzzing(const struct report *report, struct text *out)
{
    const struct fuzzing *fuzzing = &report->fuzzing;

    if (!fuzzing->count)
        return;
    text_format(out,
                "<h2 id=\"fuzzing\">Fuzzing<small>%u campaigns on our VMM alone, %" PRIu64
                " finding%s</small></h2><div class=\"card scroll\"><table><thead><tr><th>target<th>engine<th "
                "class=\"n\">time<th class=\"n\">runs<th class=\"n\">runs per second<th class=\"n\">findings"
                "</tr></thead><tbody>",
                fuzzing->count, fuzzing->findings, fuzzing->findings == 1 ? "" : "s");
    for (uint32_t i = 0; i < fuzzing->count; i++)
        add_result(&fuzzing->results[i], out);
    text_add(out, "</tbody></table></div>\n");
}
