/* The local APIC's timer in virtual time. Intel SDM vol. 3 11.5.4; known bugs KB-05, KB-50. */
#include "tests/fake_vm.h"

#define VECTOR        0x42
#define MASKED        0x10000u
#define PERIODIC      0x20000u
#define TSC_DEADLINE  0x40000u
#define DIVIDE_BY_1   0xbu
#define MIN_PERIOD_NS 200000u

static void start(struct fake_vm *f, uint32_t lvt, uint32_t divide, uint32_t count)
{
    lapic_write(f->vcpu, APIC_LVTT, lvt);
    lapic_write(f->vcpu, APIC_TDCR, divide);
    lapic_write(f->vcpu, APIC_TMICT, count);
}

/* Takes and ends the timer's interrupt; false: there is none. */
static bool fired(struct vcpu *vcpu)
{
    if (lapic_pending(vcpu) != VECTOR)
        return false;
    lapic_take(vcpu, VECTOR);
    lapic_eoi(vcpu);
    return true;
}

Test(lapic_timer, one_shot_fires_once_when_the_count_is_0)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, VECTOR, DIVIDE_BY_1, 1000000);
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), f.time.now_ns + 1000000));
    fake_advance(&f, 999999);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMCCT), 1));
    cr_assert(not(fired(f.vcpu)));
    fake_advance(&f, 1);
    cr_assert(fired(f.vcpu));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMCCT), 0));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMICT), 1000000), "the initial count stays");
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), UINT64_MAX));
    fake_advance(&f, 10000000);
    cr_assert(not(fired(f.vcpu)));
}

#define DIVIDE_CASE(register_value, by)                                                                      \
    Test(lapic_timer, divide_configuration_##register_value##_divides_by_##by)                               \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init_smp(&f, 1);                                                                             \
        start(&f, VECTOR, register_value, 10000);                                                            \
        cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMCCT), 10000));                                           \
        fake_advance(&f, 1000ull * (by));                                                                    \
        cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMCCT), 9000));                                            \
        fake_advance(&f, 9000ull * (by)-1);                                                                  \
        cr_assert(not(fired(f.vcpu)));                                                                       \
        fake_advance(&f, 1);                                                                                 \
        cr_assert(fired(f.vcpu));                                                                            \
    }
DIVIDE_CASE(0, 2)
DIVIDE_CASE(1, 4)
DIVIDE_CASE(2, 8)
DIVIDE_CASE(3, 16)
DIVIDE_CASE(8, 32)
DIVIDE_CASE(9, 64)
DIVIDE_CASE(10, 128)
DIVIDE_CASE(11, 1)

Test(lapic_timer, another_divide_configuration_stretches_what_is_left)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, VECTOR, DIVIDE_BY_1, 1000000);
    fake_advance(&f, 400000);
    lapic_write(f.vcpu, APIC_TDCR, 0);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMCCT), 600000));
    fake_advance(&f, 1199999);
    cr_assert(not(fired(f.vcpu)));
    fake_advance(&f, 1);
    cr_assert(fired(f.vcpu));
}

Test(lapic_timer, periodic_fires_at_every_period_without_drift)
{
    FAKE_VM(f);
    uint64_t begin;
    fake_vm_init_smp(&f, 1);
    start(&f, PERIODIC | VECTOR, DIVIDE_BY_1, 1000000);
    begin = f.time.now_ns;
    for (int n = 1; n <= 5; n++) {
        fake_advance(&f, 1000000 + (n == 3 ? 1234 : 0) - (n == 4 ? 1234 : 0)); /* the third comes late */
        cr_assert(fired(f.vcpu));
        cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), begin + (n + 1) * 1000000ull));
    }
}

Test(lapic_timer, KB_50_days_without_a_look_cost_one_interrupt_and_one_step)
{
    FAKE_VM(f);
    uint64_t begin;
    fake_vm_init_smp(&f, 1);
    start(&f, PERIODIC | VECTOR, DIVIDE_BY_1, 300000);
    begin = f.time.now_ns;
    fake_advance(&f, 86400000000007);
    cr_assert(fired(f.vcpu));
    cr_assert(not(fired(f.vcpu)));
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), begin + 86400000300000), "in phase, after now");
}

Test(lapic_timer, KB_50_a_tiny_period_is_stretched)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, PERIODIC | VECTOR, DIVIDE_BY_1, 1);
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), f.time.now_ns + MIN_PERIOD_NS));
    start(&f, VECTOR, DIVIDE_BY_1, 1);
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), f.time.now_ns + 1), "one-shot is exact");
}

Test(lapic_timer, KB_05_a_count_of_0_stops_and_reads_0)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, PERIODIC | VECTOR, DIVIDE_BY_1, 500000);
    lapic_write(f.vcpu, APIC_TMICT, 0);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMCCT), 0));
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), UINT64_MAX));
    fake_advance(&f, 1000000);
    cr_assert(not(fired(f.vcpu)));
    f.vcpu->apic.timer_due_ns = f.time.now_ns + 5; /* what only a hostile snapshot can hold */
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMCCT), 0));
    f.vm.timer_check_ns = 0;
    fake_advance(&f, 1000000);
    cr_assert(eq(u64, f.vcpu->apic.timer_due_ns, 0));
}

Test(lapic_timer, tsc_deadline_fires_when_the_guest_tsc_reaches_it)
{
    FAKE_VM(f);
    uint64_t deadline;
    fake_vm_init_smp(&f, 1);
    lapic_write(f.vcpu, APIC_LVTT, TSC_DEADLINE | VECTOR);
    deadline = vcpu_tsc(f.vcpu) + 3001;
    guest_wrmsr(&f, MSR_IA32_TSC_DEADLINE, deadline);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_DEADLINE), deadline));
    fake_advance(&f, 1500);
    cr_assert(lt(u64, vcpu_tsc(f.vcpu), deadline));
    cr_assert(not(fired(f.vcpu)));
    fake_advance(&f, 1);
    cr_assert(ge(u64, vcpu_tsc(f.vcpu), deadline));
    cr_assert(fired(f.vcpu));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_DEADLINE), 0), "disarmed by its expiry");
}

Test(lapic_timer, tsc_deadline_in_the_past_fires_at_once_and_0_disarms)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    fake_advance(&f, 1000);
    lapic_write(f.vcpu, APIC_LVTT, TSC_DEADLINE | VECTOR);
    guest_wrmsr(&f, MSR_IA32_TSC_DEADLINE, 1);
    cr_assert(fired(f.vcpu));
    guest_wrmsr(&f, MSR_IA32_TSC_DEADLINE, vcpu_tsc(f.vcpu) + 1000);
    guest_wrmsr(&f, MSR_IA32_TSC_DEADLINE, 0);
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), UINT64_MAX));
    fake_advance(&f, 1000000);
    cr_assert(not(fired(f.vcpu)));
}

Test(lapic_timer, tsc_deadline_beyond_all_time_never_fires)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    lapic_write(f.vcpu, APIC_LVTT, TSC_DEADLINE | VECTOR);
    guest_wrmsr(&f, MSR_IA32_TSC_DEADLINE, UINT64_MAX);
    fake_advance(&f, 86400000000000);
    cr_assert(not(fired(f.vcpu)));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_DEADLINE), UINT64_MAX));
}

Test(lapic_timer, tsc_deadline_msr_is_ignored_in_other_modes)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    lapic_write(f.vcpu, APIC_LVTT, VECTOR);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_IA32_TSC_DEADLINE, 1), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_DEADLINE), 0));
    cr_assert(not(fired(f.vcpu)));
}

Test(lapic_timer, the_initial_count_is_ignored_in_tsc_deadline_mode)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, TSC_DEADLINE | VECTOR, DIVIDE_BY_1, 1000);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMICT), 0));
    fake_advance(&f, 1000000);
    cr_assert(not(fired(f.vcpu)));
}

Test(lapic_timer, to_and_from_tsc_deadline_mode_disarms)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, VECTOR, DIVIDE_BY_1, 1000000);
    lapic_write(f.vcpu, APIC_LVTT, TSC_DEADLINE | VECTOR);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMICT), 0));
    guest_wrmsr(&f, MSR_IA32_TSC_DEADLINE, vcpu_tsc(f.vcpu) + 2000000);
    lapic_write(f.vcpu, APIC_LVTT, VECTOR);
    lapic_write(f.vcpu, APIC_LVTT, TSC_DEADLINE | VECTOR);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_DEADLINE), 0));
    fake_advance(&f, 10000000);
    cr_assert(not(fired(f.vcpu)));
}

Test(lapic_timer, one_shot_becomes_periodic_while_it_runs)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, VECTOR, DIVIDE_BY_1, 1000000);
    fake_advance(&f, 500000);
    lapic_write(f.vcpu, APIC_LVTT, PERIODIC | VECTOR);
    fake_advance(&f, 500000);
    cr_assert(fired(f.vcpu));
    fake_advance(&f, 1000000);
    cr_assert(fired(f.vcpu));
}

Test(lapic_timer, without_the_cpuid_bit_there_is_no_tsc_deadline_mode)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    f.vcpu->caps &= ~(uint32_t)CAP_TSC_DEADLINE;
    lapic_write(f.vcpu, APIC_LVTT, TSC_DEADLINE | PERIODIC | VECTOR);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVTT), PERIODIC | VECTOR));
}

Test(lapic_timer, what_expires_masked_comes_when_the_mask_ends) /* as on KVM; the SDM has it lost */
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, MASKED | VECTOR, DIVIDE_BY_1, 1000);
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), UINT64_MAX), "nothing to wake for");
    fake_advance(&f, 1000);
    cr_assert(not(fired(f.vcpu)));
    lapic_write(f.vcpu, APIC_LVTT, VECTOR);
    cr_assert(fired(f.vcpu));
    start(&f, MASKED | VECTOR, DIVIDE_BY_1, 1000);
    fake_advance(&f, 1000);
    lapic_write(f.vcpu, APIC_TMICT, 0);
    lapic_write(f.vcpu, APIC_LVTT, VECTOR);
    cr_assert(not(fired(f.vcpu)), "a new count takes it back");
}

Test(lapic_timer, a_software_disable_takes_a_masked_expiry_back)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, MASKED | VECTOR, DIVIDE_BY_1, 1000);
    fake_advance(&f, 1000);
    lapic_write(f.vcpu, APIC_SPIV, 0xff);
    lapic_write(f.vcpu, APIC_SPIV, 0x1ff);
    lapic_write(f.vcpu, APIC_LVTT, VECTOR);
    cr_assert(not(fired(f.vcpu)));
}

Test(lapic_timer, what_is_due_comes_before_a_write_that_would_stop_it)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    start(&f, VECTOR, DIVIDE_BY_1, 1000);
    f.time.now_ns += 1000; /* nobody has looked at host events yet */
    lapic_write(f.vcpu, APIC_TMICT, 0);
    cr_assert(fired(f.vcpu));
}

Test(lapic_timer, init_and_reset_stop_it)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    for (int init = 0; init <= 1; init++) {
        lapic_write(f.vcpu, APIC_SPIV, 0x1ff);
        start(&f, VECTOR, DIVIDE_BY_1, 1000);
        lapic_reset(f.vcpu, init);
        cr_assert(eq(u64, f.vcpu->apic.timer_due_ns, 0));
        fake_advance(&f, 1000000);
        cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    }
}

Test(lapic_timer, wakes_a_halted_vcpu_and_only_its_own)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    f.vcpu->regs.rflags |= RFLAGS_IF;
    start(&f, VECTOR, DIVIDE_BY_1, 1000);
    vcpu_halt(f.vcpu);
    vcpu_halt(&f.vm.vcpus[1]);
    cr_assert(not(vcpu_enter(f.vcpu)));
    fake_advance(&f, 1000);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(not(vcpu_enter(&f.vm.vcpus[1])));
}

Test(lapic_timer, the_next_deadline_is_the_earliest_of_all_vcpus)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 100);
    for (unsigned i = 0; i < 100; i++) {
        lapic_write(&f.vm.vcpus[i], APIC_LVTT, VECTOR);
        lapic_write(&f.vm.vcpus[i], APIC_TDCR, DIVIDE_BY_1);
        lapic_write(&f.vm.vcpus[i], APIC_TMICT, 5000 - i);
    }
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), f.time.now_ns + 4901));
    fake_advance(&f, 4950);
    cr_assert(eq(u64, lapic_next_deadline_ns(&f.vm), f.time.now_ns + 1));
    for (unsigned i = 0; i < 100; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), i >= 50 ? VECTOR : -1));
}

Test(lapic_timer, performance_events_mask_their_entry)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    lapic_write(f.vcpu, APIC_LVTPC, 0x55);
    cr_assert(lapic_local_interrupt(f.vcpu, 2));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVTPC), MASKED | 0x55));
    cr_assert(not(lapic_local_interrupt(f.vcpu, 2)));
}

Test(lapic_timer, lint1_delivers_an_nmi_as_its_entry_says)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    cr_assert(not(lapic_local_interrupt(f.vcpu, 4)), "masked");
    lapic_write(f.vcpu, APIC_LVT1, 0x400);
    cr_assert(lapic_local_interrupt(f.vcpu, 4));
    cr_assert(f.vcpu->apic.nmi_pending);
}
