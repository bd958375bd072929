/* Hyper-V flags: what they need, and the leaves that push KVM's to 0x40000100. QEMU flags specification section 9;
 * bits from the Hyper-V top-level functional specification. */
#include "vmm/cpuid/state.h"

#include <stdio.h>
#include <string.h>
#include "vmm/abi/hyperv.h"

/* In QEMU's internal order (Y5): the first missing one is named. */
enum hv {
    FLAG_RELAXED,
    FLAG_VAPIC,
    FLAG_TIME,
    FLAG_CRASH,
    FLAG_RESET,
    FLAG_VPINDEX,
    FLAG_RUNTIME,
    FLAG_SYNIC,
    FLAG_STIMER,
    FLAG_FREQUENCIES,
    FLAG_REENLIGHTENMENT,
    FLAG_TLBFLUSH,
    FLAG_EVMCS,
    FLAG_IPI,
    FLAG_STIMER_DIRECT,
    FLAG_AVIC,
    FLAG_SYNDBG,
    FLAG_EMSR_BITMAP,
    FLAG_XMM_INPUT,
    FLAG_TLBFLUSH_EXT,
    FLAG_TLBFLUSH_DIRECT,
    FLAG_COUNT,
};
#define NEED(hv) (1u << (hv))

#define LIMITS_EBX     0x40u
#define EVMCS_VERSIONS 0x0101u

struct hv_flag {
    enum property_id property;
    const char *phrase;
    uint32_t needs;      /* NEED() of others */
    uint32_t features_a; /* 40000003 EAX */
    uint32_t features_d; /* 40000003 EDX */
    uint32_t advice;     /* 40000004 EAX */
    uint32_t nested;     /* 4000000A EAX */
};

// clang-format off
static const struct hv_flag hv_flags[FLAG_COUNT] = {
    [FLAG_RELAXED] = { P_HV_RELAXED, "relaxed timing (hv-relaxed)", .advice = HV_RELAXED_TIMING },
    [FLAG_VAPIC] = { P_HV_VAPIC, "virtual APIC (hv-vapic)", .features_a = HV_APIC_ACCESS },
    [FLAG_TIME] = { P_HV_TIME, "clocksources (hv-time)", .features_a = HV_TIME_REF_COUNT | HV_REFERENCE_TSC },
    [FLAG_CRASH] = { P_HV_CRASH, "crash MSRs (hv-crash)", .features_d = HV_CRASH_REGISTERS },
    [FLAG_RESET] = { P_HV_RESET, "reset MSR (hv-reset)", .features_a = HV_RESET },
    [FLAG_VPINDEX] = { P_HV_VPINDEX, "VP_INDEX MSR (hv-vpindex)", .features_a = HV_VP_INDEX },
    [FLAG_RUNTIME] = { P_HV_RUNTIME, "VP_RUNTIME MSR (hv-runtime)", .features_a = HV_VP_RUNTIME },
    [FLAG_SYNIC] = { P_HV_SYNIC, "synthetic interrupt controller (hv-synic)", .features_a = HV_SYNIC },
    [FLAG_STIMER] = { P_HV_STIMER, "synthetic timers (hv-stimer)", NEED(FLAG_SYNIC) | NEED(FLAG_TIME), HV_SYNTHETIC_TIMERS },
    [FLAG_FREQUENCIES] = { P_HV_FREQUENCIES, "frequency MSRs (hv-frequencies)", 0, HV_FREQUENCIES, HV_TIMER_FREQUENCIES },
    [FLAG_REENLIGHTENMENT] = { P_HV_REENLIGHTENMENT, "reenlightenment MSRs (hv-reenlightenment)", 0, HV_REENLIGHTENMENT },
    [FLAG_TLBFLUSH] = { P_HV_TLBFLUSH, "paravirtualized TLB flush (hv-tlbflush)", NEED(FLAG_VPINDEX), .advice = HV_REMOTE_TLB_FLUSH | HV_EX_PROCESSOR_MASKS },
    [FLAG_EVMCS] = { P_HV_EVMCS, "enlightened VMCS (hv-evmcs)", NEED(FLAG_VAPIC), .advice = HV_ENLIGHTENED_VMCS },
    [FLAG_IPI] = { P_HV_IPI, "paravirtualized IPI (hv-ipi)", NEED(FLAG_VPINDEX), .advice = HV_CLUSTER_IPI | HV_EX_PROCESSOR_MASKS },
    [FLAG_STIMER_DIRECT] = { P_HV_STIMER_DIRECT, "direct mode synthetic timers (hv-stimer-direct)", NEED(FLAG_STIMER), .features_d = HV_DIRECT_TIMERS },
    [FLAG_AVIC] = { P_HV_AVIC, "AVIC/APICv support (hv-avic/hv-apicv)", .advice = HV_NO_AUTO_EOI },
    [FLAG_SYNDBG] = { P_HV_SYNDBG, "Enable synthetic kernel debugger channel (hv-syndbg)", NEED(FLAG_SYNIC) | NEED(FLAG_RELAXED), .features_d = HV_DEBUG_REGISTERS },
    [FLAG_EMSR_BITMAP] = { P_HV_EMSR_BITMAP, "Enlightened MSR-Bitmap (hv-emsr-bitmap)", .nested = HV_NESTED_MSR_BITMAP },
    [FLAG_XMM_INPUT] = { P_HV_XMM_INPUT, "XMM fast hypercall input (hv-xmm-input)", .features_d = HV_XMM_INPUT },
    [FLAG_TLBFLUSH_EXT] = { P_HV_TLBFLUSH_EXT, "Extended gva ranges for TLB flush hypercalls (hv-tlbflush-ext)", NEED(FLAG_TLBFLUSH), .features_d = HV_EXTENDED_FLUSH_RANGES },
    [FLAG_TLBFLUSH_DIRECT] = { P_HV_TLBFLUSH_DIRECT, "direct TLB flush (hv-tlbflush-direct)", NEED(FLAG_VAPIC), .nested = HV_NESTED_DIRECT_FLUSH },
};
// clang-format on

/* Flags whose MSR QEMU writes even if the kernel has no Hyper-V at all; it dies of the refusal (Y1, S6). */
static const struct {
    enum property_id property;
    const char *text;
} fatal_msrs[] = {
    {P_HV_TIME, "error: failed to set MSR 0x40000021 to 0x0"},
    {P_HV_VAPIC, "error: failed to set MSR 0x40000073 to 0x0"},
    {P_HV_SYNIC, "error: failed to set MSR 0x40000081 to 0x0"},
};

static bool refuse(struct cpu_state *state, enum cpu_error_kind kind, enum property_id id, const char *text)
{
    message_set(&state->outcome->error, kind, state->values[id].at, "%s", text);
    return false;
}

static bool has(const struct cpu_state *state, enum hv flag)
{
    return state->hyperv_flags & NEED(flag);
}

/* Bits of all flags that are on, ORed; which picks the register by its place in struct hv_flag. */
static uint32_t collect(const struct cpu_state *state, size_t which)
{
    uint32_t bits = 0, one;

    for (unsigned i = 0; i < FLAG_COUNT; i++)
        if (has(state, i)) {
            memcpy(&one, (const char *)&hv_flags[i] + which, sizeof(one));
            bits |= one;
        }
    return bits;
}

/* What the kernel says itself; zeros where it is not known. */
static struct cpuid_regs kernel_leaf(const struct cpu_state *state, uint32_t leaf)
{
    return supported_regs(&state->host->hyperv, leaf, 0);
}

static bool supported(const struct cpu_state *state, const struct hv_flag *flag)
{
    struct cpuid_regs features = kernel_leaf(state, HYPERV_CPUID_FEATURES);

    return !(flag->features_a & ~features.eax) && !(flag->features_d & ~features.edx) &&
           !(flag->advice & ~kernel_leaf(state, HYPERV_CPUID_ADVICE).eax) &&
           !(flag->nested & ~kernel_leaf(state, HYPERV_CPUID_NESTED).eax);
}

static bool refuse_without(struct cpu_state *state, enum hv flag, enum hv need)
{
    message_set(&state->outcome->error, CPU_REFUSED, state->values[hv_flags[flag].property].at,
                "Hyper-V %s requires Hyper-V %s", hv_flags[flag].phrase, hv_flags[need].phrase);
    return false;
}

/* One after the other: does the kernel have it, is what it needs on. A record without the kernel's list: it has all. */
static bool check_flag(struct cpu_state *state, enum hv flag)
{
    if (state->host->hyperv.count && !supported(state, &hv_flags[flag])) {
        message_set(&state->outcome->error, CPU_REFUSED, state->values[hv_flags[flag].property].at,
                    "Hyper-V %s is not supported by kernel", hv_flags[flag].phrase);
        return false;
    }
    for (unsigned need = 0; need < FLAG_COUNT; need++)
        if ((hv_flags[flag].needs & NEED(need)) && !has(state, need))
            return refuse_without(state, flag, need);
    return true;
}

static bool check_flags(struct cpu_state *state)
{
    for (unsigned i = 0; i < FLAG_COUNT; i++)
        if (has(state, i) && !check_flag(state, i))
            return false;
    return true;
}

/* hv-passthrough: all that the kernel has, needed or not. */
static bool take_all(struct cpu_state *state)
{
    if (!state->host->hyperv.count)
        return refuse(state, CPU_REFUSED, P_HV_PASSTHROUGH,
                      "hv-passthrough is not modelled over a record without the kernel's Hyper-V leaves");
    for (unsigned i = 0; i < FLAG_COUNT; i++)
        if (supported(state, &hv_flags[i]))
            state->hyperv_flags |= NEED(i);
    return true;
}

static bool check_kernel(struct cpu_state *state)
{
    if (state_number(state, P_HV_VPINDEX) && !state->host->extensions[EXT_HYPERV_VP_INDEX])
        return refuse(state, CPU_REFUSED, P_HV_VPINDEX, "kernel doesn't allow setting HyperV VP_INDEX");
    if (state->hyperv && state_number(state, P_HV_EVMCS) &&
        !state->host->extensions[EXT_HYPERV_ENLIGHTENED_VMCS]) {
        message_set(&state->outcome->error, CPU_REFUSED, state->values[P_HV_EVMCS].at,
                    "eVMCS version range [1..1] is not supported by kernel (supported: [0..0])\n"
                    "kvm_init_vcpu: kvm_arch_init_vcpu failed (%u): Operation not supported",
                    state->vcpu);
        return false;
    }
    if (state->host->extensions[EXT_HYPERV])
        return true;
    for (size_t i = 0; i < sizeof(fatal_msrs) / sizeof(fatal_msrs[0]); i++)
        if (state_number(state, fatal_msrs[i].property))
            return refuse(state, CPU_QEMU_ABORTS, fatal_msrs[i].property, fatal_msrs[i].text);
    return true;
}

static bool any_flag(const struct cpu_state *state)
{
    return state->hyperv_flags || state_number(state, P_HV_SPINLOCKS) != UINT32_MAX ||
           state_number(state, P_HV_PASSTHROUGH);
}

void hyperv_check_vendor(struct cpu_state *state)
{
    if (state->values[P_HV_VENDOR_ID].text_len > 12)
        messages_add(&state->outcome->warnings, state->values[P_HV_VENDOR_ID].at,
                     "hv-vendor-id truncated to 12 characters");
}

bool hyperv_resolve(struct cpu_state *state)
{
    bool all = state_number(state, P_HV_PASSTHROUGH);

    if (!state_kvm(state))
        return true; /* accepted and ignored (K22) */
    for (unsigned i = 0; i < FLAG_COUNT; i++)
        if (state_number(state, hv_flags[i].property))
            state->hyperv_flags |= NEED(i);
    state->hyperv = state->host->extensions[EXT_HYPERV] && any_flag(state);
    if (state->hyperv && !(all ? take_all(state) : check_flags(state)))
        return false;
    /* Machines up to 3.0 have what x-hv-synic-kvm-only stands for: a controller that needs no index. */
    if (state->hyperv && has(state, FLAG_SYNIC) && !has(state, FLAG_VPINDEX) &&
        !state_number(state, P_HV_SYNIC_KVM_ONLY))
        return refuse_without(state, FLAG_SYNIC, FLAG_VPINDEX);
    return check_kernel(state);
}

static struct cpuid_regs text_regs(uint32_t eax, const char text[12])
{
    struct cpuid_regs regs = {.eax = eax};

    memcpy(&regs.ebx, text, 12);
    return regs;
}

static struct cpuid_regs vendor_regs(const struct cpu_state *state, uint32_t last)
{
    const struct property_value *id = &state->values[P_HV_VENDOR_ID];
    char vendor[12] = "Microsoft Hv";

    if (id->set) {
        memset(vendor, 0, sizeof(vendor));
        memcpy(vendor, id->text, id->text_len < sizeof(vendor) ? id->text_len : sizeof(vendor));
    }
    return text_regs(last, vendor);
}

static struct cpuid_regs version_regs(const struct cpu_state *state)
{
    return (struct cpuid_regs){.eax = (uint32_t)state_number(state, P_HV_VERSION_BUILD),
                               .ebx = (uint32_t)(state_number(state, P_HV_VERSION_MAJOR) << 16 |
                                                 state_number(state, P_HV_VERSION_MINOR)),
                               .ecx = (uint32_t)state_number(state, P_HV_VERSION_SPACK),
                               .edx = (uint32_t)(state_number(state, P_HV_VERSION_SBRANCH) << 24 |
                                                 (state_number(state, P_HV_VERSION_SNUMBER) & 0xffffff))};
}

static struct cpuid_regs feature_regs(const struct cpu_state *state)
{
    bool messages = has(state, FLAG_SYNIC) && !state_number(state, P_HV_SYNIC_KVM_ONLY);

    return (struct cpuid_regs){.eax = collect(state, offsetof(struct hv_flag, features_a)) | HV_HYPERCALL,
                               .ebx = messages ? HV_POST_MESSAGES | HV_SIGNAL_EVENTS : 0,
                               .edx = collect(state, offsetof(struct hv_flag, features_d)) |
                                      HV_CPU_PARTITIONING};
}

static uint32_t advice(const struct cpu_state *state)
{
    uint32_t bits = collect(state, offsetof(struct hv_flag, advice));
    uint64_t coresharing = state_number(state, P_HV_NO_NONARCH_CORESHARING);

    if (has(state, FLAG_VAPIC) && !has(state, FLAG_AVIC))
        bits |= HV_APIC_ACCESS_ADVISED; /* an accelerated APIC is better left alone */
    if (coresharing == TRI_ON)
        bits |= HV_NO_CORESHARING;
    else if (coresharing == TRI_AUTO) /* the kernel knows */
        bits |= kernel_leaf(state, HYPERV_CPUID_ADVICE).eax & HV_NO_CORESHARING;
    return bits;
}

static uint32_t nested(const struct cpu_state *state)
{
    return collect(state, offsetof(struct hv_flag, nested)) | (has(state, FLAG_EVMCS) ? EVMCS_VERSIONS : 0);
}

/* The numbers that no flag decides: the kernel's with hv-passthrough, else those of the command line. */
static void add_numbers(const struct cpu_state *state, struct cpuid_table *out, uint32_t last)
{
    bool all = state_number(state, P_HV_PASSTHROUGH);
    struct cpuid_regs vendor = kernel_leaf(state, HYPERV_CPUID_VENDOR),
                      limits = kernel_leaf(state, HYPERV_CPUID_LIMITS);

    vendor.eax = last;
    if (!all)
        limits = (struct cpuid_regs){.eax = (uint32_t)state_number(state, P_HV_MAX_VPS), .ebx = LIMITS_EBX};
    entry_add(out, HYPERV_CPUID_VENDOR, 0, 0, all ? vendor : vendor_regs(state, last));
    entry_add(out, HYPERV_CPUID_INTERFACE, 0, 0,
              all ? kernel_leaf(state, HYPERV_CPUID_INTERFACE)
                  : (struct cpuid_regs){.eax = HYPERV_INTERFACE_HV1});
    entry_add(out, HYPERV_CPUID_VERSION, 0, 0,
              all ? kernel_leaf(state, HYPERV_CPUID_VERSION) : version_regs(state));
    entry_add(out, HYPERV_CPUID_FEATURES, 0, 0, feature_regs(state));
    entry_add(out, HYPERV_CPUID_ADVICE, 0, 0,
              (struct cpuid_regs){.eax = advice(state),
                                  .ebx = all ? kernel_leaf(state, HYPERV_CPUID_ADVICE).ebx
                                             : (uint32_t)state_number(state, P_HV_SPINLOCKS)});
    entry_add(out, HYPERV_CPUID_LIMITS, 0, 0, limits);
}

static void add_debugger(struct cpuid_table *out)
{
    entry_add(out, HYPERV_CPUID_DEBUGGER, 0, 0, text_regs(0, "Microsoft VS"));
    entry_add(out, HYPERV_CPUID_DEBUGGER + 1, 0, 0, (struct cpuid_regs){.eax = 0x31235356}); /* "VS#1" */
    entry_add(out, HYPERV_CPUID_DEBUGGER + 2, 0, 0,
              (struct cpuid_regs){.eax = HV_KERNEL_DEBUGGING}); /* of the kernel */
}

void hyperv_entries(const struct cpu_state *state, struct cpuid_table *out)
{
    uint32_t last = has(state, FLAG_SYNDBG) ? HYPERV_CPUID_DEBUGGER + 2
                    : nested(state)         ? HYPERV_CPUID_NESTED
                                            : HYPERV_CPUID_LIMITS;

    if (!state->hyperv)
        return;
    add_numbers(state, out, last);
    for (uint32_t leaf = HYPERV_CPUID_LIMITS + 1; nested(state) && leaf < HYPERV_CPUID_NESTED; leaf++)
        entry_add(out, leaf, 0, 0, (struct cpuid_regs){0});
    if (nested(state))
        entry_add(out, HYPERV_CPUID_NESTED, 0, 0, (struct cpuid_regs){.eax = nested(state)});
    if (has(state, FLAG_SYNDBG))
        add_debugger(out);
}
