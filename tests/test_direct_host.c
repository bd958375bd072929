/* What the host does to the direct machine between two of its guest's actions. */
#include <errno.h>
#include "tests/direct_fixture.h"

Test(direct, time_moves_by_advance_only)
{
    struct run run = run_text(
        "paravane 1\nrdtsc\nrdtsc\n!advance 1ms\nrdtsc\n!advance 100000d\n!advance 100000d\nrdtsc\n");
    uint64_t first = run.t.outcomes[0].regs[0] | run.t.outcomes[0].regs[3] << 32;
    uint64_t third = run.t.outcomes[3].regs[0] | run.t.outcomes[3].regs[3] << 32;
    uint64_t last = run.t.outcomes[6].regs[0] | run.t.outcomes[6].regs[3] << 32;

    cr_expect(eq(int, memcmp(&run.t.outcomes[0], &run.t.outcomes[1], sizeof(struct outcome)), 0));
    cr_expect(eq(u64, third - first, DIRECT_TSC_KHZ));
    cr_expect(lt(u64, third, last)); /* the end of time is not its beginning */
    run_free(&run);
}

Test(direct, C5_the_clock_stands_while_paused_and_the_guest_is_told)
{
    struct run run = run_text("paravane 1\n"
                              "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\n"
                              "clock ram 2\n"
                              "!pause\n"
                              "rdtsc\n"
                              "!advance 1h\n"
                              "!resume\n"
                              "clock ram 1\n");
    const struct clock_sample *s = run.t.samples;

    cr_assert(eq(u32, run.t.sample_count, 3));
    cr_expect(eq(u32, run.t.sample_run_count, 2));
    cr_expect(eq(u32, run.t.sample_runs[1].action, 6));
    cr_expect(eq(u32, run.t.sample_runs[1].first, 2));
    cr_expect(eq(int, run.t.outcomes[3].status, OUTCOME_TIMEOUT));
    cr_expect(eq(int, run.t.outcomes[5].status, OUTCOME_HOST));
    cr_expect(eq(u32, s[0].version % 2, 0));
    cr_expect(eq(u64, s[0].system_time, s[2].system_time));
    cr_expect(lt(u64, s[0].tsc_timestamp, s[2].tsc_timestamp));
    cr_expect(eq(int, s[0].flags & 2, 0));
    cr_expect(eq(int, s[2].flags & 2, 2));
    run_free(&run);
}

Test(direct, QMU_8_reset_keeps_ram_and_clears_msrs)
{
    struct run run = run_text("paravane 1\nvcpus 2\nfeatures kvm-poll-control\n"
                              "@1 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "store32 ram 7\n"
                              "!reset\n"
                              "@1 rdmsr MSR_KVM_POLL_CONTROL\n"
                              "load32 ram\n");

    expect_ok(&run, 3, 1);
    expect_ok(&run, 4, 7);
    run_free(&run);
}

Test(direct, EOI_19_the_four_traces_of_pv_eoi)
{
    static const uint8_t events[][2] = {{0x51, 1}, {0x52, 0}, {0x53, 1}, {0x91, 1}, {0x91, 0}, {0x41, 1}};
    struct run run = run_text("paravane 1\nfeatures kvm-pv-eoi\n" APIC_ON "wrmsr MSR_KVM_PV_EOI_EN ram+0x41\n"
                              "on-interrupt ram+0x40 2\nipi 0 0x51\nload32 ram+0x40\napic-read 0x120\n"
                              "on-interrupt ram+0x40 3\nipi 0 0x52\napic-read 0x120\n"
                              "on-interrupt ram+0x40\nipi 0 0x53\nload32 ram+0x40\n"
                              "on-interrupt ram+0x40 2\nipi 0 0x91\napic-read 0x140\napic-read 0x120\neoi\n"
                              "cli\non-interrupt ram+0x40\nipi 0 0x41\nipi 0 0x91\nsti\n"
                              "on-interrupt ram+0x40 2\neoi\napic-read 0x120\napic-read 0x140\n");

    expect_events(&run, 0, 6, events);
    expect_ok(&run, 5, 0);
    expect_ok(&run, 6, 0);
    expect_ok(&run, 9, 0);
    expect_ok(&run, 12, 0);       /* withdrawn by the exit */
    expect_ok(&run, 15, 0);       /* 0x91 ended */
    expect_ok(&run, 16, 1 << 19); /* 0x53 did not */
    expect_ok(&run, 25, 0);
    expect_ok(&run, 26, 0);
    run_free(&run);
}

Test(direct, STL_10_a_descheduled_vcpu_looks_preempted_and_is_told_its_wait)
{
    struct run run = run_text("paravane 1\nvcpus 2\nfeatures kvm-steal-time\n"
                              "@1 wrmsr MSR_KVM_STEAL_TIME ram+0x41\n@1 pause\n!deschedule 1 5ms\n"
                              "load8 ram+0x50\n!deschedule 1 1ms\n!advance 2ms\nload8 ram+0x50\n@1 pause\n"
                              "load8 ram+0x50\nload64 ram+0x40\n!deschedule 5 1ms\n");

    expect_host(&run, 2, 0);
    expect_ok(&run, 3, 1);
    expect_host(&run, 4, EBUSY);
    expect_ok(&run, 6, 1);
    expect_ok(&run, 7, 0); /* the program waits for the vCPU */
    expect_ok(&run, 8, 0);
    expect_ok(&run, 9, 5000000);
    expect_host(&run, 10, EINVAL);
    run_free(&run);
}

Test(direct, APF_12_a_missing_page_is_a_token_and_its_return_an_interrupt)
{
    static const uint8_t events[][2] = {{0xf3, 0}, {0xf3, 0}};
    struct run run =
        run_text("paravane 1\nfeatures kvm-asyncpf kvm-asyncpf-int\n" APIC_ON
                 "wrmsr MSR_KVM_ASYNC_PF_INT 0xf3\nwrmsr MSR_KVM_ASYNC_PF_EN ram+0x4b\neoi\n"
                 "store32 ram+0x44 0\nwrmsr MSR_KVM_ASYNC_PF_ACK 1\nstore64 ram+0x2000 0x77\n"
                 "!page-out ram+0x2000\nload64 ram+0x2000\nload32 ram+0x40\n!page-in ram+0x2000\n"
                 "load32 ram+0x44\nload64 ram+0x2000\n!page-out 0x9000\n!page-out hole\n");
    const struct outcome *fault = &run.t.outcomes[9];

    expect_host(&run, 8, 0);
    expect_fault(&run, 9, TRAP_PF, 0);
    cr_expect(eq(u64, fault->cr2, 0x1000));
    expect_ok(&run, 10, 1);
    expect_ok(&run, 12, 0x1000);
    expect_ok(&run, 13, 0x77);
    expect_events(&run, 0, 2, events);
    cr_expect(eq(int, run.t.outcomes[14].status, OUTCOME_UNSUPPORTED));
    expect_host(&run, 15, ENOENT);
    run_free(&run);
}

Test(direct, APF_12_where_nothing_can_be_told_the_access_waits)
{
    struct run run =
        run_text("paravane 1\nvcpus 2\nfeatures kvm-asyncpf kvm-asyncpf-int\n"
                 "@1 apic-write APIC_SPIV 0x1ff\n@1 sti\n@1 wrmsr MSR_KVM_ASYNC_PF_INT 0xf3\n"
                 "@1 wrmsr MSR_KVM_ASYNC_PF_EN ram+0x49\n@1 eoi\nstore64 ram+0x2000 0x77\n"
                 "!page-out ram+0x2000\n@1 load64 ram+0x2000\n@1 pause\n!page-in ram+0x2000\n@1 pause\n");

    expect_ok(&run, 7, 0x77); /* CPL 0 is not told: halted until the page is there */
    cr_expect(eq(int, run.t.outcomes[8].status, OUTCOME_TIMEOUT));
    expect_ok(&run, 10, 0);
    run_free(&run);
}

Test(direct, slots_come_go_and_move)
{
    struct run run =
        run_text("paravane 1\nload8 hole\n!slot-add hole 0x2000\nstore8 hole 5\nload8 hole\n"
                 "!slot-add hole 0x1000\n!slot-move hole hole+0x10000\nload8 hole\n"
                 "load8 hole+0x10000\n!slot-remove hole+0x10000\nload8 hole+0x10000\n"
                 "!slot-remove hole\n!slot-remove 0\n!slot-add hole 0x1001\n"
                 "!slot-add hole 0x1000 1\nstore8 hole 5\nload8 hole\n!slot-add hole+0x1000 0x2000000\n");
    static const unsigned errors[][2] = {{1, 0},       {4, EEXIST},  {5, 0},  {8, 0},
                                         {10, ENOENT}, {12, EINVAL}, {13, 0}, {16, EINVAL}};

    for (unsigned i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
        expect_host(&run, errors[i][0], errors[i][1]);
    expect_ok(&run, 0, 0xff);
    expect_ok(&run, 3, 5);
    expect_ok(&run, 6, 0xff);
    expect_ok(&run, 7, 5);
    expect_ok(&run, 9, 0xff);
    cr_expect(eq(int, run.t.outcomes[11].status, OUTCOME_UNSUPPORTED)); /* the machine's own */
    expect_ok(&run, 15, 0);                                             /* read-only */
    run_free(&run);
}

Test(direct, CPU_9_cpuid_is_set_before_the_guest_runs_and_enforced_at_any_time)
{
    struct run run = run_text("paravane 1\nfeatures kvm-steal-time\n!set-cpuid 8 0x40000100\n!save-restore\n"
                              "!set-cpuid 9 0x40000100\ncpuid 0x40000100\ncpuid 0x40000101\n!set-cpuid 1\n"
                              "rdmsr MSR_KVM_STEAL_TIME\n!enforce 1\nrdmsr MSR_KVM_STEAL_TIME\n!enforce 0\n"
                              "rdmsr MSR_KVM_STEAL_TIME\n");

    expect_host(&run, 0, 0);
    expect_host(&run, 2, 0);
    expect_ok(&run, 3, 0x40000101);
    expect_ok(&run, 4, 9);
    expect_host(&run, 5, EINVAL);
    expect_ok(&run, 6, 0);
    expect_fault(&run, 8, TRAP_GP, 0);
    expect_ok(&run, 10, 0);
    run_free(&run);
}

Test(direct, SAV_7_the_clock_is_set_and_CLK_20_the_guest_told)
{
    struct run run = run_text("paravane 1\nfeatures kvmclock kvmclock-stable-bit\n!kvmclock-ctrl 0\n"
                              "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\n!set-clock 5s\nnop\nload64 ram+16\n"
                              "!kvmclock-ctrl 0\nwrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nnop\nload8 ram+29\n"
                              "!set-clock 1s 1\n");

    expect_host(&run, 0, EINVAL);
    expect_host(&run, 2, 0);
    expect_ok(&run, 4, 5000000000);
    expect_host(&run, 5, 0);
    expect_ok(&run, 8, 3);
    expect_host(&run, 9, EINVAL);
    run_free(&run);
}

Test(direct, the_dirty_log_holds_what_was_written_since_it_was_cleared)
{
    struct run run =
        run_text("paravane 1\nfeatures kvm-steal-time\n!dirty-read ram 1\nstore8 ram 1\n"
                 "!dirty-clear\nstore8 ram+0x1000 1\nload8 ram+0x2000\n"
                 "wrmsr MSR_KVM_STEAL_TIME ram+0x3041\nnop\n!dirty-read ram 0x4000\n"
                 "!dirty-read ram 0x4000\n!dirty-clear\n!dirty-read ram 0x3fff\n!dirty-read hole 1\n");

    expect_host(&run, 0, ENOENT);
    expect_host(&run, 7, 0);
    cr_expect(eq(int, run.t.outcomes[7].data_len, 1));
    cr_expect(eq(int, run.t.outcomes[7].data[0], 0xa)); /* the host's own writes count */
    cr_expect(eq(int, run.t.outcomes[8].data[0], 0xa));
    cr_expect(eq(int, run.t.outcomes[10].data[0], 0));
    expect_host(&run, 11, ENOENT);
    run_free(&run);
}

Test(direct, MSI_2_and_init_and_sipi_come_from_the_host)
{
    static const uint8_t events[][2] = {{0x41, 0}};
    struct run run =
        run_text("paravane 1\nvcpus 2\n@1 apic-write APIC_SPIV 0x1ff\n@1 sti\n"
                 "!msi 0xfee01000 0x41\n@1 eoi\n!init 1\n@1 pause\n!sipi 1 8\n@1 pause\n!init 7\n");

    expect_host(&run, 2, 0);
    expect_events(&run, 1, 1, events);
    cr_expect(eq(int, run.t.outcomes[5].status, OUTCOME_TIMEOUT));
    expect_ok(&run, 7, 0);
    expect_host(&run, 8, EINVAL);
    run_free(&run);
}

Test(direct, SAV_5_migration_keeps_what_qemu_carries_and_SAV_3_enables_again)
{
    static const uint8_t events[][2] = {{0xf3, 0}, {0xf3, 0}};
    struct run run =
        run_text("paravane 1\nvcpus 2\nfeatures kvmclock kvm-asyncpf kvm-asyncpf-int kvm-steal-time\n" APIC_ON
                 "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nwrmsr MSR_KVM_STEAL_TIME ram+0x1001\n"
                 "wrmsr MSR_KVM_ASYNC_PF_INT 0xf3\nwrmsr MSR_KVM_ASYNC_PF_EN ram+0x49\neoi\n"
                 "store32 ram+0x44 0\nvmmcall KVM_HC_KICK_CPU 0 1\n!advance 3s\n!migrate\n"
                 "rdmsr MSR_KVM_STEAL_TIME\nrdmsr MSR_KVM_ASYNC_PF_EN\nload32 ram+0x44\n"
                 "load8 ram+29\nload64 ram+16\n@1 hlt\n");
    uint64_t ram = PROBE_RAM_BASE;

    expect_host(&run, 10, 0);
    expect_ok(&run, 11, ram + 0x1001);
    expect_ok(&run, 12, ram + 0x49);
    expect_ok(&run, 13, 0xffffffff);
    expect_ok(&run, 14, 3);                                         /* GUEST_STOPPED */
    expect_ok(&run, 15, 2999999999);                                /* it stood still; SAV-6 rounds */
    cr_expect(eq(int, run.t.outcomes[16].status, OUTCOME_TIMEOUT)); /* the kick was lost (SAV-5) */
    expect_events(&run, 0, 2, events);
    run_free(&run);
}
