/* KICK_CPU: who is meant, and what a kick does to a vCPU that waits or will. spec UNH-*. */
#include "tests/hypercall_fixture.h"

/* KICK_CPU. */
Test(hypercall, UNH_1_returns_0_target_or_not)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, ~0ull, 1, 0, 0), 0));
    cr_assert(f.vm.vcpus[1].kicked);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 77, 0, 0), 0));
}

Test(hypercall, UNH_1_only_the_low_32_bits_name_the_target)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0xabcd00000001, 0, 0);
    cr_assert(f.vm.vcpus[1].kicked);
    cr_assert(not(f.vcpu->kicked));
}

Test(hypercall, UNH_2_hardware_enable_decides_and_software_enable_does_not)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    f.vm.vcpus[1].apic.svr = 0xff;
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(f.vm.vcpus[1].kicked);
    f.vm.vcpus[1].kicked = false;
    guest_wrmsr_on(&f.vm.vcpus[1], MSR_IA32_APICBASE, LAPIC_GPA);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(not(f.vm.vcpus[1].kicked));
}

Test(hypercall, UNH_3_ff_is_everybody)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0xff, 0, 0);
    for (int i = 0; i < 3; i++)
        cr_assert(f.vm.vcpus[i].kicked);
}

Test(hypercall, UNH_3_all_ones_is_nobody_while_the_quirk_is_in_place)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0xffffffff, 0, 0);
    for (int i = 0; i < 3; i++)
        cr_assert(not(f.vm.vcpus[i].kicked));
}

static void to_x2apic(struct fake_vm *f, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++)
        lapic_set_base(&f->vm.vcpus[i], f->vm.vcpus[i].apic.base_msr | APICBASE_EXTD);
}

/* Who is kicked by a1, as bits; their marks are taken away again. */
static unsigned kicked_by(struct fake_vm *f, uint64_t a1)
{
    unsigned set = 0;

    cr_assert(eq(u64, hypercall(f->vcpu, KVM_HC_KICK_CPU, 0, a1, 0, 0), 0));
    for (unsigned i = 0; i < f->vm.config.vcpus; i++) {
        set |= (unsigned)f->vm.vcpus[i].kicked << i;
        f->vm.vcpus[i].kicked = false;
    }
    return set;
}

Test(hypercall, UNH_3_ff_reaches_x2apics_while_the_quirk_is_in_place)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    to_x2apic(&f, 1, 2);
    cr_assert(eq(uint, kicked_by(&f, 0xff), 7));
    cr_assert(eq(uint, kicked_by(&f, 0xffffffff), 0));
    cr_assert(eq(uint, kicked_by(&f, 2), 4));
}

Test(hypercall, UNH_3_with_32_bit_ids_all_ones_is_everybody_and_ff_an_id)
{
    static const uint32_t ids[] = {0, 0xff, 0x1ff, 0x123};
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.vcpus = 4;
    config.apic_ids = ids;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(uint, kicked_by(&f, 0x123), 8), "in xAPIC mode it is known by its large id");
    cr_assert(eq(uint, kicked_by(&f, 0x23), 8), "and by the small one");
    to_x2apic(&f, 0, 3);
    cr_assert(eq(uint, kicked_by(&f, 0x123), 8));
    cr_assert(eq(uint, kicked_by(&f, 0x23), 0));
    cr_assert(eq(uint, kicked_by(&f, 0xff), 2));
    cr_assert(eq(uint, kicked_by(&f, 0xffffffff), 15));
}

Test(hypercall, UNH_4_a_halted_target_wakes_without_an_interrupt)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    struct vcpu *target = &f.vm.vcpus[1];
    vcpu_halt(target);
    cr_assert(not(vcpu_enter(target)));
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(vcpu_enter(target));
    cr_assert(not(target->kicked), "the mark is used up");
    vcpu_halt(target);
    cr_assert(not(vcpu_enter(target)));
}

Test(hypercall, UNH_5_a_kick_is_latched_once)
{
    FAKE_VM(f);
    start(&f);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0); /* UNH-8: itself */
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(f.vcpu->kicked);
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu));
    vcpu_halt(f.vcpu);
    cr_assert(not(vcpu_enter(f.vcpu)));
}

Test(hypercall, UNH_8_a_vcpu_may_kick_itself)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0);
    cr_assert(not(f.vm.vcpus[1].kicked));
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu), "its next HLT falls through");
}

Test(hypercall,
     UNH_6_init_between_kick_and_wake_keeps_the_mark) /* known bug KB-41, as 6.1 and 6.12 still behave */
{
    FAKE_VM(f);
    start(&f);
    vcpu_halt(f.vcpu);
    vcpu_enter(f.vcpu);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0);
    lapic_accept(f.vcpu, APIC_INIT, 0, false, true);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(f.vcpu->kicked);
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu));
}

Test(hypercall, UNH_7_a_target_that_waits_for_sipi_is_not_started)
{
    FAKE_VM(f);
    start_smp(&f, 2);
    f.vm.vcpus[1].mp_state = MP_WAIT_SIPI;
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(not(vcpu_enter(&f.vm.vcpus[1])));
}

Test(hypercall, UNH_9_mode_3_by_icr_and_by_send_ipi_kick_too)
{
    FAKE_VM(f);
    start_smp(&f, 3);
    vcpu_set_enforce(f.vcpu, false);
    lapic_write(f.vcpu, APIC_ICR2, 1u << 24);
    lapic_write(f.vcpu, APIC_ICR, 0x300);
    cr_assert(f.vm.vcpus[1].kicked);
    hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 2, 0x300);
    cr_assert(f.vm.vcpus[2].kicked);
}

Test(hypercall, UNH_12_without_in_kernel_lapic_no_effect)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    config.irqchip = IRQCHIP_NONE;
    fake_vm_create(&f, &config, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), 0));
    cr_assert(not(f.vcpu->kicked));
}
