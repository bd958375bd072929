/* What the host and the box tell each other: messages and the channel that carries them, against hostile bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/machine/channel.h"
#include "diff/machine/job.h"

/* Canonical, so that it comes back as it was. */
static const char text[] =
    "paravane 1\nvcpus 2\nram 64\nirqchip kernel\n\n# why\ncpuid 0x40000000\n@1 rdtsc\n!pause\n";

static void parse(struct program *program)
{
    struct program_error error;

    program_init(program);
    cr_assert(eq(int, program_parse(program, text, strlen(text), &error), 0), "%s", error.message);
}

static struct wire_out encoded_item(void)
{
    struct wire_out out = {0};
    struct program programs[2];
    const struct run_item item = {.flags = {"set", "host,-kvmclock", "pc", "2", "64M"},
                                  .programs = programs,
                                  .program_count = 2,
                                  .cpuid_only = true};

    parse(&programs[0]);
    parse(&programs[1]);
    cr_assert(eq(int, job_item_encode(&item, &out), 0));
    program_free(&programs[0]);
    program_free(&programs[1]);
    return out;
}

Test(job, an_item_survives_the_way)
{
    struct wire_out out = encoded_item();
    struct job_item job;
    char *back;
    size_t len;

    cr_assert(eq(int, job_item_decode(&job, out.data, out.len), 0));
    cr_assert(eq(str, (char *)job.item.flags.cpu, "host,-kvmclock"));
    cr_assert(eq(str, (char *)job.item.flags.memory, "64M"));
    cr_assert(eq(uint, job.item.program_count, 2));
    cr_assert(job.item.cpuid_only);
    cr_assert(eq(int, program_print(&job.item.programs[1], &back, &len), 0));
    cr_assert(eq(str, back, (char *)text));
    free(back);
    job_item_free(&job);
    free(out.data);
}

Test(job, an_item_cut_anywhere_is_refused)
{
    struct wire_out out = encoded_item();

    for (size_t len = 0; len < out.len; len++) {
        struct job_item job;

        cr_assert(eq(int, job_item_decode(&job, out.data, len), -EINVAL), "%zu bytes", len);
        job_item_free(&job);
    }
    free(out.data);
}

Test(job, an_item_with_any_byte_changed_does_no_harm)
{
    struct wire_out out = encoded_item();

    for (size_t i = 0; i < out.len; i++)
        for (int bit = 0; bit < 8; bit += 7) {
            struct job_item job;
            int err;

            out.data[i] ^= 1u << bit;
            err = job_item_decode(&job, out.data, out.len);
            cr_assert(err == 0 || err == -EINVAL, "byte %zu: %d", i, err);
            job_item_free(&job);
            out.data[i] ^= 1u << bit;
        }
    free(out.data);
}

Test(job, a_program_count_that_cannot_be_allocates_nothing)
{
    struct wire_out out = {0};
    struct job_item job;

    for (int i = 0; i < 5; i++)
        wire_put_string(&out, "x");
    wire_put_u32(&out, JOB_PROGRAMS_MAX);
    cr_assert(eq(int, job_item_decode(&job, out.data, out.len), -EINVAL));
    cr_assert(job.programs == NULL);
    job_item_free(&job);
    free(out.data);
}

static struct wire_out encoded_result(void)
{
    struct wire_out out = {0};
    struct run_result result;

    cr_assert(eq(int, run_result_init(&result, 1), 0));
    strcpy(result.error, "QEMU: exit status 1");
    result.refused = true;
    result.command_line = strdup("qemu-system-x86_64 -cpu x");
    strcpy(result.transcripts[0].stopped, "it died");
    cr_assert(eq(int, job_result_encode(&result, 1, &out), 0));
    run_result_free(&result, 1);
    return out;
}

Test(job, a_result_survives_the_way)
{
    struct wire_out out = encoded_result();
    struct run_result result;

    cr_assert(eq(int, run_result_init(&result, 1), 0));
    cr_assert(eq(int, job_result_decode(&result, 1, out.data, out.len), 0));
    cr_assert(eq(str, result.error, "QEMU: exit status 1"));
    cr_assert(result.refused);
    cr_assert(eq(str, result.command_line, "qemu-system-x86_64 -cpu x"));
    cr_assert(eq(str, result.transcripts[0].stopped, "it died"));
    run_result_free(&result, 1);
    free(out.data);
}

Test(job, a_result_cut_anywhere_or_for_another_count_is_refused)
{
    struct wire_out out = encoded_result();
    struct run_result result;

    for (size_t len = 0; len < out.len; len++) {
        cr_assert(eq(int, run_result_init(&result, 1), 0));
        cr_assert(eq(int, job_result_decode(&result, 1, out.data, len), -EINVAL), "%zu bytes", len);
        run_result_free(&result, 1);
    }
    cr_assert(eq(int, run_result_init(&result, 2), 0));
    cr_assert(eq(int, job_result_decode(&result, 2, out.data, out.len), -EINVAL));
    run_result_free(&result, 2);
    free(out.data);
}

Test(job, the_longest_program_fits_one_message)
{
    struct program program;
    const struct action nop = {.op = OP_NOP};

    program_init(&program);
    while (program_add(&program, &nop))
        ;
    cr_assert(eq(u32, program.count, PROGRAM_ACTIONS_MAX));
    cr_assert(lt(sz, job_result_bound(&program), (size_t)CHANNEL_MESSAGE));
    program_free(&program);
}

Test(wire, a_string_needs_its_end_and_nothing_inside)
{
    static const uint8_t cases[][6] = {{2, 0, 0, 0, 'a', 'b'}, {2, 0, 0, 0, 0, 0}, {9, 0, 0, 0, 'a', 0}, {0}};

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct wire_in in = {.data = cases[i], .len = sizeof(cases[i])};

        cr_assert(eq(str, (char *)wire_get_string(&in), ""), "case %zu", i);
        cr_assert(in.failed, "case %zu", i);
    }
}

struct pair {
    void *memory;
    struct channel host, agent;
};

static void pair_open(struct pair *p)
{
    *p = (struct pair){0};
    p->memory = mmap(NULL, CHANNEL_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(p->memory != MAP_FAILED);
    cr_assert(eq(int, channel_init(&p->host, p->memory, true), 0));
    cr_assert(eq(int, channel_init(&p->agent, p->memory, false), 0));
}

Test(channel, messages_arrive_in_order_both_ways)
{
    struct pair p;
    uint32_t type;
    uint8_t *data;
    size_t len;

    pair_open(&p);
    for (uint32_t i = 0; i < 3; i++) {
        cr_assert(eq(int, channel_send(&p.host, i, "ping", 5, 1000), 0));
        cr_assert(eq(int, channel_receive(&p.agent, &type, &data, &len, 1000), 0));
        cr_assert(eq(u32, type, i));
        cr_assert(eq(str, (char *)data, "ping"));
        free(data);
        cr_assert(eq(int, channel_send(&p.agent, i, NULL, 0, 1000), 0));
        cr_assert(eq(int, channel_receive(&p.host, &type, &data, &len, 1000), 0));
        cr_assert(eq(sz, len, 0));
        free(data);
    }
}

Test(channel, a_message_that_nobody_takes_times_out)
{
    struct pair p;

    pair_open(&p);
    cr_assert(eq(int, channel_send(&p.host, 1, "a", 2, 10), 0));
    cr_assert(eq(int, channel_send(&p.host, 1, "b", 2, 10), -ETIMEDOUT));
}

static bool give_up(void *ctx)
{
    (void)ctx;
    return false;
}

Test(channel, a_wait_can_be_given_up)
{
    struct pair p;
    uint32_t type;
    uint8_t *data;
    size_t len;

    pair_open(&p);
    p.host.wait = give_up;
    cr_assert(eq(int, channel_receive(&p.host, &type, &data, &len, 100000), -ECANCELED));
}

Test(channel, a_length_beyond_the_slot_is_refused)
{
    struct pair p;
    uint32_t type;
    uint8_t *data;
    size_t len;

    pair_open(&p);
    cr_assert(eq(int, channel_send(&p.agent, 1, "a", 2, 1000), 0));
    ((struct channel_memory *)p.memory)->slots[1].len = UINT32_MAX;
    cr_assert(eq(int, channel_receive(&p.host, &type, &data, &len, 1000), -EPROTO));
    cr_assert(eq(int, channel_send(&p.host, 1, "a", (size_t)CHANNEL_MESSAGE + 1, 1000), -EMSGSIZE));
}

Test(channel, another_version_is_refused)
{
    struct pair p;

    pair_open(&p);
    ((struct channel_memory *)p.memory)->version++;
    cr_assert(eq(int, channel_init(&p.agent, p.memory, false), -EPROTO));
}
