/* What a vCPU is asked to be, from the weakest voice to the strongest. QEMU flags specification R1-R3, K1, K8, M2-M8. */
#include "vmm/cpuid/state.h"

#include <string.h>

bool state_vendor_is(const struct cpu_state *state, const char vendor[12])
{
    return memcmp(state->vendor, vendor, 12) == 0;
}

static void set_feature(struct cpu_state *state, const char *name, bool on)
{
    const struct feature_name *feature = feature_find(name, strlen(name));

    state->words[feature->word] &= ~feature->bits;
    state->words[feature->word] |= on ? feature->bits : 0;
}

static void vendor_of_regs(char vendor[12], struct cpuid_regs regs)
{
    memcpy(vendor, &regs.ebx, 4);
    memcpy(vendor + 4, &regs.edx, 4);
    memcpy(vendor + 8, &regs.ecx, 4);
}

static void set_model_id(struct cpu_state *state, const char *text, size_t len)
{
    memset(state->model_id, 0, sizeof(state->model_id));
    memcpy(state->model_id, text, len < sizeof(state->model_id) ? len : sizeof(state->model_id));
}

static void apply_model(struct cpu_state *state)
{
    const struct cpu_model *model = state->model;

    properties_defaults(state->values);
    cpu_model_words(model, state->words);
    if (model->vendor)
        memcpy(state->vendor, model->vendor, 12);
    set_model_id(state, model->model_id, strlen(model->model_id));
    state->values[P_FAMILY].number = model->family;
    state->values[P_MODEL].number = model->model;
    state->values[P_STEPPING].number = model->stepping;
    state->values[P_MIN_LEVEL].number = model->level;
    state->values[P_MIN_XLEVEL].number = model->xlevel;
    state->values[P_PMU].number = state_max(state);
    state->values[P_LEGACY_CACHE].number = !model->caches;
}

/* Models host and max on KVM are the processor itself (M4). */
static void apply_host(struct cpu_state *state)
{
    const struct cpuid_supported *host = state->host;
    uint32_t signature = supported_regs(&host->host, 1, 0).eax;
    uint32_t family = signature >> 8 & 15, model = (signature >> 4 & 15) | (signature >> 12 & 0xf0);

    vendor_of_regs(state->vendor, supported_regs(&host->host, 0, 0));
    state->values[P_FAMILY].number = family + (signature >> 20 & 0xff);
    state->values[P_MODEL].number = model;
    state->values[P_STEPPING].number = signature & 15;
    for (uint32_t i = 0; i < 3; i++) {
        struct cpuid_regs brand = supported_regs(&host->host, 0x80000002 + i, 0);
        memcpy(state->model_id + i * 16, &brand, 16);
    }
    state->values[P_HOST_PHYS_BITS].number = true;
    state->values[P_MIN_LEVEL].number = supported_regs(&host->supported, 0, 0).eax;
    state->values[P_MIN_XLEVEL].number = supported_regs(&host->supported, 0x80000000, 0).eax;
    state->values[P_MIN_XLEVEL2].number = supported_regs(&host->supported, 0xc0000000, 0).eax;
}

/* K1; first_version: the oldest machine on which KVM forces it. */
static const struct {
    const char *name;
    bool on;
    uint32_t first_version;
} kvm_defaults[] = {
    {"kvmclock", true, 0},       {"kvm-nopiodelay", true, 0}, {"kvm-asyncpf", true, 0},
    {"kvm-steal-time", true, 0}, {"kvm-pv-eoi", true, 0},     {"kvmclock-stable-bit", true, 0},
    {"acpi", false, 0},          {"monitor", false, 0},       {"svm", false, MACHINE_VERSION(2, 2, 0)},
};

static void apply_kvm_defaults(struct cpu_state *state)
{
    uint32_t version = state->machine->type.version;
    enum irqchip irqchip = state->machine->irqchip;

    vendor_of_regs(state->vendor, supported_regs(&state->host->host, 0, 0));
    for (size_t i = 0; i < sizeof(kvm_defaults) / sizeof(kvm_defaults[0]); i++)
        if (version >= kvm_defaults[i].first_version)
            set_feature(state, kvm_defaults[i].name, kvm_defaults[i].on);
    if (version >= MACHINE_VERSION(2, 0, 0))
        set_feature(state, "x2apic", irqchip != IRQCHIP_NONE);
    set_feature(state, "kvm-msi-ext-dest-id", irqchip == IRQCHIP_SPLIT);
}

static void apply_accelerator(struct cpu_state *state)
{
    if (state_max(state) && state_kvm(state))
        apply_host(state);
    if (state->model->kind != MODEL_NAMED)
        return;
    if (state_kvm(state))
        apply_kvm_defaults(state);
    else
        set_feature(state, "vme", false);
}

static struct cpu_assignment assignment_of(struct cpu_state *state)
{
    return (struct cpu_assignment){.touched = state->user,
                                   .on = state->words,
                                   .values = state->values,
                                   .type = state->flags->type,
                                   .max_model = state_max(state)};
}

/* Old machines change a model under the name it had then: qemu64, not qemu64-v1. */
static bool compat_names(const struct machine_compat *row, const struct cpu_flags *flags)
{
    const char *name = row->models;
    size_t len;

    for (; name && *name; name += len + strspn(name + len, " ")) {
        len = strcspn(name, " ");
        if (len == cpu_model_name_len(flags) && !memcmp(name, flags->type, len))
            return true;
    }
    return !name;
}

static void apply_compat(struct cpu_state *state)
{
    struct cpu_assignment to = assignment_of(state);
    struct message never;

    for (unsigned i = 0; i < machine_compat_count; i++) {
        const struct machine_compat *row = &machine_compats[i];
        if (state->machine->type.version > row->last_version || !compat_names(row, state->flags))
            continue;
        cpu_assign(&to, row->name, strlen(row->name), row->value, strlen(row->value), 0, &never);
    }
}

static bool names(const struct cpu_global *global, const char *driver)
{
    return strlen(driver) == global->driver_len && !memcmp(driver, global->driver, global->driver_len);
}

/* The CPU's own type or one of its parents (R2). */
static bool global_applies(const struct cpu_state *state, const struct cpu_global *global)
{
    return names(global, state->flags->type) || names(global, "x86_64-cpu") || names(global, "cpu") ||
           names(global, "device") || (state->model->kind == MODEL_HOST && names(global, "max-x86_64-cpu"));
}

static bool apply_globals(struct cpu_state *state)
{
    struct cpu_assignment to = assignment_of(state);

    for (unsigned i = 0; i < state->machine->global_count; i++) {
        const struct cpu_global *global = &state->machine->globals[i];

        to.by = global->driver;
        to.by_len = global->driver_len;
        if (state->vcpu == 0 && cpu_model_find(global->driver, global->driver_len, false))
            messages_add(&state->outcome->warnings, 0, "global %.*s.%.*s has invalid class name",
                         SPAN(global->driver, global->driver_len), SPAN(global->name, global->name_len));
        if (global_applies(state, global) && !cpu_assign(&to, global->name, global->name_len, global->value,
                                                         global->value_len, 0, &state->outcome->error))
            return false;
    }
    return true;
}

static void apply_flags(struct cpu_state *state)
{
    const struct cpu_flags *flags = state->flags;

    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        state->words[w] = (state->words[w] & ~flags->touched[w]) | flags->on[w];
        state->user[w] |= flags->touched[w];
        state->outcome->asked[w] = flags->on[w];
    }
    for (unsigned p = 0; p < PROPERTIES; p++)
        if (flags->values[p].set)
            state->values[p] = flags->values[p];
    if (state->values[P_VENDOR].set)
        memcpy(state->vendor, state->values[P_VENDOR].text, 12);
    if (state->values[P_MODEL_ID].set)
        set_model_id(state, state->values[P_MODEL_ID].text, state->values[P_MODEL_ID].text_len);
}

/* Properties that must agree with the place the machine gave this CPU (section 3.3). */
static bool check_place(struct cpu_state *state)
{
    const struct {
        enum property_id id;
        const char *name;
        uint32_t have;
    } ids[] = {
        {P_SOCKET_ID, "socket-id", state->place.socket},
        {P_DIE_ID, "die-id", state->place.die},
        {P_CORE_ID, "core-id", state->place.core},
        {P_THREAD_ID, "thread-id", state->place.thread},
    };
    struct message *error = &state->outcome->error;

    if (state->machine->type.family == FAMILY_NONE) {
        message_set(error, CPU_REFUSED, 0, "apic-id property was not initialized properly");
        return false;
    }
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        const struct property_value *value = &state->values[ids[i].id];
        if ((int64_t)value->number == -1 || (uint32_t)value->number == ids[i].have)
            continue;
        message_set(error, CPU_REFUSED, value->at, "property %s: %u doesn't match set apic-id: 0x%x (%s: %u)",
                    ids[i].name, (uint32_t)value->number, state->place.apic_id, ids[i].name, ids[i].have);
        return false;
    }
    return true;
}

/* What the machine looks at before the signs take effect: the values alone decide. */
static bool check_vpindex(struct cpu_state *state, bool global)
{
    const struct property_value *value = &state->flags->vpindex;

    if (!(value->set ? value->number : global) || state->host->extensions[EXT_HYPERV_VP_INDEX])
        return true;
    message_set(&state->outcome->error, CPU_REFUSED, value->at,
                "kernel doesn't allow setting HyperV VP_INDEX");
    return false;
}

static bool check_node(struct cpu_state *state)
{
    struct message *error = &state->outcome->error;

    if ((int64_t)state_number(state, P_NODE_ID) > 0 || (int64_t)state_number(state, P_NODE_ID) < -1) {
        message_set(error, CPU_REFUSED, state->values[P_NODE_ID].at, "invalid node-id, must be 0");
        return false;
    }
    return true;
}

bool state_configure(struct cpu_state *state)
{
    bool global_vpindex;

    apply_model(state);
    apply_accelerator(state);
    apply_compat(state);
    if (!apply_globals(state))
        return false;
    if (state->flags->error.kind && state->flags->stage == STAGE_CREATE) {
        state->outcome->error = state->flags->error;
        return false;
    }
    global_vpindex = state_number(state, P_HV_VPINDEX);
    apply_flags(state);
    if (!check_place(state) || !check_vpindex(state, global_vpindex) || !check_node(state))
        return false;
    hyperv_check_vendor(state);
    state->outcome->error = state->flags->error; /* what is left is about signs */
    return !state->outcome->error.kind;
}
