/* Guest-physical layout of a PC: RAM around the hole below 1 MiB and below 4 GiB, firmware at the top of 4 GiB. */
#ifndef VMM_BOARD_MEMORY_MAP_H
#define VMM_BOARD_MEMORY_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/core/vm.h"

#define BOARD_ROM_MAX   (16ull << 20)
#define BOARD_HOLE_BASE 0xc0000000ull /* RAM above goes to 4 GiB */

/* RAM of ram_bytes and the firmware image, ending at 4 GiB with its last 128 KiB again below 1 MiB. legacy_hole: as on
 * pc and q35, 0xa0000-0xbffff is no RAM and 0xc0000-0xfffff read-only (decision 9); on microvm all of it is RAM with a
 * copy of the firmware. image NULL: no firmware. -EINVAL: sizes; -ENOSPC, -ENOMEM. */
int board_memory(struct vm *vm, uint64_t ram_bytes, bool legacy_hole, const uint8_t *image, size_t image_len);

#endif
