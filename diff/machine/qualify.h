/* Which capabilities a real KVM serves here, shown by one tiny program each. Opening /dev/kvm proves little: there
 * are KVMs on which every hypercall hangs. */
#ifndef DIFF_MACHINE_QUALIFY_H
#define DIFF_MACHINE_QUALIFY_H

#include "diff/machine/machine.h"

enum {
    QUALIFY_LONG_MODE,
    QUALIFY_CPUID,
    QUALIFY_MSR,
    QUALIFY_HYPERCALL,
    QUALIFY_SMP,
    QUALIFY_CLOCK,
    QUALIFY_COUNT
};

/* The needs that a capability stands for: what a reference is to serve. */
#define QUALIFY_NEEDS (NEED_CPUID | NEED_MSR | NEED_HYPERCALL | NEED_LONG_MODE | NEED_SMP | NEED_CLOCK)

struct qualification {
    uint32_t needs; /* enum program_need that are served; those that no capability stands for included */
    struct {
        const char *name; /* "hypercall" */
        bool ok;
        char why[160]; /* not ok: what happened */
    } rows[QUALIFY_COUNT];
};

/* run: as machine_run() for one item, with its own deadlines. 0, -EINTR when it said so, -ENOMEM. */
int qualify(struct qualification *q, bool native_vmcall,
            int (*run)(void *ctx, const struct run_item *item, struct run_result *result), void *ctx);

/* "cpuid, msr" of the bits in needs; "nothing" for none. NEEDS_TEXT bytes are enough for all of them. */
#define NEEDS_TEXT 256
const char *needs_text(uint32_t needs, char *buf, size_t size);
/* The first capability that needs asks for and q has not: "hypercall: ..."; "" when all is there. */
const char *qualification_missing(const struct qualification *q, uint32_t needs, char *buf, size_t size);

#endif
