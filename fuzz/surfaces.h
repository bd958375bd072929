/* Which actions the targets that run programs take from an input. An op that a surface lacks has a reason in the table of
 * surfaces.c: a new op is decided on here, or test_surfaces fails. */
#ifndef FUZZ_SURFACES_H
#define FUZZ_SURFACES_H

#include <assert.h>
#include <stdint.h>
#include "diff/program/program.h"

#define OPS(op) (1ull << (op))
static_assert(OP_COUNT <= 64, "a set of ops is one word");

/* What sets the stage: state is broken between two requests, so all that can change it is in every surface. */
#define OPS_GUEST                                                                                            \
    (OPS(OP_NOP) | OPS(OP_CPUID) | OPS(OP_RDMSR) | OPS(OP_WRMSR) | OPS(OP_RDTSC) | OPS(OP_RDTSCP) |          \
     OPS(OP_HLT) | OPS(OP_PAUSE) | OPS(OP_CLOCK))
#define OPS_MEMORY                                                                                           \
    (OPS(OP_LOAD8) | OPS(OP_LOAD16) | OPS(OP_LOAD32) | OPS(OP_LOAD64) | OPS(OP_STORE8) | OPS(OP_STORE16) |   \
     OPS(OP_STORE32) | OPS(OP_STORE64) | OPS(OP_DUMP) | OPS(OP_FILL) | OPS(OP_LOCK_CMPXCHG8) |               \
     OPS(OP_TEST_CLEAR) | OPS(OP_MAP) | OPS(OP_INVLPG))
#define OPS_PORTS (OPS(OP_IN8) | OPS(OP_IN16) | OPS(OP_IN32) | OPS(OP_OUT8) | OPS(OP_OUT16) | OPS(OP_OUT32))
#define OPS_INTERRUPTS                                                                                       \
    (OPS(OP_STI) | OPS(OP_CLI) | OPS(OP_WINDOW) | OPS(OP_ON_INTERRUPT) | OPS(OP_APIC_READ) |                 \
     OPS(OP_APIC_WRITE) | OPS(OP_X2APIC) | OPS(OP_IPI) | OPS(OP_EOI))
#define OPS_HOST                                                                                             \
    (OPS(OP_ADVANCE) | OPS(OP_PAUSE_VM) | OPS(OP_RESUME_VM) | OPS(OP_RESET) | OPS(OP_SAVE_RESTORE) |         \
     OPS(OP_MIGRATE) | OPS(OP_DESCHEDULE) | OPS(OP_PAGE_OUT) | OPS(OP_PAGE_IN) | OPS(OP_HOST_INIT) |         \
     OPS(OP_HOST_SIPI) | OPS(OP_MSI) | OPS(OP_SET_CPUID) | OPS(OP_ENFORCE) | OPS(OP_SET_CLOCK) |             \
     OPS(OP_KVMCLOCK_CTRL))
#define OPS_SLOTS                                                                                            \
    (OPS(OP_SLOT_ADD) | OPS(OP_SLOT_REMOVE) | OPS(OP_SLOT_MOVE) | OPS(OP_DIRTY_CLEAR) | OPS(OP_DIRTY_READ))
#define OPS_STAGE (OPS_GUEST | OPS_MEMORY | OPS_PORTS | OPS_INTERRUPTS | OPS_HOST | OPS_SLOTS)

#define OPS_MSR       OPS_STAGE
#define OPS_HYPERCALL (OPS_STAGE | OPS(OP_VMCALL) | OPS(OP_VMMCALL))

enum surface { SURFACE_MSR = 1 << 0, SURFACE_HYPERCALL = 1 << 1 };
/* Of ops (a set): who does not run them and why; where lacking is 0, what of them the direct machine leaves out. */
struct surface_note {
    uint64_t ops;
    uint8_t lacking; /* enum surface */
    const char *why;
};
extern const struct surface_note surface_notes[];
extern const unsigned surface_note_count;

struct surface_info {
    const char *name; /* fuzz_NAME, corpora/NAME */
    enum surface surface;
    uint64_t ops;
};
extern const struct surface_info surfaces[];
extern const unsigned surface_count;
/* Why the surface lacks the op, or (lacking 0) what of it the direct machine leaves out; NULL: nothing to say. */
const char *surface_reason(enum action_op op, uint8_t lacking);

#endif
