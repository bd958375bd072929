/* What a surface does not run, and what the direct machine, which has no interpreter, serves in part only. */
#include "fuzz/surfaces.h"

#include <stddef.h>

const struct surface_info surfaces[] = {{"msr", SURFACE_MSR, OPS_MSR},
                                        {"hypercall", SURFACE_HYPERCALL, OPS_HYPERCALL}};
const unsigned surface_count = sizeof(surfaces) / sizeof(surfaces[0]);

const struct surface_note surface_notes[] = {
    {OPS(OP_NOTE), SURFACE_MSR | SURFACE_HYPERCALL, "a comment: there is nothing to run"},
    {OPS(OP_VMCALL) | OPS(OP_VMMCALL), SURFACE_MSR,
     "the hypercall surface has all MSRs, too: what both do together is its part"},
    {OPS(OP_PAUSE), 0, "no instruction is executed: pending work is done, and nothing else"},
    {OPS(OP_INVLPG), 0, "no translation is cached: only who may execute it can be wrong here"},
    {OPS(OP_MAP), 0, "the probe's window only: a guest's own page tables need the interpreter"},
    {OPS_PORTS, 0, "an exit, and nobody who answers: devices are the board's, and part of no PV feature"},
    {OPS(OP_CLOCK), 0, "takes no samples: the invariants look at the record itself"},
};
const unsigned surface_note_count = sizeof(surface_notes) / sizeof(surface_notes[0]);

const char *surface_reason(enum action_op op, uint8_t lacking)
{
    for (unsigned i = 0; i < surface_note_count; i++)
        if (surface_notes[i].ops & OPS(op) &&
            (lacking ? surface_notes[i].lacking & lacking : !surface_notes[i].lacking))
            return surface_notes[i].why;
    return NULL;
}
