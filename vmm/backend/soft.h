/* Runs a VM on the software vCPU: interpreter, intercepts, interrupts, and which vCPU runs next. */
#ifndef VMM_BACKEND_SOFT_H
#define VMM_BACKEND_SOFT_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vm.h"

enum stop_reason {
    STOP_BUDGET,        /* the instructions asked for were executed */
    STOP_IDLE,          /* every vCPU is halted or waits for SIPI, and nothing is pending: see wake_ns */
    STOP_SHUTDOWN,      /* triple fault of vcpu_id */
    STOP_UNIMPLEMENTED, /* vcpu_id met an instruction that the interpreter lacks: text names it, bytes and rip */
    STOP_HYPERCALL,     /* vcpu_id asks the VMM (vcpu->hypercall): vcpu_answer_hypercall(), then run on */
    STOP_MSR, /* vcpu_id touched an MSR that the VMM decides about (vcpu->msr_exit): vcpu_answer_msr() */
    STOP_REQUESTED, /* soft_request_stop() by a device; code holds */
};
struct stop {
    enum stop_reason reason;
    uint16_t vcpu_id;
    int code; /* STOP_REQUESTED: what the device gave */
    uint64_t rip;
    /* STOP_IDLE: env time of the next timer interrupt, UINT64_MAX: there is none. Moving time is the caller's. */
    uint64_t wake_ns;
    char text[160];
};

struct soft;
/* -ENOMEM. The VM must outlive it. Block caches and TLBs belong to it. */
int soft_create(struct soft **soft, struct vm *vm);
void soft_destroy(struct soft *soft);
/* Up to budget instructions, vCPUs in turn, a fixed quantum each: deterministic. */
void soft_run(struct soft *soft, uint64_t budget, struct stop *stop);
void soft_request_stop(struct soft *soft, int code); /* from a bus callback: stops after this instruction */
uint64_t soft_instructions(const struct soft *soft); /* executed so far */
uint64_t soft_pauses(const struct soft *soft);       /* of them PAUSE: the guest waits for another vCPU */
/* Lines about what the guest does, while the run goes on; NULL line: none. Meant for people, not stable. */
enum soft_trace_what { SOFT_TRACE_INSN = 1, SOFT_TRACE_EXIT = 2, SOFT_TRACE_PV = 4 };
struct soft_trace {
    unsigned what; /* enum soft_trace_what */
    void (*line)(void *ctx, const struct vcpu *vcpu, const char *text);
    void *ctx;
};
void soft_set_trace(struct soft *soft, const struct soft_trace *trace);
/* After RAM or registers were changed from outside (reset, restore): forget cached translations and blocks. */
void soft_flush(struct soft *soft);

#endif
