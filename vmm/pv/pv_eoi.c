/* PV end of interrupt: a bit of guest memory that the guest clears instead of writing the APIC's EOI register. spec EOI-*. */
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
    vcpu_exit(vcpu); /* an offer at the old address is taken back before the address changes (EOI-16) */
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

/* The vector that the guest may end by the bit, or -1 (EOI-4 .. EOI-7). */
static int offerable(const struct vcpu *vcpu)
{
    int vector;

    if (!(vcpu->eoi.msr & KVM_MSR_ENABLED) || !lapic_in_kernel(vcpu) || !lapic_hw_enabled(vcpu) ||
        !lapic_sw_enabled(vcpu) || lapic_irr_pending_hint(vcpu))
        return -1;
    vector = lapic_isr_known(vcpu);
    return vector >= 0 && !lapic_eoi_exits(vcpu, (uint8_t)vector) ? vector : -1;
}

void pv_eoi_offer(struct vcpu *vcpu)
{
    const uint8_t offered = 1;

    if (offerable(vcpu) >= 0)
        vcpu->eoi.pending = area_write(vcpu_area(vcpu, AREA_PV_EOI), 0, &offered, sizeof(offered));
}

/* True: the guest left the bit set, and it is clear now. */
static bool take_back(struct vcpu *vcpu)
{
    const uint8_t withdrawn = 0;
    struct area *area = vcpu_area(vcpu, AREA_PV_EOI);
    uint8_t byte;

    /* Where the byte is gone, KVM takes it for cleared, and goes on asking at each exit (EOI-14). */
    if (!area_read(area, 0, &byte, sizeof(byte)))
        return false;
    if ((byte & 1) && !area_write(area, 0, &withdrawn, sizeof(withdrawn)))
        return false;
    vcpu->eoi.pending = false;
    return byte & 1;
}

void pv_eoi_exit(struct vcpu *vcpu)
{
    if (!(vcpu->eoi.msr & KVM_MSR_ENABLED))
        vcpu->eoi.pending = false; /* Linux 6.12.97 has it so; before, it was a bug of the host (EOI-16) */
    else if (!take_back(vcpu))
        lapic_eoi(vcpu);
}
