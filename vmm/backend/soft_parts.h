/* What soft.c and its helpers share. */
#ifndef VMM_BACKEND_SOFT_PARTS_H
#define VMM_BACKEND_SOFT_PARTS_H

#include "vmm/backend/soft.h"
#include "vmm/cpu/cpu.h"

struct soft {
    struct vm *vm;
    struct code_cache *cache;
    struct cpu **cpus; /* one per vCPU, made when it first runs */
    uint64_t instructions, pauses;
    uint64_t trace_seen;   /* of vm->trace.total: host stores that the code cache knows about */
    unsigned current;      /* vCPU whose turn it is */
    uint64_t quantum_left; /* instructions of its turn */
    bool stop_requested;
    int stop_code;
    struct soft_trace trace;
};

/* soft_exit.c: does what the exit asks. False: the vCPU shut down. */
bool soft_handle_exit(struct cpu *cpu, struct vcpu *vcpu, const struct cpu_exit *exit);
/* soft_trace.c */
void soft_trace_insn(struct soft *soft, struct cpu *cpu, struct vcpu *vcpu);
void soft_trace_exit(struct soft *soft, const struct vcpu *vcpu, const struct cpu_exit *exit);
void soft_trace_host_stores(struct soft *soft);

#endif
