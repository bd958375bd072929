/* Create, INIT and SIPI of all that a vCPU holds. spec RST-*. */
#include "vmm/pv/lifecycle.h"

#include "vmm/abi/kvm_para.h"
#include "vmm/apic/ioapic.h"
#include "vmm/apic/lapic.h"
#include "vmm/pv/async_pf.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/features.h"
#include "vmm/pv/hyperv.h"
#include "vmm/pv/msr.h"

void vcpu_drop_exit(struct vcpu *vcpu)
{
    vcpu->hold &= HOLD_DESCHEDULED;
    vcpu->msr_exit = (struct msr_exit){0};
    vcpu->answered = false;
}

/* Everything but identity and configuration: number, APIC id, CPUID, enforcement. */
static void power_on(struct vcpu *vcpu)
{
    vcpu->mp_state = vcpu->id == 0 ? MP_RUNNABLE : MP_WAIT_SIPI;
    vcpu->requests = 0;
    vcpu->hold = 0;
    vcpu->kicked = false;
    vcpu->has_run = false;
    vcpu->tsc_adjust = 0;
    vcpu->tlb_flushes = 0;
    vcpu->injected = NO_TRAP;
    vcpu->clock = (struct kvmclock){0};
    vcpu->steal = (struct steal){0};
    vcpu->apf = (struct async_pf){.next_id = 1};
    vcpu->eoi = (struct pv_eoi){0};
    vcpu->poll = (struct poll_control){.msr = 1};
    vcpu->hypercall = (struct hypercall_exit){0};
    vcpu->exit_length = 0;
    vcpu_drop_exit(vcpu);
    hyperv_power_on(vcpu);
    for (int kind = 0; kind < AREA_KINDS; kind++)
        area_unregister(&vcpu->areas[kind]);
    vcpu_regs_reset(vcpu);
    lapic_reset(vcpu, false);
}

static void page_came_back(void *ctx, uint64_t gpa)
{
    apf_page_ready(ctx, gpa);
}

void vm_start(struct vm *vm)
{
    vm->hooks = (struct vm_hooks){.exit = pv_eoi_exit, .absent = apf_access};
    vm->memory.paged_in = page_came_back;
    vm->memory.paged_in_ctx = vm;
    vm->yield_to = 0;
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        power_on(&vm->vcpus[i]);
    ioapic_reset(vm);
    vm_clock_start(vm);
    vm->trace.total = 0;
}

void vm_renew(struct vm *vm)
{
    memory_reset(&vm->memory);
    vm_start(vm);
}

/* SDM vol. 3 table 10-1, column INIT, and KVM: MSRs that are not PV stay, so do CD and NW. */
static void regs_at_init(struct vcpu *vcpu)
{
    const uint64_t cache_bits = 3ull << 29;
    struct cpu_regs old = vcpu->regs, *r = &vcpu->regs;

    vcpu_regs_reset(vcpu);
    r->cr0 = 0x10 | (old.cr0 & cache_bits);
    r->xcr0 = old.xcr0;
    r->star = old.star;
    r->lstar = old.lstar;
    r->cstar = old.cstar;
    r->sfmask = old.sfmask;
    r->kernel_gs_base = old.kernel_gs_base;
    r->tsc_aux = old.tsc_aux;
    r->sysenter_cs = old.sysenter_cs;
    r->sysenter_esp = old.sysenter_esp;
    r->sysenter_eip = old.sysenter_eip;
    r->pat = old.pat;
    r->misc_enable = old.misc_enable;
    r->mtrr_def_type = old.mtrr_def_type;
    for (int i = 0; i < 2 * MTRR_VARIABLE_PAIRS; i++)
        r->mtrr_var[i] = old.mtrr_var[i];
    for (int i = 0; i < MTRR_FIXED; i++)
        r->mtrr_fixed[i] = old.mtrr_fixed[i];
}

void vcpu_init(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < pv_msr_count; i++)
        if (pv_msrs[i].at_init)
            pv_msrs[i].at_init(vcpu);
    vcpu->injected = NO_TRAP;
    vcpu_drop_exit(vcpu);
    regs_at_init(vcpu);
    lapic_reset(vcpu, true);
    vcpu_flush_guest_tlb(vcpu);
    vcpu->mp_state = vcpu->apic.base_msr & APICBASE_BSP ? MP_RUNNABLE : MP_WAIT_SIPI;
}

void vcpu_sipi(struct vcpu *vcpu, uint8_t vector)
{
    struct segment *cs = &vcpu->regs.seg[SREG_CS];

    if (vcpu->mp_state != MP_WAIT_SIPI)
        return;
    cs->selector = (uint16_t)(vector << 8);
    cs->base = (uint64_t)vector << 12;
    vcpu->regs.rip = 0;
    vcpu->mp_state = MP_RUNNABLE;
}
