/* The filter of a guest's MSR accesses (msr_filter.h). */
#include "vmm/pv/msr_filter.h"

#include <errno.h>
#include "vmm/abi/msr_index.h"

int vm_set_msr_filter(struct vm *vm, const struct msr_filter *filter)
{
    for (unsigned i = 0; filter && i < MSR_FILTER_RANGES && filter->ranges[i].count; i++) {
        uint32_t access = filter->ranges[i].access, count = filter->ranges[i].count;

        if (!access || (access & ~(uint32_t)(MSR_ACCESS_READ | MSR_ACCESS_WRITE)) ||
            count > MSR_FILTER_MSRS_MAX)
            return -EINVAL;
    }
    if (filter && filter->default_deny && !filter->ranges[0].count)
        return -EINVAL;
    vm->msr_filter = filter;
    return 0;
}

bool msr_filter_allows(const struct msr_filter *filter, uint32_t index, enum msr_access access)
{
    if (!filter ||
        (index >= MSR_X2APIC_BASE && index <= MSR_X2APIC_LAST)) /* those are the APIC's own affair */
        return true;
    for (unsigned i = 0; i < MSR_FILTER_RANGES && filter->ranges[i].count; i++) {
        uint32_t bit = index - filter->ranges[i].base;

        if (bit < filter->ranges[i].count && (filter->ranges[i].access & access))
            return filter->ranges[i].bitmap[bit / 8] >> bit % 8 & 1;
    }
    return !filter->default_deny;
}
