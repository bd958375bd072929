/* The probe inside real machines: the same programs on QEMU's TCG and on our software vCPU, with outcomes that any
 * x86 gives. Decisions 10, 11, 16, 18. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "diff/machine/machine.h"

#define HEAD(vcpus) "paravane 1\nvcpus " #vcpus "\nram 64\nirqchip kernel\n\n"

struct ran {
    struct program program;
    struct run_result result;
    struct transcript *t;
};

/* Skips the test where QEMU is not installed. */
static void run_item(struct ran *r, enum machine_kind kind, const char *cpu, const char *smp, bool cpuid_only,
                     const char *text)
{
    struct program_error error;
    struct run_item item = {.programs = &r->program, .program_count = 1, .cpuid_only = cpuid_only};
    struct machine *machine;
    char why[240];
    int err;

    program_init(&r->program);
    cr_assert(eq(int, program_parse(&r->program, text, strlen(text), &error), 0), "%u:%u: %s", error.line,
              error.column, error.message);
    item.flags = (struct flag_set){.name = "test",
                                   .cpu = cpu,
                                   .machine = kind == MACHINE_SOFT ? "pc" : "microvm",
                                   .smp = smp,
                                   .memory = "64M"};
    err = machine_open(&machine, kind, 0, NULL, NULL, why);
    cr_assert(eq(int, err, 0), "%s", why); /* ci/setup installs QEMU: without it this fails, by name */
    cr_assert(eq(int, machine_run(machine, &item, 1, &r->result), 0));
    cr_assert(eq(str, r->result.error, ""));
    r->t = &r->result.transcripts[0];
    cr_assert(eq(u32, r->t->count, r->program.count));
    machine_close(machine);
}

static void run_cpu(struct ran *r, enum machine_kind kind, const char *cpu, const char *smp, const char *text)
{
    run_item(r, kind, cpu, smp, false, text);
}

static void run(struct ran *r, enum machine_kind kind, const char *smp, const char *text)
{
    run_cpu(r, kind, "qemu64", smp, text);
}

static void release(struct ran *r)
{
    run_result_free(&r->result, 1);
    program_free(&r->program);
}

/* The outcome of the nth action that is not a note, from 0. */
static const struct outcome *nth(const struct ran *r, unsigned n)
{
    for (uint32_t i = 0; i < r->program.count; i++)
        if (r->program.actions[i].op != OP_NOTE && n-- == 0)
            return &r->t->outcomes[i];
    cr_fatal("the program has no such action");
    return NULL;
}

static void expect_ok(const struct ran *r, unsigned n, uint64_t rax)
{
    const struct outcome *o = nth(r, n);

    cr_assert(eq(u8, o->status, OUTCOME_OK), "action %u: vector %u", n, o->vector);
    cr_assert(eq(u64, o->regs[0], rax), "action %u", n);
    cr_assert(eq(u32, o->changed, 0), "action %u", n);
}

static void expect_fault(const struct ran *r, unsigned n, unsigned vector, uint32_t error)
{
    const struct outcome *o = nth(r, n);

    cr_assert(eq(u8, o->status, OUTCOME_FAULT), "action %u", n);
    cr_assert(eq(u8, o->vector, vector), "action %u", n);
    cr_assert(eq(u32, o->error, error), "action %u", n);
    cr_assert(eq(u32, o->rip_delta, 0), "action %u", n);
    cr_assert(eq(u32, o->changed, 0), "action %u", n);
}

#define MODES 7
static const char *const modes[MODES] = {"", "cpl3", "compat", "compat-cpl3", "m32", "m32-cpl3", "m16"};
static const bool user[MODES] = {false, true, false, true, false, true, false};

static void memory_in_every_mode(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "%s store64 ram+%u 0x1122334455667788\n%s load64 ram+%u\n%s load32 ram+%u\n"
                 "%s load16 ram+%u\n%s load8 ram+%u\n%s fill ram+%u 3 0xab\n%s dump ram+%u 6\n",
                 modes[i], 64 * i, modes[i], 64 * i, modes[i], 64 * i + 1, modes[i], 64 * i + 1, modes[i],
                 64 * i + 2, modes[i], 64 * i + 9, modes[i], 64 * i + 7);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++) {
        const struct outcome *dump = nth(&r, 7 * i + 6);

        expect_ok(&r, 7 * i, 0);
        expect_ok(&r, 7 * i + 1, 0x1122334455667788);
        expect_ok(&r, 7 * i + 2, 0x44556677);
        expect_ok(&r, 7 * i + 3, 0x6677);
        expect_ok(&r, 7 * i + 4, 0x66);
        expect_ok(&r, 7 * i + 5, 0);
        cr_assert(eq(u8, dump->data_len, 6));
        cr_assert(eq(int, memcmp(dump->data, "\x11\x00\xab\xab\xab\x00", 6), 0), "mode %u", i);
    }
    release(&r);
}

static void a_store_writes_its_size_and_no_more(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "fill ram 16 0xff\n%s store8 ram 0\n%s store16 ram+3 0\n%s store32 ram+8 0\ndump ram 16\n",
                 modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++)
        cr_assert(eq(int,
                     memcmp(nth(&r, 5 * i + 4)->data,
                            "\x00\xff\xff\x00\x00\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff", 16),
                     0),
                  "mode %u", i);
    release(&r);
}

static void privilege_in_every_mode(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "%s cpuid 0\n%s rdmsr 0x1b\n%s wrmsr 0x277 0x0007040600070406\n%s sti\n%s cli\n", modes[i],
                 modes[i], modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++) {
        cr_assert(eq(u8, nth(&r, 5 * i)->status, OUTCOME_OK), "mode %u", i);
        cr_assert(eq(u32, nth(&r, 5 * i)->rip_delta, 2));
        if (user[i]) {
            for (unsigned k = 1; k < 5; k++)
                expect_fault(&r, 5 * i + k, 13, 0);
            continue;
        }
        expect_ok(&r, 5 * i + 1, 0xfee00900);
        expect_ok(&r, 5 * i + 2, 0);
        expect_ok(&r, 5 * i + 3, 0);
        cr_assert(eq(u8, nth(&r, 5 * i + 3)->flags, OUTCOME_F_IF), "mode %u", i);
        cr_assert(eq(u8, nth(&r, 5 * i + 4)->flags, 0), "mode %u", i);
    }
    release(&r);
}

static void faults_are_outcomes(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1",
        HEAD(1) "load64 0x180000000\ncpl3 { store8 0x180000000 1 }\nload8 0x800000000000\ncpl3 { hlt }\n"
                "wrmsr 0x1b 0xffffffffffffffff\nload8 ram\n");
    expect_fault(&r, 0, 14, 0);
    cr_assert(eq(u64, nth(&r, 0)->cr2, 0x180000000));
    expect_fault(&r, 1, 14, 6);
    expect_fault(&r, 2, 13, 0);
    expect_fault(&r, 3, 13, 0);
    if (kind == MACHINE_SOFT)
        expect_fault(&r, 4, 13, 0); /* TCG ignores reserved bits there */
    expect_ok(&r, 5, 0);
    release(&r);
}

static void expect_event(const struct ran *r, unsigned vcpu, unsigned n, unsigned vector)
{
    cr_assert(lt(u32, n, r->t->event_count[vcpu]), "vCPU %u had %u events", vcpu, r->t->event_count[vcpu]);
    cr_assert(eq(u8, r->t->events[vcpu][n].vector, vector));
}

static void interrupts_in_every_mode(enum machine_kind kind)
{
    char text[4096] = HEAD(1) "apic-write 0xf0 0x1ff\nsti\n";
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at, "%s ipi 0 0x%x\neoi\n", modes[i], 0x40040 + 0x11 * i);
    }
    run(&r, kind, "1", text);
    cr_assert(eq(u32, r.t->event_count[0], MODES));
    for (unsigned i = 0; i < MODES; i++) {
        expect_ok(&r, 2 + 2 * i, 0);
        expect_event(&r, 0, i, 0x40 + 0x11 * i);
    }
    release(&r);
}

static void cli_holds_interrupts_back(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1", HEAD(1) "apic-write 0xf0 0x1ff\nipi 0 0x40051\nipi 0 0x40061\nnop\nsti\neoi\neoi\n");
    cr_assert(eq(u32, r.t->event_count[0], 2));
    expect_event(&r, 0, 0, 0x61);
    cr_assert(eq(u8, r.program.actions[r.t->events[0][0].after].op, OP_STI));
    expect_event(&r, 0, 1, 0x51);
    cr_assert(eq(u8, r.program.actions[r.t->events[0][1].after].op, OP_EOI));
    release(&r);
}

static void an_interrupt_of_another_vcpu_is_in_before_the_next_action(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2", HEAD(2) "@1 apic-write 0xf0 0x1ff\n@1 sti\nipi 1 0x72\nnop\n@1 eoi\n");
    cr_assert(eq(u32, r.t->event_count[1], 1));
    expect_event(&r, 1, 0, 0x72);
    cr_assert(eq(u8, r.program.actions[r.t->events[1][0].after].op, OP_IPI));
    release(&r);
}

static void a_halted_vcpu_says_what_woke_it(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2",
        HEAD(2) "@1 apic-write 0xf0 0x1ff\n@1 sti\n@1 hlt\nnop\nipi 1 0x71\n@1 eoi\n@1 apic-read 0x20\n"
                "@1 cpl3 { load8 ram }\n@1 m16 { store8 ram 7 }\nload8 ram\n");
    expect_ok(&r, 2, 0x71);
    cr_assert(eq(u8, r.program.actions[nth(&r, 2)->regs[1]].op, OP_IPI));
    expect_event(&r, 1, 0, 0x71);
    expect_ok(&r, 6, 0x1000000);
    expect_ok(&r, 7, 0);
    expect_ok(&r, 9, 7);
    release(&r);
}

static void a_hlt_that_nothing_ends_costs_itself_alone(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2", HEAD(2) "store8 ram 1\nhlt\nload8 ram\n@1 hlt\n@1 load8 ram\nload8 ram\n");
    cr_assert(eq(u8, nth(&r, 1)->status, OUTCOME_TIMEOUT));
    expect_ok(&r, 2, 1); /* after the reset that got over it, RAM is kept */
    cr_assert(eq(u8, nth(&r, 3)->status, OUTCOME_TIMEOUT));
    cr_assert(eq(u8, nth(&r, 4)->status, OUTCOME_TIMEOUT));
    expect_ok(&r, 5, 1);
    release(&r);
}

static void reset_goes_on_behind_itself(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2",
        HEAD(
            2) "store64 ram 0x1234\nwrmsr 0xc0000102 0x55\n@1 wrmsr 0xc0000102 0x66\nsti\n!reset\nload64 ram\n"
               "rdmsr 0xc0000102\n@1 rdmsr 0xc0000102\nnop\n!reset\n!reset\nload64 ram\n");
    cr_assert(eq(u8, nth(&r, 4)->status, OUTCOME_HOST));
    expect_ok(&r, 5, 0x1234);
    expect_ok(&r, 6, 0);
    expect_ok(&r, 7, 0);
    cr_assert(eq(u8, nth(&r, 8)->flags, 0)); /* IF is clear again */
    cr_assert(eq(u8, nth(&r, 9)->status, OUTCOME_HOST));
    expect_ok(&r, 11, 0x1234);
    release(&r);
}

static void host_actions_are_done(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1",
        HEAD(
            1) "!advance 1ms\n!pause\nload8 ram\n!advance 2ms\n!resume\nstore8 ram 9\n!advance 3d\nload8 ram\n!pause\n");
    cr_assert(eq(u8, nth(&r, 0)->status, OUTCOME_HOST));
    cr_assert(eq(u8, nth(&r, 1)->status, OUTCOME_HOST));
    cr_assert(eq(u8, nth(&r, 2)->status, OUTCOME_UNSUPPORTED)); /* nothing runs while the VM is paused */
    cr_assert(eq(u8, nth(&r, 3)->status, OUTCOME_HOST));
    cr_assert(eq(u8, nth(&r, 4)->status, OUTCOME_HOST));
    cr_assert(eq(u8, nth(&r, 6)->status, OUTCOME_UNSUPPORTED)); /* days are not waited for */
    expect_ok(&r, 7, 9);
    cr_assert(eq(str, r.t->stopped, ""));
    release(&r);
}

static void a_vcpu_that_is_not_there_is_not_compared(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1", HEAD(2) "@1 load8 ram\nload8 ram\n");
    cr_assert(eq(u8, nth(&r, 0)->status, OUTCOME_UNSUPPORTED));
    expect_ok(&r, 1, 0);
    release(&r);
}

static void clock_samples_lie_between_two_readings(enum machine_kind kind)
{
    struct ran r;

    /* A record that nobody updates: version 2, system_time 7. */
    run(&r, kind, "1", HEAD(1) "store32 ram 2\nstore64 ram+16 7\nclock ram 5\nclock ram 1\n");
    cr_assert(eq(u8, nth(&r, 2)->status, OUTCOME_OK));
    cr_assert(eq(u32, r.t->sample_run_count, 2));
    cr_assert(eq(u32, r.t->sample_count, 6));
    for (unsigned i = 0; i < 6; i++) {
        const struct clock_sample *s = &r.t->samples[i];

        cr_assert(eq(u32, s->version, 2));
        cr_assert(eq(u64, s->system_time, 7));
        cr_assert(le(u64, s->before_ns, s->after_ns));
        cr_assert(i == 0 || r.t->samples[i - 1].after_ns <= s->before_ns);
        cr_assert(i == 0 || r.t->samples[i - 1].tsc < s->tsc);
    }
    release(&r);
}

/* Nobody finishes this record: the reader retries, gives up, and the sample says so. */
static void CLK_23_a_version_that_stays_odd_gives_no_reading(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1", HEAD(1) "store32 ram 3\nclock ram 2\nstore32 ram 4\nclock ram 1\n");
    cr_assert(eq(u32, r.t->sample_count, 3));
    cr_assert(eq(u32, r.t->samples[0].version, 3));
    cr_assert(eq(u32, r.t->samples[1].version, 3));
    cr_assert(eq(u32, r.t->samples[2].version, 4));
    release(&r);
}

static void a_program_that_overwrites_the_mailbox_is_survived(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1", HEAD(1) "store8 ram 5\nfill 0x100000 400 0xff\nload8 ram\n!advance 1ms\nload8 ram\n");
    expect_ok(&r, 0, 0);
    /* The run ends early and says so, or a reset got over it, which a transcript shows as an action that hung. */
    cr_assert(r.t->stopped[0] || nth(&r, 2)->status == OUTCOME_TIMEOUT);
    release(&r);
}

static void ports_are_read_and_written(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        /* 0x3f0: nothing is there on microvm and on ours */
        snprintf(
            text + at, sizeof(text) - at,
            "%s in8 0x3f0\n%s in16 0x3f0\n%s in32 0x3f0\n%s out8 0x80 1\n%s out16 0x3f0 1\n%s out32 0x3f0 1\n",
            modes[i], modes[i], modes[i], modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < 6 * MODES; i++) {
        static const uint64_t floating[6] = {0xff, 0xffff, 0xffffffff};
        bool real = i / 6 == 6;

        if (user[i / 6]) {
            expect_fault(&r, i, 13, 0);
            continue;
        }
        expect_ok(&r, i, floating[i % 6]);
        cr_assert(eq(u32, nth(&r, i)->rip_delta, i % 3 == 0 ? 1 : i % 3 == 1 ? 1 + !real : 1 + real));
    }
    release(&r);
}

static void single_instructions_read_and_write(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "store32 ram 0xffffff05\n%s lock-cmpxchg8 ram 4 6\n%s lock-cmpxchg8 ram 5 7\nload32 ram\n"
                 "%s test-clear ram\n%s test-clear ram\nload32 ram\n",
                 modes[i], modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++) {
        expect_ok(&r, 7 * i + 1, 5); /* what it found, and it differs: nothing is stored */
        expect_ok(&r, 7 * i + 2, 5);
        expect_ok(&r, 7 * i + 3, 0xffffff07);
        expect_ok(&r, 7 * i + 4, 1);
        expect_ok(&r, 7 * i + 5, 0);
        expect_ok(&r, 7 * i + 6, 0xffffff06);
    }
    release(&r);
}

static void rdtscp_gives_the_auxiliary_register(enum machine_kind kind)
{
    struct ran r;

    run_cpu(&r, kind, "qemu64,+rdtscp", "1", HEAD(1) "wrmsr MSR_TSC_AUX 7\nrdtscp\ncpl3 { rdtscp }\n");
    for (unsigned i = 1; i < 3; i++) {
        cr_assert(eq(u8, nth(&r, i)->status, OUTCOME_OK));
        cr_assert(eq(u64, nth(&r, i)->regs[2], 7));
        cr_assert(eq(u32, nth(&r, i)->changed, 0));
    }
    release(&r);
}

static void the_window_is_mapped_as_told(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2",
        HEAD(2) "store64 ram 0x1111\nstore64 ram+0x1000 0x2222\nload64 0x8000000000\nmap 0x8000000000 ram+7\n"
                "load64 0x8000000000\n@1 load64 0x8000000000\ncpl3 { load64 0x8000000000 }\n"
                "map 0x8000000000 ram+0x1001\ninvlpg 0x8000000000\nload64 0x8000000000\n"
                "store64 0x8000000000 1\ncpl3 { load64 0x8000000000 }\nmap 0x8000200000 ram+7\n"
                "cpl3 { invlpg 0x8000000000 }\nmap 0x8000001000 ram+7\nload16 0x8000000fff\n"
                "load16 0x80001fffff\n");
    expect_fault(&r, 2, 14, 0);
    expect_ok(&r, 4, 0x1111);
    expect_ok(&r, 5, 0x1111);
    expect_ok(&r, 6, 0x1111);
    expect_ok(&r, 9, 0x2222);
    expect_fault(&r, 10, 14, 3);
    expect_fault(&r, 11, 14, 5);
    cr_assert(eq(u8, nth(&r, 12)->status, OUTCOME_UNSUPPORTED));
    expect_fault(&r, 13, 13, 0);
    expect_ok(&r, 15, 0x1100);
    expect_fault(&r, 16, 14, 0);
    cr_assert(eq(u64, nth(&r, 16)->cr2, 0x80001fffff));
    release(&r);
}

static void a_window_lets_interrupts_in_once(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1",
        HEAD(1) "apic-write 0xf0 0x1ff\nipi 0 0x40051\nwindow\nipi 0 0x40061\nnop\ncpl3 { window }\n");
    cr_assert(eq(u32, r.t->event_count[0], 1));
    expect_event(&r, 0, 0, 0x51);
    cr_assert(eq(u8, r.program.actions[r.t->events[0][0].after].op, OP_WINDOW));
    cr_assert(eq(u8, nth(&r, 2)->flags, 0));
    cr_assert(eq(u32, nth(&r, 2)->rip_delta, 3));
    expect_fault(&r, 5, 13, 0);
    release(&r);
}

static void x2apic_actions_use_the_msrs(enum machine_kind kind)
{
    struct ran r;

    run_cpu(&r, kind, "qemu64,+x2apic", "2",
            HEAD(2) "@1 x2apic\nx2apic\nrdmsr 0x1b\napic-write 0xf0 0x1ff\nsti\nipi 0 0x51\neoi\n"
                    "apic-read 0x20\n@1 apic-read 0x20\n@1 apic-write 0xf0 0x1ff\n@1 sti\nipi 1 0x61\n"
                    "apic-read 0x300\ncpl3 { apic-read 0x20 }\n!reset\napic-read 0x20\n@1 apic-read 0x20\n");
    expect_ok(&r, 2, 0xfee00d00);
    expect_ok(&r, 5, 0);
    cr_assert(eq(u32, nth(&r, 5)->rip_delta, 2));
    expect_event(&r, 0, 0, 0x51);
    expect_ok(&r, 7, 0);
    expect_ok(&r, 8, 1);
    expect_event(&r, 1, 0, 0x61);
    expect_ok(&r, 12, 0x100000061);
    expect_fault(&r, 13, 13, 0);
    expect_ok(&r, 16, 0x1000000); /* xAPIC again */
    release(&r);
}

static void a_handler_looks_and_ends_its_interrupt(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1",
        HEAD(1) "apic-write 0xf0 0x1ff\nsti\nstore32 ram 0xff05\non-interrupt ram\nipi 0 0x51\neoi\n"
                "on-interrupt ram 2\nipi 0 0x61\nload32 ram\nipi 0 0x71\nload32 ram\napic-read 0x130\neoi\n"
                "apic-read 0x130\non-interrupt 0x100000000\n");
    for (unsigned i = 0; i < 3; i++)
        cr_assert(eq(u8, r.t->events[0][i].watched, 1));
    cr_assert(eq(u8, r.t->events[0][0].byte, 5));
    cr_assert(eq(u8, r.t->events[0][1].byte, 5));
    expect_ok(&r, 8, 0xff04); /* taken as an end by PV EOI: the APIC was not written */
    cr_assert(eq(u8, r.t->events[0][2].byte, 4));
    expect_ok(&r, 11, 2); /* 0x61 is in service still, 0x71 was ended at the APIC */
    expect_ok(&r, 13, 0);
    cr_assert(eq(u8, nth(&r, 14)->status, OUTCOME_UNSUPPORTED));
    release(&r);
}

static void migration_keeps_what_the_guest_sees(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2",
        HEAD(2) "store64 ram 0x1234\nwrmsr 0xc0000102 0x55\n@1 wrmsr 0xc0000102 0x66\napic-write 0xf0 0x1aa\n"
                "!migrate\nload64 ram\nrdmsr 0xc0000102\n@1 rdmsr 0xc0000102\napic-read 0xf0\nnop\n!reset\n"
                "rdmsr 0xc0000102\nload64 ram\n!pause\n!migrate\n!resume\nload64 ram\n");
    cr_assert(eq(u8, nth(&r, 4)->status, OUTCOME_HOST));
    cr_assert(eq(u64, nth(&r, 4)->regs[0], 0));
    expect_ok(&r, 5, 0x1234);
    expect_ok(&r, 6, 0x55);
    expect_ok(&r, 7, 0x66);
    expect_ok(&r, 8, 0x1aa);
    expect_ok(&r, 11, 0);
    expect_ok(&r, 12, 0x1234);
    cr_assert(eq(u8, nth(&r, 14)->status, OUTCOME_HOST));
    expect_ok(&r, 16, 0x1234);
    release(&r);
}

#define ON_BOTH(name)                                                                                        \
    Test(probe_tcg, name)                                                                                    \
    {                                                                                                        \
        name(MACHINE_QEMU_TCG);                                                                              \
    }                                                                                                        \
    Test(probe_soft, name)                                                                                   \
    {                                                                                                        \
        name(MACHINE_SOFT);                                                                                  \
    }

ON_BOTH(memory_in_every_mode)
ON_BOTH(a_store_writes_its_size_and_no_more)
ON_BOTH(privilege_in_every_mode)
ON_BOTH(faults_are_outcomes)
ON_BOTH(interrupts_in_every_mode)
ON_BOTH(cli_holds_interrupts_back)
ON_BOTH(an_interrupt_of_another_vcpu_is_in_before_the_next_action)
ON_BOTH(a_halted_vcpu_says_what_woke_it)
ON_BOTH(a_hlt_that_nothing_ends_costs_itself_alone)
ON_BOTH(reset_goes_on_behind_itself)
ON_BOTH(host_actions_are_done)
ON_BOTH(a_vcpu_that_is_not_there_is_not_compared)
ON_BOTH(clock_samples_lie_between_two_readings)
ON_BOTH(CLK_23_a_version_that_stays_odd_gives_no_reading)
ON_BOTH(a_program_that_overwrites_the_mailbox_is_survived)
ON_BOTH(ports_are_read_and_written)
ON_BOTH(single_instructions_read_and_write)
ON_BOTH(rdtscp_gives_the_auxiliary_register)
ON_BOTH(the_window_is_mapped_as_told)
ON_BOTH(a_window_lets_interrupts_in_once)
ON_BOTH(a_handler_looks_and_ends_its_interrupt)

/* QEMU's TCG of 7.2 has no x2APIC. */
Test(probe_soft, x2apic_actions_use_the_msrs)
{
    x2apic_actions_use_the_msrs(MACHINE_SOFT);
}

ON_BOTH(migration_keeps_what_the_guest_sees)

/* QEMU has no command for these. */
Test(probe_tcg, what_qemu_cannot_do_is_not_compared)
{
    struct ran r;

    run(&r, MACHINE_QEMU_TCG, "1",
        HEAD(1) "!deschedule 0 1ms\n!page-out ram\n!init 0\n!msi 0xfee00000 0x41\n!slot-add hole 0x1000\n"
                "!set-cpuid 1\n!set-clock 1s\n!dirty-clear\nload8 ram\n");
    for (unsigned i = 0; i < 8; i++)
        cr_assert(eq(u8, nth(&r, i)->status, OUTCOME_UNSUPPORTED), "action %u", i);
    expect_ok(&r, 8, 0);
    release(&r);
}

Test(probe_soft, STL_10_a_descheduled_vcpu_looks_preempted_and_is_told_its_wait)
{
    struct ran r;

    run(&r, MACHINE_SOFT, "2",
        HEAD(2) "@1 wrmsr MSR_KVM_STEAL_TIME ram+0x41\n!deschedule 1 30ms\nload8 ram+0x50\n@1 pause\n"
                "load8 ram+0x50\nload64 ram+0x40\n!deschedule 0 1ms\nload8 ram\n");
    expect_ok(&r, 2, 1);
    expect_ok(&r, 4, 0);
    cr_assert(ge(u64, nth(&r, 5)->regs[0], 30000000));
    cr_assert(eq(u8, nth(&r, 6)->status, OUTCOME_HOST));
    expect_ok(&r, 7, 0);
    release(&r);
}

Test(probe_soft, TLB_2_a_flush_asked_for_in_the_steal_record_is_done_before_the_next_instruction)
{
    struct ran r;

    run(&r, MACHINE_SOFT, "2",
        HEAD(2) "store64 ram+0x1000 0x1111\nstore64 ram+0x2000 0x2222\nmap 0x8000000000 ram+0x1007\n"
                "@1 wrmsr MSR_KVM_STEAL_TIME ram+0x41\n@1 load64 0x8000000000\nmap 0x8000000000 ram+0x2007\n"
                "@1 load64 0x8000000000\n!deschedule 1 5ms\nlock-cmpxchg8 ram+0x50 1 3\n"
                "@1 load64 0x8000000000\nload8 ram+0x50\n");
    expect_ok(&r, 4, 0x1111);
    expect_ok(&r, 6, 0x1111); /* from the TLB: nobody has flushed it */
    expect_ok(&r, 8, 1);
    expect_ok(&r, 9, 0x2222);
    expect_ok(&r, 10, 0);
    release(&r);
}

Test(probe_soft, APF_12_a_missing_page_is_a_token_and_its_return_an_interrupt)
{
    struct ran r;

    run(&r, MACHINE_SOFT, "1",
        HEAD(1) "apic-write APIC_SPIV 0x1ff\nsti\nwrmsr MSR_KVM_ASYNC_PF_INT 0xf3\n"
                "wrmsr MSR_KVM_ASYNC_PF_EN ram+0x4b\neoi\nstore32 ram+0x44 0\nwrmsr MSR_KVM_ASYNC_PF_ACK 1\n"
                "store64 ram+0x2000 0x77\n!page-out ram+0x2000\nload64 ram+0x2000\nload32 ram+0x40\n"
                "!page-in ram+0x2000\nload32 ram+0x44\nload64 ram+0x2000\n");
    expect_fault(&r, 9, 14, 0);
    cr_assert(eq(u64, nth(&r, 9)->cr2, 0x1000));
    expect_ok(&r, 10, 1);
    expect_ok(&r, 12, 0x1000);
    expect_ok(&r, 13, 0x77);
    expect_event(&r, 0, 0, 0xf3);
    expect_event(&r, 0, 1, 0xf3);
    release(&r);
}

Test(probe_soft, messages_and_slots_come_from_the_host)
{
    struct ran r;

    run(&r, MACHINE_SOFT, "2",
        HEAD(
            2) "@1 apic-write APIC_SPIV 0x1ff\n@1 sti\n!msi 0xfee01000 0x41\n@1 eoi\n!slot-add hole 0x1000\n"
               "store8 hole 7\nload8 hole\n!slot-remove hole\nload8 hole\n!dirty-clear\nstore8 ram+0x1000 1\n"
               "!dirty-read ram 0x3000\n!init 1\n@1 pause\n!sipi 1 8\n@1 pause\n!slot-remove 0\n");
    expect_event(&r, 1, 0, 0x41);
    expect_ok(&r, 6, 7);
    expect_ok(&r, 8, 0xff);
    cr_assert(eq(u8, nth(&r, 11)->data[0], 2));
    cr_assert(eq(u8, nth(&r, 13)->status, OUTCOME_TIMEOUT));
    expect_ok(&r, 15, 0);
    cr_assert(eq(u8, nth(&r, 16)->status, OUTCOME_UNSUPPORTED));
    release(&r);
}

/* A CPU without long mode, and one where only cpuid is wanted: every vCPU answers for itself, the rest is unsupported. */
static void cpuid_only(enum machine_kind kind, const char *cpu, bool only)
{
    struct ran r = {0};

    run_item(&r, kind, cpu, "3,cores=3", only,
             HEAD(3) "cpuid 0x1\n@1 cpuid 0x1\n@2 cpuid 0x1\n@2 rdtsc\n!advance 1us\n@1 cpuid 0x4 0x1\n");
    cr_assert(eq(str, r.t->stopped, ""));
    for (unsigned v = 0; v < 3; v++) {
        cr_assert(eq(u8, nth(&r, v)->status, OUTCOME_OK));
        cr_assert(eq(u64, nth(&r, v)->regs[1] >> 24, v));
    }
    cr_assert(eq(u8, nth(&r, 3)->status, OUTCOME_UNSUPPORTED));
    cr_assert(eq(u8, nth(&r, 4)->status, OUTCOME_UNSUPPORTED));
    expect_ok(&r, 5, 0x08000122); /* L6: the instruction cache of three cores */
    release(&r);
}
Test(probe, without_long_mode_it_serves_cpuid_on_qemu)
{
    cpuid_only(MACHINE_QEMU_TCG, "coreduo", false);
}
Test(probe, without_long_mode_it_serves_cpuid_on_our_vcpu)
{
    cpuid_only(MACHINE_SOFT, "coreduo", false);
}
Test(probe, asked_for_cpuid_only_it_serves_that_on_qemu)
{
    cpuid_only(MACHINE_QEMU_TCG, "kvm64", true);
}
Test(probe, asked_for_cpuid_only_it_serves_that_on_our_vcpu)
{
    cpuid_only(MACHINE_SOFT, "kvm64", true);
}
