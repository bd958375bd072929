/* Inside the direct machine: what its guest's CPU does for one action. */
#ifndef DIFF_PROGRAM_DIRECT_GUEST_H
#define DIFF_PROGRAM_DIRECT_GUEST_H

#include "diff/program/direct.h"
#include "vmm/core/cpuid_table.h"
#include "vmm/core/trap.h"

/* The probe's page tables map the first 4 GiB one to one, for both rings. */
#define DIRECT_MAPPED 0x100000000ull

struct step {
    struct direct_machine *m;
    struct vcpu *vcpu;
    struct direct_vcpu *shell; /* of that vCPU */
    const struct action *action;
    struct outcome *outcome;
    uint64_t args[PROGRAM_ARGS]; /* operands with their bases added */
};

/* A guest action other than OP_CLOCK on a vCPU that runs. */
void direct_act(struct step *step);
/* Those of them that exit with all their registers. The fault that the guest gets, or none. */
struct trap direct_cpuid(struct step *step);
struct trap direct_rdmsr(struct step *step);
struct trap direct_wrmsr(struct step *step);
struct trap direct_hypercall(struct step *step);

/* An action of the host. */
void direct_host_action(struct direct_machine *m, const struct action *action, struct outcome *outcome);
/* ns later, but no later than DIRECT_END_NS: what is due after that never comes. */
uint64_t direct_ns_from_now(const struct direct_machine *m, uint64_t ns);
/* To until_ns, with a stop wherever a vCPU gets its CPU back. */
void direct_advance_to(struct direct_machine *m, uint64_t until_ns);
/* QEMU's system_reset, and the probe started again. */
void direct_reset(struct direct_machine *m);
/* Registers, time and what the shell remembers, as the probe has them before the first action. */
void direct_shell_start(struct direct_machine *m);

/* Memory as the action's mode sees it: paging or none, 32 or 64 address bits; RAM, ROM, devices, or nothing. */
struct trap direct_read(struct step *step, uint64_t gva, void *dst, unsigned size);
struct trap direct_write(struct step *step, uint64_t gva, const void *src, unsigned size);
struct trap direct_fill(struct step *step, uint64_t gva, uint8_t byte, unsigned size);
/* A read-modify-write of an instruction begins: faults as a write, reads. */
struct trap direct_rmw(struct step *step, uint64_t gva, void *dst, unsigned size);

/* Physical memory and devices: in pages that are there, of the size given; elsewhere all ones, and stores vanish. */
void direct_read_physical(struct direct_machine *m, struct vcpu *vcpu, uint64_t gpa, void *dst,
                          unsigned size);
void direct_write_physical(struct direct_machine *m, struct vcpu *vcpu, uint64_t gpa, const void *src,
                           unsigned size);

/* Lets in what IF admits, as the probe's handler does. The first vector, or 0. */
uint8_t direct_take_interrupts(struct direct_machine *m, struct vcpu *vcpu);

/* The action met a page that the host has to fetch, and cannot be told: done again when the page is there. */
void direct_wait(struct step *step);
/* HLT with nothing to wake it now: halts, or resets the machine if nothing ever could. */
void direct_halt(struct step *step);

/* KVM leaves from the program's header over a small CPU, for vCPU 0; then what tells another vCPU from it. */
void direct_cpuid_table(struct cpuid_table *table, const struct program_config *config);
void direct_cpuid_identity(struct cpuid_table *table, unsigned vcpu_id);

#endif
