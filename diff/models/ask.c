/* Workers, each with a machine of its own, take combinations from the plan in turn. */
#include "diff/models/ask.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/child.h"
#include "diff/machine/deadline.h"
#include "diff/machine/qemu.h"

#define TRIES   3 /* a busy host may let a guest wait for too long */
#define HELP_MS 20000u

struct shared {
    struct asking *asking;
    const struct plan *plan;
    struct answers *answers;
    struct program programs[VARIANTS_MAX]; /* by variant of the plan */
    pthread_mutex_t lock;                  /* of all below, of answers and of asking's findings */
    unsigned next, total, done;
    int err;
    char why[240];
    uint64_t start_ns;
};

int ask_models(char (**models)[MODEL_NAME], unsigned *count, char why[240])
{
    struct args args = {0};
    char *out = NULL;
    int err;

    *count = 0;
    args_add(&args, QEMU_PROGRAM);
    args_add(&args, "-cpu");
    args_add(&args, "help");
    err = child_output(&args, HELP_MS, &out, why, 240);
    args_free(&args);
    if (err == -ENOENT)
        snprintf(why, 240, QEMU_PROGRAM " is missing: apt-get install qemu-system-x86");
    *models = err ? NULL : calloc(MODELS_MAX, sizeof(**models));
    for (const char *line = out; *models && line && *count < MODELS_MAX; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (sscanf(line, "x86 %63s", (*models)[*count]) == 1)
            ++*count;
        if (!strncmp(line, "Recognized CPUID flags", 22) || !*line)
            break;
    }
    free(out);
    if (!err && !*count) {
        snprintf(why, 240, QEMU_PROGRAM " -cpu help lists no model");
        err = -EIO;
    }
    return err;
}

static bool fill_program(struct program *program, const struct variant *variant,
                         const struct answers *answers)
{
    unsigned vcpus = smp_vcpus(variant->smp);
    bool fits = true;

    program_init(program);
    program->config.vcpus = (uint8_t)vcpus;
    for (unsigned v = 0; v < vcpus; v++)
        for (unsigned i = 0; i < answers->read_count; i++)
            fits &= program_add(program, &(struct action){.op = OP_CPUID,
                                                          .vcpu = (uint8_t)v,
                                                          .args = {{.value = answers->reads[i].leaf},
                                                                   {.value = answers->reads[i].subleaf}}});
    return fits;
}

static const char *incomplete(const struct transcript *transcript, const struct program *program)
{
    if (transcript->stopped[0])
        return transcript->stopped;
    for (uint32_t i = 0; i < program->count; i++)
        if (i >= transcript->count || transcript->outcomes[i].status != OUTCOME_OK)
            return "a vCPU did not answer";
    return NULL;
}

static int take_regs(struct answer *answer, const struct transcript *transcript, unsigned vcpus)
{
    answer->regs = calloc(transcript->count, sizeof(*answer->regs));
    if (!answer->regs)
        return -ENOMEM;
    for (uint32_t i = 0; i < transcript->count; i++) {
        const uint64_t *regs = transcript->outcomes[i].regs; /* rax, rbx, rcx, rdx */

        answer->regs[i] =
            (struct cpuid_regs){(uint32_t)regs[0], (uint32_t)regs[1], (uint32_t)regs[2], (uint32_t)regs[3]};
    }
    answer->vcpus = vcpus;
    return 0;
}

/* One launch. 0 with *why set: it says nothing. */
static int launch(struct machine *machine, struct shared *s, unsigned model, unsigned variant,
                  struct answer *answer, char why[240])
{
    const struct program *program = &s->programs[variant];
    const struct variant *v = s->plan->variants[variant];
    const char *name = s->plan->models[model], *missing = NULL;
    char cpu[VARIANT_CPU_MAX];
    const struct run_item item = {
        .flags = {.name = name, .cpu = cpu, .machine = s->asking->machine, .smp = v->smp, .memory = "16M"},
        .programs = program,
        .program_count = 1,
        .cpuid_only = true};
    struct run_result result;
    int err;

    *why = 0;
    *answer = (struct answer){.variant = v};
    snprintf(answer->model, sizeof(answer->model), "%s", name);
    variant_cpu(v, name, cpu);
    err = machine_run(machine, &item, 1, &result);
    if (err == -ENOMEM)
        return err;
    if (!err && result.refused) {
        answer->refused = true;
        answer->aborted = strstr(result.error, "killed by ");
    } else if (result.error[0]) {
        snprintf(why, 240, "%s", result.error);
    } else if (!err && (missing = incomplete(&result.transcripts[0], program))) {
        snprintf(why, 240, "%s", missing);
    } else if (!err) {
        err = take_regs(answer, &result.transcripts[0], smp_vcpus(v->smp));
    }
    answer->messages = result.warnings;
    result.warnings = NULL;
    run_result_free(&result, 1);
    return err;
}

static void answer_drop(struct answer *answer)
{
    free(answer->messages);
    free(answer->regs);
}

static int launch_until_answered(struct machine *machine, struct shared *s, unsigned model, unsigned variant,
                                 struct answer *answer, char why[240])
{
    int err = 0;

    for (unsigned i = 0; i < TRIES; i++) {
        err = launch(machine, s, model, variant, answer, why);
        if (err || !*why)
            return err;
        answer_drop(answer);
    }
    return 0;
}

static int note_unanswered(struct asking *asking, unsigned model, unsigned variant, const char *why)
{
    struct unanswered *list =
        realloc(asking->unanswered, (asking->unanswered_count + 1) * sizeof(*asking->unanswered));

    if (!list)
        return -ENOMEM;
    asking->unanswered = list;
    list += asking->unanswered_count++;
    *list = (struct unanswered){.model = model, .variant = variant};
    snprintf(list->why, sizeof(list->why), "%s", why);
    return 0;
}

/* Under the lock, as all of the following. */
static void fail(struct shared *s, int err, const char *why)
{
    if (s->err)
        return;
    s->err = err;
    snprintf(s->why, sizeof(s->why), "%s", why);
}

static bool take_next(struct shared *s, unsigned *model, unsigned *variant)
{
    const struct plan *plan = s->plan;

    while (!s->err && s->next < plan->model_count * plan->variant_count) {
        *model = s->next / plan->variant_count;
        *variant = s->next++ % plan->variant_count;
        if (!answers_find(s->answers, plan->models[*model], plan->variants[*variant]))
            return true;
    }
    return false;
}

static void show(struct shared *s, unsigned model, unsigned variant)
{
    const struct progress *progress = s->asking->progress;
    double seconds = (double)(clock_ns(CLOCK_MONOTONIC) - s->start_ns) / 1e9;
    double rate = s->asking->launched ? s->asking->launched / seconds : 0;
    char what[160];

    if (!progress->step)
        return;
    if (rate > 0)
        snprintf(what, sizeof(what), "%s, %s (%.1f/s, %.0f s left)", s->plan->models[model],
                 s->plan->variants[variant]->title, rate, (s->total - s->done) / rate);
    else
        snprintf(what, sizeof(what), "%s, %s", s->plan->models[model], s->plan->variants[variant]->title);
    progress->step(progress->ctx, what, s->done, s->total);
}

static int settle(struct shared *s, unsigned model, unsigned variant, struct answer *answer, const char *why)
{
    int err;

    s->asking->launched++;
    s->done++;
    if (*why)
        return note_unanswered(s->asking, model, variant, why);
    err = answers_add(s->answers, answer);
    if (err)
        answer_drop(answer);
    return err;
}

static void ask_with(struct machine *machine, struct shared *s, unsigned host)
{
    unsigned model, variant;

    while (take_next(s, &model, &variant)) {
        struct answer answer;
        char why[240];
        int err;

        show(s, model, variant);
        pthread_mutex_unlock(&s->lock);
        err = launch_until_answered(machine, s, model, variant, &answer, why);
        answer.host = host;
        pthread_mutex_lock(&s->lock);
        if (err)
            answer_drop(&answer);
        else
            err = settle(s, model, variant, &answer, why);
        if (err)
            fail(s, err, *why ? why : strerror(-err));
    }
}

static struct answers_origin origin_of(const struct shared *s, const struct machine_info *info)
{
    struct answers_origin origin = {0};

    snprintf(origin.reference, sizeof(origin.reference), "%s", machine_name(s->asking->reference));
    snprintf(origin.machine, sizeof(origin.machine), "%s", s->asking->machine);
    snprintf(origin.qemu, sizeof(origin.qemu), "%s", info->qemu_version);
    snprintf(origin.kernel, sizeof(origin.kernel), "%s", info->kernel_release);
    return origin;
}

static void *work(void *ctx)
{
    struct shared *s = ctx;
    /* Steps of the machines are launches here: the line on the terminal is ours. */
    const struct progress quiet = {.cancelled = s->asking->progress->cancelled,
                                   .ctx = s->asking->progress->ctx};
    struct machine *machine = NULL;
    char why[240] = "";
    unsigned host = 0;
    int err = machine_open(&machine, s->asking->reference, NEED_CPUID, NULL, &quiet, why);

    pthread_mutex_lock(&s->lock);
    if (!err) {
        const struct machine_info *info = machine_info(machine);
        const struct answers_origin origin = origin_of(s, info);

        err = answers_add_host(s->answers, &origin, info->host.supported.count ? &info->host : NULL, &host,
                               why);
    }
    if (err)
        fail(s, err, *why ? why : strerror(-err));
    else
        ask_with(machine, s, host);
    pthread_mutex_unlock(&s->lock);
    machine_close(machine);
    return NULL;
}

static void run_workers(struct shared *s)
{
    pthread_t threads[JOBS_MAX];
    unsigned jobs = s->asking->jobs < s->total - s->done ? s->asking->jobs : s->total - s->done;
    unsigned started = 0;

    while (started < jobs && !pthread_create(&threads[started], NULL, work, s))
        started++;
    if (!started && jobs)
        fail(s, -EAGAIN, "no thread could be started");
    for (unsigned i = 0; i < started; i++)
        pthread_join(threads[i], NULL);
}

static unsigned count_kept(const struct shared *s)
{
    unsigned kept = 0;

    for (unsigned m = 0; m < s->plan->model_count; m++)
        for (unsigned v = 0; v < s->plan->variant_count; v++)
            kept += answers_find(s->answers, s->plan->models[m], s->plan->variants[v]) != NULL;
    return kept;
}

int ask_all(struct asking *asking, const struct plan *plan, struct answers *answers, char why[240])
{
    struct shared s = {.asking = asking, .plan = plan, .answers = answers, .lock = PTHREAD_MUTEX_INITIALIZER};
    const struct progress *progress = asking->progress;
    bool fits = true;

    for (unsigned v = 0; v < plan->variant_count; v++)
        fits &= fill_program(&s.programs[v], plan->variants[v], answers);
    s.total = plan->model_count * plan->variant_count;
    s.done = asking->kept = count_kept(&s);
    s.start_ns = clock_ns(CLOCK_MONOTONIC);
    if (!fits)
        fail(&s, -ENOMEM, "out of memory");
    else if (s.done < s.total && progress->step)
        progress->step(progress->ctx, "opening the reference", s.done, s.total);
    if (fits)
        run_workers(&s);
    asking->seconds = (double)(clock_ns(CLOCK_MONOTONIC) - s.start_ns) / 1e9;
    for (unsigned v = 0; v < plan->variant_count; v++)
        program_free(&s.programs[v]);
    if (progress->cancelled && progress->cancelled(progress->ctx))
        s.err = -EINTR;
    snprintf(why, 240, "%s", s.why);
    return s.err;
}

void asking_free(struct asking *asking)
{
    free(asking->unanswered);
    asking->unanswered = NULL;
    asking->unanswered_count = 0;
}
