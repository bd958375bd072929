/* The scheduler of vCPUs: who may run, kicks, yields, and turns of the software machine. spec UNH-*, YLD-*, POL-*, CPU-8. */
#include "tests/fake_vm.h"
#include "vmm/pv/sched.h"

Test(sched, a_descheduled_vcpu_runs_only_when_it_is_back)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(vcpu_enter(f.vcpu));
    vcpu_deschedule(f.vcpu);
    cr_assert(vcpu_descheduled(f.vcpu));
    lapic_accept(f.vcpu, APIC_NMI, 0, false, true);
    cr_assert(not(vcpu_enter(f.vcpu)));
    vcpu_schedule(f.vcpu, 0);
    cr_assert(vcpu_enter(f.vcpu));
}

Test(sched, events_of_a_descheduled_vcpu_wait_for_it)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    struct vcpu *ap = &f.vm.vcpus[1];
    vcpu_deschedule(ap);
    lapic_accept(ap, APIC_INIT, 0, false, true);
    cr_assert(not(vcpu_enter(ap)));
    cr_assert(eq(int, ap->mp_state, MP_RUNNABLE));
    vcpu_schedule(ap, 0);
    cr_assert(not(vcpu_enter(ap)));
    cr_assert(eq(int, ap->mp_state, MP_WAIT_SIPI));
}

Test(sched, UNH_4_a_kick_wakes_a_halted_vcpu_whatever_its_IF)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    struct vcpu *ap = &f.vm.vcpus[1];
    ap->regs.rflags &= ~RFLAGS_IF;
    vcpu_halt(ap);
    cr_assert(not(vcpu_enter(ap)));
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(vcpu_enter(ap));
    vcpu_halt(ap);
    cr_assert(not(vcpu_enter(ap)), "one kick, one wake");
}

Test(sched, UNH_4_a_kick_of_a_halted_vcpu_without_a_cpu_is_kept)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    struct vcpu *ap = &f.vm.vcpus[1];
    vcpu_halt(ap);
    cr_assert(not(vcpu_enter(ap)));
    vcpu_deschedule(ap);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(not(vcpu_enter(ap)));
    vcpu_schedule(ap, 0);
    cr_assert(vcpu_enter(ap));
}

Test(sched, YLD_2_a_yield_is_a_wish_for_the_target)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 3);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SCHED_YIELD, 2, 0, 0, 0), 0));
    cr_assert(eq(u16, f.vm.yield_to, 3));
}

#define NO_WISH_ROW(name, prepare, target)                                                                   \
    Test(sched, name)                                                                                        \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init_smp(&f, 3);                                                                             \
        prepare;                                                                                             \
        cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SCHED_YIELD, target, 0, 0, 0), 0));                       \
        cr_assert(eq(u16, f.vm.yield_to, 0));                                                                \
    }
NO_WISH_ROW(YLD_2_to_itself_changes_nothing, (void)0, 0)
NO_WISH_ROW(YLD_2_to_a_sleeper_changes_nothing, vcpu_halt(&f.vm.vcpus[2]), 2)
NO_WISH_ROW(YLD_1_to_nobody_returns_0, (void)0, 77)
NO_WISH_ROW(YLD_1_all_64_bits_name_the_target, cpu_mode(f.vcpu, true, true, 0), 0x100000002)

Test(sched, UNH_10_a_kick_offers_its_turn_to_the_target)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    cr_assert(eq(u16, f.vm.yield_to, 2));
}

static void hlt_in_guest(struct fake_vm *f, enum kvm_version version)
{
    struct vm_config config = fake_config;

    config.vcpus = 2;
    config.hlt_in_guest = true;
    config.version = version;
    fake_vm_create(f, &config, true);
    fake_set_features(f, ALL_FEATURES);
    for (int i = 0; i < 2; i++) {
        f->vm.vcpus[i].mp_state = MP_RUNNABLE;
        f->vm.vcpus[i].apic.svr |= APIC_SPIV_APIC_ENABLED;
    }
}

static bool unhalt_advertised(struct fake_vm *f)
{
    return vcpu_cpuid(f->vcpu, KVM_CPUID_SIGNATURE | 1, 0).eax >> KVM_FEATURE_PV_UNHALT & 1;
}

Test(hlt, UNH_11_hlt_without_an_exit_is_not_ended_by_a_kick)
{
    FAKE_VM(f);
    hlt_in_guest(&f, KVM_6_12);
    vcpu_halt(&f.vm.vcpus[1]);
    cr_assert(eq(int, f.vm.vcpus[1].mp_state, MP_RUNNABLE));
    cr_assert(not(vcpu_enter(&f.vm.vcpus[1])));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0), 0), "not enforced: the call works");
    cr_assert(not(vcpu_enter(&f.vm.vcpus[1])));
    lapic_accept(&f.vm.vcpus[1], APIC_NMI, 0, false, true);
    cr_assert(vcpu_enter(&f.vm.vcpus[1]));
}

Test(hlt, CPU_8_deferred_work_goes_on_while_the_cpu_itself_waits)
{
    FAKE_VM(f);
    hlt_in_guest(&f, KVM_6_12);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0x5001);
    uint32_t version = ram_u32(&f, 0x5008);
    vcpu_halt(f.vcpu);
    vcpu_load(f.vcpu);
    cr_assert(not(vcpu_enter(f.vcpu)));
    cr_assert(eq(u32, ram_u32(&f, 0x5008), version + 2));
}

Test(hlt, CPU_8_unhalt_is_hidden_at_once_on_6_12)
{
    FAKE_VM(f);
    hlt_in_guest(&f, KVM_6_12);
    cr_assert(not(unhalt_advertised(&f)));
    cr_assert(eq(u32, f.vcpu->pv_features >> KVM_FEATURE_PV_UNHALT & 1, 0));
}

Test(hlt, CPU_9_the_same_table_again_is_the_same_table)
{
    FAKE_VM(f);
    hlt_in_guest(&f, KVM_6_12);
    vcpu_enter(f.vcpu);
    fake_set_features(&f, ALL_FEATURES);
}

Test(hlt, CPU_8_unhalt_is_hidden_by_the_second_table_on_6_1)
{
    FAKE_VM(f);
    hlt_in_guest(&f, KVM_6_1);
    cr_assert(unhalt_advertised(&f));
    fake_set_features(&f, ALL_FEATURES);
    cr_assert(not(unhalt_advertised(&f)));
}
