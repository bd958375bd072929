/* Runs a command line of a recorded QEMU run through ours. QEMU flags specification section 18. For tests only. */
#ifndef TESTS_VECTOR_RUN_H
#define TESTS_VECTOR_RUN_H

#include "vmm/cmd.h"

#define LINES_MAX 256
#define LINE_LEN  400

/* One run of ours, in the vector's terms. */
struct run {
    struct vmm_options options;
    struct cpuid_machine machine;
    struct cpu_flags flags;
    struct cpuid_table first, last; /* of the first vCPU, of the last */
    struct cpuid_outcome outcome;
    int exit_code; /* 0, 1; -6: QEMU aborts */
    unsigned line_count;
    char lines[LINES_MAX][LINE_LEN]; /* what QEMU would print on stderr, without its name */
};

/* accel: "tcg", "kvm", or "explicit" (argv chooses). kvm: the kernel's answers. */
void run_line(struct run *run, int argc, char **argv, const char *accel, const struct cpuid_supported *kvm);

/* Changes the kernel's answers as "[kernel-override: A , B]" of the notes says. False: we do not know how. */
bool apply_overrides(struct cpuid_supported *host, const char *notes);

#endif
