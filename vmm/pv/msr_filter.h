/* Which model-specific registers a guest may touch at all, whatever stands behind them: KVM_X86_SET_MSR_FILTER. Linux
 * Documentation/virt/kvm/api.rst 4.97; spec GEN-4, SAV-10, SAV-11. What is refused is #GP, or the
 * VMM's decision (vm_config.msr_exits, SAV-12). */
#ifndef VMM_PV_MSR_FILTER_H
#define VMM_PV_MSR_FILTER_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vm.h"

enum msr_access { MSR_ACCESS_READ = 1, MSR_ACCESS_WRITE = 2 };

#define MSR_FILTER_RANGES   16
#define MSR_FILTER_MSRS_MAX (0x600u * 8) /* of one range */
struct msr_filter {
    bool default_deny;
    struct {
        uint32_t access;       /* enum msr_access: what it decides about */
        uint32_t base, count;  /* the first one with count 0 ends the list */
        const uint8_t *bitmap; /* bit n: base + n is allowed */
    } ranges[MSR_FILTER_RANGES];
};

/* The filter must outlive its use; NULL: none. -EINVAL: a range without a direction or too long, or everything denied by
 * default and no range; the old filter stays then. */
int vm_set_msr_filter(struct vm *vm, const struct msr_filter *filter);
bool msr_filter_allows(const struct msr_filter *filter, uint32_t index, enum msr_access access);

#endif
