/* pv-diff models: every CPU model that QEMU has, in several variants, ours against what a guest of a real QEMU reads. */
#include <argp.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include "diff/command.h"
#include "diff/models/report.h"

struct options {
    const char *machine, *kept, *json;
    char *models, *variants;
    enum machine_kind reference;
    unsigned jobs;
    bool fresh, offline;
};

enum {
    KEY_MODELS = 0x100,
    KEY_VARIANTS,
    KEY_REFERENCE,
    KEY_MACHINE,
    KEY_KEPT,
    KEY_FRESH,
    KEY_OFFLINE,
    KEY_JSON
};

static const struct argp_option argp_options[] = {
    {"models", KEY_MODELS, "A,B", 0, "these only (all that the QEMU on the PATH lists)", 1},
    {"variants", KEY_VARIANTS, "A,B", 0,
     "of plain, pv-on, pv-off, smp, forced, intel-dies, amd-no-l3, hyper-v, hyper-v-nested, hyper-v-debug, "
     "hyper-v-all, host-cache (the first four)",
     1},
    {"reference", KEY_REFERENCE, "WHAT", 0, "qemu-tcg, qemu-box or qemu-kvm (qemu-tcg)", 2},
    {"machine", KEY_MACHINE, "M", 0, "QEMU's -machine (pc)", 2},
    {"jobs", 'j', "N", 0, "machines at once (qemu-tcg: one per core; else 1)", 2},
    {"kept", KEY_KEPT, "FILE", 0, "where answers are kept ($XDG_DATA_HOME/paravane/models-WHAT.jsonl)", 3},
    {"fresh", KEY_FRESH, NULL, 0, "forget the kept answers first", 3},
    {"offline", KEY_OFFLINE, NULL, 0, "launch nothing: compare with the kept answers only", 3},
    {"json", KEY_JSON, "FILE", 0, "write the result as JSON; - for stdout, and nothing else there", 4},
    {0},
};

static enum machine_kind reference_of(struct argp_state *state, const char *name)
{
    static const enum machine_kind kinds[] = {MACHINE_QEMU_TCG, MACHINE_QEMU_BOX, MACHINE_QEMU_KVM};

    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(name, machine_name(kinds[i])))
            return kinds[i];
    argp_error(state, "no reference '%s': write qemu-tcg, qemu-box or qemu-kvm", name);
    return MACHINE_KINDS;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    char *end;

    switch (key) {
    case KEY_MODELS:
        options->models = arg;
        break;
    case KEY_VARIANTS:
        options->variants = arg;
        break;
    case KEY_REFERENCE:
        options->reference = reference_of(state, arg);
        break;
    case KEY_MACHINE:
        options->machine = arg;
        break;
    case 'j':
        options->jobs = (unsigned)strtoul(arg, &end, 10);
        if (*end || !options->jobs || options->jobs > JOBS_MAX)
            argp_error(state, "--jobs wants a number from 1 to %d, not %s", JOBS_MAX, arg);
        break;
    case KEY_KEPT:
        options->kept = arg;
        break;
    case KEY_FRESH:
        options->fresh = true;
        break;
    case KEY_OFFLINE:
        options->offline = true;
        break;
    case KEY_JSON:
        options->json = arg;
        break;
    case ARGP_KEY_ARG:
        argp_error(state, "models takes no argument: %s; a model is named with --models", arg);
        break;
    case ARGP_KEY_END:
        if (options->fresh && options->offline)
            argp_error(state, "--fresh forgets what --offline needs");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

static unsigned cores(void)
{
    cpu_set_t set;
    unsigned count = sched_getaffinity(0, sizeof(set), &set) ? 1 : (unsigned)CPU_COUNT(&set);

    return count < JOBS_MAX ? count : JOBS_MAX;
}

static int usage(const char *format, const char *arg)
{
    fprintf(stderr, "pv-diff: ");
    fprintf(stderr, format, arg);
    fprintf(stderr, "\n");
    return EXIT_USAGE;
}

static int take_variants(struct plan *plan, char *list)
{
    char *rest = NULL;

    for (unsigned i = 0; !list && i < variant_count; i++)
        if (variants[i].usual)
            plan->variants[plan->variant_count++] = &variants[i];
    for (char *name = list ? strtok_r(list, ",", &rest) : NULL; name; name = strtok_r(NULL, ",", &rest)) {
        const struct variant *variant = variant_find(name);

        if (!variant)
            return usage("there is no variant %s; --help lists them", name);
        if (plan->variant_count == VARIANTS_MAX)
            return usage("too many variants: %s", name);
        plan->variants[plan->variant_count++] = variant;
    }
    return EXIT_DONE;
}

/* Those that are named, or all that are kept or listed; a name that QEMU does not list may be a slip of the pen. */
static int take_models(struct models_run *run, const struct options *options)
{
    struct plan *plan = &run->plan;
    char why[240] = "", *rest = NULL;
    unsigned listed;
    int err = options->offline ? answers_models(&run->answers, &plan->models, &plan->model_count)
                               : ask_models(&plan->models, &plan->model_count, why);

    if (err) {
        fprintf(stderr, "pv-diff: %s\n", *why ? why : strerror(-err));
        return err == -ENOENT ? EXIT_MISSING : EXIT_OUR_FAULT;
    }
    if (!options->models)
        return EXIT_DONE;
    listed = plan->model_count;
    plan->model_count = 0;
    for (char *name = strtok_r(options->models, ",", &rest); name; name = strtok_r(NULL, ",", &rest)) {
        unsigned i = plan->model_count;
        char swap[MODEL_NAME];

        while (i < listed && strcmp(plan->models[i], name))
            i++;
        if (i == listed)
            return usage("there is no model %s, or it is named twice", name);
        memcpy(swap, plan->models[i], MODEL_NAME);
        memcpy(plan->models[i], plan->models[plan->model_count], MODEL_NAME);
        memcpy(plan->models[plan->model_count++], swap, MODEL_NAME);
    }
    return EXIT_DONE;
}

/* Beside the run store, whose folder it may have to make. */
static bool default_path(char *path, size_t size, enum machine_kind reference)
{
    const char *data = getenv("XDG_DATA_HOME"), *home = getenv("HOME");
    int len = data && *data == '/' ? snprintf(path, size, "%s/paravane/", data)
              : home && *home      ? snprintf(path, size, "%s/.local/share/paravane/", home)
                                   : -1;

    if (len < 0 || (size_t)len >= size)
        return false;
    for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
        *slash = 0;
        mkdir(path, 0777); /* what is wrong with it shows when the file is opened */
        *slash = '/';
    }
    return snprintf(path + len, size - (size_t)len, "models-%s.jsonl", machine_name(reference)) <
           (int)(size - (size_t)len);
}

static int status_of(int err)
{
    switch (err) {
    case -EINTR:
        return EXIT_INTERRUPTED;
    case -EINVAL:
    case -EISDIR:
    case -EBUSY:
        return EXIT_USAGE;
    case -ENOMEM:
        return EXIT_OUR_FAULT; /* ENOENT and the like: something is missing */
    default:
        return EXIT_MISSING;
    }
}

static int ask(struct models_run *run)
{
    struct progress progress = terminal_progress();
    char why[240];
    int err;

    run->asking.progress = &progress;
    err = ask_all(&run->asking, &run->plan, &run->answers, why);
    terminal_clear();
    if (!err)
        return EXIT_DONE;
    fprintf(stderr, "pv-diff: %s%s%u answers are kept in %s; the same command goes on from there\n",
            err == -EINTR ? "interrupted" : why, err == -EINTR || *why ? ": " : "", run->answers.count,
            run->kept);
    return status_of(err);
}

static int show(struct models_run *run, const char *json)
{
    int err = models_judge(run);

    if (err) {
        fprintf(stderr, "pv-diff: %s\n", strerror(-err));
        return EXIT_OUR_FAULT;
    }
    if (!json || strcmp(json, "-"))
        models_report_text(stdout, run);
    err = json ? models_report_json(json, run) : 0;
    if (err) {
        fprintf(stderr, "pv-diff: cannot write %s: %s\n", json, strerror(-err));
        return EXIT_OUR_FAULT;
    }
    return run->total[MODELS_DIFFERENT]      ? EXIT_FINDINGS
           : run->total[MODELS_NOT_COMPARED] ? EXIT_MISSING
                                             : EXIT_DONE;
}

static int run_all(struct models_run *run, struct options *options)
{
    char path[4200], why[240] = "";
    int status, err;

    run->kept = options->kept ? options->kept : path;
    if (!options->kept && !default_path(path, sizeof(path), options->reference))
        return usage("neither XDG_DATA_HOME nor HOME is set: name the file with %s FILE", "--kept");
    err = answers_open(&run->answers, run->kept,
                       options->offline ? ANSWERS_READ
                       : options->fresh ? ANSWERS_FRESH
                                        : ANSWERS_ADD,
                       why);
    if (err) {
        fprintf(stderr, "pv-diff: %s\n", *why ? why : strerror(-err));
        return status_of(err);
    }
    if (options->offline && options->machine && strcmp(options->machine, run->answers.origin.machine))
        return usage("what is kept is of --machine %s", run->answers.origin.machine);
    status = take_variants(&run->plan, options->variants);
    if (!status)
        status = take_models(run, options);
    if (!status && !options->offline)
        status = ask(run);
    return status ? status : show(run, options->json);
}

int cmd_models(int argc, char **argv)
{
    static const struct argp argp = {
        .options = argp_options,
        .parser = parse_option,
        .doc =
            "Launches QEMU with every CPU model that it lists, as it is, with every PV flag on, with every one off, and "
            "with 2x2x2 vCPUs. A guest reads every CPUID leaf on every vCPU, and each bit is compared with our table; so "
            "are refusals and warnings. Answers are kept as they come: after Ctrl-C the same command goes on.\v"
            "Examples:\n"
            "  pv-diff models                                   all models without KVM, 2 minutes\n"
            "  pv-diff models --reference qemu-box              on a real KVM, 10 minutes\n"
            "  pv-diff models --reference qemu-box --offline    compare again after a change of ours, 1 s\n"
            "  pv-diff models --models EPYC-v3,pentium3 --fresh\n\n"
            "Exit status: 0 all are equal or refused alike; 1 something differs; 2 wrong usage; 3 something was not "
            "compared or is missing; 4 our own fault; 130 interrupted (what was answered is kept).",
    };
    struct options options = {.reference = MACHINE_QEMU_TCG};
    struct models_run *run = calloc(1, sizeof(*run));
    int status;

    if (!run)
        return EXIT_OUR_FAULT;
    argp_parse(&argp, argc, argv, ARGP_LONG_ONLY, NULL, &options);
    run->asking.reference = options.reference;
    run->asking.machine = options.machine ? options.machine : "pc";
    run->asking.jobs = options.jobs ? options.jobs : options.reference == MACHINE_QEMU_TCG ? cores() : 1;
    status = run_all(run, &options);
    asking_free(&run->asking);
    answers_close(&run->answers);
    free(run->plan.models);
    free(run->results);
    free(run);
    return status;
}
