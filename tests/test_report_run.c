/* Which scenario of a stored run goes under which flag set, and what its flags say. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include "diff/report/run.h"

static struct run run; /* two host records: too large for a stack */

Test(report, a_scenario_runs_where_its_vcpus_are_present_not_possible)
{
    static const char two[] = "paravane 1\nvcpus 2\n\n@1 rdtsc\n",
                      three[] = "paravane 1\nvcpus 3\n\n@1 rdtsc\n";
    struct program_error error;
    char why[160];

    run_init(&run);
    cr_assert(eq(int, run_add_scenario(&run, "two", "", two, strlen(two), &error), 0));
    cr_assert(eq(int, run_add_scenario(&run, "three", "", three, strlen(three), &error), 0));
    cr_assert(eq(int,
                 run_add_set(&run,
                             &(struct flag_set){.name = "set",
                                                .cpu = "qemu64",
                                                .machine = "q35",
                                                .smp = "2,sockets=288,maxcpus=288",
                                                .memory = "64M"},
                             NULL),
                 0));
    cr_assert(eq(ptr, (void *)run_skip_reason(&run, 0, 0, why, sizeof(why)), NULL));
    cr_assert(eq(str, (char *)run_skip_reason(&run, 0, 1, why, sizeof(why)),
                 "it needs 3 vCPUs, these flags give 2"));
    run_free(&run);
}

Test(report, ENF_3_a_scenario_is_skipped_where_flags_close_what_it_needs)
{
    static const char text[] = "paravane 1\nfeatures kvm-pv-tlb-flush\n\nrdtsc\n";
    static const struct {
        const char *cpu;
        bool runs;
    } rows[] = {{"kvm64,kvm-pv-tlb-flush=off", true},
                {"kvm64,kvm-pv-tlb-flush=off,kvm-pv-enforce-cpuid=on", false},
                {"kvm64,kvm-pv-tlb-flush=on,kvm-pv-enforce-cpuid=on", true}};
    struct program_error error;
    char why[160];

    run_init(&run);
    cr_assert(eq(int, run_add_scenario(&run, "flush", "", text, strlen(text), &error), 0));
    for (unsigned i = 0; i < 3; i++) {
        const struct flag_set set = {
            .name = "set", .cpu = rows[i].cpu, .machine = "pc", .smp = "1", .memory = "64M"};

        cr_assert(eq(int, run_add_set(&run, &set, NULL), 0));
        cr_assert(eq(int, !run_skip_reason(&run, i, 0, why, sizeof(why)), rows[i].runs), "%s", rows[i].cpu);
    }
    run_free(&run);
}

Test(report, enforcement_is_read_from_the_flags_as_QEMU_reads_them)
{
    static const struct {
        const char *cpu;
        bool enforced;
    } rows[] = {{"kvm64", false},
                {"kvm64,kvm-pv-enforce-cpuid=on", true},
                {"kvm64,kvm-pv-enforce-cpuid", true},
                {"kvm64,+kvm-pv-enforce-cpuid", true},
                {"kvm64,kvm-pv-enforce-cpuid=on,-kvm-pv-enforce-cpuid", false},
                {"kvm64,kvm-pv-enforce-cpuid=on,kvm-pv-enforce-cpuid=off", false}};

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct run_set set = {.cpu = (char *)rows[i].cpu};

        cr_assert(eq(int, run_set_enforced(&set), rows[i].enforced), "%s", rows[i].cpu);
    }
}
