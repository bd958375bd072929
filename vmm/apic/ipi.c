/* Interprocessor interrupts by the ICR: who is addressed, and delivery to each. Intel SDM vol. 3 11.6. */
#include "vmm/apic/lapic.h"

struct message {
    const struct vcpu *from; /* NULL: not from a CPU (MSI, kick) */
    uint32_t destination;
    bool logical;
    uint32_t shorthand; /* as in the ICR, in place */
};

/* Broadcast is 0xff to an xAPIC and 0xffffffff to an x2APIC. Without 32-bit ids, 0xff that no CPU sent reaches x2APICs
 * too: KVM's broadcast quirk (UNH-3). */
static bool is_broadcast(const struct message *m, const struct vcpu *vcpu)
{
    if (!lapic_x2apic(vcpu))
        return m->destination == 0xff;
    if (!m->from && !vcpu->vm->apic_map.ids_32bit)
        return m->destination == 0xff;
    return m->destination == 0xffffffff;
}

static bool matches_physical(const struct message *m, const struct vcpu *vcpu)
{
    if (is_broadcast(m, vcpu))
        return true;
    if (lapic_x2apic(vcpu) || (vcpu->apic_id > 0xff && m->destination == vcpu->apic_id))
        return m->destination == vcpu->apic_id;
    return m->destination == vcpu->apic.id;
}

static bool matches_logical(const struct message *m, const struct vcpu *vcpu)
{
    uint32_t ldr = lapic_read((struct vcpu *)(uintptr_t)vcpu, APIC_LDR);

    if (is_broadcast(m, vcpu))
        return true;
    if (lapic_x2apic(vcpu))
        return ldr >> 16 == m->destination >> 16 && (ldr & m->destination & 0xffff);
    ldr >>= 24;
    if (vcpu->apic.dfr == APIC_DFR_CLUSTER)
        return ldr >> 4 == m->destination >> 4 && (ldr & m->destination & 0xf);
    return ldr & m->destination;
}

static bool matches(const struct message *m, const struct vcpu *vcpu)
{
    if (!lapic_hw_enabled(vcpu))
        return m->shorthand == APIC_DEST_SELF && vcpu == m->from;
    switch (m->shorthand) {
    case APIC_DEST_SELF:
        return vcpu == m->from;
    case APIC_DEST_ALLINC:
        return true;
    case APIC_DEST_ALLBUT:
        return vcpu != m->from;
    default:
        return m->logical ? matches_logical(m, vcpu) : matches_physical(m, vcpu);
    }
}

/* KVM's vector hashing: lowest priority goes to one of the addressed, chosen by the vector. */
static struct vcpu *lowest_priority_target(struct vm *vm, const struct message *m, uint8_t vector)
{
    unsigned count = 0, nth;

    for (unsigned i = 0; i < vm->config.vcpus; i++)
        count += matches(m, &vm->vcpus[i]);
    if (!count)
        return NULL;
    nth = vector % count;
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (matches(m, &vm->vcpus[i]) && nth-- == 0)
            return &vm->vcpus[i];
    return NULL;
}

void lapic_send_ipi(struct vcpu *vcpu, uint32_t icr, uint32_t destination)
{
    struct vm *vm = vcpu->vm;
    struct message m = {.from = vcpu,
                        .destination = destination,
                        .logical = icr & APIC_DEST_LOGICAL,
                        .shorthand = icr & APIC_SHORT_MASK};
    unsigned mode = (icr & APIC_MODE_MASK) >> 8;
    uint8_t vector = icr & APIC_VECTOR_MASK;
    bool level = icr & APIC_INT_LEVELTRIG, asserted = icr & APIC_INT_ASSERT;

    if (mode == APIC_LOWEST) {
        struct vcpu *target = lowest_priority_target(vm, &m, vector);
        if (target)
            lapic_accept(target, mode, vector, level, asserted);
        return;
    }
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (matches(&m, &vm->vcpus[i]))
            lapic_accept(&vm->vcpus[i], mode, vector, level, asserted);
}

void lapic_send_physical(struct vm *vm, uint32_t destination, enum apic_mode mode, uint8_t vector)
{
    struct message m = {.destination = destination};

    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (matches(&m, &vm->vcpus[i]))
            lapic_accept(&vm->vcpus[i], mode, vector, false, true);
}
