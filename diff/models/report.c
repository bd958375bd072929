/* Counts by variant, and every combination that is not as it should be. */
#include "diff/models/report.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/json_out.h"
#include "diff/judge/bits.h"

#define SHOWN_MAX 40 /* combinations, on a terminal; JSON has them all */

static const char *unanswered_why(const struct asking *asking, unsigned model, unsigned variant)
{
    for (unsigned i = 0; i < asking->unanswered_count; i++)
        if (asking->unanswered[i].model == model && asking->unanswered[i].variant == variant)
            return asking->unanswered[i].why;
    return "QEMU was not asked";
}

static int judge_one(struct models_run *run, unsigned model, unsigned variant, struct models_result *result)
{
    const struct answer *answer =
        answers_find(&run->answers, run->plan.models[model], run->plan.variants[variant]);

    if (answer)
        return models_compare(&run->answers, answer, result);
    result->verdict = MODELS_NOT_COMPARED;
    snprintf(result->what, sizeof(result->what), "%s", unanswered_why(&run->asking, model, variant));
    return 0;
}

int models_judge(struct models_run *run)
{
    const struct plan *plan = &run->plan;
    int err = 0;

    run->results = calloc((size_t)plan->model_count * plan->variant_count + 1, sizeof(*run->results));
    if (!run->results)
        return -ENOMEM;
    for (unsigned m = 0; !err && m < plan->model_count; m++)
        for (unsigned v = 0; !err && v < plan->variant_count; v++) {
            struct models_result *result = &run->results[m * plan->variant_count + v];

            err = judge_one(run, m, v, result);
            run->counts[v][result->verdict]++;
            run->total[result->verdict]++;
        }
    return err;
}

static void text_register(FILE *out, const struct register_difference *d, struct check_list *texts)
{
    fprintf(out, "      cpu %u  0x%x.%x %s  ours %08x, QEMU's %08x  %s\n", d->vcpu, d->read.leaf,
            d->read.subleaf, cpuid_register_names[d->reg], d->ours, d->theirs,
            cpuid_bits_text(texts, d->read.leaf, d->read.subleaf, d->reg, d->ours ^ d->theirs));
}

static void text_result(FILE *out, const struct models_run *run, unsigned model, unsigned variant)
{
    const struct variant *v = run->plan.variants[variant];
    const struct models_result *result = &run->results[model * run->plan.variant_count + variant];
    struct check_list texts;

    check_list_init(&texts);
    fprintf(out, "  %s, %s: %s%s%s\n", run->plan.models[model], v->title,
            result->verdict == MODELS_DIFFERENT ? "different" : "not compared", *result->what ? ": " : "",
            result->what);
    for (unsigned i = 0; i < result->register_count && i < REGISTERS_SHOWN; i++)
        text_register(out, &result->registers[i], &texts);
    if (result->register_count > REGISTERS_SHOWN)
        fprintf(out, "      and %u registers more\n", result->register_count - REGISTERS_SHOWN);
    check_list_free(&texts);
}

static void text_findings(FILE *out, const struct models_run *run)
{
    unsigned shown = 0, all = run->total[MODELS_DIFFERENT] + run->total[MODELS_NOT_COMPARED];

    for (unsigned m = 0; m < run->plan.model_count; m++)
        for (unsigned v = 0; v < run->plan.variant_count; v++)
            if (run->results[m * run->plan.variant_count + v].verdict >= MODELS_DIFFERENT &&
                shown++ < SHOWN_MAX)
                text_result(out, run, m, v);
    if (all > SHOWN_MAX)
        fprintf(out, "  and %u more: see --json\n", all - SHOWN_MAX);
}

static void text_counts(FILE *out, const char *title, const unsigned counts[MODELS_VERDICTS])
{
    fprintf(out, "%-28s %7u %15u %11u %14u\n", title, counts[MODELS_EQUAL], counts[MODELS_REFUSED_ALIKE],
            counts[MODELS_DIFFERENT], counts[MODELS_NOT_COMPARED]);
}

void models_report_text(FILE *out, const struct models_run *run)
{
    const struct answers_origin *origin = &run->answers.origin;
    const struct asking *asking = &run->asking;
    fprintf(out, "%u models, %u variants of each, %s: QEMU %s%s%s, machine %s\n\n", run->plan.model_count,
            run->plan.variant_count, origin->reference, origin->qemu, *origin->kernel ? ", Linux " : "",
            origin->kernel, origin->machine);
    text_findings(out, run);
    fprintf(out, "%-28s %7s %15s %11s %14s\n", "variant", "equal", "refused alike", "different",
            "not compared");
    for (unsigned v = 0; v < run->plan.variant_count; v++)
        text_counts(out, run->plan.variants[v]->title, run->counts[v]);
    text_counts(out, "all", run->total);
    fputc('\n', out);
    if (asking->launched)
        fprintf(out, "%u launches in %.0f s, %.1f launches/s, %u at once; %u answers were kept before; ",
                asking->launched, asking->seconds, asking->launched / asking->seconds, asking->jobs,
                asking->kept);
    fprintf(out, "all are in %s\n", run->kept);
}

static void add_register(cJSON *list, const struct register_difference *d)
{
    cJSON *object = cJSON_CreateObject();
    char text[40];

    cJSON_AddItemToArray(list, object);
    cJSON_AddNumberToObject(object, "vcpu", d->vcpu);
    snprintf(text, sizeof(text), "0x%x", d->read.leaf);
    cJSON_AddStringToObject(object, "leaf", text);
    snprintf(text, sizeof(text), "0x%x", d->read.subleaf);
    cJSON_AddStringToObject(object, "subleaf", text);
    cJSON_AddStringToObject(object, "register", cpuid_register_names[d->reg]);
    snprintf(text, sizeof(text), "0x%08x", d->ours);
    cJSON_AddStringToObject(object, "ours", text);
    snprintf(text, sizeof(text), "0x%08x", d->theirs);
    cJSON_AddStringToObject(object, "qemu", text);
}

static void add_result(cJSON *list, const struct models_run *run, unsigned model, unsigned variant)
{
    const struct models_result *result = &run->results[model * run->plan.variant_count + variant];
    const struct variant *v = run->plan.variants[variant];
    cJSON *object = cJSON_CreateObject(), *registers;
    char cpu[VARIANT_CPU_MAX];

    variant_cpu(v, run->plan.models[model], cpu);
    cJSON_AddItemToArray(list, object);
    cJSON_AddStringToObject(object, "model", run->plan.models[model]);
    cJSON_AddStringToObject(object, "variant", v->name);
    cJSON_AddStringToObject(object, "cpu", cpu);
    cJSON_AddStringToObject(object, "smp", v->smp);
    cJSON_AddStringToObject(object, "verdict", models_verdict_name(result->verdict));
    cJSON_AddStringToObject(object, "what", result->what);
    cJSON_AddNumberToObject(object, "register_count", result->register_count);
    registers = cJSON_AddArrayToObject(object, "registers");
    for (unsigned i = 0; i < result->register_count && i < REGISTERS_SHOWN; i++)
        add_register(registers, &result->registers[i]);
}

static void add_counts(cJSON *object, const unsigned counts[MODELS_VERDICTS])
{
    for (unsigned i = 0; i < MODELS_VERDICTS; i++)
        cJSON_AddNumberToObject(object, models_verdict_name(i), counts[i]);
}

static cJSON *to_json(const struct models_run *run)
{
    const struct answers_origin *origin = &run->answers.origin;
    cJSON *root = cJSON_CreateObject(), *object;

    cJSON_AddStringToObject(root, "reference", origin->reference);
    cJSON_AddStringToObject(root, "qemu_version", origin->qemu);
    cJSON_AddStringToObject(root, "kernel_release", origin->kernel);
    cJSON_AddStringToObject(root, "machine", origin->machine);
    cJSON_AddNumberToObject(root, "models", run->plan.model_count);
    cJSON_AddNumberToObject(root, "combinations", run->plan.model_count * run->plan.variant_count);
    add_counts(root, run->total);
    object = cJSON_AddObjectToObject(root, "variants");
    for (unsigned v = 0; v < run->plan.variant_count; v++)
        add_counts(cJSON_AddObjectToObject(object, run->plan.variants[v]->name), run->counts[v]);
    cJSON_AddNumberToObject(root, "launched", run->asking.launched);
    cJSON_AddNumberToObject(root, "jobs", run->asking.jobs);
    cJSON_AddNumberToObject(root, "seconds", run->asking.seconds);
    cJSON_AddStringToObject(root, "kept", run->kept);
    object = cJSON_AddArrayToObject(root, "findings");
    for (unsigned m = 0; m < run->plan.model_count; m++)
        for (unsigned v = 0; v < run->plan.variant_count; v++)
            if (run->results[m * run->plan.variant_count + v].verdict >= MODELS_DIFFERENT)
                add_result(object, run, m, v);
    return root;
}

int models_report_json(const char *path, const struct models_run *run)
{
    return json_write(path, to_json(run));
}
