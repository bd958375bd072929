/* CPUID, RDMSR, WRMSR, HLT as KVM answers them, and the work before each entry. spec GEN-*, CPU-11. */
#include "vmm/pv/intercept.h"

#include "vmm/apic/lapic.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/features.h"
#include "vmm/pv/lifecycle.h"
#include "vmm/pv/msr.h"

struct trap intercept_cpuid(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->regs.gpr;
    struct cpuid_regs r = vcpu_cpuid(vcpu, (uint32_t)gpr[RAX], (uint32_t)gpr[RCX]);

    gpr[RAX] = r.eax;
    gpr[RBX] = r.ebx;
    gpr[RCX] = r.ecx;
    gpr[RDX] = r.edx;
    return NO_TRAP;
}

/* What the guest gets for a result: GEN-4's masking of unknown registers, then #GP. */
static bool refused(const struct vcpu *vcpu, enum msr_result result)
{
    return result == MSR_INVALID || (result == MSR_UNSUPPORTED && !vcpu->vm->config.ignore_msrs);
}

struct trap intercept_rdmsr(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->regs.gpr, value = 0;

    if (vcpu_cpl(vcpu) != 0 || refused(vcpu, vcpu_rdmsr(vcpu, (uint32_t)gpr[RCX], &value, ORIGIN_GUEST)))
        return GP0;
    gpr[RAX] = (uint32_t)value;
    gpr[RDX] = value >> 32;
    return NO_TRAP;
}

struct trap intercept_wrmsr(struct vcpu *vcpu)
{
    uint64_t *gpr = vcpu->regs.gpr;
    uint64_t value = gpr[RDX] << 32 | (uint32_t)gpr[RAX];

    if (vcpu_cpl(vcpu) != 0 || refused(vcpu, vcpu_wrmsr(vcpu, (uint32_t)gpr[RCX], value, ORIGIN_GUEST)))
        return GP0;
    return NO_TRAP;
}

void vcpu_halt(struct vcpu *vcpu)
{
    vcpu->mp_state = MP_HALTED;
    vcpu->requests |= REQ_EVENT;
}

static void accept_init_and_sipi(struct vcpu *vcpu)
{
    struct lapic *apic = &vcpu->apic;

    if (apic->init_pending)
        vcpu_init(vcpu);
    if (apic->sipi_pending) {
        apic->sipi_pending = false;
        vcpu_sipi(vcpu, apic->sipi_vector);
    }
}

/* What ends HLT: a kick (whatever IF says), an NMI, a pending page-ready event (APF-17), a deliverable interrupt. */
static bool has_wake_reason(const struct vcpu *vcpu)
{
    return vcpu->kicked || vcpu->apic.nmi_pending || vcpu->apf.wake_all ||
           ((vcpu->regs.rflags & RFLAGS_IF) && lapic_pending(vcpu) >= 0);
}

static void accept_events(struct vcpu *vcpu)
{
    accept_init_and_sipi(vcpu);
    if (vcpu->mp_state == MP_HALTED && has_wake_reason(vcpu)) {
        vcpu->mp_state = MP_RUNNABLE;
        vcpu->kicked = false;
    }
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
    if (take(vcpu, REQ_EVENT))
        accept_events(vcpu);
}

bool vcpu_enter(struct vcpu *vcpu)
{
    if (vcpu->mp_state != MP_RUNNABLE) {
        if (take(vcpu, REQ_EVENT))
            accept_events(vcpu);
        if (vcpu->mp_state != MP_RUNNABLE)
            return false; /* its other work waits until it runs */
    }
    if (vcpu->requests)
        serve(vcpu);
    vcpu->has_run |= vcpu->mp_state == MP_RUNNABLE;
    return vcpu->mp_state == MP_RUNNABLE;
}
