/* What the targets that run programs share: the machines, the checks after each action, the save-restore judge. */
#ifndef FUZZ_FUZZ_PROGRAM_H
#define FUZZ_FUZZ_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include "fuzz/surfaces.h"

#define FUZZ_VCPUS_MAX 4
#define FUZZ_RAM_PAGES 16
/* Which actions a surface runs (surfaces.h); the others of an input are skipped. Each target defines its own. */
extern const uint64_t fuzz_surface_ops;

/* A whole input: decode, run, check, and now and then run again with a save and restore in the middle. */
void fuzz_program(const uint8_t *data, size_t size);

#endif
