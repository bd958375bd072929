/* Hyper-V flags: what they need, and the leaves that push KVM's to 0x40000100. QEMU flags specification section 9;
 * bits from the Hyper-V top-level functional specification. */
#include "vmm/cpuid/state.h"

#include <stdio.h>
#include <string.h>

/* In QEMU's internal order (Y5): the first missing one is named. */
enum hv {
    HV_RELAXED,
    HV_VAPIC,
    HV_TIME,
    HV_CRASH,
    HV_RESET,
    HV_VPINDEX,
    HV_RUNTIME,
    HV_SYNIC,
    HV_STIMER,
    HV_FREQUENCIES,
    HV_REENLIGHTENMENT,
    HV_TLBFLUSH,
    HV_EVMCS,
    HV_IPI,
    HV_STIMER_DIRECT,
    HV_AVIC,
    HV_SYNDBG,
    HV_EMSR_BITMAP,
    HV_XMM_INPUT,
    HV_TLBFLUSH_EXT,
    HV_TLBFLUSH_DIRECT,
    HV_FLAGS,
};
#define NEED(hv) (1u << (hv))
#define BIT(n)   (1u << (n))

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
static const struct hv_flag hv_flags[HV_FLAGS] = {
    [HV_RELAXED] = { P_HV_RELAXED, "relaxed timing (hv-relaxed)", .advice = BIT(5) },
    [HV_VAPIC] = { P_HV_VAPIC, "virtual APIC (hv-vapic)", .features_a = BIT(4), .advice = BIT(3) },
    [HV_TIME] = { P_HV_TIME, "clocksources (hv-time)", .features_a = BIT(1) | BIT(9) },
    [HV_CRASH] = { P_HV_CRASH, "crash MSRs (hv-crash)", .features_d = BIT(10) },
    [HV_RESET] = { P_HV_RESET, "reset MSR (hv-reset)", .features_a = BIT(7) },
    [HV_VPINDEX] = { P_HV_VPINDEX, "VP_INDEX MSR (hv-vpindex)", .features_a = BIT(6) },
    [HV_RUNTIME] = { P_HV_RUNTIME, "VP_RUNTIME MSR (hv-runtime)", .features_a = BIT(0) },
    [HV_SYNIC] = { P_HV_SYNIC, "synthetic interrupt controller (hv-synic)", NEED(HV_VPINDEX), BIT(2) },
    [HV_STIMER] = { P_HV_STIMER, "synthetic timers (hv-stimer)", NEED(HV_SYNIC) | NEED(HV_TIME), BIT(3) },
    [HV_FREQUENCIES] = { P_HV_FREQUENCIES, "frequency MSRs (hv-frequencies)", 0, BIT(11), BIT(8) },
    [HV_REENLIGHTENMENT] = { P_HV_REENLIGHTENMENT, "reenlightenment MSRs (hv-reenlightenment)", 0, BIT(13) },
    [HV_TLBFLUSH] = { P_HV_TLBFLUSH, "paravirtualized TLB flush (hv-tlbflush)", NEED(HV_VPINDEX), .advice = BIT(2) | BIT(11) },
    [HV_EVMCS] = { P_HV_EVMCS, "enlightened VMCS (hv-evmcs)", NEED(HV_VAPIC), .advice = BIT(14) },
    [HV_IPI] = { P_HV_IPI, "paravirtualized IPI (hv-ipi)", NEED(HV_VPINDEX), .advice = BIT(10) | BIT(11) },
    [HV_STIMER_DIRECT] = { P_HV_STIMER_DIRECT, "direct mode synthetic timers (hv-stimer-direct)", NEED(HV_STIMER), .features_d = BIT(19) },
    [HV_AVIC] = { P_HV_AVIC, "AVIC/APICv support (hv-avic/hv-apicv)", .advice = BIT(9) },
    [HV_SYNDBG] = { P_HV_SYNDBG, "Enable synthetic kernel debugger channel (hv-syndbg)", NEED(HV_SYNIC) | NEED(HV_RELAXED), .features_d = BIT(1) },
    [HV_EMSR_BITMAP] = { P_HV_EMSR_BITMAP, "Enlightened MSR-Bitmap (hv-emsr-bitmap)", .nested = BIT(19) },
    [HV_XMM_INPUT] = { P_HV_XMM_INPUT, "XMM fast hypercall input (hv-xmm-input)", .features_d = BIT(4) },
    [HV_TLBFLUSH_EXT] = { P_HV_TLBFLUSH_EXT, "Extended gva ranges for TLB flush hypercalls (hv-tlbflush-ext)", NEED(HV_TLBFLUSH), .features_d = BIT(14) },
    [HV_TLBFLUSH_DIRECT] = { P_HV_TLBFLUSH_DIRECT, "direct TLB flush (hv-tlbflush-direct)", NEED(HV_VAPIC), .nested = BIT(17) },
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

static bool check_needs(struct cpu_state *state)
{
    for (unsigned i = 0; i < HV_FLAGS; i++)
        for (unsigned need = 0; need < HV_FLAGS && state_number(state, hv_flags[i].property); need++)
            if ((hv_flags[i].needs & NEED(need)) && !state_number(state, hv_flags[need].property)) {
                message_set(&state->outcome->error, CPU_REFUSED, state->values[hv_flags[i].property].at,
                            "Hyper-V %s requires Hyper-V %s", hv_flags[i].phrase, hv_flags[need].phrase);
                return false;
            }
    return true;
}

static bool check_modelled(struct cpu_state *state)
{
    if (state_number(state, P_HV_PASSTHROUGH))
        return refuse(state, CPU_REFUSED, P_HV_PASSTHROUGH,
                      "hv-passthrough is not modelled on a kernel with Hyper-V");
    if (state_number(state, P_HV_SYNDBG))
        return refuse(state, CPU_REFUSED, P_HV_SYNDBG, "hv-syndbg is not modelled on a kernel with Hyper-V");
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
    for (unsigned i = 0; i < HV_FLAGS; i++)
        if (state_number(state, hv_flags[i].property))
            return true;
    return state_number(state, P_HV_SPINLOCKS) != UINT32_MAX || state_number(state, P_HV_PASSTHROUGH);
}

void hyperv_check_vendor(struct cpu_state *state)
{
    if (state->values[P_HV_VENDOR_ID].text_len > 12)
        messages_add(&state->outcome->warnings, state->values[P_HV_VENDOR_ID].at,
                     "hv-vendor-id truncated to 12 characters");
}

bool hyperv_resolve(struct cpu_state *state)
{
    if (!state_kvm(state))
        return true; /* accepted and ignored (K22) */
    state->hyperv = state->host->extensions[EXT_HYPERV] && any_flag(state);
    return (!state->hyperv || (check_needs(state) && check_modelled(state))) && check_kernel(state);
}

/* Bits of all flags that are on, ORed; which picks the register by its place in struct hv_flag. */
static uint32_t collect(const struct cpu_state *state, size_t which)
{
    uint32_t bits = 0, one;

    for (unsigned i = 0; i < HV_FLAGS; i++)
        if (state_number(state, hv_flags[i].property)) {
            memcpy(&one, (const char *)&hv_flags[i] + which, sizeof(one));
            bits |= one;
        }
    return bits;
}

static struct cpuid_regs signature_regs(const struct cpu_state *state, uint32_t last)
{
    const struct property_value *id = &state->values[P_HV_VENDOR_ID];
    char vendor[12] = "Microsoft Hv";
    struct cpuid_regs regs = {.eax = last};

    if (id->set) {
        memset(vendor, 0, sizeof(vendor));
        memcpy(vendor, id->text, id->text_len < sizeof(vendor) ? id->text_len : sizeof(vendor));
    }
    memcpy(&regs.ebx, vendor, sizeof(vendor));
    return regs;
}

static uint32_t advice(const struct cpu_state *state)
{
    uint32_t bits = collect(state, offsetof(struct hv_flag, advice));

    if (state_number(state, P_HV_AVIC))
        bits &= ~BIT(3); /* an accelerated APIC is better left alone */
    if (state_number(state, P_HV_NO_NONARCH_CORESHARING) == TRI_ON)
        bits |= BIT(18);
    return bits;
}

#define VPS_AND_LIMITS 0x40u

void hyperv_entries(const struct cpu_state *state, struct cpuid_table *out)
{
    bool nested = state_number(state, P_HV_EVMCS);
    uint32_t version =
        (uint32_t)(state_number(state, P_HV_VERSION_MAJOR) << 16 | state_number(state, P_HV_VERSION_MINOR));

    if (!state->hyperv)
        return;
    entry_add(out, 0x40000000, 0, 0, signature_regs(state, nested ? 0x4000000a : 0x40000005));
    entry_add(out, 0x40000001, 0, 0, (struct cpuid_regs){.eax = 0x31237648}); /* "Hv#1" */
    entry_add(out, 0x40000002, 0, 0,
              (struct cpuid_regs){(uint32_t)state_number(state, P_HV_VERSION_BUILD), version,
                                  (uint32_t)state_number(state, P_HV_VERSION_SPACK),
                                  (uint32_t)(state_number(state, P_HV_VERSION_SBRANCH) << 24 |
                                             (state_number(state, P_HV_VERSION_SNUMBER) & 0xffffff))});
    entry_add(out, 0x40000003, 0, 0,
              (struct cpuid_regs){.eax = collect(state, offsetof(struct hv_flag, features_a)) | BIT(5),
                                  .edx = collect(state, offsetof(struct hv_flag, features_d)) | BIT(3)});
    entry_add(
        out, 0x40000004, 0, 0,
        (struct cpuid_regs){.eax = advice(state), .ebx = (uint32_t)state_number(state, P_HV_SPINLOCKS)});
    entry_add(out, 0x40000005, 0, 0,
              (struct cpuid_regs){.eax = (uint32_t)state_number(state, P_HV_MAX_VPS), .ebx = VPS_AND_LIMITS});
    if (!nested)
        return;
    for (uint32_t leaf = 0x40000006; leaf <= 0x40000009; leaf++)
        entry_add(out, leaf, 0, 0, (struct cpuid_regs){0});
    entry_add(out, 0x4000000a, 0, 0,
              (struct cpuid_regs){.eax = collect(state, offsetof(struct hv_flag, nested)) | 0x0101});
}
