/* Where nobody can be told of a missing page: it is fetched on the spot, or the vCPU waits.
 * spec APF-9 .. APF-11, APF-15, APF-17, APF-21. */
#include "tests/async_pf_fixture.h"

/* What makes a missing page be fetched on the spot: nobody is told and nothing waits. */
#define AT_ONCE_ROW(name, prepare)                                                                           \
    Test(apf, name)                                                                                          \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        struct trap trap;                                                                                    \
        apf_machine(&f, ON);                                                                                 \
        page_out(&f, 0);                                                                                     \
        {                                                                                                    \
            prepare;                                                                                         \
        }                                                                                                    \
        cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_PRESENT));                                            \
        cr_assert(not(memory_absent(&f.vm.memory, PAGE)));                                                   \
        cr_assert(eq(u32, ram_u32(&f, FLAGS), 0));                                                           \
        cr_assert(not(f.vcpu->hold & HOLD_APF));                                                             \
    }
AT_ONCE_ROW(APF_9_interrupts_off, f.vcpu->regs.rflags &= ~RFLAGS_IF)
AT_ONCE_ROW(APF_9_interrupt_shadow, f.vcpu->regs.shadow = true)
AT_ONCE_ROW(APF_9_an_exception_is_being_injected, f.vcpu->injected = UD)
AT_ONCE_ROW(APF_9_without_in_kernel_lapic, f.vm.config.irqchip = IRQCHIP_NONE)
AT_ONCE_ROW(APF_9_without_hlt_exits_what_cannot_be_told, f.vm.config.hlt_in_guest = true;
            cpu_mode(f.vcpu, true, true, 0))

Test(apf, APF_9_the_65th_fault_is_resolved_at_once)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    for (unsigned n = 0; n < 64; n++)
        fault(&f, n);
    page_out(&f, 64);
    cr_assert(eq(int, touch(f.vcpu, 64, &trap), APF_PRESENT));
    cr_assert(eq(u8, f.vcpu->apf.faults, 64));
    cr_assert(eq(u32, f.vm.memory.absent_pages, 64));
}

/* What makes the vCPU halt instead of being told. */
#define HALT_ROW(name, bits, prepare)                                                                        \
    Test(apf, name)                                                                                          \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        struct trap trap;                                                                                    \
        apf_machine(&f, bits);                                                                               \
        page_out(&f, 0);                                                                                     \
        {                                                                                                    \
            prepare;                                                                                         \
        }                                                                                                    \
        cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_HALT));                                               \
        cr_assert(not(vcpu_enter(f.vcpu)));                                                                  \
        cr_assert(eq(int, f.vcpu->mp_state, MP_RUNNABLE), "APF-21");                                         \
        page_in(&f, 0);                                                                                      \
        cr_assert(vcpu_enter(f.vcpu), "APF-15");                                                             \
        cr_assert(eq(u32, ram_u32(&f, TOKEN), 0), "APF-14: dropped in silence");                             \
        cr_assert(not(interrupt_pending(f.vcpu)));                                                           \
        cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_PRESENT));                                            \
    }
HALT_ROW(APF_11_and_14_user_only_and_kernel_code_runs, ON, cpu_mode(f.vcpu, true, true, 0))
HALT_ROW(APF_11_and_15_paging_is_off, ON, f.vcpu->regs.cr0 &= ~CR0_PG)
HALT_ROW(APF_3_bit_0_alone_is_off, 1, (void)0)
HALT_ROW(APF_3_bit_3_alone_is_off, 8, (void)0)
HALT_ROW(APF_12_flags_cannot_be_written, ON, vcpu_area(f.vcpu, AREA_ASYNC_PF)->gpa = HOLE;
         f.vm.memory.slot_generation++)

Test(apf, APF_11_rings_1_and_2_are_told_as_ring_3_is)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    for (unsigned cpl = 1; cpl <= 2; cpl++) {
        cpu_mode(f.vcpu, true, true, cpl);
        cr_assert(eq(u32, fault(&f, cpl), cpl << 12));
    }
}

Test(apf, APF_1_with_bit_1_kernel_code_is_told_too)
{
    FAKE_VM(f);
    apf_machine(&f, ON | 2);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u32, fault(&f, 0), 0x1000));
}

Test(apf, APF_10_a_second_access_halts_and_takes_no_token)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    uint32_t token = fault(&f, 0);
    vcpu_enter(f.vcpu);
    cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_HALT));
    cr_assert(not(vcpu_enter(f.vcpu)));
    cr_assert(eq(u32, f.vcpu->apf.next_id, 2));
    page_in(&f, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u32, ram_u32(&f, TOKEN), token));
}

Test(apf, APF_21_the_artificial_halt_is_no_halted_state)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    fault(&f, 0);
    cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_HALT));
    cr_assert(not(vcpu_enter(f.vcpu)));
    cr_assert(eq(int, f.vcpu->mp_state, MP_RUNNABLE));
}

Test(apf, RST_2_INIT_ends_the_artificial_halt)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    fault(&f, 0);
    cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_HALT));
    vcpu_init(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu));
}

Test(apf, APF_10_an_event_ends_the_artificial_halt)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, 0);
    page_out(&f, 0);
    cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_HALT));
    cr_assert(not(vcpu_enter(f.vcpu)));
    lapic_accept(f.vcpu, APIC_FIXED, 0x50, false, true);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(memory_absent(&f.vm.memory, PAGE));
}

Test(apf, APF_10_a_kick_ends_the_artificial_halt_and_stays)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, 0);
    page_out(&f, 0);
    touch(f.vcpu, 0, &trap);
    cpu_mode(&f.vm.vcpus[1], true, true, 0);
    hypercall(&f.vm.vcpus[1], KVM_HC_KICK_CPU, 0, 0, 0, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(f.vcpu->kicked);
}

Test(apf, APF_17_with_a_completion_pending_HLT_does_not_block)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    fault(&f, 0);
    fault(&f, 1);
    page_in(&f, 0);
    page_in(&f, 1);
    vcpu_enter(f.vcpu);
    memset(f.vcpu->apic.irr, 0, sizeof(f.vcpu->apic.irr));
    vcpu_halt(f.vcpu);
    cr_assert(vcpu_enter(f.vcpu), "the second token waits for the first to be read");
}

Test(apf, APF_15_a_completion_wakes_from_HLT)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    fault(&f, 0);
    vcpu_enter(f.vcpu);
    vcpu_halt(f.vcpu);
    cr_assert(not(vcpu_enter(f.vcpu)));
    page_in(&f, 0);
    cr_assert(vcpu_enter(f.vcpu));
}

#define DISCARD_ROW(name, how)                                                                               \
    Test(apf, name)                                                                                          \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        apf_machine(&f, ON);                                                                                 \
        fault(&f, 0);                                                                                        \
        fault(&f, 1);                                                                                        \
        page_in(&f, 0);                                                                                      \
        how;                                                                                                 \
        cr_assert(eq(u8, f.vcpu->apf.faults, 0));                                                            \
        ram_put_u32(&f, TOKEN, 0);                                                                           \
        page_in(&f, 1);                                                                                      \
        vcpu_enter(f.vcpu);                                                                                  \
        cr_assert(eq(u32, ram_u32(&f, TOKEN), 0));                                                           \
        cr_assert(eq(u8, f.vcpu->apf.faults, 0));                                                            \
        cr_assert(eq(u8, f.vcpu->apf.ready, 0));                                                             \
    }
DISCARD_ROW(APF_4_disabling_discards, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, AREA | 1))
DISCARD_ROW(APF_18_INIT_discards, vcpu_init(f.vcpu))
DISCARD_ROW(KB_20_a_renewed_machine_knows_of_no_fault, vm_renew(&f.vm))

Test(apf, KB_20_a_page_whose_slot_goes_away_still_completes)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    memory_slot_add(&f.vm.memory, HOLE, 0x1000, 0);
    memory_page_out(&f.vm.memory, HOLE);
    cr_assert(eq(int, apf_access(f.vcpu, HOLE, &trap), APF_FAULT));
    memory_slot_remove(&f.vm.memory, HOLE);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0x1000));
}

Test(apf, a_page_that_the_host_needs_completes_too)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t token = fault(&f, 0);
    ram_put_u32(&f, PAGE + 64, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), token));
}

Test(apf, APF_15_every_waiting_vcpu_hears_of_the_page)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    fault(&f, 0);
    cr_assert(eq(int, touch(&f.vm.vcpus[1], 0, &trap), APF_HALT)); /* it has not enabled anything */
    page_in(&f, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(vcpu_enter(&f.vm.vcpus[1]));
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0x1000));
}
