/* Measures the -cpu string: parsed alone, and parsed with the CPUID table built from it. */
#include <stdio.h>
#include <string.h>
#include "fuzz/bench_inputs.h"
#include "vmm/cpuid/build.h"
#include "vmm/cpuid/machine_options.h"
#include "vmm/exit_status.h"

#define PASSES 16
#define ROUNDS 2000 /* in a pass */

static const char text[] = "qemu64,+kvm-pv-ipi";

static bool parse(void *ctx)
{
    static struct cpu_flags flags;

    (void)ctx;
    cpu_flags_parse(&flags, text, sizeof(text) - 1);
    return flags.model;
}

static bool parse_and_build(void *ctx)
{
    static struct cpu_flags flags;
    static struct cpuid_table table;
    static struct cpuid_outcome outcome;

    cpu_flags_parse(&flags, text, sizeof(text) - 1);
    return cpuid_build(&flags, ctx, cpuid_supported_soft(), 0, &table, &outcome) == 0;
}

/* Nanoseconds of one call; the best of many short passes. Negative: it failed. */
static double measure(bool (*call)(void *ctx), void *ctx)
{
    uint64_t best = UINT64_MAX;
    bool good = true;

    for (unsigned pass = 0; pass < PASSES; pass++) {
        uint64_t start = bench_now_ns(), took;

        for (unsigned round = 0; round < ROUNDS; round++)
            good = call(ctx) && good;
        took = bench_now_ns() - start;
        best = took < best ? took : best;
    }
    return good ? (double)best / ROUNDS : -1;
}

int main(void)
{
    struct vmm_options options;
    struct cpuid_machine machine;
    double parse_ns, build_ns;

    vmm_options_init(&options);
    if (!vmm_options_resolve(&options, cpuid_supported_soft(), &machine))
        return EXIT_OUR_FAULT;
    parse_ns = measure(parse, NULL);
    build_ns = measure(parse_and_build, &machine);
    if (parse_ns < 0 || build_ns < 0) {
        fprintf(stderr, "bench_flags: '%s' was refused\n", text);
        return EXIT_OUR_FAULT;
    }
    bench_print("flags.parse_ns", parse_ns, "ns", "qemu64,+kvm-pv-ipi");
    bench_print("flags.build_ns", build_ns, "ns", "the same, and the CPUID table from it");
    return 0;
}
