/* A target that does nothing: what the engine and the sanitizers cost by themselves. ci/bench divides by it. */
#include "fuzz/target.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    (void)data;
    (void)size;
    return 0;
}
