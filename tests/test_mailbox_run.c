/* The agent beside a VM, with a VM that the test plays: what it does when the guest's side goes wrong. mailbox_run.h */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/mailbox_run.h"
#include "diff/probe/mailbox.h"

#define RAM_SIZE (4u << 20)

struct fake_guest {
    struct mailbox *mailbox;
    unsigned restarts, boots_without_vcpus; /* so many of them never get all vCPUs */
    uint32_t boots;
};

static int restart(void *ctx)
{
    struct fake_guest *g = ctx;

    g->restarts++;
    g->mailbox->state = PROBE_BOOTING;
    g->mailbox->boots = ++g->boots;
    return 0;
}

/* A probe that has its program and all its vCPUs does every action at once. */
static bool pump(void *ctx, char why[240])
{
    struct fake_guest *g = ctx;
    struct mailbox *m = g->mailbox;

    (void)why;
    if (m->magic != MAILBOX_MAGIC || g->restarts <= g->boots_without_vcpus || m->done_seq == m->command_seq)
        return true;
    m->state = PROBE_RUNNING;
    for (uint32_t i = m->next; i < m->count; i++)
        m->outcomes[i] = (struct outcome){.status = OUTCOME_OK, .regs = {i}};
    m->done_seq = m->command_seq;
    return true;
}

static uint64_t raw_ns(void *ctx)
{
    (void)ctx;
    return 0;
}

static int run(struct fake_guest *g, struct transcript *out)
{
    static const struct action action = {.op = OP_RDTSC, .vcpu = 1};
    struct mailbox_host host = {.ram = calloc(1, RAM_SIZE),
                                .ram_size = RAM_SIZE,
                                .vcpus = 2,
                                .ctx = g,
                                .pump = pump,
                                .raw_ns = raw_ns,
                                .restart = restart,
                                .runs_in_pump = true,
                                .boot_ns = 1000000};
    struct program program;
    int err;

    cr_assert(host.ram != NULL);
    g->mailbox = (struct mailbox *)(host.ram + MAILBOX_GPA);
    program_init(&program);
    program.config.vcpus = 2;
    cr_assert(program_add(&program, &action));
    transcript_init(out);
    err = mailbox_run(&host, &program, out);
    program_free(&program);
    free(host.ram);
    return err;
}

Test(mailbox_run, decision_10_a_vcpu_that_did_not_start_costs_a_reset_and_no_action)
{
    struct fake_guest g = {.boots_without_vcpus = 2};
    struct transcript t;

    cr_assert(eq(int, run(&g, &t), 0));
    cr_assert(eq(uint, g.restarts, 3));
    cr_assert(eq(u8, t.outcomes[0].status, OUTCOME_OK));
    cr_assert(eq(str, t.stopped, ""));
    transcript_free(&t);
}

Test(mailbox_run, decision_10_one_that_never_starts_is_a_lost_vm)
{
    struct fake_guest g = {.boots_without_vcpus = 1000};
    struct transcript t;

    cr_assert(eq(int, run(&g, &t), -EIO));
    cr_assert(strstr(t.stopped, "a vCPU did not start") != NULL, "%s", t.stopped);
    transcript_free(&t);
}
