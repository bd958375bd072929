/* The table that an accepted -cpu string leads to. */
#include "fuzz/fuzz_flags.h"

void fuzz_flags_build(const struct cpu_flags *flags)
{
    (void)flags;
}
