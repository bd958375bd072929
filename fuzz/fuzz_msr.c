/* Fuzzes every model-specific register of the PV interface: sequences of reads and writes on several vCPUs, with time,
 * reset, save-restore, guest stores and changes of the memory behind the records between them. */
#include "fuzz/fuzz_program.h"
#include "fuzz/target.h"

const uint64_t fuzz_surface_ops = OPS_MSR;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_program(data, size);
    return 0;
}
