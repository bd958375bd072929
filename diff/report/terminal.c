/* The table for a terminal: differences only, each with its reason, and what to type next. */
#include "diff/report/host_facts.h"
#include "diff/report/report.h"

#include <inttypes.h>
#include <string.h>

#define ROWS_MAX 40

static const char *paint(bool colours, const char *code)
{
    return colours ? code : "";
}

/* Control bytes from a guest or from QEMU must not reach a terminal. */
static void add_plain(struct text *out, const char *string, size_t width)
{
    size_t shown = 0;

    for (; *string && shown < width; string++, shown++) {
        char c = (unsigned char)*string < 0x20 || *string == 0x7f ? '?' : *string;

        if (shown + 1 == width && string[1])
            c = '~';
        text_addn(out, &c, 1);
    }
    for (; shown < width; shown++)
        text_add(out, " ");
}

static void add_plain_all(struct text *out, const char *string)
{
    add_plain(out, string, strlen(string));
}

/* Three lines, each within 80 columns unless a value needs more: what, the two answers, where. */
static void add_row(const struct difference_group *group, bool colours, struct text *out)
{
    const struct check *check = group->first;
    bool known = check->verdict == VERDICT_KNOWN;

    text_format(out, "  %s%-7s%s%-10s ", paint(colours, known ? "\x1b[33m" : "\x1b[31m"),
                known ? "known" : "DIFF", paint(colours, "\x1b[0m"), check_kind_name(check->kind));
    add_plain(out, check->kind == CHECK_CPUID || !*check->text ? check->what : check->text, 46);
    text_add(out, " ");
    add_plain_all(out, check->rule);
    text_add(out, "\n         ours ");
    add_plain_all(out, check->ours);
    text_add(out, "   reference ");
    add_plain_all(out, check->theirs);
    if (*check->bits) {
        text_add(out, "   ");
        add_plain_all(out, check->bits);
    }
    text_add(out, "\n         ");
    text_add(out, paint(colours, "\x1b[2m"));
    text_add(out, *check->scenario ? "in " : "");
    add_plain_all(out, check->scenario);
    text_add(out, *check->scenario ? " under " : "under ");
    add_plain_all(out, check->flags);
    if (group->count > 1)
        text_format(out, " and %u more flag set%s", group->count - 1, group->count == 2 ? "" : "s");
    if (known) {
        text_add(out, ", known: ");
        add_plain_all(out, check->known);
    }
    text_add(out, paint(colours, "\x1b[0m"));
    text_add(out, "\n");
}

static void add_rows(const struct report *report, enum verdict verdict, bool colours, struct text *out)
{
    uint32_t count = report->group_count[verdict];

    for (uint32_t i = 0; i < count && i < ROWS_MAX; i++)
        add_row(&report->groups[verdict][i], colours, out);
    if (count > ROWS_MAX)
        text_format(out, "  and %u more: see the report\n", count - ROWS_MAX);
}

static void add_kinds(const struct report *report, struct text *out)
{
    text_add(out, "             equal    known  different  not compared\n");
    for (unsigned kind = 0; kind < CHECK_KINDS; kind++) {
        const uint32_t *by = report->counts.by[kind];

        text_format(out, "  %-10s%6u   %6u     %6u        %6u\n", check_kind_name(kind), by[VERDICT_EQUAL],
                    by[VERDICT_KNOWN], by[VERDICT_DIFFERENT], by[VERDICT_NOT_COMPARED]);
    }
}

/* "11 of 17": where the reference does it. "-": nowhere a yes or no; the report says why. */
static void add_features(const struct report *report, bool colours, struct text *out)
{
    text_add(out, "  feature               advertised    accepted   effective      closed\n");
    for (unsigned feature = 0; feature < PV_FEATURES; feature++) {
        text_add(out, "  ");
        add_plain(out, pv_features[feature].name, 20);
        for (unsigned level = 0; level < FEATURE_LEVELS; level++) {
            struct feature_tally tally = feature_tally(report, feature, (enum feature_level)level);
            unsigned tried = tally.yes[1] + tally.no[1];

            if (tally.differ)
                text_format(out, "%s   %2u DIFFER%s", paint(colours, "\x1b[31m"), tally.differ,
                            paint(colours, "\x1b[0m"));
            else if (tried)
                text_format(out, "    %2u of %2u", tally.yes[1], tried);
            else
                text_add(out, "           -");
        }
        text_add(out, "\n");
    }
    text_add(out, "\n");
}

static void add_stale(const struct report *report, struct text *out)
{
    for (unsigned i = 0; i < report->known.count; i++)
        if (known_is_stale(&report->known.entries[i])) {
            text_add(out, "  stale: known difference '");
            add_plain_all(out, report->known.entries[i].name);
            text_format(out, "' (line %u) matched nothing: remove it or explain it anew\n",
                        report->known.entries[i].line);
        }
}

static void add_broken_sets(const struct report *report, struct text *out)
{
    for (unsigned i = 0; i < report->run->set_count; i++) {
        const struct run_set *set = &report->run->sets[i];
        const char *error = *set->theirs.error ? set->theirs.error : set->ours.error;

        if (!*error)
            continue;
        text_add(out, "  ");
        add_plain_all(out, set->name);
        text_add(out, *set->theirs.error ? ": reference: " : ": ours: ");
        add_plain_all(out, error);
        text_add(out, "\n");
    }
}

static void add_fuzzing(const struct fuzzing *fuzzing, bool colours, struct text *out)
{
    if (fuzzing->count)
        text_add(out, "  fuzzing       engine        seconds           runs    runs/s  findings\n");
    for (uint32_t i = 0; i < fuzzing->count; i++) {
        const struct fuzz_result *result = &fuzzing->results[i];

        text_add(out, "  ");
        add_plain(out, result->target, 14);
        add_plain(out, result->engine, 12);
        text_format(out, "%9.0f %14" PRIu64 " %9.0f  %s%8u%s\n", result->seconds, result->runs,
                    fuzz_runs_per_second(result), paint(colours, result->findings ? "\x1b[31m" : ""),
                    result->findings, paint(colours, result->findings ? "\x1b[0m" : ""));
        for (uint32_t f = 0; f < result->list_count && f < ROWS_MAX; f++) {
            text_add(out, "        ");
            add_plain_all(out, result->list[f].replay);
            text_add(out, "\n");
        }
    }
    text_add(out, fuzzing->count ? "\n" : "");
}

static void add_host(const char *name, void (*say)(const struct host_record *, struct text *),
                     const struct host_record *host, struct text *out)
{
    struct text words = {0};

    say(host, &words);
    if (words.length) {
        text_format(out, "  %-10s ", name);
        add_plain_all(out, words.bytes);
        text_add(out, "\n");
    }
    out->out_of_memory |= words.out_of_memory;
    text_free(&words);
}

void report_terminal(const struct report *report, bool colours, struct text *out)
{
    uint32_t different = check_total(&report->counts, VERDICT_DIFFERENT);

    text_format(out, "paravane %s against ", report->run->version);
    report_reference_title(report, out);
    text_add(out, "\n");
    add_host("host CPU", host_cpu, &report->run->theirs.host, out);
    add_host("microcode", host_microcode, &report->run->theirs.host, out);
    add_host("nested", host_nesting_words, &report->run->theirs.host, out);
    text_format(out, "%u flag set%s, %u scenario%s, %zu checks\n", report->run->set_count,
                report->run->set_count == 1 ? "" : "s", report->run->scenario_count,
                report->run->scenario_count == 1 ? "" : "s", report->checks.count);
    text_format(out, "%s  DIFFERENT  %u%s     known %u     equal %u     not compared %u\n\n",
                paint(colours, different ? "\x1b[1;31m" : "\x1b[1;32m"), different, paint(colours, "\x1b[0m"),
                check_total(&report->counts, VERDICT_KNOWN), check_total(&report->counts, VERDICT_EQUAL),
                check_total(&report->counts, VERDICT_NOT_COMPARED));
    add_kinds(report, out);
    text_add(out, "\n");
    add_features(report, colours, out);
    add_fuzzing(&report->fuzzing, colours, out);
    add_rows(report, VERDICT_DIFFERENT, colours, out);
    add_rows(report, VERDICT_KNOWN, colours, out);
    add_broken_sets(report, out);
    add_stale(report, out);
}
