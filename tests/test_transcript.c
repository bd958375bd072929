/* Transcripts as bytes: nothing is lost, and whatever else comes is refused without harm. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/transcript.h"

#define OUTCOMES 3
#define EVENTS   2
#define SAMPLES  2

static void *copy_of(const void *data, size_t len)
{
    void *copy = malloc(len);

    memcpy(copy, data, len);
    return copy;
}

static void fill(struct transcript *t)
{
    const struct outcome outcomes[OUTCOMES] = {
        {.status = OUTCOME_OK,
         .regs = {1, 2, 3, 4},
         .rip_delta = 3,
         .data_len = 3,
         .data = {0x0f, 0x01, 0xd9}},
        {.status = OUTCOME_FAULT, .vector = 14, .error = 2, .cr2 = 0x180000000, .changed = 1},
        {.status = OUTCOME_TIMEOUT},
    };
    const struct probe_event events[EVENTS] = {{.after = 1, .vector = 0x41}, {.after = 2, .vector = 0x42}};
    const struct clock_sample samples[SAMPLES] = {{.tsc = 5, .before_ns = 1, .after_ns = 2},
                                                  {.tsc = 6, .tsc_shift = -1}};
    const struct transcript_sample_run run = {.action = 2, .first = 0, .count = SAMPLES};

    transcript_init(t);
    t->count = OUTCOMES;
    t->outcomes = copy_of(outcomes, sizeof(outcomes));
    t->event_count[1] = EVENTS;
    t->events[1] = copy_of(events, sizeof(events));
    t->sample_count = SAMPLES;
    t->samples = copy_of(samples, sizeof(samples));
    t->sample_run_count = 1;
    t->sample_runs = copy_of(&run, sizeof(run));
    strcpy(t->stopped, "action 2 hung");
}

struct bytes {
    uint8_t *data;
    size_t len;
};

static struct bytes encoded(const struct transcript *t)
{
    struct bytes b;

    cr_assert(eq(int, transcript_encode(t, &b.data, &b.len), 0));
    return b;
}

Test(transcript, what_was_written_is_read_back)
{
    struct transcript t, back;
    struct bytes b, again;

    fill(&t);
    b = encoded(&t);
    cr_assert(eq(int, transcript_decode(&back, b.data, b.len), 0));
    cr_assert(eq(u32, back.count, OUTCOMES));
    cr_assert(eq(int, memcmp(back.outcomes, t.outcomes, OUTCOMES * sizeof(*t.outcomes)), 0));
    cr_assert(eq(u32, back.event_count[1], EVENTS));
    cr_assert(eq(int, memcmp(back.events[1], t.events[1], EVENTS * sizeof(*t.events[1])), 0));
    cr_assert(eq(int, memcmp(back.samples, t.samples, SAMPLES * sizeof(*t.samples)), 0));
    cr_assert(eq(u32, back.sample_runs[0].count, SAMPLES));
    cr_assert(eq(str, back.stopped, "action 2 hung"));
    again = encoded(&back);
    cr_assert(eq(sz, again.len, b.len));
    cr_assert(eq(int, memcmp(again.data, b.data, b.len), 0));
    free(again.data);
    free(b.data);
    transcript_free(&back);
    transcript_free(&t);
}

Test(transcript, an_empty_one_is_read_back)
{
    struct transcript t, back;
    struct bytes b;

    transcript_init(&t);
    b = encoded(&t);
    cr_assert(eq(int, transcript_decode(&back, b.data, b.len), 0));
    cr_assert(eq(u32, back.count, 0));
    free(b.data);
    transcript_free(&back);
}

Test(transcript, every_shorter_length_is_refused)
{
    struct transcript t, back;
    struct bytes b;

    fill(&t);
    b = encoded(&t);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *exact = copy_of(b.data, len ? len : 1); /* so that a sanitizer sees a read behind the end */

        cr_assert(eq(int, transcript_decode(&back, exact, len), -EINVAL));
        free(exact);
    }
    free(b.data);
    transcript_free(&t);
}

Test(transcript, any_changed_byte_is_refused_or_read_without_harm)
{
    struct transcript t, back;
    struct bytes b;

    fill(&t);
    b = encoded(&t);
    for (size_t at = 0; at < b.len; at++) {
        b.data[at] ^= 0xff;
        if (!transcript_decode(&back, b.data, b.len))
            transcript_free(&back);
        b.data[at] ^= 0xff;
    }
    free(b.data);
    transcript_free(&t);
}

static int decode_after(void (*change)(struct transcript *))
{
    struct transcript t, back;
    struct bytes b;
    int err;

    fill(&t);
    change(&t);
    b = encoded(&t);
    err = transcript_decode(&back, b.data, b.len);
    if (!err)
        transcript_free(&back);
    free(b.data);
    transcript_free(&t);
    return err;
}

static void event_after_nothing(struct transcript *t)
{
    t->events[1][0].after = OUTCOMES;
}
static void samples_past_the_end(struct transcript *t)
{
    t->sample_runs[0].first = 1;
}
static void samples_that_wrap(struct transcript *t)
{
    t->sample_runs[0].first = UINT32_MAX;
}
static void samples_of_no_action(struct transcript *t)
{
    t->sample_runs[0].action = OUTCOMES;
}
static void data_too_long(struct transcript *t)
{
    t->outcomes[0].data_len = 65;
}
static void unknown_status(struct transcript *t)
{
    t->outcomes[0].status = OUTCOME_TIMEOUT + 1;
}

Test(transcript, indices_and_fields_out_of_range_are_refused)
{
    cr_assert(eq(int, decode_after(event_after_nothing), -EINVAL));
    cr_assert(eq(int, decode_after(samples_past_the_end), -EINVAL));
    cr_assert(eq(int, decode_after(samples_that_wrap), -EINVAL));
    cr_assert(eq(int, decode_after(samples_of_no_action), -EINVAL));
    cr_assert(eq(int, decode_after(data_too_long), -EINVAL));
    cr_assert(eq(int, decode_after(unknown_status), -EINVAL));
}
