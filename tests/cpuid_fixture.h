/* Tables of the builder for tests: -cpu, -machine and -smp as strings, over a host to shape. */
#ifndef TESTS_CPUID_FIXTURE_H
#define TESTS_CPUID_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include "vmm/cpuid/build.h"
#include "vmm/cpuid/machine_options.h"

struct built {
    struct cpuid_table table;
    struct cpuid_outcome outcome;
    int result;
};

static inline void build_on(struct built *b, const struct cpuid_supported *host, const char *cpu,
                            const char *machine, const char *smp, unsigned vcpu)
{
    b->result = cpuid_for_flags(cpu, machine, smp, host, vcpu, &b->table, &b->outcome);
}

static inline struct cpuid_regs leaf(const struct built *b, uint32_t number, uint32_t subleaf)
{
    return supported_regs(&b->table, number, subleaf);
}

/* A host's answer for one leaf, in front of what it had. */
static inline void host_answers(struct cpuid_table *table, uint32_t number, uint32_t subleaf, uint32_t flags,
                                struct cpuid_regs regs)
{
    memmove(&table->entries[1], &table->entries[0], table->count++ * sizeof(table->entries[0]));
    table->entries[0] = (struct cpuid_entry){number, subleaf, flags, regs};
}

/* A whole command line, so with -global; the table is that of vCPU 0. */
static inline void build_line(struct built *b, const struct cpuid_supported *host, int argc, char **argv)
{
    struct cpuid_machine machine;
    struct vmm_options options;
    struct cpu_flags flags;

    cr_assert(vmm_options_parse(&options, argc, argv, NULL, 0), "%s", options.error.text);
    cr_assert(vmm_options_resolve(&options, host, &machine), "%s", options.error.text);
    cpu_flags_parse(&flags, options.cpu, strlen(options.cpu));
    b->result = cpuid_build(&flags, &machine, host, 0, &b->table, &b->outcome);
}
#define BUILD_LINE(b, host, ...)                                                                             \
    build_line(b, host, sizeof((char *[]){__VA_ARGS__}) / sizeof(char *), (char *[]){__VA_ARGS__})

/* One leaf of one command line, as the specification computes it: a row is a test. */
#define LEAF(name, host, cpu, machine, smp, vcpu, number, subleaf, ...)                                      \
    Test(cpuid_leaves, name)                                                                                 \
    {                                                                                                        \
        const struct cpuid_regs want = {__VA_ARGS__};                                                        \
        struct cpuid_regs have;                                                                              \
        struct built b;                                                                                      \
        build_on(&b, host, cpu, machine, smp, vcpu);                                                         \
        cr_assert(eq(int, b.result, 0), "%s", b.outcome.error.text);                                         \
        have = leaf(&b, number, subleaf);                                                                    \
        cr_assert(zero(int, memcmp(&have, &want, sizeof(want))), "%08x %08x %08x %08x", have.eax, have.ebx,  \
                  have.ecx, have.edx);                                                                       \
    }

#endif
