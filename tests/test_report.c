/* Reports: hostile texts stay texts, equal input gives equal bytes, the JSON has its shape, the store gives back. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <cjson/cJSON.h>
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "diff/report/digest.h"
#include "diff/report/report.h"
#include "diff/report/store.h"
#include "tests/judge_fixture.h"

#define HOSTILE "<script>alert(1)</script>\"'&]]>\x01\xff\xfe--><b>"

static struct run run; /* two host records: too large for a stack */
static struct report report;

static struct transcript answered(const struct program *program, uint64_t value)
{
    struct transcript t;

    fixture_transcript(&t, program->count);
    for (uint32_t i = 0; i < t.count; i++)
        t.outcomes[i].regs[0] = value + i;
    return t;
}

static void fill_side(struct run_side *side, const struct run *of, uint64_t value)
{
    for (unsigned s = 0; s < of->scenario_count; s++) {
        side->transcripts[s] = answered(&of->scenarios[s].program, value);
        side->ran[s] = true;
    }
    free(side->command_line);
    side->command_line = strdup("qemu-system-x86_64 -cpu kvm64 -accel kvm");
}

/* Two flag sets of one program; ours says `ours` where the reference says 0. name: used wherever a text comes in. */
static void make_run(uint64_t ours, const char *name)
{
    static const char text[] =
        "paravane 1\nvcpus 1\n\ncpuid 0x40000001\nrdmsr MSR_KVM_STEAL_TIME\nclock ram 4\n";
    struct program_error error;

    run_init(&run);
    run.created = strdup("2026-01-02T03:04:05Z");
    run.version = strdup("0.1.0");
    run.reference = strdup("qemu-box");
    run.recording = strdup("");
    run.known = strdup("");
    run.fuzz = strdup("");
    snprintf(run.theirs.qemu_version, sizeof(run.theirs.qemu_version), "7.2.22");
    snprintf(run.theirs.kernel_release, sizeof(run.theirs.kernel_release), "6.1.0-1-amd64");
    snprintf(run.theirs.detail, sizeof(run.theirs.detail), "%s", name);
    run.theirs.host.tsc_khz = FIXTURE_KHZ;
    snprintf(run.theirs.host.clocksource, sizeof(run.theirs.host.clocksource), "tsc");
    cr_assert(eq(int, run_add_scenario(&run, name, "", text, strlen(text), &error), 0));
    for (unsigned i = 0; i < 2; i++) {
        char set[200];

        snprintf(set, sizeof(set), "%u %s", i, name);
        cr_assert(eq(int,
                     run_add_set(&run,
                                 &(struct flag_set){
                                     .name = set, .cpu = set, .machine = "pc", .smp = "1", .memory = "64M"},
                                 NULL),
                     0));
        fill_side(&run.sets[i].ours, &run, ours);
        fill_side(&run.sets[i].theirs, &run, 0);
        snprintf(run.sets[i].theirs.transcripts[0].stopped, 200, "%s", name);
    }
    fixture_samples(&run.sets[0].ours.transcripts[0], run.scenarios[0].program.count - 1,
                    &(struct fixture_clock){0});
    fixture_samples(&run.sets[0].theirs.transcripts[0], run.scenarios[0].program.count - 1,
                    &(struct fixture_clock){.drift_ppm = 0.3});
}

static void build(void)
{
    char message[200];

    cr_assert(eq(int, report_build(&report, &run, message), 0), "%s", message);
}

static char *render(void (*format)(const struct report *, struct text *))
{
    struct text text = {0};

    format(&report, &text);
    cr_assert(text.bytes && !text.out_of_memory);
    return text.bytes;
}

Test(report, the_terminal_shows_each_feature_in_numbers)
{
    struct text text = {0};

    make_run(0, "plain");
    build();
    report.ours[0].of[3].leaf_seen = report.theirs[0].of[3].leaf_seen = true;
    report.ours[0].of[3].advertised = true;
    report.ours[1].of[3] = report.theirs[1].of[3] = report.ours[0].of[3];
    report_terminal(&report, false, &text);
    cr_assert(contains(text.bytes, "kvm-steal-time          1 DIFFER"), "%s", text.bytes);
    report.theirs[0].of[3].advertised = true;
    text_free(&text);
    report_terminal(&report, false, &text);
    cr_assert(contains(text.bytes, "kvm-steal-time           2 of  2"), "%s", text.bytes);
    text_free(&text);
    report_free(&report);
    run_free(&run);
}

Test(report, JSON_has_the_shape_that_scripts_rely_on)
{
    cJSON *root, *summary, *kinds, *difference;
    char *text;

    make_run(1, "scenario");
    build();
    text = render(report_json);
    root = cJSON_Parse(text);
    summary = cJSON_GetObjectItem(root, "summary");
    for (unsigned v = 0; v < VERDICTS; v++)
        cr_assert(eq(dbl, cJSON_GetObjectItem(summary, verdict_name(v))->valuedouble,
                     check_total(&report.counts, v)));
    kinds = cJSON_GetObjectItem(summary, "kinds");
    for (unsigned k = 0; k < CHECK_KINDS; k++)
        for (unsigned v = 0; v < VERDICTS; v++)
            cr_assert(eq(dbl,
                         cJSON_GetObjectItem(cJSON_GetObjectItem(kinds, check_kind_name(k)), verdict_name(v))
                             ->valuedouble,
                         report.counts.by[k][v]));
    cr_assert(eq(str, cJSON_GetObjectItem(cJSON_GetObjectItem(root, "reference"), "kind")->valuestring,
                 "qemu-box"));
    cr_assert(eq(str,
                 cJSON_GetObjectItem(cJSON_GetObjectItem(root, "reference"), "qemu_version")->valuestring,
                 "7.2.22"));
    cr_assert(eq(str,
                 cJSON_GetObjectItem(cJSON_GetObjectItem(root, "reference"), "kernel_release")->valuestring,
                 "6.1.0-1-amd64"));
    cr_assert(eq(int, cJSON_GetArraySize(cJSON_GetObjectItem(root, "differences")),
                 (int)check_total(&report.counts, VERDICT_DIFFERENT)));
    difference = cJSON_GetArrayItem(cJSON_GetObjectItem(root, "differences"), 0);
    cr_assert(contains(
        cJSON_GetObjectItem(cJSON_GetObjectItem(difference, "reproduce"), "command")->valuestring,
        "pv-diff run -cpu '0 scenario' -machine pc -smp 1 -m 64M --scenario scenario --reference qemu-box"));
    cJSON_Delete(root);
    free(text);
    report_free(&report);
    run_free(&run);
}

/* The reference's host: a guest of TCG, whose names may be anything. */
static void give_host(const char *microcode, const char *hypervisor)
{
    struct host_record *host = &run.theirs.host;

    host->host.count = 2;
    host->host.entries[0] = (struct cpuid_entry){.leaf = 0, .regs = {1, 0x68747541, 0x444d4163, 0x69746e65}};
    host->host.entries[1] = (struct cpuid_entry){.leaf = 1, .regs = {.ecx = HOST_RECORD_HYPERVISOR}};
    snprintf(host->microcode, sizeof(host->microcode), "%s", microcode);
    snprintf(host->hypervisor, sizeof(host->hypervisor), "%s", hypervisor);
}

Test(report, provenance_names_the_reference_host_in_every_view)
{
    static const char *const facts[] = {"AuthenticAMD family 0 model 0 stepping 0", "0x1000065",
                                        "itself a guest (L1) of QEMU"};
    struct text terminal = {0};
    char *html, *json;
    cJSON *root, *ours;

    make_run(0, "plain");
    give_host("0x1000065", "TCGTCGTCGTCG");
    run.ours.host = run.theirs.host;
    build();
    html = render(report_html);
    json = render(report_json);
    report_terminal(&report, false, &terminal);
    for (unsigned i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        const char *in_page = strstr(html, facts[i]);

        cr_assert(in_page && !strstr(in_page + 1, facts[i]), "once, under the reference: %s", facts[i]);
        cr_assert(contains(json, facts[i]), "%s", facts[i]);
        cr_assert(contains(terminal.bytes, facts[i]), "%s", terminal.bytes);
    }
    root = cJSON_Parse(json);
    cr_assert(
        eq(str, cJSON_GetObjectItem(cJSON_GetObjectItem(root, "reference"), "nested")->valuestring, "yes"));
    ours = cJSON_GetObjectItem(root, "ours");
    cr_assert(ours && !cJSON_GetObjectItem(ours, "microcode"), "our machine does not run on that host");
    cJSON_Delete(root);
    free(html);
    free(json);
    text_free(&terminal);
    report_free(&report);
    run_free(&run);
}

Test(report, each_command_line_and_program_can_be_copied)
{
    static const char *const blocks[] = {
        "<code class=\"cmd\"><mark>pv-vmm</mark> ", "<code class=\"cmd\"><mark>qemu-system-x86_64</mark> ",
        "<code class=\"cmd\">pv-diff run -cpu ", "<pre class=\"program\">paravane 1"};
    char *html;

    make_run(1, "scenario");
    free(run.sets[0].ours.command_line);
    run.sets[0].ours.command_line = strdup("pv-vmm -cpu kvm64");
    build();
    html = render(report_html);
    for (unsigned i = 0; i < sizeof(blocks) / sizeof(blocks[0]); i++)
        cr_assert(contains(html, blocks[i]), "%s", blocks[i]);
    cr_assert(contains(html, "all(\"code.cmd, pre.program\")"));
    cr_assert(contains(html, "if (!navigator.clipboard)"), "a page that may not copy selects");
    free(html);
    report_free(&report);
    run_free(&run);
}

Test(report, hostile_texts_stay_texts_in_every_format)
{
    char *html, *junit, *json, *sarif, *terminal;
    struct text text = {0};
    cJSON *root;

    make_run(1, HOSTILE);
    give_host("\x1b]0;<i>", "<script>alert");
    build();
    html = render(report_html);
    junit = render(report_junit);
    json = render(report_json);
    sarif = render(report_sarif);
    report_terminal(&report, false, &text);
    terminal = text.bytes;
    cr_assert(not(contains(html, "<script>alert")));
    cr_assert(not(contains(html, "<b>\"")));
    cr_assert(contains(html, "&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#39;&amp;"));
    cr_assert(strchr(html, 1) == NULL);
    cr_assert(not(contains(junit, "<script>")));
    cr_assert(strchr(junit, 1) == NULL);
    cr_assert(strchr(terminal, 1) == NULL);
    cr_assert(strchr(terminal, 0x1b) == NULL);
    root = cJSON_Parse(json);
    cr_assert(root != NULL);
    cJSON_Delete(root);
    root = cJSON_Parse(sarif);
    cr_assert(root != NULL);
    cJSON_Delete(root);
    free(html);
    free(junit);
    free(json);
    free(sarif);
    text_free(&text);
    report_free(&report);
    run_free(&run);
}

Test(report, the_page_is_one_file_that_allows_only_its_own_style_and_script)
{
    static const char *const forbidden[] = {"http://", "https://", "src=",   "@import",
                                            "url(",    " style=",  "onclick"};
    char digest[DIGEST_BASE64_SIZE];
    char *html;

    make_run(1, "scenario");
    build();
    html = render(report_html);
    cr_assert(contains(html, "default-src 'none'; style-src 'sha256-"));
    for (unsigned i = 0; i < sizeof(forbidden) / sizeof(forbidden[0]); i++)
        cr_assert(not(contains(html, forbidden[i])), "%s", forbidden[i]);
    digest_sha256_base64("abc", 3, digest);
    cr_assert(eq(str, digest, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0="));
    free(html);
    report_free(&report);
    run_free(&run);
}

Test(report, differences_fold_over_flag_sets_and_keep_their_count)
{
    make_run(1, "scenario");
    build();
    cr_assert(eq(u32, check_total(&report.counts, VERDICT_DIFFERENT), 4)); /* eax and the MSR, twice */
    cr_assert(eq(u32, report.group_count[VERDICT_DIFFERENT], 2));
    cr_assert(eq(u32, report.groups[VERDICT_DIFFERENT][0].count, 2));
    cr_assert(eq(int, report_status(&report), 1));
    report_free(&report);
    run_free(&run);
    make_run(0, "scenario");
    build();
    cr_assert(eq(int, report_status(&report), 0));
    report_free(&report);
    run_free(&run);
}

static void temporary_folder(char path[64])
{
    snprintf(path, 64, "/tmp/test_report.XXXXXX");
    cr_assert(mkdtemp(path) != NULL);
}

static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;
    char file[400];

    while (folder && (entry = readdir(folder))) {
        snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        unlink(file);
    }
    closedir(folder);
    rmdir(path);
}

/* A box that was lost, and another: the kernel in each measured the TSC for itself. */
static void replace_host(void)
{
    run.theirs.host.tsc_khz = FIXTURE_KHZ + 3;
    for (unsigned i = 0; i < run.set_count; i++)
        run.sets[i].theirs.tsc_khz = FIXTURE_KHZ;
}

Test(report, CLK_26_clock_records_are_judged_by_the_TSC_rate_of_the_host_that_wrote_them)
{
    static const char broken[] = "2600003 kHz wants";
    char *page;

    make_run(0, "box");
    replace_host();
    build();
    page = render(report_html);
    cr_assert(eq(ptr, strstr(page, broken), NULL), "%s", page);
    free(page);
    report_free(&report);
    run.sets[0].theirs.tsc_khz = 0; /* not said: the machine's host */
    build();
    page = render(report_html);
    cr_assert(ne(ptr, strstr(page, broken), NULL), "%s", page);
    free(page);
    report_free(&report);
    run_free(&run);
}

Test(report, decision_7_a_stored_run_gives_the_same_bytes)
{
    char folder[64], path[100], why[240] = "";
    char *before, *after;
    struct store *store;
    uint64_t id;

    temporary_folder(folder);
    snprintf(path, sizeof(path), "%s/deep/runs.db", folder);
    make_run(1, HOSTILE);
    give_host("0x1000065", "TCGTCGTCGTCG");
    replace_host();
    cr_assert(eq(int, store_open(&store, path, true, why), 0), "%s", why);
    cr_assert(eq(int, store_save(store, &run, (const char *const[]){"0123"}, 1, why), 0), "%s", why);
    cr_assert(eq(u64, store_first_seen(store, "0123", run.id), run.id));
    cr_assert(eq(u64, store_first_seen(store, "0123", run.id - 1), 0));
    id = run.id;
    build();
    before = render(report_html);
    report_free(&report);
    run_free(&run);
    cr_assert(eq(int, store_load(store, "last", &run, why), 0), "%s", why);
    cr_assert(eq(u64, run.id, id));
    build();
    after = render(report_html);
    cr_assert(eq(str, before, after));
    free(before);
    free(after);
    report_free(&report);
    run_free(&run);
    cr_assert(ne(int, store_load(store, "99", &run, why), 0));
    cr_assert(ne(int, store_load(store, "1; DROP TABLE run", &run, why), 0));
    store_close(store);
    unlink(path);
    snprintf(path, sizeof(path), "%s/deep", folder);
    rmdir(path);
    remove_folder(folder);
}

Test(report, a_file_that_is_no_store_is_refused)
{
    char folder[64], path[100], why[240];
    struct store *store;
    FILE *file;

    temporary_folder(folder);
    snprintf(path, sizeof(path), "%s/x.db", folder);
    cr_assert(ne(int, store_open(&store, path, false, why), 0));
    cr_assert(contains(why, "pv-diff run makes one"));
    file = fopen(path, "w");
    for (int i = 0; i < 5000; i++)
        fputs("no database", file);
    fclose(file);
    cr_assert(ne(int, store_open(&store, path, true, why), 0));
    cr_assert(contains(why, "no run store"), "%s", why);
    remove_folder(folder);
}

Test(report, four_files_are_written_whole_and_nothing_else)
{
    static const char *const names[] = {"report.html", "report.json", "report.junit.xml", "report.sarif"};
    char folder[64], path[200], why[240] = "";
    struct dirent *entry;
    unsigned files = 0;
    DIR *list;

    temporary_folder(folder);
    make_run(1, "scenario");
    build();
    cr_assert(eq(int, report_write(&report, folder, why), 0), "%s", why);
    for (unsigned i = 0; i < 4; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        cr_assert(eq(int, access(path, R_OK), 0));
    }
    list = opendir(folder);
    while ((entry = readdir(list)))
        files += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(list);
    cr_assert(eq(u32, files, 4));
    cr_assert(ne(int, report_write(&report, "/dev/full/x", why), 0));
    cr_assert(why[0] != 0);
    remove_folder(folder);
    report_free(&report);
    run_free(&run);
}

#define FUZZ_LINE                                                                                            \
    "{\"schema\":\"paravane-fuzz-run-1\",\"target\":\"msr\",\"engine\":\"libfuzzer\",\"seconds\":4.0,"       \
    "\"jobs\":2,\"runs\":1000,\"findings\":%u,\"findings_list\":[%s]}\n"
#define FUZZ_FINDING "{\"file\":\"out/x\",\"replay\":\"pv-fuzz replay --target msr " HOSTILE_JSON "\"}"
#define HOSTILE_JSON "<script>alert(1)</script>\\u001b[2J"

static void set_fuzz(unsigned findings, const char *list)
{
    free(run.fuzz);
    cr_assert(lt(int, 0, asprintf(&run.fuzz, FUZZ_LINE, findings, list)));
}

Test(report, a_fuzz_finding_is_in_every_format_and_in_the_status)
{
    void (*const formats[])(const struct report *, struct text *) = {report_html, report_json, report_junit,
                                                                     report_sarif};
    struct text terminal = {0};

    make_run(0, "scenario");
    set_fuzz(3, FUZZ_FINDING);
    build();
    cr_assert(eq(int, report_status(&report), 1));
    cr_assert(eq(u64, report.fuzzing.findings, 3));
    for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
        char *text = render(formats[i]);

        cr_assert(contains(text, "pv-fuzz replay --target msr"), "format %u", i);
        cr_assert(not(contains(text, "\x1b")), "format %u", i);
        free(text);
    }
    report_terminal(&report, false, &terminal);
    cr_assert(contains(terminal.bytes, "pv-fuzz replay --target msr"));
    cr_assert(not(contains(terminal.bytes, "\x1b")));
    text_free(&terminal);
    report_free(&report);
    run_free(&run);
}

Test(report, fuzzing_that_found_nothing_is_shown_and_no_finding)
{
    char *html;

    make_run(0, "scenario");
    set_fuzz(0, "");
    build();
    html = render(report_html);
    cr_assert(eq(int, report_status(&report), 0));
    cr_assert(contains(html, "no fuzz finding"));
    cr_assert(contains(html, "<h2 id=\"fuzzing\">"));
    free(html);
    report_free(&report);
    run_free(&run);
}

#define REFUSED(name, line, text)                                                                            \
    Test(fuzzing, name##_is_refused)                                                                         \
    {                                                                                                        \
        static const char bytes[] = text;                                                                    \
        struct fuzzing fuzzing;                                                                              \
        char message[200] = "";                                                                              \
                                                                                                             \
        cr_assert(eq(int, fuzzing_parse(&fuzzing, bytes, sizeof(bytes) - 1, message), -EINVAL));             \
        cr_assert(contains(message, "line " #line ": "), "%s", message);                                     \
        fuzzing_free(&fuzzing);                                                                              \
    }
#define FUZZ_WITH(seconds, runs, findings, list)                                                             \
    "{\"schema\":\"paravane-fuzz-run-1\",\"target\":\"msr\",\"engine\":\"e\",\"seconds\":" seconds           \
    ",\"jobs\":1,\"runs\":" runs ",\"findings\":" findings ",\"findings_list\":" list "}\n"
REFUSED(no_JSON, 1, "hello\n")
REFUSED(half_an_object, 3, FUZZ_WITH("1", "1", "0", "[]") "\n{\"schema\":\"paravane")
REFUSED(two_objects_in_a_line, 1, "{} {}")
REFUSED(another_schema, 1, "{\"schema\":\"paravane-fuzz-run-2\"}")
REFUSED(a_zero_byte, 1, "{\"schema\":\0\"}")
REFUSED(a_negative_count, 1, FUZZ_WITH("1", "-1", "0", "[]"))
REFUSED(an_infinite_time, 1, FUZZ_WITH("1e999", "1", "0", "[]"))
REFUSED(a_count_that_a_double_cannot_hold, 1, FUZZ_WITH("1", "1e17", "0", "[]"))
REFUSED(a_text_for_a_number, 1, FUZZ_WITH("\"1\"", "1", "0", "[]"))
REFUSED(a_list_longer_than_its_count, 1, FUZZ_WITH("1", "1", "0", "[{\"file\":\"a\",\"replay\":\"b\"}]"))
REFUSED(a_finding_without_its_replay, 2, "\n" FUZZ_WITH("1", "1", "1", "[{\"file\":\"a\"}]"))

Test(fuzzing, too_many_results_are_refused)
{
    static const char line[] = FUZZ_WITH("1", "1", "0", "[]");
    size_t size = sizeof(line) - 1;
    char *text = malloc((FUZZING_MAX + 1) * size + 1), message[200];
    struct fuzzing fuzzing;

    for (unsigned i = 0; i <= FUZZING_MAX; i++)
        strcpy(text + i * size, line);
    cr_assert(eq(int, fuzzing_parse(&fuzzing, text, FUZZING_MAX * size, message), 0));
    fuzzing_free(&fuzzing);
    cr_assert(eq(int, fuzzing_parse(&fuzzing, text, (FUZZING_MAX + 1) * size, message), -EINVAL));
    fuzzing_free(&fuzzing);
    free(text);
}
