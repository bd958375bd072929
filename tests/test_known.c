/* Known differences: patterns, version ranges, staleness, and files that are wrong. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>
#include "diff/judge/known.h"
#include "tests/judge_fixture.h"

#define ENTRY                                                                                                \
    "# comment\n\ndifference clock\n kind record\n program clock-*\n what dump*\n theirs 02*\n kernel 6.1\n" \
    " reason it is so\n evidence seen\n"

static struct known_differences known; /* large */

static int parse(const char *text, char message[200])
{
    return known_parse(&known, text, strlen(text), message);
}

static void add(struct check_list *list, const char *scenario, const char *theirs, enum verdict verdict)
{
    check_add(list, &(struct check){.kind = CHECK_RECORD,
                                    .verdict = (uint8_t)verdict,
                                    .scenario = scenario,
                                    .flags = "f",
                                    .text = "dump 0 64",
                                    .what = "byte +0",
                                    .ours = "00",
                                    .theirs = theirs});
}

Test(known, decision_17_a_matching_difference_becomes_known_with_its_reason)
{
    struct check_list list;
    char message[200];

    check_list_init(&list);
    cr_assert(eq(int, parse(ENTRY, message), 0), "%s", message);
    add(&list, "clock-crossing", "0200", VERDICT_DIFFERENT);
    add(&list, "clock-crossing", "0300", VERDICT_DIFFERENT);
    add(&list, "msr", "0200", VERDICT_DIFFERENT);
    known_apply(&known, &list, "6.1.0-56-cloud-amd64", "7.2.22");
    cr_assert(eq(int, list.checks[0].verdict, VERDICT_KNOWN));
    cr_assert(eq(str, (char *)list.checks[0].known, "clock"));
    cr_assert(eq(int, list.checks[1].verdict, VERDICT_DIFFERENT));
    cr_assert(eq(int, list.checks[2].verdict, VERDICT_DIFFERENT));
    cr_assert(not(known_is_stale(&known.entries[0])));
    check_list_free(&list);
    known_free(&known);
}

Test(known, decision_17_an_entry_that_explains_nothing_is_stale_where_it_was_looked_at)
{
    struct check_list list;
    char message[200];

    check_list_init(&list);
    cr_assert(eq(int, parse(ENTRY, message), 0));
    known_apply(&known, &list, "6.1.1", "7.2");
    cr_assert(not(known_is_stale(&known.entries[0])), "not exercised is not stale");
    add(&list, "clock-crossing", "0000", VERDICT_EQUAL);
    known_apply(&known, &list, "6.12.1", "7.2");
    cr_assert(not(known_is_stale(&known.entries[0])), "not for this kernel");
    known_apply(&known, &list, "6.1.1", "7.2");
    cr_assert(known_is_stale(&known.entries[0]));
    check_list_free(&list);
    known_free(&known);
}

Test(known, versions_are_compared_as_numbers)
{
    static const struct {
        const char *range, *version;
        bool in;
    } rows[] = {{"", "6.1", true},
                {"6.1", "6.1.192", true},
                {"6.1", "6.12.1", false},
                {"6.1", "", false},
                {"6.1..6.6", "6.6.9", true},
                {"6.1..6.6", "6.7", false},
                {"6.12..", "6.12.1", true},
                {"6.12..", "6.9", false},
                {"..6.6", "5.10.1", true},
                {"7.2", "7.2.22 (Debian)", true},
                {"6.1.160..", "6.1.176", true},
                {"6.1.160..", "6.1.0-56-cloud-amd64", false}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        cr_assert(eq(int, known_version_in(rows[i].range, rows[i].version), rows[i].in), "row %u", i);
}

Test(known, globs_match_and_end)
{
    char many[200], text[4000];

    cr_assert(known_glob("a*b*c", "axxbxbc"));
    cr_assert(not(known_glob("a*b*c", "axxbxbcd")));
    cr_assert(known_glob("*", ""));
    cr_assert(not(known_glob("", "a")));
    memset(many, '*', sizeof(many) - 1);
    many[198] = 'b';
    many[199] = 0;
    memset(text, 'a', sizeof(text) - 1);
    text[3999] = 0;
    cr_assert(not(known_glob(many, text)));
}

Test(known, a_wrong_file_is_refused_with_its_line)
{
    static const struct {
        const char *text, *says;
    } rows[] = {
        {"kind msr\n", "1:1: a block begins with difference"},
        {"difference\n", "1:11: write a name after difference"},
        {"difference a\n kind msr\n", "1:1: this block has no program"},
        {"difference a\n kind msr\n kind msr\n", "3:2: said twice: kind"},
        {"difference a\n colour red\n", "2:2: no key 'colour'"},
    };
    char message[200];

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert(eq(int, parse(rows[i].text, message), -EINVAL), "row %u", i);
        cr_assert(contains(message, rows[i].says), "row %u: %s", i, message);
        cr_assert(eq(u32, known.count, 0));
    }
    cr_assert(eq(int, known_parse(&known, "#\n \0b", 5, message), -EINVAL));
    cr_assert(contains(message, "2:2: a zero byte"), "%s", message);
    for (unsigned i = 0; i < 3000; i++) {
        char line[300];
        unsigned seed = i * 2654435761u;

        for (unsigned c = 0; c < sizeof(line); c++)
            line[c] =
                " \ndifferencekwat*#\t"[(seed = seed * 1103515245 + 12345) >> 16 % 19 % 16 ? seed % 19 : 0];
        if (!known_parse(&known, line, sizeof(line), message))
            known_free(&known);
    }
}
