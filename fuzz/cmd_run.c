/* `pv-fuzz run`: a campaign on one target, one line of result, findings with the command that replays them. */
#include <argp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/shell.h"
#include "fuzz/campaign.h"
#include "fuzz/cmd.h"
#include "fuzz/process.h"

struct options {
    struct campaign campaign;
    bool json;
};

unsigned cmd_number(const struct argp_state *state, const char *what, const char *arg)
{
    char *end;
    unsigned long value = strtoul(arg, &end, 10);

    if (*end || value == 0 || value > 30000000)
        argp_error(state, "%s takes a whole number above 0, not '%s'", what, arg);
    return (unsigned)value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'e':
        for (unsigned i = 0; i < ENGINES; i++) {
            if (!strcmp(arg, engine_names[i])) {
                options->campaign.engine = (enum engine)i;
                return 0;
            }
        }
        argp_error(state, "unknown engine '%s': libfuzzer or afl++", arg);
        return 0;
    case 's':
        options->campaign.seconds = cmd_number(state, "--seconds", arg);
        return 0;
    case 'n':
        options->campaign.jobs = cmd_number(state, "--jobs", arg);
        return 0;
    case 'o':
        options->campaign.out = arg;
        return 0;
    case 'j':
        options->json = true;
        return 0;
    case ARGP_KEY_ARG:
        if (options->campaign.target)
            argp_error(state, "one target at a time");
        if (!fuzz_target_find(arg))
            argp_error(state, "unknown target '%s'; `pv-fuzz list` shows them", arg);
        options->campaign.target = arg;
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "which target? `pv-fuzz list` shows them");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static void print_result(const struct campaign *campaign)
{
    char *file;

    printf("%s: %u findings in %.0f s, %llu runs (%.0f/s, %s, %u jobs)\n", campaign->target,
           campaign->found.count, campaign->elapsed_s, (unsigned long long)campaign->runs,
           (double)campaign->runs / (campaign->elapsed_s > 0 ? campaign->elapsed_s : 1),
           engine_names[campaign->engine], campaign->jobs);
    if (campaign->found.count == 0)
        return;
    file = shell_quote(campaign->first);
    printf("findings: %s/findings\nreplay: pv-fuzz replay --target %s %s\n", campaign->out, campaign->target,
           file ? file : campaign->first);
    free(file);
}

/* As JSON takes it inside "". */
static void print_escaped(const char *text)
{
    for (; *text; text++) {
        if ((unsigned char)*text < 0x20)
            printf("\\u%04x", (unsigned char)*text);
        else
            printf("%s%c", *text == '"' || *text == '\\' ? "\\" : "", *text);
    }
}

static void print_finding(const struct campaign *campaign, const char *name)
{
    char file[PATH_MAX], *word;

    if (!path_format(file, "%s/findings/%s", campaign->out, name))
        return;
    word = shell_quote(file);
    printf("{\"file\":\"");
    print_escaped(file);
    printf("\",\"replay\":\"pv-fuzz replay --target %s ", campaign->target);
    print_escaped(word ? word : file);
    printf("\"}");
    free(word);
}

/* One line: campaigns append theirs to a file that `pv-diff run --fuzz` reads. */
static void print_json(const struct campaign *campaign)
{
    printf(
        "{\"schema\":\"paravane-fuzz-run-1\",\"target\":\"%s\",\"engine\":\"%s\",\"seconds\":%.1f,\"jobs\":%u,"
        "\"runs\":%llu,\"findings\":%u,\"findings_list\":[",
        campaign->target, engine_names[campaign->engine], campaign->elapsed_s, campaign->jobs,
        (unsigned long long)campaign->runs, campaign->found.count);
    for (unsigned i = 0; i < campaign->found.count && i < FOUND_MAX; i++) {
        fputs(i ? "," : "", stdout);
        print_finding(campaign, campaign->found.names[i]);
    }
    printf("]}\n");
}

/* The readable program, what broke and the stack, once, so that a log of the job is enough to start from. */
static void explain(const struct campaign *campaign)
{
    fflush(stdout);
    process_wait(process_start((const char *[]){campaign->explainer, campaign->first, NULL}, NULL, NULL));
}

int cmd_run(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"engine", 'e', "ENGINE", 0, "libfuzzer (default) or afl++", 0},
        {"seconds", 's', "N", 0, "how long (default 60)", 0},
        {"jobs", 'n', "N", 0, "processes at a time (default 1)", 0},
        {"output", 'o', "DIR", 0, "corpus, logs and findings (default out/fuzz/TARGET)", 0},
        {"json", 'j', 0, 0, "the result for machines", 0},
        {0},
    };
    static const struct argp argp = {
        .options = table,
        .parser = parse_option,
        .args_doc = "TARGET",
        .doc =
            "Fuzzes one target until its time is over or something is found. Builds nothing.\v"
            "Examples:\n"
            "  pv-fuzz run msr --seconds 300 --jobs 2\n"
            "  pv-fuzz run hypercall --engine afl++ -o nightly/hypercall\n"
            "Exit status: 0 nothing found, 1 findings, 2 wrong usage, 3 a build is missing, 4 the engine failed, "
            "130 interrupted.",
    };
    struct options options = {.campaign = {.seconds = 60, .jobs = 1}};
    struct campaign *campaign = &options.campaign;
    char out[64];
    int status;

    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    if (!campaign->out) {
        snprintf(out, sizeof(out), "out/fuzz/%s", campaign->target);
        campaign->out = out;
    }
    status = campaign_run(campaign);
    if (status)
        return status;
    if (options.json)
        print_json(campaign);
    else
        print_result(campaign);
    if (campaign->found.count && !options.json)
        explain(campaign);
    return campaign->found.count ? EXIT_FINDINGS : EXIT_DONE;
}
