/* What tests of the MSRs share: all ten of them, on, or without an in-kernel local APIC. */
#ifndef TESTS_MSR_FIXTURE_H
#define TESTS_MSR_FIXTURE_H

#include "tests/fake_vm.h"

static const uint32_t all_ten[] = {MSR_KVM_WALL_CLOCK,      MSR_KVM_SYSTEM_TIME,  MSR_KVM_WALL_CLOCK_NEW,
                                   MSR_KVM_SYSTEM_TIME_NEW, MSR_KVM_ASYNC_PF_EN,  MSR_KVM_STEAL_TIME,
                                   MSR_KVM_PV_EOI_EN,       MSR_KVM_POLL_CONTROL, MSR_KVM_ASYNC_PF_INT,
                                   MSR_KVM_ASYNC_PF_ACK};
#define TEN (sizeof(all_ten) / sizeof(all_ten[0]))

static inline void start_without_lapic(struct fake_vm *f)
{
    struct vm_config config = fake_config;

    config.irqchip = IRQCHIP_NONE;
    fake_vm_create(f, &config, true);
}

static inline void turn_everything_on(struct fake_vm *f)
{
    f->vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    guest_wrmsr(f, MSR_KVM_WALL_CLOCK_NEW, 0x1000);
    guest_wrmsr(f, MSR_KVM_SYSTEM_TIME_NEW, 0x2001);
    guest_wrmsr(f, MSR_KVM_STEAL_TIME, 0x3001);
    guest_wrmsr(f, MSR_KVM_PV_EOI_EN, 0x4001);
    guest_wrmsr(f, MSR_KVM_ASYNC_PF_INT, 0xf3);
    guest_wrmsr(f, MSR_KVM_ASYNC_PF_EN, 0x5009);
}

#endif
