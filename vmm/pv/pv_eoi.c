/* PV end of interrupt: the MSR and its area. spec EOI-1 .. EOI-3. Offers are not built yet. */
#include "vmm/abi/kvm_para.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"

uint64_t pv_eoi_rdmsr(struct vcpu *vcpu)
{
    return vcpu->eoi.msr;
}

enum msr_result pv_eoi_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    struct area *area = vcpu_area(vcpu, AREA_PV_EOI);
    uint64_t gpa = value & ~(uint64_t)KVM_MSR_ENABLED;

    (void)origin;
    if (gpa % 4)
        return MSR_INVALID;
    if (!(value & KVM_MSR_ENABLED)) {
        area_unregister(area);
    } else if (gpa_good(&vcpu->vm->memory, gpa, 1)) {
        area_register(area, gpa, 1);
    } else {
        /* EOI-2: the old value stays readable (KB-22), but its address is not offered again by itself. */
        if (area->state == AREA_GOOD)
            area->state = AREA_STALE;
        return MSR_INVALID;
    }
    vcpu->eoi.msr = value;
    return MSR_OK;
}

void pv_eoi_at_init(struct vcpu *vcpu)
{
    if (!lapic_in_kernel(vcpu)) /* RST-5 */
        return;
    vcpu->eoi = (struct pv_eoi){0};
    area_unregister(vcpu_area(vcpu, AREA_PV_EOI));
}
