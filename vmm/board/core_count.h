/* MSR_CORE_THREAD_COUNT, which QEMU takes from KVM by an MSR filter and answers itself. Intel SDM vol. 4; spec QMU-10. */
#ifndef VMM_BOARD_CORE_COUNT_H
#define VMM_BOARD_CORE_COUNT_H

#include "vmm/core/vm.h"

/* For a machine whose vm_config.msr_exits holds MSR_EXIT_FILTER: reads come to the board from here on. */
void core_count_claim(struct vm *vm);
/* Answers the read that vcpu waits with. cores: of one die; threads: of one core. */
void core_count_answer(struct vcpu *vcpu, uint32_t cores, uint32_t threads);

#endif
