/* Messages between APICs: who is addressed, and delivery to each. Intel SDM vol. 3 11.6, 11.12.9, 11.12.10. */
#include "vmm/apic/parts.h"

/* Broadcast is 0xff to an xAPIC and 0xffffffff to an x2APIC. Without 32-bit ids, 0xff that no CPU sent reaches x2APICs
 * too: KVM's broadcast quirk (UNH-3). */
static bool is_broadcast(const struct lapic_message *m, const struct vcpu *vcpu)
{
    if (!lapic_x2apic(vcpu))
        return m->destination == 0xff;
    if (!m->from && !vcpu->vm->apic_map.ids_32bit)
        return m->destination == 0xff;
    return m->destination == 0xffffffff;
}

static bool matches_physical(const struct lapic_message *m, const struct vcpu *vcpu)
{
    if (is_broadcast(m, vcpu))
        return true;
    if (lapic_x2apic(vcpu) || (vcpu->apic_id > 0xff && m->destination == vcpu->apic_id))
        return m->destination == vcpu->apic_id;
    return m->destination == vcpu->apic.id;
}

static bool matches_logical(const struct lapic_message *m, const struct vcpu *vcpu)
{
    uint32_t ldr = lapic_ldr(vcpu);

    if (is_broadcast(m, vcpu))
        return true;
    if (lapic_x2apic(vcpu))
        return ldr >> 16 == m->destination >> 16 && (ldr & m->destination & 0xffff);
    ldr >>= 24;
    if (vcpu->apic.dfr == APIC_DFR_CLUSTER)
        return ldr >> 4 == m->destination >> 4 && (ldr & m->destination & 0xf);
    return vcpu->apic.dfr == APIC_DFR_FLAT && (ldr & m->destination);
}

bool lapic_addressed(const struct vcpu *vcpu, const struct lapic_message *m)
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

/* Without the map, KVM's vector hashing: lowest priority goes to one of the addressed that can take it, chosen by the
 * vector. */
static struct vcpu *lowest_priority_target(struct vm *vm, const struct lapic_message *m)
{
    unsigned count = 0, nth;

    for (unsigned i = 0; i < vm->config.vcpus; i++)
        count += lapic_addressed(&vm->vcpus[i], m) && lapic_sw_enabled(&vm->vcpus[i]);
    if (!count)
        return NULL;
    nth = m->vector % count;
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (lapic_addressed(&vm->vcpus[i], m) && lapic_sw_enabled(&vm->vcpus[i]) && nth-- == 0)
            return &vm->vcpus[i];
    return NULL;
}

static bool accept(struct vcpu *vcpu, const struct lapic_message *m)
{
    return lapic_accept(vcpu, m->mode, m->vector, m->level, m->asserted);
}

/* Lowest priority: by the vector, one of the bits of the destination; where nobody is behind it the message is lost. */
static struct vcpu *pick(const struct lapic_group *group, uint8_t vector)
{
    uint32_t left = group->mask;

    for (unsigned nth = left ? vector % (unsigned)__builtin_popcount(left) : 0; nth; nth--)
        left &= left - 1;
    return left ? group->members[__builtin_ctz(left)] : NULL;
}

static unsigned deliver_to_group(const struct lapic_group *group, const struct lapic_message *m)
{
    struct vcpu *target = pick(group, m->vector);
    unsigned accepted = 0;

    if (m->mode == APIC_LOWEST || m->lowest)
        return target && accept(target, m);
    for (unsigned bit = 0; bit < 16; bit++)
        if (group->mask >> bit & 1 && group->members[bit])
            accepted += accept(group->members[bit], m);
    return accepted;
}

/* Broadcasts go to each, whatever the model is. */
static bool by_group(struct vm *vm, const struct lapic_message *m, struct lapic_group *group)
{
    bool wide = vm->apic_map.ids_32bit, from_x2apic = m->from && lapic_x2apic(m->from);

    if (!m->logical || m->shorthand || !lapic_in_kernel(&vm->vcpus[0]))
        return false;
    if (wide ? m->destination == 0xffffffff ||
                   (m->destination == 0xff && lapic_map_get(vm)->logical != APIC_LOGICAL_X2APIC)
             : m->destination == (from_x2apic ? 0xffffffff : 0xff))
        return false;
    return lapic_group(vm, m->destination, group);
}

unsigned lapic_deliver(struct vm *vm, const struct lapic_message *m)
{
    struct lapic_group group;
    unsigned accepted = 0;

    if (by_group(vm, m, &group))
        return deliver_to_group(&group, m);
    if (m->mode == APIC_LOWEST || m->lowest) {
        struct vcpu *target = lowest_priority_target(vm, m);
        return target && accept(target, m);
    }
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        if (lapic_addressed(&vm->vcpus[i], m))
            accepted += accept(&vm->vcpus[i], m);
    return accepted;
}

void lapic_send_ipi(struct vcpu *vcpu, uint32_t icr, uint32_t destination)
{
    struct lapic_message m = {.from = vcpu,
                              .destination = destination,
                              .logical = icr & APIC_DEST_LOGICAL,
                              .shorthand = icr & APIC_SHORT_MASK,
                              .mode = (enum apic_mode)((icr & APIC_MODE_MASK) >> 8),
                              .vector = icr & APIC_VECTOR_MASK,
                              .level = icr & APIC_INT_LEVELTRIG,
                              .asserted = icr & APIC_INT_ASSERT};

    lapic_deliver(vcpu->vm, &m);
}

void lapic_send_physical(struct vm *vm, uint32_t destination, enum apic_mode mode, uint8_t vector)
{
    struct lapic_message m = {.destination = destination, .mode = mode, .vector = vector, .asserted = true};

    lapic_deliver(vm, &m);
}
