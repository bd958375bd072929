/* Makes the fixed list of inputs that ci/bench measures with. */
#include "fuzz/bench_inputs.h"

#include <stdio.h>
#include <time.h>
#include "fuzz/fuzz_program.h"
#include "fuzz/random_action.h"

/* Snapshots and resets cost what they cost, once a program; they would drown the price of an action. */
#define NOT_MEASURED                                                                                         \
    (OPS(OP_RESET) | OPS(OP_SAVE_RESTORE) | OPS(OP_PAUSE_VM) | OPS(OP_RESUME_VM) | OPS(OP_HLT) | OPS(OP_FILL))

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
        action_random(&action, &rng, ops & ~NOT_MEASURED, vcpus);
        program_add(program, &action);
    }
}

uint64_t bench_now_ns(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void bench_print(const char *name, double value, const char *unit, const char *how)
{
    printf("%s\t%.4g\t%s\t%s\n", name, value, unit, how);
}
