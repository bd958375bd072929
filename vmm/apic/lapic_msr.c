/* IA32_APIC_BASE, IA32_TSC_DEADLINE and the x2APIC registers as MSRs. Intel SDM vol. 3 11.12; refusals as KVM's lapic.c decides them. */
#include "vmm/apic/parts.h"

#include "vmm/abi/msr_index.h"

enum access { R = 1, W = 2, RW = 3, ZERO = 4 /* only 0 may be written */, ARRAY8 = 8 };

/* What x2APIC mode offers, SDM table 11-6. Everything else is refused. */
static const struct {
    uint16_t offset;
    uint8_t access;
} x2apic_registers[] = {
    {APIC_ID, R},           {APIC_LVR, R},          {APIC_TASKPRI, RW},    {APIC_PROCPRI, R},
    {APIC_EOI, W},          {APIC_LDR, R},          {APIC_SPIV, RW},       {APIC_ISR, R | ARRAY8},
    {APIC_TMR, R | ARRAY8}, {APIC_IRR, R | ARRAY8}, {APIC_ESR, RW | ZERO}, {APIC_ICR, RW},
    {APIC_LVTT, RW},        {APIC_LVTTHMR, RW},     {APIC_LVTPC, RW},      {APIC_LVT0, RW},
    {APIC_LVT1, RW},        {APIC_LVTERR, RW},      {APIC_TMICT, RW},      {APIC_TMCCT, R},
    {APIC_TDCR, RW},        {APIC_SELF_IPI, W},
};
#define ICR_RESERVED 0xfff32000u /* bits 31:20, 17:16, 13: refused since 6.12, and by 6.1.192 */

/* Offsets up to 0xff0 only (KB-06). */
static uint8_t x2apic_access(uint32_t offset)
{
    for (unsigned i = 0; i < sizeof(x2apic_registers) / sizeof(x2apic_registers[0]); i++) {
        uint32_t first = x2apic_registers[i].offset;
        uint32_t last = first + (x2apic_registers[i].access & ARRAY8 ? 0x70 : 0);
        if (offset >= first && offset <= last)
            return x2apic_registers[i].access;
    }
    return 0;
}

static bool x2apic_reachable(const struct vcpu *vcpu)
{
    return lapic_in_kernel(vcpu) && lapic_x2apic(vcpu);
}

enum msr_result lapic_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    uint32_t offset = (index - MSR_X2APIC_BASE) * 16;

    if (index == MSR_IA32_APICBASE) {
        *value = vcpu->apic.base_msr;
        return MSR_OK;
    }
    if (index == MSR_IA32_TSC_DEADLINE) {
        *value = timer_read_deadline(vcpu);
        return MSR_OK;
    }
    if (!x2apic_reachable(vcpu) || !(x2apic_access(offset) & R))
        return MSR_INVALID;
    *value = offset == APIC_ICR ? vcpu->apic.icr : lapic_read(vcpu, offset);
    return MSR_OK;
}

static enum msr_result write_base(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    uint64_t reserved =
        ~((1ull << vcpu->phys_bits) - 1) | 0x2ff | (vcpu->caps & CAP_X2APIC ? 0 : APICBASE_EXTD);
    uint64_t mode = value & (APICBASE_ENABLE | APICBASE_EXTD);
    uint64_t old_mode = vcpu->apic.base_msr & (APICBASE_ENABLE | APICBASE_EXTD);

    if ((value & reserved) || mode == APICBASE_EXTD)
        return MSR_INVALID;
    /* SDM 11.12.5: a guest leaves x2APIC mode, and enters it, only through the states between. */
    if (origin == ORIGIN_GUEST && ((lapic_x2apic(vcpu) && mode == APICBASE_ENABLE) ||
                                   (!old_mode && mode == (APICBASE_ENABLE | APICBASE_EXTD))))
        return MSR_INVALID;
    lapic_set_base(vcpu, value);
    return MSR_OK;
}

static enum msr_result write_icr(struct vcpu *vcpu, uint64_t value)
{
    if (value & ICR_RESERVED)
        return MSR_INVALID;
    value &= ~(uint64_t)APIC_ICR_BUSY;
    vcpu->apic.icr = value;
    lapic_send_ipi(vcpu, (uint32_t)value, (uint32_t)(value >> 32));
    return MSR_OK;
}

static enum msr_result write_self_ipi(struct vcpu *vcpu, uint64_t value)
{
    if (value & ~(uint64_t)APIC_VECTOR_MASK)
        return MSR_INVALID;
    lapic_send_ipi(vcpu, APIC_DEST_SELF | (uint32_t)value, 0);
    return MSR_OK;
}

enum msr_result lapic_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin)
{
    uint32_t offset = (index - MSR_X2APIC_BASE) * 16;
    uint8_t access;

    if (index == MSR_IA32_APICBASE)
        return write_base(vcpu, value, origin);
    if (index == MSR_IA32_TSC_DEADLINE) {
        timer_write_deadline(vcpu, value);
        return MSR_OK;
    }
    access = x2apic_access(offset);
    if (!x2apic_reachable(vcpu) || !(access & W) || ((access & ZERO) && value))
        return MSR_INVALID;
    if (offset == APIC_ICR)
        return write_icr(vcpu, value);
    if (offset == APIC_SELF_IPI)
        return write_self_ipi(vcpu, value);
    if (value >> 32)
        return MSR_INVALID;
    lapic_write(vcpu, offset, (uint32_t)value);
    return MSR_OK;
}
