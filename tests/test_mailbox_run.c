/* The agent beside a VM, with a VM that the test plays: what it does when the guest's side goes wrong. mailbox_run.h */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/msr_cleanup.h"
#include "diff/probe/mailbox.h"
#include "vmm/abi/kvm_para.h"

#define RAM_SIZE (4u << 20)

struct fake_guest {
    struct mailbox *mailbox;
    unsigned restarts, boots_without_vcpus; /* so many of them never get all vCPUs */
    uint32_t boots;
    uint64_t now_ns;
    unsigned programs; /* it has run so many */
    struct {
        uint32_t count, vcpus, stale_outcomes, stale_events;
    } seen[2]; /* of each: what was in the mailbox when it began */
};

static int restart(void *ctx)
{
    struct fake_guest *g = ctx;

    g->restarts++;
    g->mailbox->state = PROBE_BOOTING;
    g->mailbox->boots = ++g->boots;
    return 0;
}

static void note_program(struct fake_guest *g)
{
    const struct mailbox *m = g->mailbox;
    unsigned n = g->programs++;

    cr_assert(lt(uint, n, 2));
    g->seen[n].count = m->count;
    g->seen[n].vcpus = m->vcpus;
    for (unsigned i = 0; i < MAILBOX_ACTIONS; i++)
        g->seen[n].stale_outcomes += m->outcomes[i].status != OUTCOME_NONE;
    for (unsigned v = 0; v < PROBE_VCPUS; v++)
        g->seen[n].stale_events += m->event_count[v];
}

/* A probe that has its program and all its vCPUs does every action at once. */
static bool pump(void *ctx, char why[240])
{
    struct fake_guest *g = ctx;
    struct mailbox *m = g->mailbox;

    (void)why;
    if (m->magic != MAILBOX_MAGIC || g->restarts <= g->boots_without_vcpus || m->done_seq == m->command_seq)
        return true;
    note_program(g);
    m->state = PROBE_RUNNING;
    for (uint32_t i = m->next; i < m->count; i++)
        m->outcomes[i] = (struct outcome){.status = OUTCOME_OK, .regs = {i}};
    m->event_count[1] = g->programs == 1;
    m->done_seq = m->command_seq;
    return true;
}

static uint64_t raw_ns(void *ctx)
{
    struct fake_guest *g = ctx;

    return g->now_ns += 1000;
}

/* Of so many vCPUs, on the last of them. */
static void one_action(struct program *program, enum action_op op, unsigned vcpus)
{
    const struct action action = {
        .op = (uint8_t)op, .vcpu = (uint8_t)(vcpus - 1), .args = {{.value = MSR_KVM_STEAL_TIME}}};

    program_init(program);
    program->config.vcpus = (uint8_t)vcpus;
    cr_assert(program_add(program, &action));
}

/* A program of vcpus behind another, NULL: none. */
static int run_behind(struct fake_guest *g, const struct program *before, unsigned vcpus,
                      struct transcript *out)
{
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
    one_action(&program, OP_RDTSC, vcpus);
    transcript_init(out);
    err = mailbox_run_behind(&host, before, &program, out);
    program_free(&program);
    free(host.ram);
    return err;
}

static int run(struct fake_guest *g, struct transcript *out)
{
    return run_behind(g, NULL, 2, out);
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

#define MSRS 13 /* that are put back, of each vCPU */

Test(mailbox_run, decision_15_msrs_are_put_back_in_the_boot_of_the_next_program)
{
    struct fake_guest g = {0};
    struct program before;
    struct transcript t;

    one_action(&before, OP_WRMSR, 2);
    cr_assert(eq(int, run_behind(&g, &before, 2, &t), 0));
    cr_assert(eq(uint, g.restarts, 1));
    cr_assert(eq(uint, g.programs, 2));
    cr_assert(eq(u32, g.seen[0].count, 2 * MSRS));
    cr_assert(eq(u32, g.seen[0].vcpus, 2));
    cr_assert(eq(u32, g.seen[1].count, 1));
    cr_assert(eq(u32, g.seen[1].stale_outcomes, 0));
    cr_assert(eq(u32, g.seen[1].stale_events, 0));
    cr_assert(eq(u32, t.count, 1));
    cr_assert(eq(u32, t.event_count[1], 0));
    transcript_free(&t);
    program_free(&before);
}

Test(mailbox_run, decision_15_vcpus_that_only_the_clean_up_needs_are_stopped_again)
{
    struct fake_guest g = {0};
    struct program before;
    struct transcript t;

    one_action(&before, OP_WRMSR, 2);
    cr_assert(eq(int, run_behind(&g, &before, 1, &t), 0));
    cr_assert(eq(uint, g.restarts, 2));
    cr_assert(eq(u32, g.seen[0].count, 2 * MSRS));
    cr_assert(eq(u32, g.seen[0].vcpus, 2));
    cr_assert(eq(u32, g.seen[1].vcpus, 1));
    transcript_free(&t);
    program_free(&before);
}

Test(mailbox_run, decision_15_vcpus_that_never_ran_need_no_clean_up)
{
    struct fake_guest g = {0};
    struct program before;
    struct transcript t;

    one_action(&before, OP_WRMSR, 1);
    cr_assert(eq(int, run_behind(&g, &before, 2, &t), 0));
    cr_assert(eq(uint, g.restarts, 1));
    cr_assert(eq(u32, g.seen[0].count, MSRS));
    cr_assert(eq(u32, g.seen[0].vcpus, 2)); /* those of the program that shares the boot */
    transcript_free(&t);
    program_free(&before);
}

Test(mailbox_run, decision_15_a_program_that_wrote_no_msr_needs_no_clean_up)
{
    struct fake_guest g = {0};
    struct program before;
    struct transcript t;

    one_action(&before, OP_RDTSC, 2);
    cr_assert(eq(int, run_behind(&g, &before, 2, &t), 0));
    cr_assert(eq(uint, g.programs, 1));
    transcript_free(&t);
    program_free(&before);
}

Test(mailbox_run, decision_15_a_clean_up_that_fails_is_not_the_programs_failure)
{
    struct fake_guest g = {.boots_without_vcpus = 1000};
    struct program before;
    struct transcript t;

    one_action(&before, OP_WRMSR, 2);
    for (unsigned vcpus = 1; vcpus <= 2; vcpus++) { /* in a boot of its own, and in the program's */
        cr_assert(eq(int, run_behind(&g, &before, vcpus, &t), -ESTALE));
        cr_assert(eq(u32, t.count, 0));
        cr_assert(eq(ptr, t.outcomes, NULL));
        cr_assert(eq(str, t.stopped, ""));
        transcript_free(&t);
    }
    program_free(&before);
}
