/* The probe inside real machines: what the host does between actions, and what a machine cannot do. */
#include "tests/probe_fixture.h"

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
ON_BOTH(host_actions_are_done)

static void a_vcpu_that_is_not_there_is_not_compared(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1", HEAD(2) "@1 load8 ram\nload8 ram\n");
    cr_assert(eq(u8, nth(&r, 0)->status, OUTCOME_UNSUPPORTED));
    expect_ok(&r, 1, 0);
    release(&r);
}
ON_BOTH(a_vcpu_that_is_not_there_is_not_compared)

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
ON_BOTH(clock_samples_lie_between_two_readings)

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
ON_BOTH(CLK_23_a_version_that_stays_odd_gives_no_reading)

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
ON_BOTH(migration_keeps_what_the_guest_sees)

#define TEN(text) text text text text text text text text text text

/* In RAM, in page 0, in the mailbox where nobody but a guest writes, and where only the agent does: actions of a longer
 * program, and of the clean-up in between. */
static void a_program_finds_nothing_of_the_one_before(enum machine_kind kind)
{
    static const char *const texts[] = {
        HEAD(
            2) "store64 ram+0x3000 1\nstore64 0x1f0000 2\nstore64 0x40 3\nwrmsr MSR_KVM_STEAL_TIME ram+0x41\n"
               "load64 0x1001a8\nload64 0x1001a8\nload64 0x1001a8\n",
        HEAD(2) "load64 ram+0x3000\nload64 0x1f0000\nload64 0x40\nload64 0x100298\nload64 ram+0x40\n",
        HEAD(2) TEN(TEN("load64 0x40\n")), HEAD(2) "load64 0x101258\n"};
    struct program programs[4];
    const struct run_item item = {.programs = programs,
                                  .program_count = 4,
                                  .flags = {.name = "test",
                                            .cpu = "qemu64",
                                            .machine = kind == MACHINE_SOFT ? "pc" : "microvm",
                                            .smp = "2",
                                            .memory = "64M"}};
    struct program_error error;
    struct machine *machine;
    struct run_result result;
    char why[240];

    for (unsigned i = 0; i < 4; i++) {
        program_init(&programs[i]);
        cr_assert(eq(int, program_parse(&programs[i], texts[i], strlen(texts[i]), &error), 0), "%u: %s",
                  error.line, error.message);
    }
    cr_assert(eq(int, machine_open(&machine, kind, 0, NULL, NULL, why), 0), "%s", why);
    cr_assert(eq(int, machine_run(machine, &item, 1, &result), 0));
    cr_assert(eq(str, result.error, ""));
    cr_assert(eq(u64, result.transcripts[0].outcomes[4].regs[0], 0x1f0000)); /* its own action 1 */
    for (unsigned i = 1; i < 4; i++)
        for (unsigned k = 0; k < programs[i].count; k++) {
            cr_assert(eq(u8, result.transcripts[i].outcomes[k].status, OUTCOME_OK));
            cr_assert(eq(u64, result.transcripts[i].outcomes[k].regs[0], 0), "program %u, action %u", i, k);
        }
    run_result_free(&result, 4);
    machine_close(machine);
    for (unsigned i = 0; i < 4; i++)
        program_free(&programs[i]);
}
ON_BOTH(a_program_finds_nothing_of_the_one_before)

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
