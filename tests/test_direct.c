/* The direct machine: what a guest sees of each kind of action, and that runs repeat exactly. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/direct.h"
#include "tests/random_program.h"
#include "vmm/abi/kvm_para.h"

/* A program's text run on the machine; outcomes by line of body. */
struct run {
    struct transcript t;
};

static struct run run_text(const char *text)
{
    struct program program;
    struct program_error error;
    struct run run;

    program_init(&program);
    cr_assert(eq(int, program_parse(&program, text, strlen(text), &error), 0), "%u:%u: %s", error.line,
              error.column, error.message);
    cr_assert(eq(int, direct_machine_run(&program, &run.t), 0));
    program_free(&program);
    return run;
}

static void run_free(struct run *run)
{
    for (unsigned i = 0; i < PROBE_VCPUS; i++)
        free(run->t.events[i]);
    free(run->t.outcomes);
    free(run->t.samples);
    free(run->t.sample_runs);
}

static void expect_ok(const struct run *run, unsigned action, uint64_t rax)
{
    cr_expect(eq(int, run->t.outcomes[action].status, OUTCOME_OK), "action %u", action);
    cr_expect(eq(u64, run->t.outcomes[action].regs[0], rax), "action %u", action);
}

static void expect_fault(const struct run *run, unsigned action, uint8_t vector, uint32_t error)
{
    cr_expect(eq(int, run->t.outcomes[action].status, OUTCOME_FAULT), "action %u", action);
    cr_expect(eq(int, run->t.outcomes[action].vector, vector), "action %u", action);
    cr_expect(eq(u32, run->t.outcomes[action].error, error), "action %u", action);
    cr_expect(eq(u64, run->t.outcomes[action].regs[0], 0), "action %u", action);
}

Test(direct, GEN_1_outside_of_ring_0_msrs_fault_before_kvm_sees_them)
{
    struct run run = run_text("paravane 1\n"
                              "cpl3 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "cpl3 rdmsr MSR_KVM_POLL_CONTROL\n"
                              "compat-cpl3 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "m32-cpl3 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "cpl3 hlt\n"
                              "cpl3 sti\n"
                              "rdmsr MSR_KVM_POLL_CONTROL\n");

    for (unsigned i = 0; i < 6; i++)
        expect_fault(&run, i, TRAP_GP, 0);
    expect_ok(&run, 6, 1);
    run_free(&run);
}

Test(direct, GEN_2_rdmsr_and_wrmsr_work_in_each_mode)
{
    struct run run = run_text("paravane 1\n"
                              "wrmsr MSR_KVM_WALL_CLOCK 0xffffffff00000001\n"
                              "rdmsr MSR_KVM_WALL_CLOCK_NEW\n"
                              "m16 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "m32 rdmsr MSR_KVM_POLL_CONTROL\n"
                              "compat wrmsr MSR_KVM_POLL_CONTROL 2\n"
                              "wrmsr 0x4b564dff 0\n");

    expect_ok(&run, 1, 1);
    cr_expect(eq(u64, run.t.outcomes[1].regs[3], 0xffffffff));
    cr_expect(eq(u32, run.t.outcomes[1].rip_delta, 2));
    cr_expect(eq(u32, run.t.outcomes[1].changed, 0));
    expect_ok(&run, 2, 0);
    expect_ok(&run, 3, 0);
    expect_fault(&run, 4, TRAP_GP, 0);
    expect_fault(&run, 5, TRAP_GP, 0);
    run_free(&run);
}

Test(direct, HC_2_the_width_of_a_hypercall_follows_the_mode)
{
    struct run run = run_text("paravane 1\n"
                              "vmmcall 0\n"
                              "vmmcall 0x100000001\n"
                              "vmmcall KVM_HC_VAPIC_POLL_IRQ\n"
                              "m32 vmmcall 0\n"
                              "compat vmmcall 0xffffffff00000001\n"
                              "m16 vmmcall KVM_HC_VAPIC_POLL_IRQ\n"
                              "cpl3 vmmcall KVM_HC_VAPIC_POLL_IRQ\n"
                              "m32-cpl3 vmmcall KVM_HC_VAPIC_POLL_IRQ\n");

    expect_ok(&run, 0, -1000ull);
    expect_ok(&run, 1, -1000ull);
    expect_ok(&run, 2, 0);
    expect_ok(&run, 3, (uint32_t)-1000);
    expect_ok(&run, 4, 0);
    expect_ok(&run, 5, 0);
    expect_ok(&run, 6, -1ull);
    expect_ok(&run, 7, (uint32_t)-1);
    cr_expect(eq(u32, run.t.outcomes[0].rip_delta, 3));
    run_free(&run);
}

Test(direct, HC_10_the_foreign_form_is_rewritten_and_HC_12_checks_come_first)
{
    static const uint8_t vmcall[] = {0x0f, 0x01, 0xc1}, vmmcall[] = {0x0f, 0x01, 0xd9};
    struct run amd = run_text("paravane 1\nvmcall 1\ncpl3 vmcall 1\nvmmcall 1\n");
    struct run intel = run_text("paravane 1\nnative vmcall\nvmmcall 1\nm16 vmmcall 1\ncpl3 vmmcall 1\n");

    expect_ok(&amd, 0, 0);
    cr_expect(eq(int, memcmp(amd.t.outcomes[0].data, vmmcall, 3), 0));
    expect_fault(&amd, 1, TRAP_GP, 0);
    cr_expect(eq(int, memcmp(amd.t.outcomes[1].data, vmcall, 3), 0));
    cr_expect(eq(int, memcmp(amd.t.outcomes[2].data, vmmcall, 3), 0));
    expect_ok(&intel, 0, 0);
    cr_expect(eq(int, memcmp(intel.t.outcomes[0].data, vmcall, 3), 0));
    expect_fault(&intel, 1, TRAP_UD, 0);
    cr_expect(eq(int, memcmp(intel.t.outcomes[1].data, vmmcall, 3), 0));
    expect_ok(&intel, 2, -1ull);
    run_free(&amd);
    run_free(&intel);
}

Test(direct, ENF_3_the_header_says_what_is_offered_and_enforced)
{
    struct run run =
        run_text("paravane 1\nfeatures kvmclock kvm-pv-ipi\nhints kvm-hint-dedicated\nenforce on\n"
                 "rdmsr MSR_KVM_STEAL_TIME\n"
                 "rdmsr MSR_KVM_SYSTEM_TIME_NEW\n"
                 "vmmcall KVM_HC_KICK_CPU\n"
                 "vmmcall KVM_HC_SEND_IPI\n"
                 "cpuid 0x40000001\n"
                 "cpl3 cpuid 0x40000000\n");

    expect_fault(&run, 0, TRAP_GP, 0);
    expect_ok(&run, 1, 0);
    expect_ok(&run, 2, -1000ull);
    expect_ok(&run, 3, 0);
    expect_ok(&run, 4, 1 << 0 | 1 << 3 | 1 << 11);
    cr_expect(eq(u64, run.t.outcomes[4].regs[3], 1));
    expect_ok(&run, 5, 0x40000001);
    cr_expect(eq(u64, run.t.outcomes[5].regs[1], KVM_SIGNATURE_EBX));
    run_free(&run);
}

Test(direct, memory_is_ram_rom_devices_and_holes)
{
    struct run run = run_text("paravane 1\nram 2\n"
                              "store64 ram+0xffc 0x1122334455667788\n"
                              "load64 ram+0xffc\n"
                              "load32 ram+0x1000\n"
                              "m32 load64 ram+0xffc\n"
                              "m16 load16 ram+0xffc\n"
                              "store32 ram_end-4 0xabcd\n"
                              "load64 ram_end-4\n"
                              "load32 hole\n"
                              "store8 rom 1\n"
                              "load8 rom\n"
                              "load64 0xfffffffc\n"
                              "cpl3 store8 0x100000000 1\n"
                              "load8 0x8000000000000000\n"
                              "compat load16 0x100200ffc\n"
                              "fill ram 4096 0x5a\n"
                              "dump ram+0xff8 16\n"
                              "dump 0xfffffff0 32\n"
                              "load32 mmio+0x30\n");

    expect_ok(&run, 1, 0x1122334455667788);
    expect_ok(&run, 2, 0x11223344);
    expect_ok(&run, 3, 0x1122334455667788);
    expect_ok(&run, 4, 0x7788);
    expect_ok(&run, 6, 0xffffffff0000abcd);
    expect_ok(&run, 7, 0xffffffff);
    expect_ok(&run, 8, 0);
    expect_ok(&run, 9, 0);
    expect_fault(&run, 10, TRAP_PF, 0);
    cr_expect(eq(u64, run.t.outcomes[10].cr2, 0x100000000));
    expect_fault(&run, 11, TRAP_PF, 6);
    expect_fault(&run, 12, TRAP_GP, 0);
    expect_ok(&run, 13, 0x7788);
    cr_expect(eq(int, run.t.outcomes[15].data_len, 16));
    cr_expect(eq(int, run.t.outcomes[15].data[7], 0x5a));
    cr_expect(eq(int, run.t.outcomes[15].data[8], 0x44));
    expect_fault(&run, 16, TRAP_PF, 0);
    cr_expect(eq(int, run.t.outcomes[16].data_len, 0));
    cr_expect(eq(int, run.t.outcomes[17].status, OUTCOME_OK));
    cr_expect(ne(u64, run.t.outcomes[17].regs[0], 0xffffffff)); /* the version register of the local APIC */
    run_free(&run);
}

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

Test(direct, an_ipi_becomes_an_event_and_waits_for_eoi)
{
    struct run run = run_text("paravane 1\nvcpus 2\n"
                              "@1 apic-write APIC_SPIV 0x1ff\n"
                              "ipi 1 0x40\n"
                              "@1 sti\n"
                              "ipi 1 0x30\n"
                              "@1 eoi\n"
                              "ipi 1 0x400\n");

    cr_assert(eq(u32, run.t.event_count[1], 3));
    cr_expect(eq(int, run.t.events[1][0].vector, 0x40));
    cr_expect(eq(u32, run.t.events[1][0].after, 2));
    cr_expect(eq(int, run.t.events[1][1].vector, 0x30));
    cr_expect(eq(u32, run.t.events[1][1].after, 4));
    cr_expect(eq(int, run.t.events[1][2].vector, TRAP_NMI));
    cr_expect(eq(int, run.t.outcomes[2].flags, OUTCOME_F_IF));
    run_free(&run);
}

Test(direct, UNH_4_a_kick_ends_a_hlt_and_UNH_5_is_latched)
{
    struct run run = run_text("paravane 1\nvcpus 2\n"
                              "@1 hlt\n"
                              "@1 rdtsc\n"
                              "vmmcall KVM_HC_KICK_CPU 0 1\n"
                              "@1 rdtsc\n"
                              "vmmcall KVM_HC_KICK_CPU 0 0\n"
                              "hlt\n");

    expect_ok(&run, 0, 0);
    cr_expect(eq(u64, run.t.outcomes[0].regs[1], 2)); /* woken by action 2 */
    cr_expect(eq(int, run.t.outcomes[1].status, OUTCOME_TIMEOUT));
    cr_expect(eq(int, run.t.outcomes[3].status, OUTCOME_OK));
    expect_ok(&run, 5, 0);
    cr_expect(eq(u64, run.t.outcomes[5].regs[1], 5));
    run_free(&run);
}

Test(direct, a_hlt_of_vcpu_0_that_nothing_wakes_becomes_a_reset)
{
    struct run run = run_text("paravane 1\nwrmsr MSR_KVM_WALL_CLOCK 5\nhlt\nrdmsr MSR_KVM_WALL_CLOCK\n"
                              "hlt\nhlt\nhlt\nhlt\nrdtsc\n");

    cr_expect(eq(int, run.t.outcomes[1].status, OUTCOME_TIMEOUT));
    expect_ok(&run, 2, 0);
    cr_expect(eq(str, run.t.stopped, (char *)"action 6 is the 5th HLT of vCPU 0 that nothing wakes"));
    cr_expect(eq(int, run.t.outcomes[7].status, OUTCOME_NONE));
    run_free(&run);
}

Test(direct, INIT_ends_the_probe_there_until_a_sipi_to_its_trampoline)
{
    struct run run = run_text("paravane 1\nvcpus 2\n"
                              "@1 wrmsr MSR_KVM_STEAL_TIME 0x40\n"
                              "ipi 1 0x4500\n"
                              "@1 rdtsc\n"
                              "ipi 1 0x4608\n"
                              "@1 rdmsr MSR_KVM_STEAL_TIME\n"
                              "ipi 1 0x4500\n"
                              "ipi 1 0x4609\n"
                              "@1 rdtsc\n"
                              "ipi 1 0x4500\n"
                              "ipi 1 0x4608\n"
                              "@1 ipi 1 0x4500\n");

    cr_expect(eq(int, run.t.outcomes[10].status, OUTCOME_TIMEOUT)); /* nobody is left to report */
    cr_expect(eq(int, run.t.outcomes[2].status, OUTCOME_TIMEOUT));
    expect_ok(&run, 4, 0);
    cr_expect(eq(int, run.t.outcomes[7].status, OUTCOME_TIMEOUT));
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

/* Outcomes of a program on a machine that has just been started; save_at: saved and restored before that action. */
static void run_actions(struct direct_machine *m, const struct program *program, struct outcome *outcomes,
                        uint32_t save_at)
{
    static const struct action save = {.op = OP_SAVE_RESTORE};
    struct outcome done;

    for (uint32_t i = 0; i < program->count; i++) {
        if (i == save_at) {
            direct_machine_step(m, &save, &done);
            cr_assert(eq(int, done.status, OUTCOME_HOST));
            cr_assert(eq(u64, done.regs[0], 0));
            m->index--; /* the outcomes of HLT count actions */
        }
        direct_machine_step(m, &program->actions[i], &outcomes[i]);
    }
}

static void run_fresh(const struct program *program, struct outcome *outcomes)
{
    struct direct_machine *m = malloc(sizeof(*m));

    cr_assert(eq(int, direct_machine_create(m, &program->config), 0));
    run_actions(m, program, outcomes, UINT32_MAX);
    direct_machine_destroy(m);
    free(m);
}

static void run_renewed(struct direct_machine *m, const struct program *program, struct outcome *outcomes,
                        uint32_t save_at)
{
    cr_assert(direct_machine_renew(m, &program->config));
    for (unsigned i = 0; i < program->config.vcpus; i++)
        cr_assert(eq(u32, m->event_count[i], 0));
    run_actions(m, program, outcomes, save_at);
}

static void expect_same(const struct program *program, const struct outcome *a, const struct outcome *b)
{
    for (uint32_t i = 0; i < program->count; i++) {
        char line[PROGRAM_NOTE_MAX + 2];

        action_print(program, &program->actions[i], line, sizeof(line));
        cr_assert(eq(int, memcmp(&a[i], &b[i], sizeof(a[i])), 0), "action %u: %s", i, line);
    }
}

/* Few shapes, so that machines are renewed; a random header rarely gives the same one twice. */
static void decode_random(struct program *program, uint64_t *seed)
{
    uint8_t data[512];

    program_decode_total(program, data, random_bytes(seed, data, sizeof(data)));
    program->config.ram_pages = 4;
    program->config.vcpus = 3;
    program->config.irqchip = PROGRAM_IRQCHIP_KERNEL;
    for (uint32_t i = 0; i < program->count; i++)
        program->actions[i].vcpu %= 3;
}

/* A renewed machine is a new one, and a restored one goes on as if nothing had happened (decision 11). */
Test(direct, equal_programs_give_equal_outcomes_renewed_or_restored)
{
    static struct outcome first[512], second[512];
    struct direct_machine *m = malloc(sizeof(*m));
    struct program program;
    uint64_t seed = 7;

    program_init(&program);
    decode_random(&program, &seed);
    cr_assert(eq(int, direct_machine_create(m, &program.config), 0));
    for (unsigned round = 0; round < 2000; round++) {
        decode_random(&program, &seed);
        run_fresh(&program, first);
        run_renewed(m, &program, second, UINT32_MAX);
        expect_same(&program, first, second);
        if (!program.count)
            continue;
        run_renewed(m, &program, second, random_u64(&seed) % program.count);
        expect_same(&program, first, second);
    }
    direct_machine_destroy(m);
    program_free(&program);
    free(m);
}

Test(direct, another_shape_is_built_anew)
{
    struct direct_machine *m = malloc(sizeof(*m));
    struct program_config small = {.vcpus = 1, .ram_pages = 1},
                          large = {.vcpus = 16, .ram_pages = PROGRAM_RAM_MAX};

    cr_assert(eq(int, direct_machine_create(m, &small), 0));
    cr_assert(direct_machine_renew(m, &large));
    cr_expect(eq(int, m->vm.config.vcpus, 16));
    cr_expect(eq(u64, m->bases[BASE_RAM_END], PROBE_RAM_BASE + (256ull << 20)));
    direct_machine_destroy(m);
    small.vcpus = 17;
    cr_expect(eq(int, direct_machine_create(m, &small), -22));
    free(m);
}

#define APIC_ON "apic-write APIC_SPIV 0x1ff\nsti\n"

static void expect_host(const struct run *run, unsigned action, uint64_t err)
{
    cr_expect(eq(int, run->t.outcomes[action].status, OUTCOME_HOST), "action %u", action);
    cr_expect(eq(u64, run->t.outcomes[action].regs[0], err), "action %u", action);
}

static void expect_events(const struct run *run, unsigned vcpu, unsigned count, const uint8_t (*events)[2])
{
    cr_assert(eq(u32, run->t.event_count[vcpu], count));
    for (unsigned i = 0; i < count; i++) {
        cr_expect(eq(int, run->t.events[vcpu][i].vector, events[i][0]), "event %u", i);
        cr_expect(eq(int, run->t.events[vcpu][i].byte, events[i][1]), "event %u", i);
    }
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

/* What follows the stores, such as the invariants, goes by their number. */
Test(direct, INV_1_the_trace_of_stores_goes_on_over_a_new_vm)
{
    static const struct action wrmsr = {.op = OP_WRMSR,
                                        .args = {{BASE_NONE, MSR_KVM_SYSTEM_TIME_NEW}, {BASE_RAM, 0x1001}}};
    static const enum action_op renewing[] = {OP_SAVE_RESTORE, OP_MIGRATE};
    const struct program_config config = {.vcpus = 1, .ram_pages = 16};
    struct direct_machine *m = calloc(1, sizeof(*m));
    struct outcome outcome;

    cr_assert(m != NULL);
    cr_assert(eq(int, direct_machine_create(m, &config), 0));
    direct_machine_step(m, &wrmsr, &outcome);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t before = m->vm.trace.total;

        cr_assert(lt(u64, 0, before));
        direct_machine_step(m, &(struct action){.op = (uint8_t)renewing[i]}, &outcome);
        cr_assert(ge(u64, m->vm.trace.total, before));
    }
    direct_machine_destroy(m);
    free(m);
}

Test(direct, CPU_9_the_next_program_has_its_own_cpuid_again)
{
    static const struct action changes[] = {{.op = OP_SET_CPUID, .args = {{BASE_NONE, 1u << 5}}},
                                            {.op = OP_ENFORCE, .args = {{BASE_NONE, 1}}},
                                            {.op = OP_WRMSR, .args = {{BASE_NONE, MSR_KVM_PV_EOI_EN}}}};
    static const struct action leaf = {.op = OP_CPUID, .args = {{BASE_NONE, 0x40000001}}};
    const struct program_config config = {.vcpus = 1, .ram_pages = 16, .features = 1u << 6};
    struct direct_machine *m = calloc(1, sizeof(*m));
    struct outcome outcome;

    cr_assert(m != NULL);
    cr_assert(eq(int, direct_machine_create(m, &config), 0));
    for (unsigned i = 0; i < 3; i++)
        direct_machine_step(m, &changes[i], &outcome);
    cr_assert(eq(int, outcome.status, OUTCOME_FAULT));
    cr_assert(direct_machine_renew(m, &config));
    direct_machine_step(m, &leaf, &outcome);
    cr_assert(eq(u64, outcome.regs[0], 1u << 6));
    direct_machine_step(m, &changes[2], &outcome);
    cr_assert(eq(int, outcome.status, OUTCOME_OK));
    cr_assert(not(m->vm.vcpus[0].enforce));
    direct_machine_destroy(m);
    free(m);
}
