/* CPUID, RDMSR, WRMSR, HLT as KVM answers them, and the work before each entry. spec GEN-*, CPU-11. */
#include "vmm/pv/intercept.h"

#include "vmm/apic/lapic.h"
#include "vmm/pv/async_pf.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/features.h"
#include "vmm/pv/lifecycle.h"
#include "vmm/pv/msr.h"
#include "vmm/pv/msr_filter.h"

struct trap intercept_cpuid(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->regs.gpr;
    struct cpuid_regs r = vcpu_cpuid(vcpu, (uint32_t)gpr[RAX], (uint32_t)gpr[RCX]);

    vcpu_exit(vcpu);
    gpr[RAX] = r.eax;
    gpr[RBX] = r.ebx;
    gpr[RCX] = r.ecx;
    gpr[RDX] = r.edx;
    return NO_TRAP;
}

/* Why the guest may not have the register, as a VMM is told (GEN-4); 0: it may, or GEN-5 masks the refusal. */
static uint8_t refusal(const struct vcpu *vcpu, enum msr_result result)
{
    if (result == MSR_UNSUPPORTED && !vcpu->vm->config.ignore_msrs)
        return MSR_EXIT_UNKNOWN;
    return result == MSR_INVALID ? MSR_EXIT_INVALID : 0;
}

/* SAV-12: the VMM decides, if it said that it would for this reason. */
static struct trap refuse(struct vcpu *vcpu, const struct msr_exit *refused)
{
    if (!(vcpu->vm->config.msr_exits & refused->reason))
        return GP0;
    vcpu->msr_exit = *refused;
    vcpu->hold |= HOLD_EXIT;
    return (struct trap){.vector = TRAP_RETRY};
}

static void load_result(struct vcpu *vcpu, uint64_t value)
{
    vcpu->regs.gpr[RAX] = (uint32_t)value;
    vcpu->regs.gpr[RDX] = value >> 32;
}

struct trap intercept_rdmsr(struct vcpu *vcpu)
{
    struct msr_exit access = {.index = (uint32_t)vcpu->regs.gpr[RCX]};
    uint64_t value = 0;

    if (vcpu_cpl(vcpu) != 0)
        return GP0; /* from the CPU itself: no exit (GEN-1) */
    vcpu_exit(vcpu);
    access.reason = msr_filter_allows(vcpu->vm->msr_filter, access.index, MSR_ACCESS_READ)
                        ? refusal(vcpu, vcpu_rdmsr(vcpu, access.index, &value, ORIGIN_GUEST))
                        : MSR_EXIT_FILTER;
    if (access.reason)
        return refuse(vcpu, &access);
    load_result(vcpu, value);
    return NO_TRAP;
}

struct trap intercept_wrmsr(struct vcpu *vcpu)
{
    const uint64_t *gpr = vcpu->regs.gpr;
    struct msr_exit access = {
        .write = true, .index = (uint32_t)gpr[RCX], .data = gpr[RDX] << 32 | (uint32_t)gpr[RAX]};

    if (vcpu_cpl(vcpu) != 0)
        return GP0;
    vcpu_exit(vcpu);
    access.reason = msr_filter_allows(vcpu->vm->msr_filter, access.index, MSR_ACCESS_WRITE)
                        ? refusal(vcpu, vcpu_wrmsr(vcpu, access.index, access.data, ORIGIN_GUEST))
                        : MSR_EXIT_FILTER;
    return access.reason ? refuse(vcpu, &access) : NO_TRAP;
}

void vcpu_answer_msr(struct vcpu *vcpu, bool refuse, uint64_t value)
{
    if (refuse)
        vcpu->injected = GP0;
    else if (!vcpu->msr_exit.write)
        load_result(vcpu, value);
    vcpu->answered = !refuse;
    vcpu->msr_exit.reason = 0;
    vcpu->hold &= ~(uint8_t)HOLD_EXIT;
}

void vcpu_halt(struct vcpu *vcpu)
{
    vcpu->requests |= REQ_EVENT;
    if (vcpu->vm->config.hlt_in_guest) {
        vcpu->hold |= HOLD_HLT;
        return;
    }
    vcpu_exit(vcpu);
    vcpu->mp_state = MP_HALTED;
}

int vcpu_take_interrupt(struct vcpu *vcpu)
{
    int vector = lapic_pending(vcpu);

    if (vector < 0)
        return -1;
    vcpu_exit(vcpu); /* it comes by an exit; what the guest ended before that counts first (EOI-13) */
    vector = lapic_pending(vcpu);
    lapic_take(vcpu, (uint8_t)vector);
    pv_eoi_offer(vcpu);
    return vector;
}

void vcpu_accept_init(struct vcpu *vcpu)
{
    struct lapic *apic = &vcpu->apic;

    if (apic->init_pending)
        vcpu_init(vcpu);
    if (apic->sipi_pending) {
        apic->sipi_pending = false;
        vcpu_sipi(vcpu, apic->sipi_vector);
    }
}

/* What the CPU itself wakes up for. */
static bool has_interrupt(const struct vcpu *vcpu)
{
    return vcpu->apic.nmi_pending || ((vcpu->regs.rflags & RFLAGS_IF) && lapic_pending(vcpu) >= 0);
}

/* What ends HLT and the artificial halt: a kick (whatever IF says), an NMI, a pending page-ready event (APF-17), a
 * deliverable interrupt. */
static bool has_wake_reason(const struct vcpu *vcpu)
{
    return vcpu->kicked || apf_has_completions(vcpu) || has_interrupt(vcpu);
}

static void accept_events(struct vcpu *vcpu)
{
    bool sleeps;

    vcpu_accept_init(vcpu);
    sleeps = vcpu->mp_state == MP_HALTED || (vcpu->hold & HOLD_APF);
    if (sleeps && has_wake_reason(vcpu)) {
        if (vcpu->mp_state == MP_HALTED)
            vcpu->kicked = false;
        vcpu->mp_state = MP_RUNNABLE;
        vcpu->hold &= ~(uint8_t)HOLD_APF;
    }
    if ((vcpu->hold & HOLD_HLT) && has_interrupt(vcpu))
        vcpu->hold &= ~(uint8_t)HOLD_HLT;
}

static bool take(struct vcpu *vcpu, enum request request)
{
    bool found = vcpu->requests & request;

    vcpu->requests &= ~(uint32_t)request;
    return found;
}

static void serve(struct vcpu *vcpu)
{
    if (take(vcpu, REQ_MASTERCLOCK))
        vm_clock_update_master(vcpu->vm);
    if (take(vcpu, REQ_GLOBAL_CLOCK))
        vcpu_clock_global_update(vcpu);
    if (take(vcpu, REQ_CLOCK))
        vcpu_clock_update(vcpu);
    if (take(vcpu, REQ_TLB_FLUSH))
        vcpu_flush_guest_tlb(vcpu);
    if (take(vcpu, REQ_STEAL))
        steal_publish(vcpu);
    if (take(vcpu, REQ_APF_READY))
        apf_deliver_ready(vcpu);
    if (take(vcpu, REQ_EVENT)) {
        accept_events(vcpu);
        pv_eoi_offer(vcpu);
    }
}

static bool may_run(const struct vcpu *vcpu)
{
    return vcpu->mp_state == MP_RUNNABLE && !vcpu->hold;
}

/* Of a vCPU that does not run: is it about to? Its work waits until then, but in a guest that does its HLT itself. */
static bool wakes_up(struct vcpu *vcpu)
{
    if (vcpu->hold & (HOLD_DESCHEDULED | HOLD_EXIT))
        return false;
    if (vcpu->hold & HOLD_HLT)
        return true;
    if (!(vcpu->requests & REQ_EVENT))
        return false;
    accept_events(vcpu);
    if (may_run(vcpu))
        return true; /* REQ_EVENT stays: this entry processes events (EOI-4) */
    vcpu->requests &= ~(uint32_t)REQ_EVENT;
    vcpu_load(vcpu); /* it gives its CPU away and will come back by a load (STL-5) */
    return false;
}

bool vcpu_enter(struct vcpu *vcpu)
{
    bool runs;

    if (!may_run(vcpu) && !wakes_up(vcpu))
        return false;
    if (vcpu->requests) {
        vcpu_exit(vcpu); /* a running vCPU is told by being made to exit */
        serve(vcpu);
    }
    runs = may_run(vcpu);
    vcpu->has_run |= runs;
    return runs;
}
