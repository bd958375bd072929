/* The local APIC: registers, timer, interprocessor interrupts, INIT and SIPI. Intel SDM vol. 3 ch. 11. */
#ifndef VMM_APIC_LAPIC_H
#define VMM_APIC_LAPIC_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/abi/apic.h"
#include "vmm/core/vm.h"

#define LAPIC_GPA 0xfee00000ull

/* What SVR can hold on some machine: vector and enable; with an APIC in the kernel also focus checking and, where the I/O
 * APIC is not there, suppressed EOI broadcasts. */
#define SVR_FOCUS        (1u << 9)
#define SVR_DIRECTED_EOI (1u << 12)
#define SVR_BITS         (0x1ffu | SVR_FOCUS | SVR_DIRECTED_EOI)

void lapic_reset(struct vcpu *vcpu, bool init); /* power-on, or INIT, which the base MSR and the id survive */
/* Registers by xAPIC offset (multiple of 16), 32 bits. Unknown offsets read 0; ESR stays 0 with KVM's APIC, and QEMU's own
 * (no APIC in the kernel) notes the illegal address there. */
uint32_t lapic_read(struct vcpu *vcpu, uint32_t offset);
void lapic_write(struct vcpu *vcpu, uint32_t offset, uint32_t value);
void lapic_set_base(struct vcpu *vcpu, uint64_t base_msr);
/* IA32_APIC_BASE, IA32_TSC_DEADLINE and, in x2APIC mode, 0x800..0x8ff. */
enum msr_result lapic_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value);
enum msr_result lapic_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin);
/* Claims on vm->bus whatever nobody else claims (call it before the devices): the page that each vCPU's base MSR names is its
 * own APIC. */
int lapic_map(struct vm *vm);
/* For a device whose range holds such a page; size in bytes. False, nothing done: gpa is not in the page of this vCPU's
 * APIC. */
bool lapic_mmio_read(struct vcpu *vcpu, uint64_t gpa, unsigned size, uint64_t *value);
bool lapic_mmio_write(struct vcpu *vcpu, uint64_t gpa, unsigned size, uint64_t value);

/* One message to one APIC: delivery mode as in the ICR (0 fixed .. 7). True: accepted (IPI-8). */
bool lapic_accept(struct vcpu *target, unsigned mode, uint8_t vector, bool level, bool assert_level);
/* Highest deliverable vector, or -1: hardware-enabled, above the processor priority. As in KVM a vector that was accepted
 * before a software disable is still delivered. */
int lapic_pending(const struct vcpu *vcpu);
/* The CPU takes it: IRR -> ISR. */
void lapic_take(struct vcpu *vcpu, uint8_t vector);
/* End of interrupt, as a write of the register or a PV EOI means it: the highest vector in service, the I/O APIC told. */
void lapic_eoi(struct vcpu *vcpu);
/* What PV EOI offers depend on (EOI-5 .. EOI-7): the highest vector in service while it is known, or -1; whether IRR may hold
 * any vector; whether the I/O APIC wants to hear of this vector's EOI. */
int lapic_isr_known(const struct vcpu *vcpu);
bool lapic_irr_pending_hint(const struct vcpu *vcpu);
bool lapic_eoi_exits(const struct vcpu *vcpu, uint8_t vector);
/* The event of a local source (its index in vcpu->apic.lvt) as its LVT entry says; false: masked or not accepted. */
bool lapic_local_interrupt(struct vcpu *vcpu, unsigned lvt);

/* A message on the interrupt bus: what the ICR, an MSI or an I/O APIC pin describes. */
struct lapic_message {
    const struct vcpu *from; /* NULL: not from a CPU */
    uint32_t destination;
    bool logical;
    uint32_t shorthand; /* as in the ICR, in place */
    enum apic_mode mode;
    uint8_t vector;
    bool level, asserted;
    bool lowest; /* one of those addressed, whatever the mode: an MSI's redirection hint */
};
bool lapic_addressed(const struct vcpu *vcpu, const struct lapic_message *message);
/* Returns how many APICs accepted. */
unsigned lapic_deliver(struct vm *vm, const struct lapic_message *message);
/* What the ICR describes, by destination, shorthand and mode (SDM 11.6): sends it from this vCPU. */
void lapic_send_ipi(struct vcpu *vcpu, uint32_t icr, uint32_t destination);

/* An edge message that no CPU sent (MSI, kick), to a physical destination; broadcast as UNH-3 says. */
void lapic_send_physical(struct vm *vm, uint32_t destination, enum apic_mode mode, uint8_t vector);

/* Fires every timer that is due; cheap when none is. vm_host_events() calls it. */
void lapic_timers_run(struct vm *vm);
/* Env time at which the next timer interrupt will be raised, UINT64_MAX: never. Masked timers do not count. A time in the
 * past: lapic_timers_run() is due. */
uint64_t lapic_next_deadline_ns(const struct vm *vm);

/* The vCPU that a physical APIC id names now, or NULL: KVM's apic_map, no broadcast meaning (IPI-4). */
struct vcpu *lapic_find(struct vm *vm, uint32_t apic_id);
/* The map itself, up to date: max_id and duplicate. */
const struct apic_map *lapic_map_get(struct vm *vm);
/* Call when a base MSR or an id changed in a way that this folder did not see (restore). */
void lapic_map_changed(struct vm *vm);

static inline bool lapic_hw_enabled(const struct vcpu *vcpu)
{
    return vcpu->apic.base_msr & APICBASE_ENABLE;
}
static inline bool lapic_sw_enabled(const struct vcpu *vcpu)
{
    return vcpu->apic.svr & APIC_SPIV_APIC_ENABLED;
}
static inline bool lapic_x2apic(const struct vcpu *vcpu)
{
    return (vcpu->apic.base_msr & (APICBASE_ENABLE | APICBASE_EXTD)) == (APICBASE_ENABLE | APICBASE_EXTD);
}
/* Runtime check that the kernel, not QEMU, emulates the APIC: what most PV features need. */
static inline bool lapic_in_kernel(const struct vcpu *vcpu)
{
    return vcpu->vm->config.irqchip != IRQCHIP_NONE;
}

#endif
