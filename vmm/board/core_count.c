/* How many cores and threads a package has, as a register (core_count.h). */
#include "vmm/board/core_count.h"

#include <assert.h>
#include "vmm/pv/intercept.h"
#include "vmm/pv/msr_filter.h"

void core_count_claim(struct vm *vm)
{
    static const uint8_t denied[1];
    static const struct msr_filter filter = {.ranges = {{MSR_ACCESS_READ, MSR_CORE_THREAD_COUNT, 1, denied}}};
    int err = vm_set_msr_filter(vm, &filter);

    assert(!err);
    (void)err;
}

void core_count_answer(struct vcpu *vcpu, uint32_t cores, uint32_t threads)
{
    vcpu_answer_msr(vcpu, false, (uint64_t)cores << 16 | cores * threads);
}
