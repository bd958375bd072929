/* The probe firmware's image: 64 KiB that end at 4 GiB, as QEMU's -bios takes it. */
#ifndef DIFF_PROBE_ROM_H
#define DIFF_PROBE_ROM_H

#include <stddef.h>
#include <stdint.h>

extern const uint8_t probe_rom[];
extern const size_t probe_rom_size; /* PROBE_ROM_SIZE */

#endif
