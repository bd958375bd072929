/* What a machine is after QEMU's system_reset (reset.h). */
#include "vmm/board/reset.h"

#include "vmm/abi/kvm_para.h"
#include "vmm/abi/msr_index.h"
#include "vmm/apic/ioapic.h"
#include "vmm/apic/lapic.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/hyperv.h"
#include "vmm/pv/lifecycle.h"

bool vcpu_qemu_keeps(const struct vcpu *vcpu, const struct pv_msr *msr)
{
    return msr->save && (msr->feature == KVM_FEATURE_CLOCKSOURCE || vcpu->pv_features >> msr->feature & 1);
}

/* 1, as KVM takes 0 for a vCPU that wants to be in step with the others (S3). But 1 is near the TSC that KVM expects within
 * a second of the last such write: then this is a wish to be in step too, and the TSC goes on (STB-3). */
static void reset_tsc(struct vcpu *vcpu)
{
    vcpu_tsc_synchronize(vcpu, vcpu_tsc(vcpu) ? 1 : 0);
    vcpu_wrmsr(vcpu, MSR_IA32_TSC_ADJUST, 0, ORIGIN_VMM); /* which KVM drops if CPUID lacks it */
}

/* In S1's order. In KVM the token counter, the kick mark and the steal reference survive. */
static void reset_vcpu(struct vcpu *vcpu)
{
    vcpu_exit(vcpu);
    vcpu_drop_exit(vcpu);
    reset_tsc(vcpu);
    for (unsigned i = 0; i < pv_msr_count; i++)
        if (vcpu_qemu_keeps(vcpu, &pv_msrs[i]))
            vcpu_wrmsr(vcpu, pv_msrs[i].index, pv_msrs[i].at_create, ORIGIN_VMM);
    hyperv_system_reset(vcpu);
    vcpu->mp_state = vcpu->id == 0 ? MP_RUNNABLE : MP_WAIT_SIPI;
    vcpu->injected = NO_TRAP;
    vcpu_regs_reset(vcpu);
    lapic_reset(vcpu, false);
}

void board_system_reset(struct vm *vm)
{
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        reset_vcpu(&vm->vcpus[i]);
    ioapic_reset(vm);
}
