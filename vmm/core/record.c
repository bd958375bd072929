/* The version protocol of shared records. See record.h. */
#include "vmm/core/record.h"

bool record_begin(struct area *area, uint32_t offset, uint32_t *version)
{
    uint32_t found;

    if (!area_read(area, offset, &found, sizeof(found)))
        return false;
    *version = record_odd(found);
    return area_write(area, offset, version, sizeof(*version));
}

void record_end(struct area *area, uint32_t offset, uint32_t version)
{
    version++;
    area_write(area, offset, &version, sizeof(version));
}
