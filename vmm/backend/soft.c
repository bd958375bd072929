/* The software machine: vCPUs in turn, interrupts before each run, exits handled between. */
#include "vmm/backend/soft.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "vmm/apic/lapic.h"
#include "vmm/backend/soft_parts.h"
#include "vmm/pv/async_pf.h"
#include "vmm/pv/intercept.h"

/* Instructions of one turn: long enough that switching costs nothing, short enough that waiting vCPUs answer soon. */
#define QUANTUM 2000

int soft_create(struct soft **out, struct vm *vm)
{
    struct soft *soft = calloc(1, sizeof(*soft));
    int err;

    if (!soft)
        return -ENOMEM;
    soft->vm = vm;
    soft->quantum_left = QUANTUM;
    soft->cpus = calloc(vm->config.vcpus, sizeof(*soft->cpus));
    err = soft->cpus ? code_cache_create(&soft->cache, &vm->memory) : -ENOMEM;
    if (err) {
        free(soft->cpus);
        free(soft);
        return err;
    }
    *out = soft;
    return 0;
}

void soft_destroy(struct soft *soft)
{
    if (!soft)
        return;
    for (unsigned n = 0; n < soft->vm->config.vcpus; n++)
        cpu_destroy(soft->cpus[n]);
    code_cache_destroy(soft->cache);
    free(soft->cpus);
    free(soft);
}

void soft_request_stop(struct soft *soft, int code)
{
    soft->stop_requested = true;
    soft->stop_code = code;
}

uint64_t soft_instructions(const struct soft *soft)
{
    return soft->instructions;
}

uint64_t soft_pauses(const struct soft *soft)
{
    return soft->pauses;
}

void soft_flush(struct soft *soft)
{
    code_cache_flush(soft->cache);
    for (unsigned n = 0; n < soft->vm->config.vcpus; n++)
        if (soft->cpus[n])
            cpu_tlb_flush(soft->cpus[n]);
}

/* Ends the instruction that the VMM has answered for. False: shut down. */
static bool finish_answered(struct cpu *cpu, struct vcpu *vcpu)
{
    if (!vcpu->answered)
        return true;
    vcpu->answered = false;
    return cpu_finish(cpu, vcpu->exit_length);
}

/* What waits at this boundary, most urgent first. False: shut down. */
static bool deliver_events(struct cpu *cpu, struct vcpu *vcpu)
{
    struct trap trap = vcpu->injected;
    int vector;

    if (trapped(trap)) {
        vcpu->injected = NO_TRAP;
        return cpu_deliver(cpu, EVENT_EXCEPTION, trap);
    }
    if (vcpu->regs.shadow)
        return true;
    if (vcpu->apic.nmi_pending && cpu_nmi_open(cpu)) {
        vcpu->apic.nmi_pending = false;
        return cpu_deliver(cpu, EVENT_NMI, (struct trap){.vector = TRAP_NMI});
    }
    vector = vcpu->regs.rflags & RFLAGS_IF ? vcpu_take_interrupt(vcpu) : -1;
    if (vector < 0)
        return true;
    return cpu_deliver(cpu, EVENT_INTERRUPT, (struct trap){.vector = (uint8_t)vector});
}

static void stop_at(struct stop *stop, enum stop_reason reason, const struct vcpu *vcpu)
{
    *stop = (struct stop){.reason = reason, .vcpu_id = vcpu->id, .rip = vcpu->regs.rip};
}

/* Runs vcpu until an exit was handled. True: it may go on; *executed instructions, *yield: let another run first. */
static bool vcpu_step(struct soft *soft, struct vcpu *vcpu, uint64_t budget, uint64_t *executed, bool *yield,
                      struct stop *stop)
{
    struct cpu *cpu = soft->cpus[vcpu->id];
    struct cpu_exit exit;
    bool alive = finish_answered(cpu, vcpu) && deliver_events(cpu, vcpu), was_paging;

    *executed = 0;
    if (alive) {
        if (soft->trace.what & SOFT_TRACE_INSN)
            budget = 1;
        soft_trace_insn(soft, cpu, vcpu);
        was_paging = vcpu->regs.cr0 & CR0_PG;
        cpu_run(cpu, budget, &exit);
        if (was_paging != (bool)(vcpu->regs.cr0 & CR0_PG))
            apf_paging_changed(vcpu);
        *executed = exit.executed;
        soft->instructions += exit.executed;
        soft_trace_exit(soft, vcpu, &exit);
        *yield = exit.reason == CPU_EXIT_PAUSE;
        soft->pauses += *yield;
        if (exit.reason == CPU_EXIT_UNIMPLEMENTED) {
            stop_at(stop, STOP_UNIMPLEMENTED, vcpu);
            snprintf(stop->text, sizeof(stop->text), "%s", exit.text);
            return false;
        }
        alive = exit.reason != CPU_EXIT_SHUTDOWN && soft_handle_exit(cpu, vcpu, &exit);
        soft_trace_host_stores(soft);
    }
    if (!alive) {
        stop_at(stop, STOP_SHUTDOWN, vcpu);
        snprintf(stop->text, sizeof(stop->text), "triple fault");
        return false;
    }
    if (vcpu->hold & HOLD_EXIT) {
        vcpu->exit_length = (uint8_t)exit.length;
        stop_at(stop, vcpu->msr_exit.reason ? STOP_MSR : STOP_HYPERCALL, vcpu);
        return false;
    }
    if (soft->stop_requested) {
        soft->stop_requested = false;
        stop_at(stop, STOP_REQUESTED, vcpu);
        stop->code = soft->stop_code;
        return false;
    }
    return true;
}

static void turn_to(struct soft *soft, unsigned vcpu)
{
    soft->current = vcpu % soft->vm->config.vcpus;
    soft->quantum_left = QUANTUM;
    soft->vm->yield_to = 0;
}

/* A vCPU that may execute, beginning with the one whose turn it is; NULL: all sleep. */
static struct vcpu *find_runnable(struct soft *soft)
{
    for (unsigned n = 0; n < soft->vm->config.vcpus; n++) {
        struct vcpu *vcpu = &soft->vm->vcpus[soft->current];
        bool runnable = vcpu_enter(vcpu);

        soft_trace_host_stores(soft);
        if (runnable)
            return vcpu;
        turn_to(soft, soft->current + 1);
    }
    return NULL;
}

void soft_run(struct soft *soft, uint64_t budget, struct stop *stop)
{
    *stop = (struct stop){.reason = STOP_BUDGET};
    while (budget) {
        struct vcpu *vcpu;
        uint64_t executed, turn = soft->quantum_left < budget ? soft->quantum_left : budget;
        bool yield = false;

        lapic_timers_run(soft->vm);
        vcpu = find_runnable(soft);
        if (!vcpu) {
            stop->reason = STOP_IDLE;
            stop->wake_ns = lapic_next_deadline_ns(soft->vm);
            return;
        }
        if (!soft->cpus[vcpu->id] && cpu_create(&soft->cpus[vcpu->id], soft->cache, vcpu)) {
            stop_at(stop, STOP_UNIMPLEMENTED, vcpu);
            snprintf(stop->text, sizeof(stop->text), "out of memory for a vCPU");
            return;
        }
        if (!vcpu_step(soft, vcpu, turn, &executed, &yield, stop))
            return;
        executed = executed < turn ? executed : turn;
        budget -= executed;
        soft->quantum_left -= executed;
        if (soft->vm->yield_to)
            turn_to(soft, soft->vm->yield_to - 1u);
        else if (yield || !soft->quantum_left)
            turn_to(soft, soft->current + 1);
        stop->vcpu_id = vcpu->id;
        stop->rip = vcpu->regs.rip;
    }
}
