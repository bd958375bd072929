/* Transcripts as bytes: a version, counts, then the fixed little-endian layouts of mailbox.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/transcript.h"
#include "diff/program/wire.h"

#define TRANSCRIPT_MAGIC   0x52545650u /* "PVTR" */
#define TRANSCRIPT_VERSION 1u

_Static_assert(sizeof(struct clock_sample) == 56, "stored as it is");
_Static_assert(sizeof(struct probe_event) == 8, "stored as it is");
_Static_assert(sizeof(struct transcript_sample_run) == 12, "stored as it is");

void transcript_init(struct transcript *t)
{
    memset(t, 0, sizeof(*t));
}

void transcript_free(struct transcript *t)
{
    for (unsigned i = 0; i < PROBE_VCPUS; i++)
        free(t->events[i]);
    free(t->outcomes);
    free(t->samples);
    free(t->sample_runs);
    transcript_init(t);
}

bool outcome_sane(const struct outcome *o)
{
    return o->status <= OUTCOME_TIMEOUT && o->data_len <= sizeof(o->data);
}

int transcript_encode(const struct transcript *t, uint8_t **out, size_t *len)
{
    struct wire_out w = {0};

    wire_put_u32(&w, TRANSCRIPT_MAGIC);
    wire_put_u32(&w, TRANSCRIPT_VERSION);
    wire_put_string(&w, t->stopped);
    wire_put_bytes(&w, t->outcomes, t->count * sizeof(*t->outcomes));
    for (unsigned i = 0; i < PROBE_VCPUS; i++)
        wire_put_bytes(&w, t->events[i], t->event_count[i] * sizeof(*t->events[i]));
    wire_put_bytes(&w, t->samples, t->sample_count * sizeof(*t->samples));
    wire_put_bytes(&w, t->sample_runs, t->sample_run_count * sizeof(*t->sample_runs));
    if (w.failed)
        return -ENOMEM;
    *out = w.data;
    *len = w.len;
    return 0;
}

/* An array of count elements, at most max; a copy of its own. */
static int get_array(struct wire_in *in, size_t size, uint32_t max, void **array, uint32_t *count)
{
    size_t len;
    const uint8_t *bytes = wire_get_bytes(in, &len);

    if (in->failed || len % size || len / size > max)
        return -EINVAL;
    *count = (uint32_t)(len / size);
    *array = malloc(len ? len : 1);
    if (!*array)
        return -ENOMEM;
    if (len)
        memcpy(*array, bytes, len);
    return 0;
}

#define GET_ARRAY(in, max, array, count) get_array(in, sizeof(**(array)), max, (void **)(array), count)

static int get_events(struct wire_in *in, struct transcript *t)
{
    for (unsigned i = 0; i < PROBE_VCPUS; i++) {
        int err = GET_ARRAY(in, MAILBOX_EVENTS, &t->events[i], &t->event_count[i]);

        if (err)
            return err;
    }
    return 0;
}

/* Indices point where they may. */
static bool is_consistent(const struct transcript *t)
{
    for (uint32_t i = 0; i < t->count; i++)
        if (!outcome_sane(&t->outcomes[i]))
            return false;
    for (uint32_t i = 0; i < t->sample_run_count; i++) {
        const struct transcript_sample_run *run = &t->sample_runs[i];

        if (run->action >= t->count || run->first > t->sample_count ||
            run->count > t->sample_count - run->first)
            return false;
    }
    for (unsigned v = 0; v < PROBE_VCPUS; v++)
        for (uint32_t i = 0; i < t->event_count[v]; i++)
            if (t->events[v][i].after >= t->count)
                return false;
    return true;
}

static int decode(struct transcript *t, struct wire_in *in)
{
    const char *stopped;
    int err;

    if (wire_get_u32(in) != TRANSCRIPT_MAGIC || wire_get_u32(in) != TRANSCRIPT_VERSION)
        return -EINVAL;
    stopped = wire_get_string(in);
    if (strlen(stopped) >= sizeof(t->stopped))
        return -EINVAL;
    strcpy(t->stopped, stopped);
    err = GET_ARRAY(in, MAILBOX_ACTIONS, &t->outcomes, &t->count);
    if (!err)
        err = get_events(in, t);
    if (!err)
        err = GET_ARRAY(in, TRANSCRIPT_SAMPLES_MAX, &t->samples, &t->sample_count);
    if (!err)
        err = GET_ARRAY(in, MAILBOX_ACTIONS, &t->sample_runs, &t->sample_run_count);
    if (err)
        return err;
    return wire_done(in) && is_consistent(t) ? 0 : -EINVAL;
}

int transcript_decode(struct transcript *t, const uint8_t *data, size_t len)
{
    struct wire_in in = {.data = data, .len = len};
    int err;

    transcript_init(t);
    err = decode(t, &in);
    if (err)
        transcript_free(t);
    return err;
}
