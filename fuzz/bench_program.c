/* Measures the direct machine alone, judges and invariants off: programs of 16 actions on 2 vCPUs, and what it costs to
 * begin a new one. */
#include <stdio.h>
#include <stdlib.h>
#include "diff/program/direct.h"
#include "fuzz/bench_inputs.h"

#define ACTIONS 16
#define VCPUS   2
#define ROUNDS  200
#define PASSES  3
#define RESETS  20000 /* in a pass */

static bool measure_programs(struct direct_machine *machine)
{
    struct program programs[BENCH_INPUTS];
    struct outcome outcome;
    uint64_t best = UINT64_MAX;
    bool good = true;

    for (unsigned i = 0; i < BENCH_INPUTS; i++) {
        program_init(&programs[i]);
        /* No host actions that change the machine's shape: the next program would build it anew. */
        bench_program(&programs[i], i, ACTIONS, VCPUS, ((1ull << OP_DESCHEDULE) - 1) & ~(1ull << OP_NOTE));
    }
    if (direct_machine_create(machine, &programs[0].config))
        return false;
    for (unsigned pass = 0; good && pass < PASSES; pass++) {
        uint64_t start = bench_now_ns(), took;

        for (unsigned n = 0; good && n < ROUNDS * BENCH_INPUTS; n++) {
            const struct program *program = &programs[n % BENCH_INPUTS];

            good = direct_machine_renew(machine, &program->config);
            for (unsigned i = 0; good && i < program->count; i++)
                direct_machine_step(machine, &program->actions[i], &outcome);
        }
        took = bench_now_ns() - start;
        best = took < best ? took : best;
    }
    if (good) {
        bench_print("program.direct.per_second", 1e9 * ROUNDS * BENCH_INPUTS / (double)best, "1/s",
                    "16 actions, 2 vCPUs, no judges");
        direct_machine_destroy(machine);
    }
    for (unsigned i = 0; i < BENCH_INPUTS; i++)
        program_free(&programs[i]);
    return good;
}

/* A reset costs what the program before it has touched: the first and the last page here, and the last is paged out. */
static bool measure_reset(struct direct_machine *machine, uint32_t ram_pages, const char *name,
                          const char *how)
{
    const struct action actions[] = {
        {.op = OP_STORE64, .args = {{BASE_RAM, 0}, {BASE_NONE, 1}}},
        {.op = OP_STORE64, .args = {{BASE_RAM_END, -8ull}, {BASE_NONE, 1}}},
        {.op = OP_PAGE_OUT, .args = {{BASE_RAM_END, -8ull}}},
    };
    struct program_config config = {.vcpus = 1, .vmcall_native = true, .ram_pages = ram_pages};
    uint64_t best = UINT64_MAX;
    struct outcome outcome;
    bool good = true;

    if (direct_machine_create(machine, &config))
        return false;
    for (unsigned pass = 0; good && pass < PASSES; pass++) {
        uint64_t start = bench_now_ns(), took;

        for (unsigned n = 0; good && n < RESETS; n++) {
            for (unsigned i = 0; i < sizeof(actions) / sizeof(actions[0]); i++)
                direct_machine_step(machine, &actions[i], &outcome);
            good = outcome.regs[0] == 0 && direct_machine_renew(machine, &config);
        }
        took = bench_now_ns() - start;
        best = took < best ? took : best;
    }
    if (good) {
        bench_print(name, (double)best / RESETS, "ns", how);
        direct_machine_destroy(machine);
    }
    return good;
}

int main(void)
{
    struct direct_machine *machine = calloc(1, sizeof(*machine));
    bool good =
        machine && measure_programs(machine) &&
        measure_reset(machine, 256, "program.reset_ns.small", "two pages touched of 1 MiB") &&
        measure_reset(machine, PROGRAM_RAM_MAX, "program.reset_ns.large", "two pages touched of 256 MiB");

    free(machine);
    return good ? 0 : 4;
}
