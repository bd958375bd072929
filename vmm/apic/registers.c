/* The local APIC's registers as the guest reads and writes them. Intel SDM vol. 3 table 11-1; what can be written as in KVM. */
#include "vmm/apic/parts.h"

#define VERSION              0x00050014u /* 6 LVT entries, as KVM without CMCI and QEMU's own APIC report */
#define VERSION_DIRECTED_EOI (1u << 24)
#define ESR_ILLEGAL_ADDRESS  (1u << 7)

/* KVM offers it where the I/O APIC is not its own. */
static bool has_directed_eoi(const struct vcpu *vcpu)
{
    return vcpu->vm->config.irqchip == IRQCHIP_SPLIT && (vcpu->caps & CAP_X2APIC);
}

/* KVM loses the low half on an SVM host, where the CPU keeps CR8 only; so does QEMU's own APIC, told through CR8. */
static uint32_t kept_task_priority(const struct vcpu *vcpu, uint32_t value)
{
    bool whole = lapic_in_kernel(vcpu) && vcpu->vm->config.native == HC_VMCALL;

    return value & (whole ? 0xff : 0xf0);
}

static void write_svr(struct vcpu *vcpu, uint32_t value)
{
    struct lapic *apic = &vcpu->apic;
    uint32_t writable = SVR_BITS;

    if (!lapic_in_kernel(vcpu))
        writable &= ~SVR_FOCUS; /* elsewhere kept and without effect */
    if (!has_directed_eoi(vcpu))
        writable &= ~SVR_DIRECTED_EOI;
    if ((apic->svr ^ value) & APIC_SPIV_APIC_ENABLED)
        lapic_map_changed(vcpu->vm);
    apic->svr = value & writable;
    if (lapic_sw_enabled(vcpu)) {
        vcpu->requests |= REQ_APF_READY; /* a token may have waited for this (APF-16) */
        return;
    }
    for (int i = 0; i < LVTS; i++)
        apic->lvt[i] |= APIC_LVT_MASKED;
    apic->timer_pending = false;
}

static void write_lvt(struct vcpu *vcpu, unsigned n, uint32_t value)
{
    /* KVM stores the status bits that the SDM has read-only: 12, and 14 of LINT0 and LINT1. */
    static const uint32_t writable[LVTS] = {
        [LVT_TIMER] = 0x710ff, [LVT_THERMAL] = 0x117ff, [LVT_PERFORMANCE] = 0x117ff,
        [LVT_LINT0] = 0x1f7ff, [LVT_LINT1] = 0x1f7ff,   [LVT_ERROR] = 0x110ff,
    };

    if (!lapic_sw_enabled(vcpu))
        value |= APIC_LVT_MASKED;
    value &= writable[n];
    if (n == LVT_TIMER)
        timer_write_lvt(vcpu, value);
    else
        vcpu->apic.lvt[n] = value;
}

/* QEMU's own APIC notes accesses to registers that do not exist; KVM's never raises an ESR bit. */
static void note_illegal(struct vcpu *vcpu)
{
    if (!lapic_in_kernel(vcpu))
        vcpu->apic.esr |= ESR_ILLEGAL_ADDRESS;
}

static bool is_array(uint32_t offset)
{
    return offset >= APIC_ISR && offset < APIC_IRR + 0x80;
}

static uint32_t read_array(const struct lapic *apic, uint32_t offset)
{
    const uint32_t *arrays[] = {apic->isr, apic->tmr, apic->irr};
    uint32_t n = (offset - APIC_ISR) / 16;

    return arrays[n / 8][n % 8];
}

uint32_t lapic_read(struct vcpu *vcpu, uint32_t offset)
{
    const struct lapic *apic = &vcpu->apic;

    if (is_array(offset))
        return read_array(apic, offset);
    if (offset >= APIC_LVTT && offset < APIC_LVTERR + 16)
        return apic->lvt[(offset - APIC_LVTT) / 16];
    switch (offset & ~0xfu) {
    case APIC_ID:
        return lapic_x2apic(vcpu) ? vcpu->apic_id : apic->id << 24;
    case APIC_LVR:
        return VERSION | (has_directed_eoi(vcpu) ? VERSION_DIRECTED_EOI : 0);
    case APIC_TASKPRI:
        return lapic_task_priority(vcpu);
    case APIC_PROCPRI:
        return lapic_processor_priority(vcpu);
    case APIC_LDR:
        return lapic_ldr(vcpu);
    case APIC_DFR:
        return apic->dfr;
    case APIC_SPIV:
        return apic->svr;
    case APIC_ESR:
        return apic->esr;
    case APIC_ICR:
        return (uint32_t)apic->icr;
    case APIC_ICR2:
        return (uint32_t)(apic->icr >> 32);
    case APIC_TMICT:
        return apic->timer_initial;
    case APIC_TMCCT:
        return timer_current(vcpu);
    case APIC_TDCR:
        return apic->timer_divide;
    case APIC_ARBPRI:
    case APIC_EOI:
        return 0;
    default:
        note_illegal(vcpu);
        return 0;
    }
}

void lapic_write(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
    struct lapic *apic = &vcpu->apic;

    if (is_array(offset))
        return;
    if (offset >= APIC_LVTT && offset < APIC_LVTERR + 16) {
        write_lvt(vcpu, (offset - APIC_LVTT) / 16, value);
        return;
    }
    switch (offset & ~0xfu) {
    case APIC_ID:
        apic->id = value >> 24;
        lapic_map_changed(vcpu->vm);
        break;
    case APIC_TASKPRI:
        apic->tpr = kept_task_priority(vcpu, value);
        vcpu->regs.cr8 = apic->tpr >> 4;
        vcpu->requests |= REQ_EVENT;
        break;
    case APIC_EOI:
        lapic_eoi(vcpu);
        break;
    case APIC_LDR:
        apic->ldr = value & 0xff000000;
        lapic_map_changed(vcpu->vm);
        break;
    case APIC_DFR:
        apic->dfr = value | 0x0fffffff;
        lapic_map_changed(vcpu->vm);
        break;
    case APIC_SPIV:
        write_svr(vcpu, value);
        break;
    case APIC_ICR:
        apic->icr = (apic->icr & ~0xffffffffull) | (value & ~APIC_ICR_BUSY);
        lapic_send_ipi(vcpu, (uint32_t)apic->icr, (uint32_t)(apic->icr >> 56));
        break;
    case APIC_ICR2:
        apic->icr = (uint64_t)(value & 0xff000000) << 32 | (uint32_t)apic->icr;
        break;
    case APIC_TMICT:
        timer_write_initial(vcpu, value);
        break;
    case APIC_TDCR:
        timer_write_divide(vcpu, value);
        break;
    case APIC_LVR:
    case APIC_ARBPRI:
    case APIC_PROCPRI:
    case APIC_ESR:
    case APIC_TMCCT:
        break; /* read-only here; KVM's and QEMU's ESR do not change by a write */
    default:
        note_illegal(vcpu);
        break;
    }
}

static bool is_own_page(const struct vcpu *vcpu, uint64_t gpa)
{
    const uint64_t page = ~(GPA_PAGE_SIZE - 1);

    return vcpu && (gpa & page) == (vcpu->apic.base_msr & page);
}

/* An APIC that is disabled, or in x2APIC mode, leaves a hole (KVM's quirk, on by default). */
static bool page_answers(const struct vcpu *vcpu)
{
    return lapic_hw_enabled(vcpu) && !lapic_x2apic(vcpu);
}

bool lapic_mmio_read(struct vcpu *vcpu, uint64_t gpa, unsigned size, uint64_t *value)
{
    uint32_t offset = gpa & (GPA_PAGE_SIZE - 1), inside = gpa & 0xf;

    if (!is_own_page(vcpu, gpa))
        return false;
    if (!page_answers(vcpu))
        *value = ~0ull;
    else
        *value = inside + size > 4 ? 0 : lapic_read(vcpu, offset & ~0xfu) >> 8 * inside;
    return true;
}

bool lapic_mmio_write(struct vcpu *vcpu, uint64_t gpa, unsigned size, uint64_t value)
{
    uint32_t offset = gpa & (GPA_PAGE_SIZE - 1);

    if (!is_own_page(vcpu, gpa))
        return false;
    if (page_answers(vcpu) && size == 4 && offset % 16 == 0)
        lapic_write(vcpu, offset, (uint32_t)value);
    return true;
}

static uint64_t bus_mmio_read(void *ctx, struct vcpu *vcpu, uint64_t gpa, unsigned size)
{
    uint64_t value;

    (void)ctx;
    return lapic_mmio_read(vcpu, gpa, size, &value) ? value : ~0ull;
}

static void bus_mmio_write(void *ctx, struct vcpu *vcpu, uint64_t gpa, unsigned size, uint64_t value)
{
    (void)ctx;
    lapic_mmio_write(vcpu, gpa, size, value);
}

int lapic_map(struct vm *vm)
{
    return bus_add(&vm->bus, &(struct bus_range){.start = 0,
                                                 .size = UINT64_MAX,
                                                 .space = BUS_MMIO,
                                                 .read = bus_mmio_read,
                                                 .write = bus_mmio_write});
}
