/* The version protocol of records that a guest reads while the host writes: odd means in progress. CLK-8, STL-6. */
#ifndef VMM_CORE_RECORD_H
#define VMM_CORE_RECORD_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/area.h"

/* The next odd version: v + 1, or v + 2 when the guest's memory holds an odd one (KB-30). */
static inline uint32_t record_odd(uint32_t version)
{
    return (version + 1) | 1;
}
/* Makes the version at offset odd. The old value is the guest's own memory, never ours (KB-32). *version gets it.
 * False: the area is unusable, nothing was written. */
bool record_begin(struct area *area, uint32_t offset, uint32_t *version);
/* Makes it even: version as record_begin gave it, plus 1. */
void record_end(struct area *area, uint32_t offset, uint32_t version);

#endif
