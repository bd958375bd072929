/* One line per instruction, exit or host store, for people who watch a guest (pv-vmm run --trace). */
#include <inttypes.h>
#include <stdio.h>
#include "vmm/backend/soft_parts.h"

static const char *const exit_names[CPU_EXIT_REASONS] = {
    [CPU_EXIT_BUDGET] = "budget",
    [CPU_EXIT_EVENT] = "event",
    [CPU_EXIT_PAUSE] = "pause",
    [CPU_EXIT_HLT] = "hlt",
    [CPU_EXIT_CPUID] = "cpuid",
    [CPU_EXIT_RDMSR] = "rdmsr",
    [CPU_EXIT_WRMSR] = "wrmsr",
    [CPU_EXIT_RDTSC] = "rdtsc",
    [CPU_EXIT_RDTSCP] = "rdtscp",
    [CPU_EXIT_VMCALL] = "vmcall",
    [CPU_EXIT_VMMCALL] = "vmmcall",
    [CPU_EXIT_SHUTDOWN] = "shutdown",
    [CPU_EXIT_UNIMPLEMENTED] = "unimplemented",
};

void soft_set_trace(struct soft *soft, const struct soft_trace *trace)
{
    soft->trace = *trace;
}

static bool wanted(const struct soft *soft, unsigned what)
{
    return soft->trace.line && (soft->trace.what & what);
}

void soft_trace_insn(struct soft *soft, struct cpu *cpu, struct vcpu *vcpu)
{
    char text[160];

    if (!wanted(soft, SOFT_TRACE_INSN))
        return;
    cpu_describe(cpu, text, sizeof(text));
    soft->trace.line(soft->trace.ctx, vcpu, text);
}

static bool is_pv(enum cpu_exit_reason reason, uint32_t msr)
{
    bool pv_msr = (msr >= 0x4b564d00 && msr <= 0x4b564dff) || msr == 0x11 || msr == 0x12;

    return reason == CPU_EXIT_VMCALL || reason == CPU_EXIT_VMMCALL ||
           ((reason == CPU_EXIT_RDMSR || reason == CPU_EXIT_WRMSR) && pv_msr);
}

/* Before the exit is handled: the inputs. */
void soft_trace_exit(struct soft *soft, const struct vcpu *vcpu, const struct cpu_exit *exit)
{
    const uint64_t *gpr = vcpu->regs.gpr;
    char text[200];

    if (exit->reason == CPU_EXIT_BUDGET)
        return;
    if (!wanted(soft, SOFT_TRACE_EXIT) &&
        !(wanted(soft, SOFT_TRACE_PV) && is_pv(exit->reason, (uint32_t)gpr[RCX])))
        return;
    snprintf(text, sizeof(text),
             "%-8s rip=%016" PRIx64 " rax=%" PRIx64 " rbx=%" PRIx64 " rcx=%" PRIx64 " rdx=%" PRIx64
             " rsi=%" PRIx64,
             exit_names[exit->reason], vcpu->regs.rip, gpr[RAX], gpr[RBX], gpr[RCX], gpr[RDX], gpr[RSI]);
    soft->trace.line(soft->trace.ctx, vcpu, text);
}

/* Stores of the host into guest memory since the last look; the code cache must forget what they overwrote. */
void soft_trace_host_stores(struct soft *soft)
{
    static const char *const kinds[AREA_KINDS] = {"clock",      "steal",         "async-pf", "pv-eoi",
                                                  "wall-clock", "clock-pairing", "hyper-v"};
    const struct trace *trace = &soft->vm->trace;
    char text[120];

    if (soft->trace_seen > trace->total) /* the VM was reset */
        soft->trace_seen = 0;
    if (trace->total - soft->trace_seen > TRACE_ENTRIES) {
        code_cache_flush(soft->cache);
        soft->trace_seen = trace->total - TRACE_ENTRIES;
    }
    for (; soft->trace_seen < trace->total; soft->trace_seen++) {
        const struct trace_entry *e = &trace->ring[soft->trace_seen % TRACE_ENTRIES];

        code_cache_written(soft->cache, e->gpa, e->size);
        if (!wanted(soft, SOFT_TRACE_PV))
            continue;
        snprintf(text, sizeof(text), "host     wrote %s+%u, %u bytes at gpa %#" PRIx64, kinds[e->kind],
                 e->offset, e->size, e->gpa);
        soft->trace.line(soft->trace.ctx,
                         e->vcpu_id < soft->vm->config.vcpus ? &soft->vm->vcpus[e->vcpu_id] : NULL, text);
    }
}
