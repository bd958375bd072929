/* Measures the judge: two transcripts of one program in, checks out, in one process. */
#include <stdio.h>
#include <stdlib.h>
#include "diff/judge/judge.h"
#include "diff/program/direct.h"
#include "fuzz/bench_inputs.h"
#include "vmm/exit_status.h"

#define PASSES 8
#define ROUNDS 2000 /* in a pass */

/* Checks per second of CPU time; the list is counted and freed as a report would. */
static double checks_per_second(const struct judge_case *judged)
{
    uint64_t start = bench_now_ns(), checks = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        struct check_list list;

        check_list_init(&list);
        judge_program(judged, &list);
        checks += list.count;
        check_list_free(&list);
    }
    return 1e9 * (double)checks / (double)(bench_now_ns() - start);
}

int main(void)
{
    const struct flag_set flags = {
        .name = "bench", .cpu = "qemu64", .machine = "pc", .smp = "2", .memory = "64M"};
    struct transcript ours = {0}, theirs = {0};
    struct program program;
    double best = 0;

    program_init(&program);
    if (!bench_scenario(&program) || direct_machine_run(&program, &ours) ||
        direct_machine_run(&program, &theirs))
        return EXIT_OUR_FAULT;
    theirs.outcomes[0].regs[0] ^= 1; /* one difference, so that its text is made, too */
    for (unsigned pass = 0; pass < PASSES; pass++) {
        const struct judge_case judged = {.flags = &flags,
                                          .scenario = "bench",
                                          .program = &program,
                                          .ours = {.transcript = &ours, .tsc_khz = DIRECT_TSC_KHZ},
                                          .theirs = {.transcript = &theirs, .tsc_khz = DIRECT_TSC_KHZ}};
        double rate = checks_per_second(&judged);

        best = rate > best ? rate : best;
    }
    bench_print("diff.checks_per_second", best, "1/s", "16 actions, two transcripts with one difference");
    transcript_free(&ours);
    transcript_free(&theirs);
    program_free(&program);
    return 0;
}
