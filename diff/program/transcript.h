/* A transcript: for each action of a program what the guest could see. What judges read and runs store. */
#ifndef DIFF_PROGRAM_TRANSCRIPT_H
#define DIFF_PROGRAM_TRANSCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "diff/probe/mailbox.h"

struct transcript_sample_run { /* one OP_CLOCK: its samples lie at samples[first .. first+count) */
    uint32_t action, first, count;
};

struct transcript {
    uint32_t count; /* one outcome per action of the program */
    struct outcome *outcomes;
    uint32_t event_count[PROBE_VCPUS];
    struct probe_event *events[PROBE_VCPUS];
    uint32_t sample_count;
    struct clock_sample *samples; /* before_ns and after_ns filled by the agent */
    uint32_t sample_run_count;
    struct transcript_sample_run *sample_runs;
    /* Why the machine stopped short, empty: it did not. One line that says what to do. */
    char stopped[200];
};

#define TRANSCRIPT_SAMPLES_MAX 16384 /* of one program; later samples are not taken */

void transcript_init(struct transcript *t);
void transcript_free(struct transcript *t);
/* Its fields are in range: what a guest left in its RAM need not be. */
bool outcome_sane(const struct outcome *outcome);
/* Versioned bytes for the run store, recordings and the box; parsed as hostile input. 0, -EINVAL, -ENOMEM. */
int transcript_encode(const struct transcript *t, uint8_t **out, size_t *len);
int transcript_decode(struct transcript *t, const uint8_t *data, size_t len);

#endif
