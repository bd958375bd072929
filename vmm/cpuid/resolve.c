/* From what is asked to what the guest gets: fill, dependencies, levels, filter, checks. QEMU flags specification P6,
 * section 5, L1, L16, K13-K18, H3. */
#include "vmm/cpuid/state.h"

#include <inttypes.h>
#include <string.h>

static bool refuse(struct cpu_state *state, enum cpu_error_kind kind, enum property_id id, const char *text)
{
    message_set(&state->outcome->error, kind, state->values[id].at, "%s", text);
    return false;
}

void state_drop(struct cpu_state *state, enum feature_word word, uint64_t bits, bool verbose,
                const char *prefix)
{
    char text[FEATURE_TEXT_LEN];

    for (unsigned bit = 0; bit < 64 && verbose; bit++)
        if (bits >> bit & 1) {
            feature_describe(word, bit, text);
            messages_add(&state->outcome->warnings, 0, "%s: %s", prefix, text);
        }
    state->words[word] &= ~bits;
    state->any_filtered |= bits != 0;
}

/* Bits that no model gets unless they are named in the flags (M6). */
static const uint64_t never_filled[FEATURE_WORDS] = {
    [FW_80000001_ECX] = FEATURE_BIT(F_TOPOEXT),
    [FW_KVM_HINTS] = ~0ull,
};

/* host and max: everything supported that nobody touched (R1 row 9, M5). */
static void fill(struct cpu_state *state)
{
    bool migratable = state_number(state, P_MIGRATABLE);

    if (!state_max(state))
        return;
    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        uint64_t bits = supported_word(state->host, state->machine->irqchip, w);

        if (w == FW_XCR0_LO || w == FW_XCR0_HI || w == FW_XSS)
            continue;
        if (migratable)
            bits &= w == FW_80000007_EDX ? 0 : feature_named_bits(w); /* invtsc is the only one marked */
        state->words[w] |= bits & ~state->user[w] & ~never_filled[w];
    }
}

/* E7: without the first, the second loses these bits. */
static const struct {
    uint16_t from; /* enum feature */
    uint8_t to_word;
    uint64_t to_bits;
} dependencies[] = {
    {F_ARCH_CAPABILITIES, FW_ARCH_CAPABILITIES, ~0ull},
    {F_CORE_CAPABILITY, FW_CORE_CAPABILITY, ~0ull},
    {F_PDCM, FW_PERF_CAPABILITIES, ~0ull},
    {F_VMX, FW_VMX_PROCBASED, ~0ull},
    {F_VMX, FW_VMX_PINBASED, ~0ull},
    {F_VMX, FW_VMX_EXIT, ~0ull},
    {F_VMX, FW_VMX_ENTRY, ~0ull},
    {F_VMX, FW_VMX_MISC, ~0ull},
    {F_VMX, FW_VMX_BASIC, ~0ull},
    {F_LM, FW_VMX_ENTRY, FEATURE_BIT(F_VMX_ENTRY_IA32E_MODE)},
    {F_VMX_SECONDARY_CTLS, FW_VMX_SECONDARY, ~0ull},
    {F_XSAVES, FW_VMX_SECONDARY, FEATURE_BIT(F_VMX_XSAVES)},
    {F_RDRAND, FW_VMX_SECONDARY, FEATURE_BIT(F_VMX_RDRAND_EXIT)},
    {F_INVPCID, FW_VMX_SECONDARY, FEATURE_BIT(F_VMX_INVPCID_EXIT)},
    {F_MPX, FW_VMX_EXIT, FEATURE_BIT(F_VMX_EXIT_CLEAR_BNDCFGS)},
    {F_MPX, FW_VMX_ENTRY, FEATURE_BIT(F_VMX_ENTRY_LOAD_BNDCFGS)},
    {F_RDSEED, FW_VMX_SECONDARY, FEATURE_BIT(F_VMX_RDSEED_EXIT)},
    {F_INTEL_PT, FW_14_0_ECX, ~0ull},
    {F_RDTSCP, FW_VMX_SECONDARY, FEATURE_BIT(F_VMX_RDTSCP_EXIT)},
    {F_VMX_EPT, FW_VMX_EPT_VPID, 0xffffffffull},
    {F_VMX_VPID, FW_VMX_EPT_VPID, 0xffffffffull << 32},
    {F_VMX_VMFUNC, FW_VMX_VMFUNC, ~0ull},
    {F_SVM, FW_SVM, ~0ull},
};

static void clear_dependent(struct cpu_state *state)
{
    for (size_t i = 0; i < sizeof(dependencies) / sizeof(dependencies[0]); i++) {
        enum feature_word to = dependencies[i].to_word;
        uint64_t lost = state->words[to] & dependencies[i].to_bits;

        if (!lost || state_has(state, dependencies[i].from))
            continue;
        state->outcome->dependent[to] |= lost;
        state->words[to] &= ~lost;
        /* Only what somebody asked for is worth a warning, check or not. */
        state_drop(state, to, lost & state->user[to], true,
                   "This feature depends on other features that were not requested");
    }
}

/* K17, K20: the word goes before the filter looks, so nothing is reported. The hints stay (K21). */
static void hide_pv(struct cpu_state *state)
{
    bool off = !state_number(state, P_KVM);

    if (state_kvm(state) && !off)
        return;
    state->outcome->hidden[FW_KVM] = state->words[FW_KVM];
    state->words[FW_KVM] = 0;
    if (off && state_kvm(state)) /* no leaf to see it in (K18) */
        state->outcome->hidden[FW_KVM_HINTS] = state->words[FW_KVM_HINTS];
}

static void demand(uint64_t *level, uint32_t leaf)
{
    if (*level < leaf)
        *level = leaf;
}

/* Words whose being non-zero raises a level, but for 7.0.EBX (L1). */
static const uint8_t demanding_words[] = {
    FW_1_EDX,        FW_1_ECX,        FW_6_EAX,        FW_7_0_ECX,      FW_7_1_EAX, FW_XSAVE,
    FW_80000001_EDX, FW_80000001_ECX, FW_80000007_EDX, FW_80000008_EBX, FW_SVM,     FW_C0000001_EDX,
};

static void demand_by_words(struct cpu_state *state, uint64_t levels[3])
{
    for (size_t i = 0; i < sizeof(demanding_words); i++) {
        uint32_t leaf = feature_words[demanding_words[i]].leaf;
        if (state->words[demanding_words[i]])
            demand(&levels[leaf >> 30 ? (leaf >> 30) - 1 : 0], leaf);
    }
    if (state->words[FW_7_1_EAX])
        state->level_func7 = 1;
}

/* Intel PT needs a leaf that machines up to 3.1 do not add by themselves. */
static void settle_intel_pt(struct cpu_state *state, uint64_t levels[3])
{
    if (!state_has(state, F_INTEL_PT))
        return;
    if (state_number(state, P_INTEL_PT_AUTO_LEVEL))
        demand(&levels[0], 0x14);
    else if (levels[0] < 0x14)
        state_drop(state, FW_7_0_EBX, FEATURE_BIT(F_INTEL_PT),
                   state_number(state, P_CHECK) || state_number(state, P_ENFORCE),
                   "Intel PT need CPUID leaf 0x14, please set by \"-cpu ...,intel-pt=on,min-level=0x14\"");
}

static uint32_t chosen(uint64_t asked, uint64_t automatic)
{
    return (uint32_t)(asked == UINT32_MAX ? automatic : asked);
}

/* L1. Levels are computed before the filter (E9). */
static void settle_levels(struct cpu_state *state)
{
    bool vendor_only = state_number(state, P_VENDOR_CPUID_ONLY);
    uint64_t levels[3] = {/* basic, extended, Centaur: index is the leaf's top two bits, 0 for 0 */
                          state_number(state, P_MIN_LEVEL), state_number(state, P_MIN_XLEVEL),
                          state_number(state, P_MIN_XLEVEL2)};

    state->level_func7 = 0;
    if (state->words[FW_7_0_EBX])
        demand(&levels[0], 7);
    if (state_number(state, P_FULL_CPUID_AUTO_LEVEL)) {
        demand_by_words(state, levels);
        settle_intel_pt(state, levels);
        if (state->machine->topology.dies > 1 && (state_vendor_is(state, VENDOR_INTEL) || !vendor_only))
            demand(&levels[0], 0x1f);
        if (state_has(state, F_SVM))
            demand(&levels[1], 0x8000000a);
        if (state_has(state, F_SGX))
            demand(&levels[0], 0x12);
    }
    state->level = chosen(state_number(state, P_LEVEL), levels[0]);
    state->xlevel = chosen(state_number(state, P_XLEVEL), levels[1]);
    state->xlevel2 = chosen(state_number(state, P_XLEVEL2), levels[2]);
    state->level_func7 = chosen(state_number(state, P_LEVEL_FUNC7), state->level_func7);
}

/* E2-E6. */
static bool filter(struct cpu_state *state)
{
    bool verbose = state_number(state, P_CHECK) || state_number(state, P_ENFORCE);
    bool kvm = state_kvm(state);
    const char *prefix =
        kvm ? "host doesn't support requested feature" : "TCG doesn't support requested feature";

    state->words[FW_PERF_CAPABILITIES] |= state_number(state, P_LBR_FMT);
    for (unsigned w = 0; w < FEATURE_WORDS; w++) {
        uint64_t had = state->words[w];
        uint64_t bad = had & ~supported_word(state->host, state->machine->irqchip, w);

        if (!bad)
            continue;
        state_drop(state, w, bad, verbose, prefix);
        if (state_number(state, P_FORCE_FEATURES))
            state->words[w] = had;
        else
            state->outcome->unsupported[w] = bad;
    }
    if (state_number(state, P_ENFORCE) && state->any_filtered)
        return refuse(state, CPU_UNSUPPORTED, P_ENFORCE,
                      kvm ? "Host doesn't support requested features"
                          : "TCG doesn't support requested features");
    return true;
}

static void copy_amd_aliases(struct cpu_state *state)
{
    if (!state_vendor_is(state, VENDOR_AMD))
        return;
    state->words[FW_80000001_EDX] &= ~(uint64_t)AMD_ALIAS_BITS;
    state->words[FW_80000001_EDX] |= state->words[FW_1_EDX] & AMD_ALIAS_BITS;
}

static uint32_t host_phys_bits(const struct cpu_state *state)
{
    uint32_t bits = supported_regs(&state->host->host, 0x80000008, 0).eax & 0xff;

    return bits ? bits : 36;
}

/* Physical address bits, and the complaint when they are not the host's (L16). */
static bool settle_phys_bits(struct cpu_state *state)
{
    uint32_t bits = (uint32_t)state_number(state, P_PHYS_BITS), limit, host = host_phys_bits(state);
    bool kvm = state_kvm(state), user = bits != 0;

    if (kvm && (state->machine->type.family == FAMILY_MICROVM || state_number(state, P_HOST_PHYS_BITS))) {
        limit = (uint32_t)state_number(state, P_HOST_PHYS_BITS_LIMIT);
        bits = limit && limit < host ? limit : host;
    } else if (kvm && user && bits != host && state->vcpu == 0) {
        messages_add(&state->outcome->warnings, state->values[P_PHYS_BITS].at,
                     "Host physical bits (%u) does not match phys-bits property (%u)", host, bits);
    }
    if (!state_has(state, F_LM)) {
        state->phys_bits = state_has(state, F_PSE36) ? 36 : 32;
        return !user ||
               refuse(state, CPU_REFUSED, P_PHYS_BITS, "phys-bits is not user-configurable in 32 bit");
    }
    state->phys_bits = bits ? bits : 40;
    if (state->phys_bits >= 32 && state->phys_bits <= 52)
        return true;
    message_set(&state->outcome->error, CPU_REFUSED, state->values[P_PHYS_BITS].at,
                "phys-bits should be between 32 and 52  (but is %u)", state->phys_bits);
    return false;
}

static bool check_machine(struct cpu_state *state)
{
    const struct cpu_topology *t = &state->machine->topology;

    if (state->model->kind == MODEL_HOST && !state_kvm(state))
        return refuse(state, CPU_REFUSED, P_NONE, "CPU model 'host' requires KVM or HVF");
    if (!settle_phys_bits(state))
        return false;
    if (!state_number(state, P_LEGACY_CACHE) && !state->model->caches) {
        message_set(&state->outcome->error, CPU_REFUSED, state->values[P_LEGACY_CACHE].at,
                    "CPU model '%.*s' doesn't support legacy-cache=off",
                    (int)cpu_model_name_len(state->flags), state->flags->type);
        return false;
    }
    if (state->vcpu == 0 && state_kvm(state) && state->machine->irqchip == IRQCHIP_NONE) {
        messages_add(&state->outcome->warnings, 0, "Userspace local APIC is deprecated for KVM.");
        messages_add(&state->outcome->warnings, 0,
                     "Do not use kernel-irqchip except for the -M isapc machine type.");
    }
    if (state->vcpu == 0 && state_vendor_is(state, VENDOR_AMD) && t->threads > 1 &&
        !state_has(state, F_TOPOEXT))
        messages_add(&state->outcome->warnings, 0,
                     "This family of AMD CPU doesn't support hyperthreading(%u)\n"
                     "Please configure -smp options properly or try enabling topoext feature.",
                     t->threads);
    return true;
}

/* H3: a rate that the kernel cannot give is fatal. */
static bool settle_tsc(struct cpu_state *state)
{
    uint64_t user = state_number(state, P_TSC_FREQUENCY) / 1000, host = state->host->tsc_khz;
    uint64_t window = host * 250 / 1000000;

    state->outcome->tsc_khz = user ? user : host;
    if (!user || !state_kvm(state) || state->host->extensions[EXT_TSC_CONTROL] ||
        (user + window >= host && user <= host + window))
        return true;
    messages_add(&state->outcome->warnings, state->values[P_TSC_FREQUENCY].at,
                 "TSC frequency mismatch between VM (%" PRIu64 " kHz) and host (%" PRIu64
                 " kHz), and TSC scaling unavailable",
                 user, host);
    message_set(&state->outcome->error, CPU_REFUSED, state->values[P_TSC_FREQUENCY].at,
                "kvm_init_vcpu: kvm_arch_init_vcpu failed (%u): Operation not supported", state->vcpu);
    return false;
}

/* C1, asked of the first CPU. */
static bool has_kvmclock_device(const struct cpu_state *state)
{
    const struct machine_type *type = &state->machine->type;

    return type->family == FAMILY_MICROVM || type->version >= MACHINE_VERSION(5u, 2u, 0u) ||
           state_has(state, F_KVMCLOCK) || state_has(state, F_KVMCLOCK2);
}

/* What the flags ask of whoever makes the machine, beside the table. */
static void settle_machine(struct cpu_state *state)
{
    state->outcome->local_apic = state_has(state, F_APIC) || state->machine->topology.cpus > 1;
    state->outcome->enforce_pv = state_kvm(state) && state_number(state, P_KVM_ENFORCE);
    state->outcome->enforce_hv = state->hyperv && state_number(state, P_HV_ENFORCE_CPUID);
    state->outcome->no_kvmclock_device = !has_kvmclock_device(state);
    state->outcome->migration_blocked = state_has(state, F_INVTSC) && !state_number(state, P_TSC_FREQUENCY);
}

/* What the kernel refuses when the vCPU is made or reset; QEMU 7.2 takes some of it badly. */
static bool check_kernel(struct cpu_state *state)
{
    if (!settle_tsc(state))
        return false;
    if (!state_kvm(state))
        return true;
    if (state->outcome->enforce_pv && !state->host->extensions[EXT_ENFORCE_PV_FEATURE_CPUID])
        return refuse(state, CPU_QEMU_ABORTS, P_KVM_ENFORCE,
                      "failed to enable KVM_CAP_ENFORCE_PV_FEATURE_CPUID: Invalid argument");
    if (state->machine->irqchip == IRQCHIP_NONE && state_has(state, F_KVM_ASYNCPF_INT))
        return refuse(state, CPU_QEMU_ABORTS, P_NONE, "error: failed to set MSR 0x4b564d06 to 0x0");
    return true;
}

/* TCG makes the CPU's address space before the last checks, KVM after them. */
static bool check_memory(struct cpu_state *state)
{
    return !state->values[P_MEMORY].set ||
           refuse(state, CPU_QEMU_ABORTS, P_MEMORY, "cpu_address_space_init: Assertion `mr' failed.");
}

bool state_resolve(struct cpu_state *state)
{
    fill(state);
    clear_dependent(state);
    hide_pv(state);
    state->words[FW_XCR0_LO] = xsave_components(state) & UINT32_MAX;
    state->words[FW_XCR0_HI] = xsave_components(state) >> 32;
    state->words[FW_XSS] = xsave_supervisor_components(state);
    settle_levels(state);
    if (!hyperv_resolve(state) || !filter(state))
        return false;
    copy_amd_aliases(state);
    settle_machine(state);
    return (state_kvm(state) || check_memory(state)) && check_machine(state) && check_memory(state) &&
           check_kernel(state);
}
