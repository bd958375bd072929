/* Whole programs on the direct machine: outcomes, clock samples and interrupts gathered into a transcript. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/direct_guest.h"
#include "vmm/abi/pvclock.h"

void direct_clock_sample(struct direct_machine *m, const struct action *action, struct clock_sample *sample)
{
    uint64_t gpa = m->bases[action->args[0].base] + action->args[0].value;
    struct pvclock_vcpu_time_info record;

    if (!gpa_read(&m->vm.memory, gpa, &record, sizeof(record)))
        memset(&record, 0xff, sizeof(record));
    *sample = (struct clock_sample){.tsc = vcpu_tsc(&m->vm.vcpus[action->vcpu]),
                                    .before_ns = m->now_ns,
                                    .after_ns = m->now_ns,
                                    .version = record.version,
                                    .tsc_to_system_mul = record.tsc_to_system_mul,
                                    .tsc_timestamp = record.tsc_timestamp,
                                    .system_time = record.system_time,
                                    .tsc_shift = record.tsc_shift,
                                    .flags = record.flags,
                                    .vcpu = action->vcpu};
}

/* Wakes of this step belong to the outcomes of earlier ones. */
static void settle_wakes(const struct direct_machine *m, struct transcript *out)
{
    for (unsigned i = 0; i < m->wake_count; i++)
        out->outcomes[m->wakes[i].action] = m->wakes[i].outcome;
}

static void take_samples(struct direct_machine *m, const struct action *action, struct transcript *out)
{
    struct transcript_sample_run *run = &out->sample_runs[out->sample_run_count++];

    *run = (struct transcript_sample_run){m->index, out->sample_count, action->args[1].value};
    for (uint32_t i = 0; i < run->count; i++)
        direct_clock_sample(m, action, &out->samples[out->sample_count++]);
}

static void run_actions(struct direct_machine *m, const struct program *program, struct transcript *out)
{
    for (uint32_t i = 0; i < program->count; i++) {
        direct_machine_step(m, &program->actions[i], &out->outcomes[i]);
        settle_wakes(m, out);
        if (program->actions[i].op == OP_CLOCK && out->outcomes[i].status == OUTCOME_OK)
            take_samples(m, &program->actions[i], out);
        if (m->hangs > DIRECT_HANGS_MAX) {
            snprintf(out->stopped, sizeof(out->stopped),
                     "action %u is the %uth HLT of vCPU 0 that nothing wakes", i, m->hangs);
            return;
        }
    }
}

static int copy_events(const struct direct_machine *m, struct transcript *out)
{
    for (unsigned i = 0; i < m->config.vcpus; i++) {
        uint32_t count = m->event_count[i] < MAILBOX_EVENTS ? m->event_count[i] : MAILBOX_EVENTS;

        if (!count)
            continue;
        out->events[i] = malloc(count * sizeof(*out->events[i]));
        if (!out->events[i])
            return -ENOMEM;
        memcpy(out->events[i], m->events[i], count * sizeof(*out->events[i]));
        out->event_count[i] = count;
    }
    return 0;
}

/* Arrays as large as the program can make them. */
static int transcript_alloc(struct transcript *out, const struct program *program)
{
    size_t samples = 0, runs = 0;

    for (uint32_t i = 0; i < program->count; i++)
        if (program->actions[i].op == OP_CLOCK) {
            samples += program->actions[i].args[1].value;
            runs++;
        }
    *out = (struct transcript){.count = program->count};
    out->outcomes = calloc(program->count + 1, sizeof(*out->outcomes));
    out->samples = calloc(samples + 1, sizeof(*out->samples));
    out->sample_runs = calloc(runs + 1, sizeof(*out->sample_runs));
    return out->outcomes && out->samples && out->sample_runs ? 0 : -ENOMEM;
}

static void transcript_drop(struct transcript *out)
{
    for (unsigned i = 0; i < PROBE_VCPUS; i++)
        free(out->events[i]);
    free(out->outcomes);
    free(out->samples);
    free(out->sample_runs);
    *out = (struct transcript){0};
}

int direct_machine_run(const struct program *program, struct transcript *out)
{
    struct direct_machine *m = malloc(sizeof(*m)); /* its events alone are 32 KiB */
    int err = transcript_alloc(out, program);

    if (!m)
        err = -ENOMEM;
    if (!err)
        err = direct_machine_create(m, &program->config);
    if (!err) {
        run_actions(m, program, out);
        err = copy_events(m, out);
        direct_machine_destroy(m);
    }
    free(m);
    if (err)
        transcript_drop(out);
    return err;
}
