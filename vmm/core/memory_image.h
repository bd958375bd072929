/* Guest memory in a snapshot: slots and the pages that were written, for writable slots. Hostile input on the way back. */
#ifndef VMM_CORE_MEMORY_IMAGE_H
#define VMM_CORE_MEMORY_IMAGE_H

#include <stdbool.h>
#include "vmm/core/fields.h"
#include "vmm/core/memory.h"

/* RAM that a snapshot may ask for beyond what the machine has already. */
#define IMAGE_NEW_RAM_MAX (16ull << 30)

enum image_page { IMAGE_DIRTY = 1, IMAGE_ABSENT = 2 };
struct image_slot {
    uint64_t gpa, size;
    uint32_t flags;
    uint32_t pages;       /* each: u32 page number, u8 enum image_page, GPA_PAGE_SIZE bytes; ascending */
    bool has_absent;      /* any page is IMAGE_ABSENT */
    const uint8_t *bytes; /* of the pages, in the reader's data */
};
struct memory_image {
    struct image_slot slots[MEMORY_SLOTS];
    uint32_t count;
};

void memory_image_write(struct byte_writer *w, const struct memory *mem);
/* NULL, or a string that names what is wrong with the bytes. Nothing is allocated. */
const char *memory_image_read(struct byte_reader *r, struct memory_image *image);
/* Makes mem what the image says. ROM is not in an image: its slots must exist already. On error (-EINVAL with *why, -ENOMEM)
 * mem is unchanged. */
int memory_image_apply(const struct memory_image *image, struct memory *mem, const char **why);

#endif
