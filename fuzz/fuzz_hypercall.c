/* Fuzzes hypercalls: every number, both instructions, every mode and privilege level, with the MSRs, APIC registers and
 * halts that their effects depend on. */
#include "fuzz/fuzz_program.h"
#include "fuzz/target.h"

const uint64_t fuzz_surface_ops = OPS_HYPERCALL;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_program(data, size);
    return 0;
}
