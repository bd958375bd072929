/* Measures whole programs on the soft machine: the probe, run by our software vCPU. */
#include <stdio.h>
#include <stdlib.h>
#include "diff/machine/machine.h"
#include "fuzz/bench_inputs.h"
#include "vmm/exit_status.h"

#define PROGRAMS 256
#define PASSES   4

/* Seconds for all programs, start of the VM included; negative: it could not be measured. */
static double run_all(struct machine *machine, const struct run_item *item)
{
    struct run_result result = {.error = ""};
    uint64_t start = bench_now_ns();
    int err = machine_run(machine, item, 1, &result);
    double took = (double)(bench_now_ns() - start) / 1e9;

    for (unsigned i = 0; !err && i < item->program_count; i++)
        if (result.transcripts[i].stopped[0])
            snprintf(result.error, sizeof(result.error), "%s", result.transcripts[i].stopped);
    if (err || result.error[0]) {
        fprintf(stderr, "bench_soft: %s\n", result.error);
        took = -1;
    }
    run_result_free(&result, item->program_count);
    return took;
}

int main(void)
{
    struct program programs[PROGRAMS];
    const struct run_item item = {.flags = {.name = "bench",
                                            .cpu = "qemu64",
                                            .machine = "pc,kernel-irqchip=on",
                                            .smp = "2",
                                            .memory = "64M"},
                                  .programs = programs,
                                  .program_count = PROGRAMS};
    struct machine *machine;
    double best = 1e9;
    char why[240];

    program_init(&programs[0]);
    if (!bench_scenario(&programs[0]))
        return EXIT_OUR_FAULT;
    for (unsigned i = 1; i < PROGRAMS; i++)
        programs[i] = programs[0]; /* they share the actions; the first one frees them */
    if (machine_open(&machine, MACHINE_SOFT, 0, NULL, NULL, why)) {
        fprintf(stderr, "bench_soft: %s\n", why);
        return EXIT_MISSING;
    }
    for (unsigned pass = 0; pass < PASSES && best > 0; pass++) {
        double took = run_all(machine, &item);

        best = took < best ? took : best;
    }
    machine_close(machine);
    program_free(&programs[0]);
    if (best < 0)
        return EXIT_OUR_FAULT;
    bench_print("program.soft.per_second", PROGRAMS / best, "1/s",
                "16 actions, 2 vCPUs, the probe on the software vCPU");
    return 0;
}
