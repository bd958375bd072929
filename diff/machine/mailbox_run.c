/* The agent beside a VM (mailbox_run.h). Guest RAM is hostile: every word is read once, checked, and used only then;
 * what decides where the program stands is kept on our side. Decisions 4, 10, 11. */
#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "diff/machine/deadline.h"
#include "diff/machine/mailbox_run.h"

#define BOOT_NS          15000000000ull
#define ACTION_NS        8000000000ull /* generous: on a busy host a TCG vCPU may wait for seconds */
#define HLT_NS           200000000ull
#define LOOK_US          20
#define SAMPLES_END      UINT32_MAX
#define FORCED           0x80
#define BOOT_RETRIES_MAX 2

struct run {
    struct mailbox_host *host;
    struct mailbox *m; /* guest RAM */
    const struct program *program;
    struct transcript *out;
    uint32_t command;    /* command_seq of this program: 1 behind a reset */
    uint8_t *forced;     /* per action: FORCED | enum outcome_status when it was decided on this side */
    uint32_t position;   /* no action before this one can be current any more */
    uint32_t served_seq; /* last host_seq that was answered */
    uint32_t sampled;    /* OP_CLOCK action whose samples were taken; UINT32_MAX: none */
    unsigned hangs, boot_retries;
    bool started; /* since the last restart the probe has left PROBE_BOOTING: all its vCPUs came */
    bool paused;
    uint32_t timed; /* action that deadline_ns is for; UINT32_MAX: for the way to one */
    uint64_t deadline_ns;
};

static uint64_t or_default(uint64_t value, uint64_t fallback)
{
    return value ? value : fallback;
}

static bool is_host_op(uint8_t op)
{
    return op_info(op)->host;
}

uint64_t mailbox_resolve(const struct operand *operand, uint64_t ram_size)
{
    const uint64_t bases[BASE_COUNT] = {
        [BASE_NONE] = 0,          [BASE_RAM] = PROBE_RAM_BASE, [BASE_RAM_END] = ram_size,
        [BASE_HOLE] = PROBE_HOLE, [BASE_ROM] = PROBE_ROM_BASE, [BASE_MMIO] = PROBE_MMIO_BASE,
    };

    return operand->value + (operand->base < BASE_COUNT ? bases[operand->base] : 0);
}

/* Deadlines, too, are on the clock of whoever runs the VM: where time is counted, they do not depend on the host. */
static uint64_t now_ns(const struct run *run)
{
    return run->host->raw_ns(run->host->ctx);
}

static int fail(struct run *run, int err, const char *text)
{
    if (!run->out->stopped[0])
        snprintf(run->out->stopped, sizeof(run->out->stopped), "%s", text);
    return err;
}

/* One turn of waiting. Negative: give up. */
static int turn(struct run *run)
{
    char why[240] = "";

    if (run->host->cancelled && run->host->cancelled(run->host->ctx))
        return fail(run, -EINTR, "cancelled");
    if (!run->host->pump(run->host->ctx, why))
        return fail(run, -EIO, why[0] ? why : "the VM is gone");
    if (!run->host->runs_in_pump && !run->host->urgent)
        pause_us(LOOK_US);
    return 0;
}

static int wait_for_boot(struct run *run, uint32_t boots_before)
{
    uint64_t deadline = now_ns(run) + or_default(run->host->boot_ns, BOOT_NS);
    int err = 0;

    while (!err && run->m->boots == boots_before) {
        if (now_ns(run) >= deadline)
            return fail(run, -EIO, "the probe did not start after a reset; look at the VM's messages");
        err = turn(run);
    }
    return err;
}

static void clear_ram(struct run *run)
{
    struct mailbox_host *host = run->host;
    uint8_t *ram = host->ram + PROBE_RAM_BASE;
    size_t size = host->ram_size > PROBE_RAM_BASE ? host->ram_size - PROBE_RAM_BASE : 0;

    if (host->clear_ram)
        host->clear_ram(host->ctx);
    else if (madvise(ram, size, MADV_REMOVE)) /* a hole costs nothing; not every mapping can have one */
        memset(ram, 0, size);
}

/* All of it, or what we put there ourselves where the host has cleared what the guest did. */
static void clear_mailbox(struct run *run)
{
    struct mailbox_host *host = run->host;
    size_t ours = offsetof(struct mailbox, actions) + host->actions_put * sizeof(run->m->actions[0]);

    memset(run->m, 0, host->clears_mailbox ? ours : MAILBOX_SIZE);
    host->actions_put = 0;
}

static bool is_for_probe(const struct run *run, const struct action *action)
{
    return action->op != OP_NOTE && (is_host_op(action->op) || action->vcpu < run->host->vcpus);
}

/* The program with its addresses resolved. What the probe cannot do becomes a note, which it skips. */
static void fill_actions(struct run *run)
{
    if (run->host->actions_put < run->program->count)
        run->host->actions_put = run->program->count;
    for (uint32_t i = 0; i < run->program->count; i++) {
        const struct action *from = &run->program->actions[i];
        struct probe_action *to = &run->m->actions[i];

        *to = (struct probe_action){.op = from->op, .mode = from->mode, .vcpu = from->vcpu};
        for (unsigned k = 0; k < PROGRAM_ARGS; k++)
            to->args[k] = mailbox_resolve(&from->args[k], run->host->ram_size);
        if (is_for_probe(run, from))
            continue;
        to->op = OP_NOTE;
        to->vcpu = 0;
        run->forced[i] = FORCED | (from->op == OP_NOTE ? OUTCOME_NONE : OUTCOME_UNSUPPORTED);
    }
}

static void set_boot_deadline(struct run *run)
{
    run->timed = UINT32_MAX;
    run->deadline_ns = now_ns(run) + or_default(run->host->boot_ns, BOOT_NS);
}

static void set_deadline(struct run *run, uint32_t index)
{
    const struct mailbox_host *host = run->host;
    const struct action *action = &run->program->actions[index];
    bool hlt = action->op == OP_HLT && action->vcpu == 0;

    run->timed = index;
    run->deadline_ns =
        now_ns(run) + (hlt ? or_default(host->hlt_ns, HLT_NS) : or_default(host->action_ns, ACTION_NS));
}

unsigned mailbox_vcpus(const struct mailbox_host *host, const struct program *program)
{
    return program->config.vcpus > 1 ? host->vcpus : 1;
}

/* Everything in the mailbox that is ours to say, so that the probe goes on at action next after a reset, whatever the
 * guest did to the mailbox before. The probe starts at the magic, or behind another program at the command. */
static void publish(struct run *run, uint32_t next)
{
    struct mailbox *m = run->m;

    fill_actions(run);
    m->version = 1;
    m->done_seq = run->command - 1;
    m->count = run->program->count;
    m->vcpus = mailbox_vcpus(run->host, run->program);
    m->host_seq = run->served_seq;
    m->host_ack = run->served_seq - 1; /* not what a probe that waits before the reset waits for */
    m->native = run->host->native_vmcall ? 0 : 1;
    m->cpuid_only = run->host->cpuid_only;
    m->state = PROBE_BOOTING;
    m->current = 0;
    m->next = next;
    atomic_thread_fence(memory_order_seq_cst);
    m->command_seq = run->command;
    m->magic = MAILBOX_MAGIC;
}

static int restart(struct run *run)
{
    uint32_t boots = run->m->boots;

    run->started = false;
    if (run->host->restart(run->host->ctx))
        return fail(run, -EIO, "the VM could not be reset");
    return wait_for_boot(run, boots);
}

static int restart_at(struct run *run, uint32_t next)
{
    run->position = next;
    set_boot_deadline(run);
    publish(run, next);
    return restart(run);
}

/* The probe waits for its magic while the memory of the program before is cleared. */
static int begin(struct run *run)
{
    int err;

    run->m->magic = 0;
    run->m->cpuid_only = run->host->cpuid_only;
    err = restart(run);
    if (err)
        return err;
    clear_ram(run);
    clear_mailbox(run);
    set_boot_deadline(run);
    publish(run, 0);
    return 0;
}

/* Behind first, in the same boot: the probe waits for a command, its vCPUs are numbered. */
static void go_on(struct run *run, const struct run *first)
{
    memset(run->m->actions, 0, first->program->count * sizeof(run->m->actions[0]));
    memset(run->m->outcomes, 0, first->program->count * sizeof(run->m->outcomes[0]));
    for (unsigned v = 0; v < PROBE_VCPUS; v++)
        run->m->event_count[v] = 0;
    run->command = first->command + 1;
    run->served_seq = first->served_seq;
    run->started = true;
    set_boot_deadline(run);
    publish(run, 0);
}

/* The probe says where it is; only forward is believed. False: nothing usable there. */
static bool read_current(struct run *run, uint32_t *current)
{
    *current = run->m->current;
    return *current < run->program->count && *current >= run->position;
}

static void decide(struct run *run, uint32_t index, enum outcome_status status, int err)
{
    run->forced[index] = FORCED | status;
    run->out->outcomes[index] = (struct outcome){.status = status, .regs = {(uint64_t)-err}};
}

static int advance(struct run *run, uint64_t ns)
{
    uint64_t start = now_ns(run);
    int err = 0;

    while (!err && now_ns(run) - start < ns)
        err = turn(run);
    return err;
}

/* What the VM's driver does. */
static int do_drivers_action(struct run *run, uint32_t index)
{
    struct action action = run->program->actions[index];
    struct outcome given = {.status = OUTCOME_NONE};
    struct outcome *outcome = &run->out->outcomes[index];
    int err;

    for (unsigned k = 0; k < PROGRAM_ARGS; k++)
        action.args[k] = (struct operand){BASE_NONE, mailbox_resolve(&action.args[k], run->host->ram_size)};
    err = run->host->host_action(run->host->ctx, &action, &given);
    decide(run, index, err == -ENOTSUP ? OUTCOME_UNSUPPORTED : OUTCOME_HOST, err);
    memcpy(outcome->data, given.data, sizeof(outcome->data));
    outcome->data_len = given.data_len;
    if (!err && action.op == OP_PAUSE_VM)
        run->paused = true;
    if (!err && action.op == OP_RESUME_VM)
        run->paused = false;
    return err == -EIO ? fail(run, -EIO, "the VM was lost in a host action") : 0;
}

/* One host action. Negative: the run is over. */
static int do_host_action(struct run *run, uint32_t index)
{
    const struct action *action = &run->program->actions[index];

    switch (action->op) {
    case OP_ADVANCE:
        if (action->args[0].value > MAILBOX_ADVANCE_MAX_NS) {
            decide(run, index, OUTCOME_UNSUPPORTED, -ENOTSUP);
            return 0;
        }
        decide(run, index, OUTCOME_HOST, 0);
        return advance(run, action->args[0].value);
    case OP_RESET:
        if (run->paused) {
            decide(run, index, OUTCOME_UNSUPPORTED, -ENOTSUP);
            return 0;
        }
        decide(run, index, OUTCOME_HOST, 0);
        return restart_at(run, index + 1);
    default:
        return do_drivers_action(run, index);
    }
}

static int unpause(struct run *run)
{
    const struct action resume = {.op = OP_RESUME_VM};
    struct outcome ignored;

    run->paused = false;
    return run->host->host_action(run->host->ctx, &resume, &ignored)
               ? fail(run, -EIO, "the VM could not be resumed")
               : 0;
}

static bool was_reset(const struct run *run, uint32_t index)
{
    return run->program->actions[index].op == OP_RESET && run->forced[index] == (FORCED | OUTCOME_HOST);
}

/* The probe waits at a host action. While the VM is paused nothing else can run, so the actions up to !resume are done
 * here, and guest actions among them are not compared. After a reset the probe goes on by itself. */
static int serve_host(struct run *run, uint32_t first, uint32_t seq)
{
    const struct program *program = run->program;
    uint32_t i = first;
    int err = 0;

    run->served_seq = seq;
    do {
        uint8_t op = program->actions[i].op;

        if (is_host_op(op))
            err = do_host_action(run, i);
        else if (op != OP_NOTE)
            decide(run, i, OUTCOME_UNSUPPORTED, 0);
        i++;
    } while (!err && !was_reset(run, i - 1) && i < program->count &&
             (run->paused || is_host_op(program->actions[i].op)));
    if (!err && run->paused)
        err = unpause(run);
    run->position = i;
    set_boot_deadline(run);
    if (err || was_reset(run, i - 1))
        return err;
    run->m->next = i;
    atomic_thread_fence(memory_order_seq_cst);
    run->m->host_ack = seq;
    return 0;
}

/* One reading between two of the agent's own clock. 1: taken; 0: the guest did not answer in time. */
static int take_sample(struct run *run, uint32_t seq, struct clock_sample *sample)
{
    struct mailbox_host *host = run->host;
    struct mailbox *m = run->m;
    uint64_t before, after, deadline = now_ns(run) + or_default(host->action_ns, ACTION_NS);

    before = now_ns(run);
    m->sample_request = seq;
    while (m->sample_seq != seq) {
        int err = turn(run);

        if (err)
            return err;
        if (now_ns(run) >= deadline)
            return 0;
    }
    after = now_ns(run);
    atomic_thread_fence(memory_order_acquire);
    memcpy(sample, &m->sample, sizeof(*sample));
    memset(sample->pad, 0, sizeof(sample->pad));
    sample->before_ns = before;
    sample->after_ns = after;
    return 1;
}

static int grow(struct transcript *t, uint32_t samples)
{
    struct transcript_sample_run *runs =
        realloc(t->sample_runs, (t->sample_run_count + 1) * sizeof(*t->sample_runs));
    struct clock_sample *all;

    if (!runs)
        return -ENOMEM;
    t->sample_runs = runs;
    all = realloc(t->samples, (t->sample_count + samples) * sizeof(*t->samples));
    if (!all)
        return -ENOMEM;
    t->samples = all;
    return 0;
}

static int serve_samples(struct run *run, uint32_t index)
{
    struct transcript *t = run->out;
    uint64_t wanted = run->program->actions[index].args[1].value;
    uint32_t left = TRANSCRIPT_SAMPLES_MAX - t->sample_count;
    uint32_t n = wanted < MAILBOX_SAMPLES ? (uint32_t)wanted : MAILBOX_SAMPLES;
    struct transcript_sample_run done = {.action = index, .first = t->sample_count};
    int got = 1;

    n = n < left ? n : left;
    run->sampled = index;
    if (grow(t, n ? n : 1))
        return fail(run, -ENOMEM, "no memory for clock samples");
    run->host->urgent = true;
    while (got == 1 && done.count < n) {
        got = take_sample(run, done.count + 1, &t->samples[t->sample_count]);
        if (got == 1) {
            done.count++;
            t->sample_count++;
        }
    }
    run->host->urgent = false;
    run->m->sample_request = SAMPLES_END;
    t->sample_runs[t->sample_run_count++] = done;
    set_deadline(run, index);
    return got < 0 ? got : 0;
}

/* Where a guest stands that no longer says so: at the first action without an outcome. */
static uint32_t first_unfinished(const struct run *run)
{
    uint32_t i = run->position;

    while (i < run->program->count && (run->forced[i] || run->m->outcomes[i].status))
        i++;
    return i;
}

/* The current action never ended: note it, reset the VM, go on after it. 1: enough of that. */
static int get_over_hang(struct run *run, const char *how)
{
    uint32_t index;

    if (!read_current(run, &index))
        index = first_unfinished(run);
    if (index >= run->program->count)
        return fail(run, 1, "the guest never came to its end; it may have overwritten the mailbox");
    decide(run, index, OUTCOME_TIMEOUT, 0);
    if (run->hangs++ == MAILBOX_HANGS_MAX) {
        snprintf(run->out->stopped, sizeof(run->out->stopped),
                 "action %u %s, the %uth time that one hung; the rest did not run", index, how, run->hangs);
        return 1;
    }
    return restart_at(run, index + 1);
}

/* The probe waits for a vCPU that does not come: nothing of the program is to blame. */
static int boot_again(struct run *run)
{
    if (run->boot_retries++ < BOOT_RETRIES_MAX)
        return restart_at(run, run->position);
    return fail(run, -EIO, "a vCPU did not start after a reset, again and again");
}

/* Looks at the probe once and serves what it waits for. 1: the program is over. */
static int look(struct run *run)
{
    struct mailbox *m = run->m;
    uint32_t state = m->state, seq = m->host_seq, index;

    if (m->done_seq == run->command)
        return 1;
    if (state == PROBE_BOOTING && !run->started)
        return now_ns(run) >= run->deadline_ns ? boot_again(run) : 0;
    run->started = true;
    if (state == PROBE_PANIC)
        return get_over_hang(run, "broke the probe");
    if (m->current >= run->program->count && run->program->count)
        return get_over_hang(run, "overwrote the mailbox");
    if (!read_current(run, &index))
        return now_ns(run) >= run->deadline_ns ? get_over_hang(run, "hung") : 0;
    atomic_thread_fence(memory_order_acquire);
    if (state == PROBE_HOST_ACTION && seq != run->served_seq && is_host_op(run->program->actions[index].op))
        return serve_host(run, index, seq);
    if (state == PROBE_SAMPLING && index != run->sampled && run->program->actions[index].op == OP_CLOCK)
        return serve_samples(run, index);
    run->position = index;
    if (state == PROBE_RUNNING && run->timed != index)
        set_deadline(run, index);
    return now_ns(run) >= run->deadline_ns ? get_over_hang(run, "hung") : 0;
}

static void collect_outcomes(struct run *run)
{
    for (uint32_t i = 0; i < run->program->count; i++) {
        struct outcome *o = &run->out->outcomes[i];

        if (run->forced[i]) {
            o->status = run->forced[i] & ~FORCED;
            continue;
        }
        memcpy(o, &run->m->outcomes[i], sizeof(*o));
        if (!outcome_sane(o))
            memset(o, 0, sizeof(*o));
        if (!o->status && !run->out->stopped[0])
            snprintf(run->out->stopped, sizeof(run->out->stopped),
                     "action %u left no outcome: the guest overwrote the mailbox or reset itself", i);
        memset(o->data + o->data_len, 0, sizeof(o->data) - o->data_len);
        memset(o->reserved, 0, sizeof(o->reserved));
    }
}

static int collect_events(struct run *run)
{
    for (unsigned v = 0; v < PROBE_VCPUS; v++) {
        uint32_t n = run->m->event_count[v];
        struct probe_event *events;

        if (n == 0 || n > MAILBOX_EVENTS)
            continue;
        events = malloc(n * sizeof(*events));
        if (!events)
            return fail(run, -ENOMEM, "no memory for events");
        memcpy(events, run->m->events[v], n * sizeof(*events));
        for (uint32_t i = 0; i < n; i++) {
            if (events[i].after >= run->program->count)
                events[i].after = run->program->count - 1;
            events[i].reserved = 0;
            events[i].watched = events[i].watched ? 1 : 0;
        }
        run->out->events[v] = events;
        run->out->event_count[v] = n;
    }
    return 0;
}

/* 1: it came to its end. */
static int run_actions(struct run *run)
{
    int err = 0;

    while (!err) {
        err = turn(run);
        if (!err)
            err = look(run);
    }
    return err;
}

static int run_create(struct run *run, struct mailbox_host *host, const struct program *program,
                      struct transcript *out)
{
    *run = (struct run){.host = host, .program = program, .out = out, .sampled = UINT32_MAX, .command = 1};
    run->m = (struct mailbox *)(host->ram + MAILBOX_GPA);
    run->forced = calloc(program->count ? program->count : 1, sizeof(*run->forced));
    out->outcomes = calloc(program->count ? program->count : 1, sizeof(*out->outcomes));
    out->count = program->count;
    return run->forced && out->outcomes ? 0 : -ENOMEM;
}

/* Runs first, of which nothing is kept, and leaves the probe waiting for run. */
static int run_first(struct run *run, const struct program *program)
{
    struct transcript ignored;
    struct run first;
    int err;

    transcript_init(&ignored);
    err = run_create(&first, run->host, program, &ignored);
    if (!err)
        err = begin(&first);
    if (!err)
        err = run_actions(&first);
    if (err > 0)
        err = ignored.stopped[0] ? -ESTALE : 0;
    else if (err == -EIO)
        err = -ESTALE;
    if (!err)
        go_on(run, &first);
    free(first.forced);
    transcript_free(&ignored);
    return err;
}

static int run_program(struct run *run, const struct program *first)
{
    int err = first ? run_first(run, first) : begin(run);

    if (!err)
        err = run_actions(run);
    if (err < 0 && err != -EIO)
        return err;
    collect_outcomes(run);
    if (collect_events(run))
        return -ENOMEM;
    return err < 0 ? err : 0;
}

int mailbox_run(struct mailbox_host *host, const struct program *first, const struct program *program,
                struct transcript *out)
{
    struct run run;
    int err;

    if (host->ram_size < MAILBOX_GPA + MAILBOX_SIZE || program->count > MAILBOX_ACTIONS)
        return -EINVAL;
    err = run_create(&run, host, program, out);
    if (!err)
        err = run_program(&run, first);
    free(run.forced);
    if (err == -ESTALE) { /* as if nothing had been asked: the caller may try again elsewhere */
        transcript_free(out);
        transcript_init(out);
    }
    return err;
}
