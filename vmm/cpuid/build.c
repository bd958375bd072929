/* The table builder's front: one vCPU in, table and outcome out. QEMU flags specification P3 to P6. */
#include "vmm/cpuid/build.h"

#include <errno.h>
#include <string.h>
#include "vmm/cpuid/state.h"

static void copy_warnings(struct messages *to, const struct messages *from)
{
    for (uint32_t i = 0; i < messages_kept(from); i++)
        messages_add(to, from->list[i].at, "%s", from->list[i].text);
    to->total += from->total - messages_kept(from);
}

/* Of all possible vCPUs, present or not. */
static uint32_t highest_apic_id(const struct cpuid_machine *machine)
{
    return topology_place(&machine->topology, machine->topology.maxcpus - 1).apic_id;
}

/* T6: ids from 255 on need interrupt remapping or KVM's wide ids. */
static bool check_highest_apic_id(struct cpu_state *state)
{
    bool wide = state_kvm(state) && state->machine->irqchip != IRQCHIP_NONE &&
                state->host->extensions[EXT_X2APIC_API];

    if (wide || highest_apic_id(state->machine) < 255)
        return true;
    message_set(&state->outcome->error, CPU_BAD_TOPOLOGY, 0,
                "current -smp configuration requires kernel irqchip and X2APIC API support.");
    return false;
}

static bool build(struct cpu_state *state)
{
    struct cpuid_outcome *outcome = state->outcome;

    if (state->vcpu == 0)
        copy_warnings(&outcome->warnings, &state->flags->warnings);
    if (!state->model || (state->flags->error.kind && state->flags->stage == STAGE_LOOKUP)) {
        outcome->error = state->flags->error;
        return false;
    }
    if (!check_highest_apic_id(state) || !state_configure(state) || !state_resolve(state))
        return false;
    memcpy(outcome->granted, state->words, sizeof(outcome->granted));
    cache_check_host(state);
    outcome->granted[FW_KVM_HINTS] &= ~outcome->hidden[FW_KVM_HINTS];
    return true;
}

static void outcome_init(struct cpuid_outcome *outcome, const struct cpuid_machine *machine)
{
    outcome->error.kind = CPU_OK;
    outcome->warnings.total = 0;
    memset(outcome->asked, 0, sizeof(*outcome) - offsetof(struct cpuid_outcome, asked));
    outcome->irqchip = machine->irqchip;
    outcome->vcpus = machine->topology.cpus;
    outcome->cores = machine->topology.cores;
    outcome->threads = machine->topology.threads;
    outcome->ids_32bit = highest_apic_id(machine) >= 255;
}

int cpuid_build(const struct cpu_flags *flags, const struct cpuid_machine *machine,
                const struct cpuid_supported *host, unsigned vcpu, struct cpuid_table *out,
                struct cpuid_outcome *outcome)
{
    struct cpu_state state = {.flags = flags,
                              .model = machine->type.family == FAMILY_MICROVM ? flags->latest : flags->model,
                              .machine = machine,
                              .host = host,
                              .outcome = outcome,
                              .vcpu = vcpu,
                              .place = topology_place(&machine->topology, vcpu),
                              .layout = topology_layout(&machine->topology)};

    out->count = 0;
    outcome_init(outcome, machine);
    outcome->apic_id = state.place.apic_id;
    if (!build(&state))
        return -EINVAL;
    entries_build(&state, out);
    if (out->count <= 100)
        return 0;
    out->count = 0;
    message_set(&outcome->error, CPU_QEMU_ABORTS, 0, "unsupported level value: more than 100 CPUID entries");
    return -EINVAL;
}
