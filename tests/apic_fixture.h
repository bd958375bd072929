/* Machines whose local APICs are enabled, for tests of what sends interrupts to them. */
#ifndef TESTS_APIC_FIXTURE_H
#define TESTS_APIC_FIXTURE_H

#include "tests/fake_vm.h"

/* ids: the vCPUs' APIC ids, NULL: their numbers. */
static inline void apic_machine(struct fake_vm *f, enum irqchip irqchip, uint16_t vcpus, const uint32_t *ids,
                                uint32_t features)
{
    struct vm_config config = fake_config;

    config.irqchip = irqchip;
    config.vcpus = vcpus;
    config.apic_ids = ids;
    fake_vm_create(f, &config, true);
    fake_set_features(f, features);
    for (unsigned i = 0; i < vcpus; i++)
        f->vm.vcpus[i].apic.svr |= APIC_SPIV_APIC_ENABLED;
}

static inline void all_to_x2apic(struct fake_vm *f)
{
    for (unsigned i = 0; i < f->vm.config.vcpus; i++) {
        struct vcpu *vcpu = &f->vm.vcpus[i];
        cr_assert(
            eq(int, guest_wrmsr_on(vcpu, MSR_IA32_APICBASE, vcpu->apic.base_msr | APICBASE_EXTD), MSR_OK));
    }
}

#endif
