/* The local APIC's registers, acceptance and priorities. Intel SDM vol. 3 ch. 11; where KVM differs, as KVM does. */
#include "vmm/apic/lapic.h"

#include <stddef.h>

#define LVTS                 6
#define LINT0                3           /* index in lvt */
#define VERSION              0x00050014u /* 6 LVT entries, as KVM without CMCI and QEMU's own APIC report */
#define VERSION_DIRECTED_EOI (1u << 24)  /* KVM offers it where the I/O APIC is not its own */

void lapic_reset(struct vcpu *vcpu, bool init)
{
    static const struct lapic at_reset = {
        .svr = 0xff, .dfr = APIC_DFR_FLAT, .irr_hint = true, .lvt = {[0 ... LVTS - 1] = APIC_LVT_MASKED}};
    struct lapic *apic = &vcpu->apic;
    uint64_t base_msr = LAPIC_GPA | APICBASE_ENABLE | (vcpu->id == 0 ? APICBASE_BSP : 0);
    bool sipi_pending = init && apic->sipi_pending;
    uint8_t sipi_vector = init ? apic->sipi_vector : 0;
    uint32_t id = init ? apic->id : vcpu->apic_id & 0xff;

    if (init)
        base_msr = apic->base_msr;
    *apic = at_reset;
    apic->base_msr = base_msr;
    apic->id = id;
    apic->sipi_pending = sipi_pending;
    apic->sipi_vector = sipi_vector;
    /* KVM's INIT opens LINT0 of the boot CPU for ExtINT; at power-on QEMU masks it again. */
    if (init && vcpu->id == 0 && lapic_in_kernel(vcpu))
        apic->lvt[LINT0] = APIC_MODE(APIC_EXTINT);
    lapic_map_changed(vcpu->vm);
}

void lapic_set_base(struct vcpu *vcpu, uint64_t base_msr)
{
    struct lapic *apic = &vcpu->apic;
    bool was_x2apic = lapic_x2apic(vcpu), was_enabled = lapic_hw_enabled(vcpu);

    apic->base_msr = base_msr;
    /* Leaving x2APIC mode, or coming back from disabled, the xAPIC id is the initial one again. */
    if ((was_x2apic || !was_enabled) && lapic_hw_enabled(vcpu) && !lapic_x2apic(vcpu))
        apic->id = vcpu->apic_id & 0xff;
    vcpu->requests |= REQ_EVENT;
    lapic_map_changed(vcpu->vm);
}

static int highest_bit(const uint32_t reg[8])
{
    for (int i = 7; i >= 0; i--)
        if (reg[i])
            return i * 32 + 31 - __builtin_clz(reg[i]);
    return -1;
}

static void bit_set(uint32_t reg[8], uint8_t vector, bool on)
{
    if (on)
        reg[vector / 32] |= 1u << vector % 32;
    else
        reg[vector / 32] &= ~(1u << vector % 32);
}

/* A write to the register sets CR8 too; where they differ, MOV to CR8 came later (SDM 11.8.6). */
static uint8_t task_priority(const struct vcpu *vcpu)
{
    return vcpu->apic.tpr >> 4 == vcpu->regs.cr8 ? (uint8_t)vcpu->apic.tpr : (uint8_t)(vcpu->regs.cr8 << 4);
}

/* Processor priority: the higher of the task priority and the class of what is in service (SDM 11.8.3.1). */
static uint8_t processor_priority(const struct vcpu *vcpu)
{
    int in_service = highest_bit(vcpu->apic.isr);
    uint8_t isr_class = in_service < 0 ? 0 : (uint8_t)in_service & 0xf0;

    return (task_priority(vcpu) & 0xf0) >= isr_class ? task_priority(vcpu) : isr_class;
}

int lapic_pending(const struct vcpu *vcpu)
{
    int vector;

    if (!lapic_hw_enabled(vcpu))
        return -1;
    vector = highest_bit(vcpu->apic.irr);
    if (vector < 0 || (vector & 0xf0) <= (processor_priority(vcpu) & 0xf0))
        return -1;
    return vector;
}

void lapic_take(struct vcpu *vcpu, uint8_t vector)
{
    struct lapic *apic = &vcpu->apic;

    bit_set(apic->irr, vector, false);
    apic->irr_hint = highest_bit(apic->irr) >= 0;
    bit_set(apic->isr, vector, true);
    apic->isr_known = (uint16_t)(vector + 1);
}

int lapic_isr_known(const struct vcpu *vcpu)
{
    return vcpu->apic.isr_known - 1;
}

bool lapic_irr_pending_hint(const struct vcpu *vcpu)
{
    return vcpu->apic.irr_hint;
}

bool lapic_eoi_exits(const struct vcpu *vcpu, uint8_t vector)
{
    return vcpu->apic.tmr[vector / 32] >> vector % 32 & 1;
}

bool lapic_accept(struct vcpu *target, unsigned mode, uint8_t vector, bool level, bool assert_level)
{
    struct lapic *apic = &target->apic;

    switch ((enum apic_mode)mode) {
    case APIC_FIXED:
    case APIC_LOWEST:
        if ((level && !assert_level) || !lapic_hw_enabled(target) || !lapic_sw_enabled(target))
            return false;
        bit_set(apic->tmr, vector, level);
        bit_set(apic->irr, vector, true);
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

void lapic_eoi(struct vcpu *vcpu)
{
    int vector = highest_bit(vcpu->apic.isr);

    if (vector < 0)
        return;
    bit_set(vcpu->apic.isr, (uint8_t)vector, false);
    vcpu->apic.isr_known = 0;
    vcpu->requests |= REQ_EVENT;
}

static void write_svr(struct vcpu *vcpu, uint32_t value)
{
    struct lapic *apic = &vcpu->apic;

    apic->svr = value & 0x1ff; /* no EOI-broadcast suppression without directed EOI */
    if (lapic_sw_enabled(vcpu))
        vcpu->requests |= REQ_APF_READY; /* a token may have waited for this (APF-16) */
    else
        for (int i = 0; i < LVTS; i++)
            apic->lvt[i] |= APIC_LVT_MASKED;
}

/* Writable bits of timer, thermal, performance, LINT0, LINT1, error. */
static const uint32_t lvt_masks[LVTS] = {0x700ff, 0x107ff, 0x107ff, 0x1a7ff, 0x1a7ff, 0x100ff};

static void write_lvt(struct vcpu *vcpu, unsigned n, uint32_t value)
{
    if (!lapic_sw_enabled(vcpu))
        value |= APIC_LVT_MASKED;
    vcpu->apic.lvt[n] = value & lvt_masks[n];
}

/* The id as the register shows it. */
static uint32_t id_register(const struct vcpu *vcpu)
{
    return lapic_x2apic(vcpu) ? vcpu->apic_id : vcpu->apic.id << 24;
}

static uint32_t ldr_register(const struct vcpu *vcpu)
{
    /* x2APIC: fixed by the id (SDM 11.12.10.2). */
    return lapic_x2apic(vcpu) ? vcpu->apic_id >> 4 << 16 | 1u << (vcpu->apic_id & 15) : vcpu->apic.ldr;
}

uint32_t lapic_read(struct vcpu *vcpu, uint32_t offset)
{
    struct lapic *apic = &vcpu->apic;

    if (offset >= APIC_ISR && offset < APIC_ISR + 0x80)
        return apic->isr[(offset - APIC_ISR) / 16];
    if (offset >= APIC_TMR && offset < APIC_TMR + 0x80)
        return apic->tmr[(offset - APIC_TMR) / 16];
    if (offset >= APIC_IRR && offset < APIC_IRR + 0x80)
        return apic->irr[(offset - APIC_IRR) / 16];
    if (offset >= APIC_LVTT && offset <= APIC_LVTERR)
        return apic->lvt[(offset - APIC_LVTT) / 16];
    switch (offset & ~0xfu) {
    case APIC_ID:
        return id_register(vcpu);
    case APIC_LVR:
        return VERSION | (vcpu->vm->config.irqchip == IRQCHIP_SPLIT ? VERSION_DIRECTED_EOI : 0);
    case APIC_TASKPRI:
        return task_priority(vcpu);
    case APIC_PROCPRI:
        return processor_priority(vcpu);
    case APIC_LDR:
        return ldr_register(vcpu);
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
    case APIC_TDCR:
        return apic->timer_divide;
    default: /* write-only and reserved ones; KVM never raises an ESR bit */
        return 0;
    }
}

void lapic_write(struct vcpu *vcpu, uint32_t offset, uint32_t value)
{
    struct lapic *apic = &vcpu->apic;

    if (offset >= APIC_LVTT && offset <= APIC_LVTERR) {
        write_lvt(vcpu, (offset - APIC_LVTT) / 16, value);
        return;
    }
    switch (offset & ~0xfu) {
    case APIC_ID:
        apic->id = value >> 24;
        lapic_map_changed(vcpu->vm);
        break;
    case APIC_TASKPRI:
        apic->tpr = value & 0xff;
        vcpu->regs.cr8 = apic->tpr >> 4;
        vcpu->requests |= REQ_EVENT;
        break;
    case APIC_EOI:
        lapic_eoi(vcpu);
        break;
    case APIC_LDR:
        apic->ldr = value & 0xff000000;
        break;
    case APIC_DFR:
        apic->dfr = value | 0x0fffffff;
        break;
    case APIC_SPIV:
        write_svr(vcpu, value);
        break;
    case APIC_ESR:
        apic->esr = 0;
        break;
    case APIC_ICR:
        apic->icr = (apic->icr & ~0xffffffffull) | (value & ~APIC_ICR_BUSY);
        lapic_send_ipi(vcpu, (uint32_t)apic->icr, (uint32_t)(apic->icr >> 56));
        break;
    case APIC_ICR2:
        apic->icr = (uint64_t)(value & 0xff000000) << 32 | (uint32_t)apic->icr;
        break;
    case APIC_TMICT:
        apic->timer_initial = value;
        break;
    case APIC_TDCR:
        apic->timer_divide = value & 0xb;
        break;
    default:
        break;
    }
}

/* A disabled APIC, or one in x2APIC mode, leaves the page a hole (KVM's quirk, on by default). */
static bool page_answers(const struct vcpu *vcpu)
{
    return lapic_hw_enabled(vcpu) && !lapic_x2apic(vcpu);
}

static uint64_t mmio_read(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size)
{
    unsigned inside = offset & 0xf;

    (void)ctx;
    if (!page_answers(vcpu))
        return ~0ull;
    return inside + size > 4 ? 0 : lapic_read(vcpu, (uint32_t)offset & ~0xfu) >> 8 * inside;
}

static void mmio_write(void *ctx, struct vcpu *vcpu, uint64_t offset, unsigned size, uint64_t value)
{
    (void)ctx;
    if (page_answers(vcpu) && size == 4 && offset % 16 == 0)
        lapic_write(vcpu, (uint32_t)offset, (uint32_t)value);
}

int lapic_map(struct vm *vm)
{
    return bus_add(&vm->bus, &(struct bus_range){.start = LAPIC_GPA,
                                                 .size = GPA_PAGE_SIZE,
                                                 .space = BUS_MMIO,
                                                 .read = mmio_read,
                                                 .write = mmio_write});
}
