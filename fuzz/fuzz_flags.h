/* The second half of the flags target: from an accepted string to a CPUID table. */
#ifndef FUZZ_FUZZ_FLAGS_H
#define FUZZ_FUZZ_FLAGS_H

struct cpu_flags;
/* Builds the table as `pv-vmm cpuid` would and checks it. */
void fuzz_flags_build(const struct cpu_flags *flags);

#endif
