/* Lays out RAM and firmware. Measured on QEMU 7.2's pc and microvm (decision 9). */
#include "vmm/board/memory_map.h"
#include <errno.h>

#define LOW_END    0x100000ull /* 1 MiB */
#define LEGACY_ROM 0xc0000ull
#define VGA_HOLE   0xa0000ull
#define LOW_COPY   0x20000ull /* most of the image that is repeated below 1 MiB */
#define FOUR_GIB   (1ull << 32)

/* A slot of len bytes at gpa unless that is nothing. */
static int add(struct vm *vm, uint64_t gpa, uint64_t end, uint32_t flags)
{
    return end > gpa ? memory_slot_add(&vm->memory, gpa, end - gpa, flags) : 0;
}

static int add_ram(struct vm *vm, uint64_t ram_bytes, bool legacy_hole)
{
    uint64_t below = ram_bytes < BOARD_HOLE_BASE ? ram_bytes : BOARD_HOLE_BASE;
    int err;

    if (!legacy_hole || below <= VGA_HOLE) {
        err = add(vm, 0, below, 0);
    } else {
        err = add(vm, 0, VGA_HOLE, 0);
        if (!err)
            err = add(vm, LEGACY_ROM, LOW_END, SLOT_READONLY);
        if (!err)
            err = add(vm, LOW_END, below, 0);
    }
    return err ? err : add(vm, FOUR_GIB, FOUR_GIB + ram_bytes - below, 0);
}

int board_memory(struct vm *vm, uint64_t ram_bytes, bool legacy_hole, const uint8_t *image, size_t image_len)
{
    uint64_t low = image_len < LOW_COPY ? image_len : LOW_COPY;
    int err;

    if (!ram_bytes || ram_bytes % GPA_PAGE_SIZE || image_len % GPA_PAGE_SIZE || image_len > BOARD_ROM_MAX)
        return -EINVAL;
    err = add_ram(vm, ram_bytes, legacy_hole);
    if (err || !image_len)
        return err;
    err = add(vm, FOUR_GIB - image_len, FOUR_GIB, SLOT_READONLY);
    if (err)
        return err;
    gpa_load(&vm->memory, FOUR_GIB - image_len, image, image_len);
    /* With very little RAM there is nothing below 1 MiB to hold the copy. */
    gpa_load(&vm->memory, LOW_END - low, image + image_len - low, low);
    return 0;
}
