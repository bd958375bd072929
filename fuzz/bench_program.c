/* Measures the direct machine alone, judges and invariants off: programs of 16 actions on 2 vCPUs. */
#include <stdio.h>
#include <stdlib.h>
#include "diff/program/direct.h"
#include "fuzz/bench_inputs.h"

#define ACTIONS 16
#define VCPUS   2
#define ROUNDS  200

int main(void)
{
    struct direct_machine *machine = calloc(1, sizeof(*machine));
    struct program programs[BENCH_INPUTS];
    struct outcome outcome;
    uint64_t best = UINT64_MAX;

    for (unsigned i = 0; i < BENCH_INPUTS; i++) {
        program_init(&programs[i]);
        /* No host actions that change the machine's shape: the next program would build it anew. */
        bench_program(&programs[i], i, ACTIONS, VCPUS, ((1ull << OP_DESCHEDULE) - 1) & ~(1ull << OP_NOTE));
    }
    if (!machine || direct_machine_create(machine, &programs[0].config))
        return 4;
    for (unsigned pass = 0; pass < 3; pass++) {
        uint64_t start = bench_now_ns(), took;

        for (unsigned n = 0; n < ROUNDS * BENCH_INPUTS; n++) {
            const struct program *program = &programs[n % BENCH_INPUTS];

            if (!direct_machine_renew(machine, &program->config))
                return 4;
            for (unsigned i = 0; i < program->count; i++)
                direct_machine_step(machine, &program->actions[i], &outcome);
        }
        took = bench_now_ns() - start;
        best = took < best ? took : best;
    }
    bench_print("program.direct.per_second", 1e9 * ROUNDS * BENCH_INPUTS / (double)best, "1/s",
                "16 actions, 2 vCPUs, no judges");
    direct_machine_destroy(machine);
    free(machine);
    for (unsigned i = 0; i < BENCH_INPUTS; i++)
        program_free(&programs[i]);
    return 0;
}
