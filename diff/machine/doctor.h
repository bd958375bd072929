/* What works on this host, machine by machine, found by using it. */
#ifndef DIFF_MACHINE_DOCTOR_H
#define DIFF_MACHINE_DOCTOR_H

#include "diff/machine/machine.h"

struct diagnosis {
    enum machine_kind kind;
    bool works;               /* it opens; needs says for what */
    uint32_t needs;           /* enum program_need */
    char note[240];           /* works: what it is and what it lacks; else: why not, and the fix */
    struct machine_info info; /* as far as it got */
    unsigned ms;              /* to find out */
};

/* Opens every machine and tries real KVMs capability by capability. 0, -EINTR. Takes seconds: the box is booted. */
int doctor_examine(struct diagnosis rows[MACHINE_KINDS], const struct progress *progress);

/* Partly: a reference that lacks some of what QEMU on a KVM can be asked. qemu-tcg is what it is: yes. */
enum doctor_state { DOCTOR_NO, DOCTOR_PARTLY, DOCTOR_YES };
enum doctor_state doctor_state(const struct diagnosis *row);

/* True when some reference serves everything that QEMU can be asked. */
bool doctor_has_reference(const struct diagnosis rows[MACHINE_KINDS]);

#endif
