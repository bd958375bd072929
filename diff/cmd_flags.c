/* pv-diff flags: the same -cpu strings to our parser and to the real qemu-system-x86_64, TCG on both sides. */
#include <argp.h>
#include <errno.h>
#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <unistd.h>
#include "diff/command.h"
#include "diff/corpus.h"
#include "diff/flags/campaign.h"
#include "diff/flags/report.h"
#include "diff/machine/child.h"
#include "vmm/cpuid/models.h"

#define STRINGS_MAX 256
#define MODELS_MAX  256

struct options {
    const char *strings[STRINGS_MAX];
    unsigned string_count;
    const char *file, *json, *machine;
    char *models;
    uint64_t random_count, seed;
    bool seed_given, plain;
    unsigned jobs;
};

enum { KEY_STRING = 0x100, KEY_FILE, KEY_RANDOM, KEY_SEED, KEY_MODELS, KEY_MACHINE, KEY_JSON, KEY_PLAIN };

static const struct argp_option argp_options[] = {
    {"string", KEY_STRING, "CPU", 0, "a -cpu string; may be given again", 1},
    {"file", KEY_FILE, "LIST", 0, "strings from a file, one a line", 1},
    {"random", KEY_RANDOM, "N", 0, "N strings from the grammar", 1},
    {"seed", KEY_SEED, "S", 0, "of --random (drawn and shown)", 2},
    {"models", KEY_MODELS, "A,B", 0, "models for --random (all that we know)", 2},
    {"machine", KEY_MACHINE, "M", 0, "QEMU's -machine (isapc: it starts fastest and has the same CPUs)", 3},
    {"jobs", 'j', "N", 0, "QEMUs at once (one per core)", 3},
    {"plain", KEY_PLAIN, NULL, 0, "exec every QEMU instead of forking a loaded one; half as fast", 3},
    {"json", KEY_JSON, "FILE", 0, "write the result as JSON; - for stdout, and nothing else there", 4},
    {0},
};

static uint64_t number(struct argp_state *state, const char *arg, const char *option, uint64_t max)
{
    char *end;
    uint64_t value;

    errno = 0;
    value = strtoull(arg, &end, 0);
    if (errno || end == arg || *end || *arg == '-' || value > max)
        argp_error(state, "--%s wants a number up to %" PRIu64 ", not %s", option, max, arg);
    return value;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case KEY_STRING:
        if (options->string_count == STRINGS_MAX)
            argp_error(state, "at most %d of --string; put more into a --file", STRINGS_MAX);
        options->strings[options->string_count++] = arg;
        break;
    case KEY_FILE:
        options->file = arg;
        break;
    case KEY_RANDOM:
        options->random_count = number(state, arg, "random", UINT32_MAX);
        break;
    case KEY_SEED:
        options->seed = number(state, arg, "seed", UINT64_MAX);
        options->seed_given = true;
        break;
    case KEY_MODELS:
        options->models = arg;
        break;
    case KEY_MACHINE:
        options->machine = arg;
        break;
    case 'j':
        options->jobs = (unsigned)number(state, arg, "jobs", CAMPAIGN_JOBS_MAX);
        break;
    case KEY_PLAIN:
        options->plain = true;
        break;
    case KEY_JSON:
        options->json = arg;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "flags takes no argument: %s; a string is given with --string", arg);
        break;
    case ARGP_KEY_END:
        if (!options->string_count && !options->file && !options->random_count)
            argp_error(state, "no strings: give --string, --file or --random");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

/* Given strings first, then the file's lines, then random ones. */
struct strings {
    const char **given; /* into options and file */
    uint64_t given_count;
    char *file; /* its lines, NUL-terminated; owned */
    uint64_t seed;
    struct flags_models models;
    const char *model_names[MODELS_MAX];
};

static void string_at(void *ctx, uint64_t index, char text[FLAGS_TEXT_MAX])
{
    const struct strings *strings = ctx;
    struct flags_random random;

    if (index < strings->given_count) {
        snprintf(text, FLAGS_TEXT_MAX, "%s", strings->given[index]);
        return;
    }
    random = flags_random_at(strings->seed, index - strings->given_count);
    flags_make(&random, &strings->models, text);
}

static int usage(const char *format, const char *arg)
{
    fprintf(stderr, "pv-diff: ");
    fprintf(stderr, format, arg);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

static int take_models(struct strings *strings, char *list)
{
    char *rest = NULL;

    for (char *name = list ? strtok_r(list, ",", &rest) : NULL; name; name = strtok_r(NULL, ",", &rest)) {
        if (!cpu_model_find(name, strlen(name), false))
            return usage("we have no model %s; `pv-vmm cpuid -cpu help` lists them", name);
        if (strings->models.count == MODELS_MAX)
            return usage("too many models: %s", name);
        strings->model_names[strings->models.count++] = name;
    }
    strings->models.names = strings->models.count ? strings->model_names : NULL;
    return EXIT_DONE;
}

static uint64_t count_lines(const char *text)
{
    uint64_t lines = 1;

    for (; text && *text; text++)
        lines += *text == '\n';
    return text ? lines : 0;
}

static int take_given(struct strings *strings, const struct options *options)
{
    size_t length = 0;
    char *rest = NULL;

    if (options->file) {
        strings->file = read_input(options->file, &length);
        if (!strings->file)
            return EXIT_USAGE;
    }
    strings->given = calloc(options->string_count + count_lines(strings->file), sizeof(strings->given[0]));
    if (!strings->given)
        return EXIT_OUR_FAULT;
    for (unsigned i = 0; i < options->string_count; i++)
        strings->given[strings->given_count++] = options->strings[i];
    for (char *line = strings->file ? strtok_r(strings->file, "\n", &rest) : NULL; line;
         line = strtok_r(NULL, "\n", &rest))
        strings->given[strings->given_count++] = line;
    for (uint64_t i = 0; i < strings->given_count; i++)
        if (strlen(strings->given[i]) >= FLAGS_TEXT_MAX)
            return usage("a string is too long (1023 bytes are the most): %.60s...", strings->given[i]);
    return EXIT_DONE;
}

static unsigned cores(void)
{
    cpu_set_t set;
    unsigned count = sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);

    return count < CAMPAIGN_JOBS_MAX ? count : CAMPAIGN_JOBS_MAX;
}

/* The object beside the programs: ../share. False: plain starts only, which is slower and no less right. */
static bool find_forkserver(char path[4200])
{
    char self[4096];
    ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
    char *slash;

    if (len <= 0)
        return false;
    self[len] = 0;
    slash = strrchr(self, '/');
    if (!slash)
        return false;
    snprintf(path, 4200, "%.*s/../share/pv-flags-forkserver.so", (int)(slash - self), self);
    return !strpbrk(path, " :") && access(path, R_OK) == 0; /* LD_PRELOAD is a list */
}

static int find_qemu(char version[FLAGS_VERSION_MAX])
{
    struct args args = {0};
    char *out = NULL, why[200] = "";
    int err;

    args_add(&args, "qemu-system-x86_64");
    args_add(&args, "--version");
    err = child_output(&args, 20000, &out, why, sizeof(why));
    args_free(&args);
    if (err) {
        fprintf(stderr, "pv-diff: %s\n",
                err == -ENOENT ? "qemu-system-x86_64 is missing: apt-get install qemu-system-x86" : why);
        return err == -ENOENT ? EXIT_MISSING : EXIT_OUR_FAULT;
    }
    snprintf(version, FLAGS_VERSION_MAX, "%.*s", (int)strcspn(out, "\n"), out);
    free(out);
    if (!strstr(version, "version 7.2."))
        fprintf(stderr, "pv-diff: warning: our rules are those of QEMU 7.2, this is %s\n", version);
    return EXIT_DONE;
}

static int run(struct flags_run *run, struct strings *strings, const struct options *options)
{
    struct flags_source source = {strings->given_count + options->random_count, string_at, strings};
    const struct rlimit no_core = {0, 0};
    struct progress progress = terminal_progress();
    int err;

    setrlimit(RLIMIT_CORE, &no_core); /* QEMUs that abort are what we look for */
    err = campaign_run(&run->campaign, &source, &progress);
    terminal_clear();
    if (err == -EINTR) {
        fprintf(stderr, "pv-diff: interrupted: nothing was written\n");
        return EXIT_INTERRUPTED;
    }
    if (err) {
        fprintf(stderr, "pv-diff: %s\n", *run->campaign.why ? run->campaign.why : strerror(-err));
        return EXIT_OUR_FAULT;
    }
    if (!options->json || strcmp(options->json, "-"))
        flags_report_text(stdout, run);
    err = options->json ? flags_report_json(options->json, run) : 0;
    if (err) {
        fprintf(stderr, "pv-diff: cannot write %s: %s\n", options->json, strerror(-err));
        return EXIT_OUR_FAULT;
    }
    return run->campaign.different ? EXIT_FINDINGS : EXIT_DONE;
}

int cmd_flags(int argc, char **argv)
{
    static const struct argp argp = {
        .options = argp_options,
        .parser = parse_option,
        .doc =
            "Gives the same -cpu strings to our parser and to the real qemu-system-x86_64 (TCG, on this host) and "
            "compares: accepted or refused, why, and every warning in order. What differs is made short.\v"
            "Examples:\n"
            "  pv-diff flags --string qemu64,+vmx,-kvmclock\n"
            "  pv-diff flags --random 10000 --seed 7\n"
            "  pv-diff flags --file strings --machine pc --json out.json\n\n"
            "Exit status: 0 nothing differs; 1 something does; 2 wrong usage; 3 QEMU is missing; 4 our own fault; 130 "
            "interrupted (nothing is written).",
    };
    struct options options = {.machine = "isapc", .jobs = cores()};
    struct strings *strings = calloc(1, sizeof(*strings));
    char forkserver[4200];
    struct flags_run state = {0};
    int status = EXIT_OUR_FAULT;

    if (!strings)
        return EXIT_OUR_FAULT;
    argp_parse(&argp, argc, argv, ARGP_LONG_ONLY, NULL, &options);
    if (!options.seed_given && getrandom(&options.seed, 4, 0) != 4)
        options.seed = 1;
    strings->seed = options.seed;
    state.campaign = (struct campaign){
        .machine = options.machine,
        .forkserver = !options.plain && find_forkserver(forkserver) ? forkserver : NULL,
        .jobs = options.jobs ? options.jobs : 1,
        .supported = cpuid_supported_tcg(),
    };
    state.random_count = options.random_count;
    state.seed = options.seed;
    status = take_models(strings, options.models);
    if (!status)
        status = take_given(strings, &options);
    if (!status)
        status = find_qemu(state.version);
    if (!status)
        status = run(&state, strings, &options);
    campaign_free(&state.campaign);
    free(strings->given);
    free(strings->file);
    free(strings);
    return status;
}
