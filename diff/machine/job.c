/* Encodes run items and results for the way into the box and back. */
#include "diff/machine/job.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Strings, counts and the like around the parts whose size is known. */
#define RESULT_OVERHEAD 4096u

size_t job_result_bound(const struct program *program)
{
    return RESULT_OVERHEAD + program->count * sizeof(struct outcome) +
           (size_t)PROBE_VCPUS * MAILBOX_EVENTS * sizeof(struct probe_event) +
           MAILBOX_SAMPLES * sizeof(struct clock_sample) +
           program->count * sizeof(struct transcript_sample_run);
}

int job_item_encode(const struct run_item *item, struct wire_out *out)
{
    const struct flag_set *f = &item->flags;

    wire_put_string(out, f->name);
    wire_put_string(out, f->cpu);
    wire_put_string(out, f->machine);
    wire_put_string(out, f->smp);
    wire_put_string(out, f->memory);
    wire_put_u32(out, item->cpuid_only);
    wire_put_u32(out, item->program_count);
    for (unsigned i = 0; i < item->program_count; i++) {
        uint8_t *bytes;
        size_t len;
        int err = program_encode(&item->programs[i], &bytes, &len);

        if (err)
            return err;
        wire_put_bytes(out, bytes, len);
        free(bytes);
    }
    return out->failed ? -ENOMEM : 0;
}

static int decode_programs(struct job_item *job, struct wire_in *in)
{
    uint32_t count = wire_get_u32(in);

    /* Each takes at least its length: a count that the message cannot hold allocates nothing. */
    if (in->failed || count > JOB_PROGRAMS_MAX || count > in->len / sizeof(uint32_t))
        return -EINVAL;
    job->programs = calloc(count ? count : 1, sizeof(*job->programs));
    if (!job->programs)
        return -ENOMEM;
    job->item.programs = job->programs;
    for (uint32_t i = 0; i < count; i++) {
        struct program_error error;
        size_t len;
        const uint8_t *bytes = wire_get_bytes(in, &len);
        int err;

        program_init(&job->programs[i]);
        job->item.program_count = i + 1;
        if (!bytes)
            return -EINVAL;
        err = program_decode(&job->programs[i], bytes, len, &error);
        if (err)
            return err;
    }
    return 0;
}

int job_item_decode(struct job_item *job, const uint8_t *data, size_t len)
{
    struct flag_set *f = &job->item.flags;
    struct wire_in in = {.len = len};
    int err;

    *job = (struct job_item){.bytes = malloc(len ? len : 1)};
    if (!job->bytes)
        return -ENOMEM;
    memcpy(job->bytes, data, len);
    in.data = job->bytes;
    f->name = wire_get_string(&in);
    f->cpu = wire_get_string(&in);
    f->machine = wire_get_string(&in);
    f->smp = wire_get_string(&in);
    f->memory = wire_get_string(&in);
    job->item.cpuid_only = wire_get_u32(&in);
    err = decode_programs(job, &in);
    if (err)
        return err;
    return wire_done(&in) ? 0 : -EINVAL;
}

void job_item_free(struct job_item *job)
{
    for (unsigned i = 0; job->programs && i < job->item.program_count; i++)
        program_free(&job->programs[i]);
    free(job->programs);
    free(job->bytes);
    *job = (struct job_item){0};
}

int job_result_encode(const struct run_result *result, unsigned program_count, struct wire_out *out)
{
    wire_put_string(out, result->error);
    wire_put_u32(out, result->refused);
    wire_put_string(out, result->command_line);
    wire_put_string(out, result->warnings);
    wire_put_u32(out, program_count);
    for (unsigned i = 0; i < program_count; i++) {
        uint8_t *bytes;
        size_t len;
        int err = transcript_encode(&result->transcripts[i], &bytes, &len);

        if (err)
            return err;
        wire_put_bytes(out, bytes, len);
        free(bytes);
    }
    return out->failed ? -ENOMEM : 0;
}

int job_result_decode(struct run_result *result, unsigned program_count, const uint8_t *data, size_t len)
{
    struct wire_in in = {.data = data, .len = len};

    snprintf(result->error, sizeof(result->error), "%s", wire_get_string(&in));
    result->refused = wire_get_u32(&in) != 0;
    free(result->command_line);
    result->command_line = strdup(wire_get_string(&in));
    free(result->warnings);
    result->warnings = strdup(wire_get_string(&in));
    if (!result->command_line || !result->warnings)
        return -ENOMEM;
    if (wire_get_u32(&in) != program_count || in.failed)
        return -EINVAL;
    for (unsigned i = 0; i < program_count; i++) {
        size_t size;
        const uint8_t *bytes = wire_get_bytes(&in, &size);
        int err = bytes ? transcript_decode(&result->transcripts[i], bytes, size) : -EINVAL;

        if (err)
            return err;
    }
    return wire_done(&in) ? 0 : -EINVAL;
}
