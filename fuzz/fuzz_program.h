/* What the targets that run programs share: the machines, the checks after each action, the save-restore judge. */
#ifndef FUZZ_FUZZ_PROGRAM_H
#define FUZZ_FUZZ_PROGRAM_H

#include <stddef.h>
#include <stdint.h>
#include "diff/program/program.h"

#define OPS(op) (1ull << (op))
/* In every surface: what sets the stage. */
#define OPS_STAGE                                                                                            \
    (OPS(OP_NOP) | OPS(OP_LOAD8) | OPS(OP_LOAD16) | OPS(OP_STORE16) | OPS(OP_LOAD32) | OPS(OP_LOAD64) |      \
     OPS(OP_STORE8) | OPS(OP_STORE32) | OPS(OP_STORE64) | OPS(OP_DUMP) | OPS(OP_FILL) | OPS(OP_RDTSC) |      \
     OPS(OP_CLOCK) | OPS(OP_ADVANCE) | OPS(OP_RESET) | OPS(OP_SAVE_RESTORE) | OPS(OP_APIC_READ) |            \
     OPS(OP_APIC_WRITE) | OPS(OP_IPI) | OPS(OP_EOI) | OPS(OP_STI) | OPS(OP_CLI) | OPS(OP_HLT) |              \
     OPS(OP_WINDOW) | OPS(OP_ON_INTERRUPT) | OPS(OP_TEST_CLEAR) | OPS(OP_LOCK_CMPXCHG8) |                    \
     OPS(OP_DESCHEDULE) | OPS(OP_PAGE_OUT) | OPS(OP_PAGE_IN) | OPS(OP_X2APIC) | OPS(OP_HOST_INIT) |          \
     OPS(OP_HOST_SIPI) | OPS(OP_MSI) | OPS(OP_MIGRATE) | OPS(OP_ENFORCE) | OPS(OP_SET_CPUID))

#define FUZZ_VCPUS_MAX 4
#define FUZZ_RAM_PAGES 16
/* Which actions a surface runs; the others of an input are skipped. Each target defines its own. */
extern const uint64_t fuzz_surface_ops;

/* A whole input: decode, run, check, and now and then run again with a save and restore in the middle. */
void fuzz_program(const uint8_t *data, size_t size);

#endif
