/* Measures one program target in this build: cost of an action and of a reset. With --write, writes the fixed list as
 * files instead, for the engine itself to be measured with. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz/bench_inputs.h"
#include "fuzz/fuzz_program.h"
#include "fuzz/target.h"
#include "vmm/exit_status.h"

#define ACTIONS 8
#define PASSES  16
#define ROUNDS  100 /* in a pass */

struct input {
    uint8_t *data;
    size_t len;
};

static bool make_inputs(struct input *inputs, unsigned actions)
{
    struct program program;
    bool good = true;

    program_init(&program);
    for (unsigned i = 0; good && i < BENCH_INPUTS; i++) {
        bench_program(&program, i, actions, 1 + i % 2, fuzz_surface_ops);
        good = program_encode(&program, &inputs[i].data, &inputs[i].len) == 0;
    }
    program_free(&program);
    return good;
}

static void free_inputs(struct input *inputs)
{
    for (unsigned i = 0; i < BENCH_INPUTS; i++)
        free(inputs[i].data);
}

/* Nanoseconds per input; the best of many short passes, because other work on the machine only ever adds. */
static double measure(const struct input *inputs)
{
    uint64_t best = UINT64_MAX;

    for (unsigned pass = 0; pass < PASSES; pass++) {
        uint64_t start = bench_now_ns(), took;

        for (unsigned round = 0; round < ROUNDS; round++)
            for (unsigned i = 0; i < BENCH_INPUTS; i++)
                LLVMFuzzerTestOneInput(inputs[i].data, inputs[i].len);
        took = bench_now_ns() - start;
        best = took < best ? took : best;
    }
    return (double)best / (ROUNDS * BENCH_INPUTS);
}

static int write_inputs(const struct input *inputs, const char *folder)
{
    for (unsigned i = 0; i < BENCH_INPUTS; i++) {
        char path[4096];
        FILE *file;

        snprintf(path, sizeof(path), "%s/%02u", folder, i);
        file = fopen(path, "wb");
        if (!file || fwrite(inputs[i].data, 1, inputs[i].len, file) != inputs[i].len || fclose(file)) {
            perror(path);
            return EXIT_MISSING;
        }
    }
    return 0;
}

int main(int argc, char **argv)
{
    struct input full[BENCH_INPUTS] = {0}, empty[BENCH_INPUTS] = {0};
    double full_ns, reset_ns;
    char name[64];
    int status = 0;

    if (!(argc == 2 || (argc == 4 && !strcmp(argv[2], "--write")))) {
        fprintf(stderr, "usage: %s NAME [--write DIR]\n", argv[0]);
        return EXIT_USAGE;
    }
    if (!make_inputs(full, ACTIONS) || !make_inputs(empty, 0))
        return EXIT_OUR_FAULT;
    if (argc == 4) {
        status = write_inputs(full, argv[3]);
    } else {
        fuzz_run.save_judge = SAVE_NEVER;
        full_ns = measure(full);
        reset_ns = measure(empty);
        snprintf(name, sizeof(name), "fuzz.%s.action_ns", argv[1]);
        bench_print(name, (full_ns - reset_ns) / ACTIONS, "ns",
                    "8-action programs less empty ones, per action");
        snprintf(name, sizeof(name), "fuzz.%s.reset_ns", argv[1]);
        bench_print(name, reset_ns, "ns", "empty programs: decode, renew, checks");
    }
    free_inputs(full);
    free_inputs(empty);
    return status;
}
