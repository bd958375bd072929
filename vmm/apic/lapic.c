/* The local APIC's state: reset, base, acceptance, priorities, EOI. Intel SDM vol. 3 ch. 11; where KVM differs, as KVM does.
 * Its registers as the guest sees them are in registers.c. */
#include <stddef.h>

#include "vmm/apic/ioapic.h"
#include "vmm/apic/parts.h"

void lapic_reset(struct vcpu *vcpu, bool init)
{
    static const struct lapic at_reset = {
        .svr = 0xff, .dfr = APIC_DFR_FLAT, .irr_hint = true, .lvt = {[0 ... LVTS - 1] = APIC_LVT_MASKED}};
    struct lapic *apic = &vcpu->apic;
    uint64_t base_msr = LAPIC_GPA | APICBASE_ENABLE | (vcpu->id == 0 ? APICBASE_BSP : 0);
    bool sipi_pending = init && apic->sipi_pending;
    uint8_t sipi_vector = init ? apic->sipi_vector : 0;
    uint32_t id = init ? apic->id : vcpu->apic_id & 0xff;

    if (vcpu->vm->config.apic_off)
        base_msr = 0;
    if (init)
        base_msr = apic->base_msr;
    *apic = at_reset;
    apic->base_msr = base_msr;
    apic->id = id;
    apic->sipi_pending = sipi_pending;
    apic->sipi_vector = sipi_vector;
    /* KVM's INIT opens LINT0 of the boot CPU for ExtINT; at power-on QEMU masks it again. */
    if (init && vcpu->id == 0 && lapic_in_kernel(vcpu))
        apic->lvt[LVT_LINT0] = APIC_MODE(APIC_EXTINT);
    lapic_map_changed(vcpu->vm);
}

/* Fixed by the id (SDM 11.12.10.2). */
static uint32_t x2apic_ldr(const struct vcpu *vcpu)
{
    return vcpu->apic_id >> 4 << 16 | 1u << (vcpu->apic_id & 15);
}

void lapic_set_base(struct vcpu *vcpu, uint64_t base_msr)
{
    struct lapic *apic = &vcpu->apic;
    bool was_x2apic = lapic_x2apic(vcpu), was_enabled = lapic_hw_enabled(vcpu);

    apic->base_msr = base_msr;
    /* Leaving x2APIC mode, or coming back from disabled, the xAPIC id is the initial one again. */
    if ((was_x2apic || !was_enabled) && lapic_hw_enabled(vcpu) && !lapic_x2apic(vcpu))
        apic->id = vcpu->apic_id & 0xff;
    if (lapic_x2apic(vcpu) && !was_x2apic)
        apic->ldr = x2apic_ldr(vcpu); /* KVM has one register for both modes: an xAPIC finds it there later */
    if (!was_enabled && lapic_hw_enabled(vcpu))
        vcpu->requests |= REQ_APF_READY; /* a token may have waited for this (APF-14) */
    vcpu->requests |= REQ_EVENT;
    timer_deliver_pending(vcpu);
    lapic_map_changed(vcpu->vm);
}

uint32_t lapic_ldr(const struct vcpu *vcpu)
{
    return lapic_x2apic(vcpu) ? x2apic_ldr(vcpu) : vcpu->apic.ldr;
}

static int highest_bit(const uint32_t reg[8])
{
    for (int i = 7; i >= 0; i--)
        if (reg[i])
            return i * 32 + 31 - __builtin_clz(reg[i]);
    return -1;
}

/* A write to the register sets CR8 too; where they differ, MOV to CR8 came later (SDM 11.8.6). */
uint32_t lapic_task_priority(const struct vcpu *vcpu)
{
    return vcpu->apic.tpr >> 4 == vcpu->regs.cr8 ? vcpu->apic.tpr : (uint32_t)(vcpu->regs.cr8 << 4);
}

/* The higher of the task priority and the class of what is in service (SDM 11.8.3.1). */
uint32_t lapic_processor_priority(const struct vcpu *vcpu)
{
    int in_service = highest_bit(vcpu->apic.isr);
    uint32_t isr_class = in_service < 0 ? 0 : (uint32_t)in_service & 0xf0;
    uint32_t task = lapic_task_priority(vcpu);

    return (task & 0xf0) >= isr_class ? task : isr_class;
}

int lapic_pending(const struct vcpu *vcpu)
{
    int vector;

    if (!lapic_hw_enabled(vcpu))
        return -1;
    vector = highest_bit(vcpu->apic.irr);
    if (vector < 0 || ((uint32_t)vector & 0xf0) <= (lapic_processor_priority(vcpu) & 0xf0))
        return -1;
    return vector;
}

void lapic_take(struct vcpu *vcpu, uint8_t vector)
{
    struct lapic *apic = &vcpu->apic;

    vector_set(apic->irr, vector, false);
    apic->irr_hint = highest_bit(apic->irr) >= 0;
    vector_set(apic->isr, vector, true);
    apic->isr_known = (uint16_t)(vector + 1);
}

void lapic_eoi(struct vcpu *vcpu)
{
    struct lapic *apic = &vcpu->apic;
    int vector = highest_bit(apic->isr);

    if (vector < 0)
        return;
    vector_set(apic->isr, (uint8_t)vector, false);
    apic->isr_known = 0;
    vcpu->requests |= REQ_EVENT;
    /* SVR's bit 12 does not stop this: KVM offers it where the I/O APIC is not its own, but does not act on it. */
    if (vector_test(apic->tmr, (uint8_t)vector))
        ioapic_eoi(vcpu->vm, (uint8_t)vector);
}

int lapic_isr_known(const struct vcpu *vcpu)
{
    return vcpu->vm->config.apicv ? -1 : vcpu->apic.isr_known - 1;
}

bool lapic_irr_pending_hint(const struct vcpu *vcpu)
{
    return vcpu->vm->config.apicv || vcpu->apic.irr_hint;
}

bool lapic_eoi_exits(const struct vcpu *vcpu, uint8_t vector)
{
    return vector_test(vcpu->apic.tmr, vector) || ioapic_wants_eoi(vcpu, vector);
}

bool lapic_accept(struct vcpu *target, unsigned mode, uint8_t vector, bool level, bool assert_level)
{
    struct lapic *apic = &target->apic;

    switch ((enum apic_mode)mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if ((level && !assert_level) || !lapic_hw_enabled(target) || !lapic_sw_enabled(target))
            return false;
        vector_set(apic->tmr, vector, level);
        vector_set(apic->irr, vector, true);
        apic->irr_hint = true;
        break;
    case APIC_REMOTE_READ:
        if (!lapic_in_kernel(target)) /* QEMU's own APIC knows no such message */
            return false;
        /* A latch: the next entry wakes a halted vCPU, a running one meets it at its next HLT (UNH-4, UNH-5). */
        target->kicked = true;
        break;
    case APIC_NMI:
        apic->nmi_pending = true;
        break;
    case APIC_INIT:
        if (level && !assert_level)
            return false;
        apic->init_pending = true;
        apic->sipi_pending = false; /* an earlier SIPI is overtaken */
        break;
    case APIC_STARTUP:
        apic->sipi_pending = true;
        apic->sipi_vector = vector;
        break;
    case APIC_SMI: /* accepted and counted (IPI-8); this machine has no SMM to enter */
        break;
    case APIC_EXTINT:
    default:
        return false;
    }
    target->requests |= REQ_EVENT;
    return true;
}

bool lapic_local_interrupt(struct vcpu *vcpu, unsigned lvt)
{
    uint32_t entry = vcpu->apic.lvt[lvt];
    bool accepted;

    if (!lapic_hw_enabled(vcpu) || (entry & APIC_LVT_MASKED))
        return false;
    accepted = lapic_accept(vcpu, (entry & APIC_MODE_MASK) >> 8, entry & APIC_VECTOR_MASK,
                            entry & APIC_INT_LEVELTRIG, true);
    if (accepted && lvt == LVT_PERFORMANCE)
        vcpu->apic.lvt[lvt] |= APIC_LVT_MASKED; /* SDM 20.6.3: the guest opens it again */
    return accepted;
}
