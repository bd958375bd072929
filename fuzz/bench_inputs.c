/* Makes the fixed list of inputs that ci/bench measures with. */
#include "fuzz/bench_inputs.h"

#include <stdio.h>
#include <time.h>
#include "fuzz/fuzz_program.h"
#include "fuzz/random_action.h"

/* The list stays what it is when a surface grows (decision 28), so that figures of two versions compare. Actions that cost
 * what they cost, once a program (snapshots, resets, memory slots), are not in it: they would drown the price of an action. */
#define MEASURED                                                                                             \
    (OPS(OP_NOP) | OPS(OP_RDMSR) | OPS(OP_WRMSR) | OPS(OP_VMCALL) | OPS(OP_VMMCALL) | OPS(OP_LOAD8) |        \
     OPS(OP_LOAD16) | OPS(OP_LOAD32) | OPS(OP_LOAD64) | OPS(OP_STORE8) | OPS(OP_STORE16) | OPS(OP_STORE32) | \
     OPS(OP_STORE64) | OPS(OP_DUMP) | OPS(OP_RDTSC) | OPS(OP_CLOCK) | OPS(OP_ADVANCE) | OPS(OP_APIC_READ) |  \
     OPS(OP_APIC_WRITE) | OPS(OP_IPI) | OPS(OP_EOI) | OPS(OP_STI) | OPS(OP_CLI))

void bench_program(struct program *program, unsigned n, unsigned actions, unsigned vcpus, uint64_t ops)
{
    struct rng rng = {0x9e3779b97f4a7c15ull * (n + 1)};
    struct action action;

    program->count = 0;
    config_random(&program->config, &rng);
    program->config.vcpus = (uint8_t)vcpus;
    program->config.irqchip = PROGRAM_IRQCHIP_KERNEL;
    program->config.ram_pages = FUZZ_RAM_PAGES;
    for (unsigned i = 0; i < actions; i++) {
        action_random(&action, &rng, ops & MEASURED, vcpus);
        program_add(program, &action);
    }
}

bool bench_scenario(struct program *program)
{
    static const char text[] = "paravane 1\n"
                               "vcpus 2\n"
                               "\n"
                               "cpuid 0x40000001\n"
                               "cpuid 1\n"
                               "store64 ram+0x1000 0x1122334455667788\n"
                               "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+0x2001\n"
                               "rdmsr MSR_KVM_SYSTEM_TIME_NEW\n"
                               "wrmsr MSR_KVM_STEAL_TIME ram+0x3001\n"
                               "wrmsr MSR_KVM_STEAL_TIME ram+0x3003\n"
                               "rdmsr MSR_KVM_STEAL_TIME\n"
                               "vmcall KVM_HC_KICK_CPU 0 1\n"
                               "vmmcall KVM_HC_SCHED_YIELD 1\n"
                               "@1 rdmsr MSR_KVM_POLL_CONTROL\n"
                               "@1 cpuid 0x40000000\n"
                               "@1 load64 ram+0x1000\n"
                               "@1 wrmsr MSR_KVM_ASYNC_PF_INT 0xf3\n"
                               "dump ram+0x1000 64\n"
                               "apic-read APIC_ID\n";
    struct program_error error;

    if (program_parse(program, text, sizeof(text) - 1, &error) == 0)
        return true;
    fprintf(stderr, "bench: line %u of the scenario: %s\n", error.line, error.message);
    return false;
}

uint64_t bench_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void bench_print(const char *name, double value, const char *unit, const char *how)
{
    printf("%s\t%.*f\t%s\t%s\n", name, value < 1000 ? 1 : 0, value, unit, how);
}
