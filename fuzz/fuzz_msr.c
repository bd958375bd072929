/* Fuzzes every model-specific register of the PV interface: sequences of reads and writes on several vCPUs, with time,
 * reset, save-restore and guest stores between them. */
#include "fuzz/fuzz_program.h"
#include "fuzz/target.h"

const uint64_t fuzz_surface_ops =
    OPS_STAGE | OPS(OP_RDMSR) | OPS(OP_WRMSR) | OPS(OP_PAUSE_VM) | OPS(OP_RESUME_VM) | OPS(OP_RDTSCP) |
    OPS(OP_SET_CLOCK) | OPS(OP_KVMCLOCK_CTRL) | OPS(OP_SLOT_ADD) | OPS(OP_SLOT_REMOVE) | OPS(OP_SLOT_MOVE);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_program(data, size);
    return 0;
}
