/* Pages that are out and the guest that needs them: not-present and page-ready events. spec APF-*, API-*. */
#include <errno.h>
#include "tests/fake_vm.h"
#include "vmm/pv/async_pf.h"

#define AREA   0x7000ull
#define FLAGS  AREA
#define TOKEN  (AREA + 4)
#define PAGE   0x20000ull /* pages that go out begin here */
#define VECTOR 0xf3

/* One vCPU in 64-bit user code with interrupts on; the mechanism is on, its wake-all read by the guest. */
static void apf_machine(struct fake_vm *f, uint64_t bits)
{
    fake_vm_init_smp(f, 2);
    for (int i = 0; i < 2; i++) {
        struct vcpu *vcpu = &f->vm.vcpus[i];
        cpu_mode(vcpu, true, true, 3);
        vcpu->regs.rflags |= RFLAGS_IF;
    }
    guest_wrmsr(f, MSR_KVM_ASYNC_PF_INT, VECTOR);
    cr_assert(eq(int, guest_wrmsr(f, MSR_KVM_ASYNC_PF_EN, AREA | bits), MSR_OK));
    if ((bits & 9) != 9)
        return;
    cr_assert(eq(u32, ram_u32(f, TOKEN), KVM_ASYNC_PF_WAKE_ALL));
    ram_put_u32(f, TOKEN, 0);
    guest_wrmsr(f, MSR_KVM_ASYNC_PF_ACK, 1);
    memset(f->vcpu->apic.irr, 0, sizeof(f->vcpu->apic.irr));
}
#define ON 9

static void page_out(struct fake_vm *f, unsigned n)
{
    cr_assert(eq(int, memory_page_out(&f->vm.memory, PAGE + n * GPA_PAGE_SIZE), 0));
}

static void page_in(struct fake_vm *f, unsigned n)
{
    cr_assert(eq(int, memory_page_in(&f->vm.memory, PAGE + n * GPA_PAGE_SIZE), 0));
}

static enum apf_outcome touch(struct vcpu *vcpu, unsigned n, struct trap *trap)
{
    *trap = NO_TRAP;
    return apf_access(vcpu, PAGE + n * GPA_PAGE_SIZE + 8, trap);
}

/* A fault that the guest is told of; returns its token. */
static uint32_t fault(struct fake_vm *f, unsigned n)
{
    struct trap trap;

    page_out(f, n);
    cr_assert(eq(int, touch(f->vcpu, n, &trap), APF_FAULT));
    return (uint32_t)trap.cr2;
}

static bool interrupt_pending(const struct vcpu *vcpu)
{
    return vcpu->apic.irr[VECTOR / 32] >> VECTOR % 32 & 1;
}

static void acknowledge(struct fake_vm *f)
{
    ram_put_u32(f, TOKEN, 0);
    cr_assert(eq(int, guest_wrmsr(f, MSR_KVM_ASYNC_PF_ACK, 1), MSR_OK));
}

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
