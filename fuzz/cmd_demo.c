/* `pv-fuzz demo`: fuzzes a target whose harness plays a VMM with one known fault, and says whether exactly that fault
 * was found. The answer to "does this fuzzer see anything at all?" */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz/campaign.h"
#include "fuzz/cmd.h"
#include "fuzz/process.h"

#define FAULT_RULE "INV-2" /* a refused write left its value behind, as in Linux 5.10 (EOI-2) */

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct campaign *campaign = state->input;

    switch (key) {
    case 's':
        campaign->seconds = cmd_number(state, "--seconds", arg);
        return 0;
    case 'o':
        campaign->out = arg;
        return 0;
    case ARGP_KEY_ARG:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

/* Whether the replay of a finding, whose output lies in log, broke the rule that the fault breaks. */
static bool broke_the_rule(const char *log)
{
    FILE *file = fopen(log, "r");
    bool found = false;
    char line[512];

    while (file && fgets(line, sizeof(line), file)) {
        fputs(line, stdout);
        found = found || strstr(line, "== crash: invariant " FAULT_RULE ":");
    }
    if (file)
        fclose(file);
    return found;
}

static int judge(const struct campaign *campaign)
{
    char sound[PATH_MAX], log[PATH_MAX + 16];
    bool seen;

    if (campaign->found.count == 0) {
        printf("demo: the planted fault was NOT found in %.0f s (%llu runs)\n", campaign->elapsed_s,
               (unsigned long long)campaign->runs);
        return EXIT_OUR_FAULT;
    }
    if (!catalog_explainer("fuzz", "msr", sound)) {
        fprintf(stderr, "pv-fuzz demo: replay_msr is missing - cmake --build --preset fuzz\n");
        return EXIT_MISSING;
    }
    snprintf(log, sizeof(log), "%s/replay.txt", campaign->out);
    process_wait(process_start((const char *[]){campaign->explainer, campaign->first, NULL}, NULL, log));
    seen = broke_the_rule(log);
    fflush(stdout);
    if (!seen || process_wait(process_start((const char *[]){sound, campaign->first, NULL}, NULL, log))) {
        printf("demo: something else than the planted fault was found: %s\n", campaign->first);
        return EXIT_FINDINGS;
    }
    printf(
        "demo: the planted fault was found in %.1f s (%llu runs); without the fault the same input passes\n",
        campaign->elapsed_s, (unsigned long long)campaign->runs);
    return EXIT_DONE;
}

int cmd_demo(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"seconds", 's', "N", 0, "give up after that (default 60)", 0},
        {"output", 'o', "DIR", 0, "where the campaign leaves its files (default out/fuzz/demo)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = table,
        .parser = parse_option,
        .doc =
            "Fuzzes a target with a planted fault: a refused write to MSR_KVM_PV_EOI_EN keeps its value.\v"
            "Examples:\n  pv-fuzz demo\n  pv-fuzz demo --seconds 10 -o /tmp/demo\n"
            "Exit status: 0 the fault and nothing else was found, 1 something else, 3 a build is missing, 4 not found.",
    };
    struct campaign campaign = {.target = "demo", .seconds = 60, .jobs = 1, .out = "out/fuzz/demo"};
    int status;

    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &campaign);
    status = campaign_run(&campaign);
    return status ? status : judge(&campaign);
}
