/* Pages that are out and the guest that is told of them: not-present and page-ready events. spec APF-*, API-*. */
#include <errno.h>
#include "tests/async_pf_fixture.h"

Test(apf, APF_6_every_enabling_write_gives_a_wake_all)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    for (int origin = ORIGIN_GUEST; origin <= ORIGIN_VMM; origin++) {
        vcpu_wrmsr(f.vcpu, MSR_KVM_ASYNC_PF_EN, AREA | ON, (enum origin)origin);
        vcpu_enter(f.vcpu);
        cr_assert(eq(u32, ram_u32(&f, TOKEN), KVM_ASYNC_PF_WAKE_ALL));
        cr_assert(interrupt_pending(f.vcpu));
        acknowledge(&f);
        memset(f.vcpu->apic.irr, 0, sizeof(f.vcpu->apic.irr));
    }
}

Test(apf, APF_8_what_the_area_holds_is_left_there)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    ram_fill(&f, AREA, 0xaa, 72);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_INT, VECTOR);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, AREA | ON), MSR_OK));
    cr_assert(eq(u64, f.vm.trace.total, 0));
    cr_assert(not(interrupt_pending(f.vcpu)), "a token seems to be there, so nothing is delivered");
    ram_put_u32(&f, TOKEN, 0);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_ACK, 1);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), KVM_ASYNC_PF_WAKE_ALL));
    cr_assert(eq(u32, ram_u32(&f, FLAGS), 0xaaaaaaaa));
}

Test(apf, API_2_a_new_vector_counts_from_the_next_interrupt_on)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, AREA | ON);
    memset(f.vcpu->apic.irr, 0, sizeof(f.vcpu->apic.irr)); /* taken; its token not yet read */
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_INT, 0x55);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1), "nothing is sent again");
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, AREA | ON);
    acknowledge(&f);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x55));
}

Test(memory, a_page_that_was_out_comes_back_as_it_was)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    ram_put_u32(&f, PAGE + 16, 0xabcd);
    page_out(&f, 0);
    cr_assert(memory_absent(&f.vm.memory, PAGE + 0xfff));
    cr_assert(not(memory_absent(&f.vm.memory, PAGE + 0x1000)));
    page_in(&f, 0);
    cr_assert(not(memory_absent(&f.vm.memory, PAGE)));
    cr_assert(eq(u32, ram_u32(&f, PAGE + 16), 0xabcd));
    cr_assert(eq(int, memory_page_out(&f.vm.memory, HOLE), -ENOENT));
    cr_assert(eq(int, memory_page_in(&f.vm.memory, HOLE), -ENOENT));
}

Test(memory, an_access_of_the_host_brings_pages_back)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    page_out(&f, 0);
    page_out(&f, 1);
    page_out(&f, 2);
    ram_put_u32(&f, PAGE + GPA_PAGE_SIZE - 2, 1); /* across two */
    cr_assert(not(memory_absent(&f.vm.memory, PAGE)));
    cr_assert(not(memory_absent(&f.vm.memory, PAGE + GPA_PAGE_SIZE)));
    cr_assert(memory_absent(&f.vm.memory, PAGE + 2 * GPA_PAGE_SIZE));
    gpa_host(&f.vm.memory, PAGE + 2 * GPA_PAGE_SIZE, 1, false);
    cr_assert(eq(u32, f.vm.memory.absent_pages, 0));
}

Test(memory, a_reset_brings_all_pages_back_empty)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    ram_put_u32(&f, PAGE, 5);
    page_out(&f, 0);
    memory_reset(&f.vm.memory);
    cr_assert(eq(u32, f.vm.memory.absent_pages, 0));
    cr_assert(eq(u32, ram_u32(&f, PAGE), 0));
}

Test(apf, APF_12_not_present_is_a_page_fault_with_the_token)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    ram_put_u32(&f, FLAGS, 0x77); /* what was there does not matter */
    page_out(&f, 0);
    cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_FAULT));
    cr_assert(eq(u8, trap.vector, TRAP_PF));
    cr_assert(trap.has_error);
    cr_assert(eq(u32, trap.error, 0));
    cr_assert(eq(u64, trap.cr2, 0x1000));
    cr_assert(eq(u32, ram_u32(&f, FLAGS), 1));
    cr_assert(memory_absent(&f.vm.memory, PAGE), "it is fetched in the background");
    cr_assert(vcpu_enter(f.vcpu), "and the vCPU goes on");
}

Test(apf, APF_12_the_token_is_zero_extended)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    f.vcpu->apf.next_id = 0xfffff;
    page_out(&f, 0);
    touch(f.vcpu, 0, &trap);
    cr_assert(eq(u64, trap.cr2, 0xfffff000));
}

Test(apf, APF_13_tokens_count_per_vcpu)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, ON);
    guest_wrmsr_on(&f.vm.vcpus[1], MSR_KVM_ASYNC_PF_EN, 0x9000 | ON);
    cr_assert(eq(u32, fault(&f, 0), 0x1000));
    cr_assert(eq(u32, fault(&f, 1), 0x2000));
    page_out(&f, 2);
    cr_assert(eq(int, touch(&f.vm.vcpus[1], 2, &trap), APF_FAULT));
    cr_assert(eq(u64, trap.cr2, 0x1001));
}

Test(apf, APF_13_no_token_is_0) /* known bug KB-17 */
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    f.vcpu->apf.next_id = 0x100000;
    cr_assert(eq(u32, fault(&f, 0), 0x1000));
    f.vcpu->apf.next_id = 0x0fffff;
    cr_assert(eq(u32, fault(&f, 1), 0xfffff000));
    cr_assert(eq(u32, fault(&f, 2), 0x1000));
}

Test(apf, APF_13_the_counter_survives_disabling_and_INIT)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    fault(&f, 0);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0);
    vcpu_init(f.vcpu);
    cr_assert(eq(u32, f.vcpu->apf.next_id, 2));
}

Test(apf, APF_14_page_ready_is_the_token_and_an_interrupt)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t token = fault(&f, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0));
    page_in(&f, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u32, ram_u32(&f, TOKEN), token));
    cr_assert(interrupt_pending(f.vcpu));
    cr_assert(zero(u32, f.vcpu->apic.tmr[VECTOR / 32]), "an edge");
    cr_assert(f.vcpu->apf.ready_pending);
}

Test(apf, APF_14_while_off_completions_are_dropped)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, 0);
    ram_put_u32(&f, TOKEN, 0x1000); /* nobody looks at it */
    page_out(&f, 0);
    touch(f.vcpu, 0, &trap);
    page_in(&f, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u8, f.vcpu->apf.faults, 0));
}

Test(apf, APF_14_the_oldest_completion_goes_first)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t a = fault(&f, 0), b = fault(&f, 1), c = fault(&f, 2);
    page_in(&f, 2);
    page_in(&f, 0);
    page_in(&f, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), c));
    acknowledge(&f);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), a));
    acknowledge(&f);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), b));
    acknowledge(&f);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0));
    cr_assert(eq(u8, f.vcpu->apf.faults, 0));
}

Test(apf, APF_16_one_token_at_a_time_and_clearing_it_alone_does_nothing) /* INV-6 */
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t a = fault(&f, 0), b = fault(&f, 1);
    page_in(&f, 0);
    page_in(&f, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), a));
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_ACK, 1);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), a), "not read yet");
    ram_put_u32(&f, TOKEN, 0);
    lapic_accept(f.vcpu, APIC_NMI, 0, false, true); /* another event is no reason to look */
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0));
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_ACK, 2);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0), "API-3: bit 0 is the command");
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_ACK, 1);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), b));
}

Test(apf, APF_16_enabling_the_apic_looks_again)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t token = fault(&f, 0);
    lapic_write(f.vcpu, APIC_SPIV, 0xff);
    page_in(&f, 0);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0), "known bug KB-18: the interrupt would be lost");
    lapic_write(f.vcpu, APIC_SPIV, 0x1ff);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), token));
}

Test(apf, APF_16_and_18_turning_paging_on_looks_again_and_off_drops_nothing)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t token;
    fault(&f, 0);
    token = fault(&f, 1);
    page_in(&f, 0);
    page_in(&f, 1);
    vcpu_enter(f.vcpu);
    ram_put_u32(&f, TOKEN, 0);
    f.vcpu->regs.cr0 &= ~CR0_PG;
    apf_paging_changed(f.vcpu);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0));
    f.vcpu->regs.cr0 |= CR0_PG;
    apf_paging_changed(f.vcpu);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), token), "it was not dropped");
}

Test(apf, APF_5_no_wake_all_while_a_completion_waits)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    fault(&f, 0);
    lapic_write(f.vcpu, APIC_SPIV, 0xff);
    page_in(&f, 0);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, AREA | ON);
    cr_assert(not(f.vcpu->apf.wake_all));
}

Test(apf, APF_14_and_16_enabling_the_apic_by_its_base_looks_again)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t token = fault(&f, 0);
    uint64_t base_msr = f.vcpu->apic.base_msr;
    lapic_set_base(f.vcpu, base_msr & ~(uint64_t)APICBASE_ENABLE);
    page_in(&f, 0);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0), "APF-14: no interrupt could be raised");
    lapic_set_base(f.vcpu, base_msr);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), token));
}

/* Two completions of which the first was told of, and read. */
static uint32_t one_waits(struct fake_vm *f)
{
    uint32_t token;

    fault(f, 0);
    token = fault(f, 1);
    page_in(f, 0);
    page_in(f, 1);
    vcpu_enter(f->vcpu);
    memset(f->vcpu->apic.irr, 0, sizeof(f->vcpu->apic.irr));
    ram_put_u32(f, TOKEN, 0);
    return token;
}

Test(apf, API_3_bit_0_looks_in_the_WRMSR_itself_whatever_the_others_are)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    uint32_t token = one_waits(&f);
    vcpu_wrmsr(f.vcpu, MSR_KVM_ASYNC_PF_ACK, ~1ull, ORIGIN_GUEST);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), 0));
    vcpu_wrmsr(f.vcpu, MSR_KVM_ASYNC_PF_ACK, ~0ull, ORIGIN_GUEST);
    cr_assert(eq(u32, ram_u32(&f, TOKEN), token));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_ASYNC_PF_ACK), 0), "an interrupt on its way does not show");
}

Test(apf, APF_4_what_waited_to_be_told_keeps_nobody_awake_after_disabling)
{
    FAKE_VM(f);
    apf_machine(&f, ON);
    one_waits(&f);
    vcpu_wrmsr(f.vcpu, MSR_KVM_ASYNC_PF_EN, AREA, ORIGIN_GUEST);
    vcpu_halt(f.vcpu);
    cr_assert(not(vcpu_enter(f.vcpu)));
}

Test(apf, APF_7_with_a_refused_address_the_mechanism_is_on)
{
    FAKE_VM(f);
    struct trap trap;
    apf_machine(&f, 0);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, HOLE | ON), MSR_INVALID));
    page_out(&f, 0);
    cr_assert(eq(int, touch(f.vcpu, 0, &trap), APF_HALT));
    memory_slot_add(&f.vm.memory, HOLE, GPA_PAGE_SIZE, 0);
    page_out(&f, 1);
    cr_assert(eq(int, touch(f.vcpu, 1, &trap), APF_FAULT), "memory that comes later is used");
    cr_assert(eq(u32, ram_u32(&f, HOLE), 1));
}
