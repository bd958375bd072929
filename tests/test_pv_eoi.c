/* PV EOI offers, their withdrawal and consumption, alone and with the local APIC. spec EOI-*. */
#include "tests/fake_vm.h"
#include "vmm/apic/ioapic.h"
#include "vmm/board/reset.h"

#define WORD 0x6000ull
#define V1   0x41
#define V2   0x61 /* a higher class */
#define LOW  0x31 /* a lower class */

/* Two vCPUs that take interrupts; number 0 has its word registered. An IRR hint that is true after reset is gone (EOI-6). */
static void eoi_machine(struct fake_vm *f)
{
    fake_vm_init_smp(f, 2);
    for (int i = 0; i < 2; i++)
        f->vm.vcpus[i].regs.rflags |= RFLAGS_IF;
    cr_assert(eq(int, guest_wrmsr(f, MSR_KVM_PV_EOI_EN, WORD | 1), MSR_OK));
}

static uint8_t byte(struct fake_vm *f)
{
    uint8_t value;

    ram_read(f, WORD, &value, 1);
    return value;
}

static void raise_vector(struct fake_vm *f, uint8_t vector)
{
    cr_assert(lapic_accept(f->vcpu, APIC_FIXED, vector, false, true));
}

static int enter(struct fake_vm *f)
{
    cr_assert(vcpu_enter(f->vcpu));
    return vcpu_take_interrupt(f->vcpu);
}

static void inject(struct fake_vm *f, uint8_t vector)
{
    raise_vector(f, vector);
    cr_assert(eq(int, enter(f), vector));
}

static void leave(struct fake_vm *f)
{
    intercept_cpuid(f->vcpu);
    vcpu_enter(f->vcpu);
}

/* EOI-12: the guest tests and clears; true: that was all. */
static bool test_and_clear(struct fake_vm *f)
{
    uint8_t value = byte(f), cleared = value & 0xfe;

    ram_write(f, WORD, &cleared, 1);
    return value & 1;
}

static void apic_eoi(struct fake_vm *f)
{
    vcpu_exit(f->vcpu);
    lapic_write(f->vcpu, APIC_EOI, 0);
    vcpu_enter(f->vcpu);
}

static bool in_service(const struct fake_vm *f, uint8_t vector)
{
    return f->vcpu->apic.isr[vector / 32] >> vector % 32 & 1;
}

Test(pv_eoi, EOI_19_A_the_guest_clears_the_bit_and_the_next_exit_ends_the_interrupt)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    cr_assert(eq(u8, byte(&f), 1));
    cr_assert(test_and_clear(&f));
    cr_assert(in_service(&f, V1), "EOI-13: until the next exit");
    leave(&f);
    cr_assert(not(in_service(&f, V1)));
    cr_assert(eq(u8, byte(&f), 0));
}

Test(pv_eoi, EOI_19_B_an_exit_of_the_handler_withdraws_the_offer)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    leave(&f);
    cr_assert(eq(u8, byte(&f), 0));
    cr_assert(in_service(&f, V1));
    cr_assert(not(test_and_clear(&f)));
    apic_eoi(&f);
    cr_assert(not(in_service(&f, V1)));
}

Test(pv_eoi, EOI_19_C_an_interrupt_in_a_handler_gets_the_offer)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    cr_assert(eq(u8, byte(&f), 1));
    raise_vector(&f, V2);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u8, byte(&f), 0), "the exit for v2 took the offer of v1 back");
    cr_assert(eq(int, vcpu_take_interrupt(f.vcpu), V2));
    cr_assert(eq(u8, byte(&f), 1));
    cr_assert(test_and_clear(&f));
    leave(&f);
    cr_assert(not(in_service(&f, V2)));
    cr_assert(in_service(&f, V1));
    cr_assert(eq(u8, byte(&f), 0), "EOI-5: v1 is not offered again");
    cr_assert(not(test_and_clear(&f)));
    apic_eoi(&f);
    cr_assert(not(in_service(&f, V1)));
}

Test(pv_eoi, EOI_19_D_with_another_vector_pending_there_is_no_offer)
{
    FAKE_VM(f);
    eoi_machine(&f);
    raise_vector(&f, LOW);
    inject(&f, V1);
    cr_assert(eq(u8, byte(&f), 0));
}

Test(pv_eoi, EOI_4_bits_7_to_1_are_lost_and_the_other_bytes_stay)
{
    FAKE_VM(f);
    eoi_machine(&f);
    ram_put_u32(&f, WORD, 0xaabbccfe);
    inject(&f, V1);
    cr_assert(eq(u32, ram_u32(&f, WORD), 0xaabbcc01));
}

#define NO_OFFER_ROW(name, prepare)                                                                          \
    Test(pv_eoi, name)                                                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        eoi_machine(&f);                                                                                     \
        raise_vector(&f, V1);                                                                                \
        {                                                                                                    \
            prepare;                                                                                         \
        }                                                                                                    \
        cr_assert(eq(int, enter(&f), V1));                                                                   \
        cr_assert(eq(u8, byte(&f), 0));                                                                      \
        cr_assert(not(f.vcpu->eoi.pending));                                                                 \
    }
NO_OFFER_ROW(EOI_3_disabled_means_no_access, guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, WORD))
NO_OFFER_ROW(EOI_4_no_offer_with_the_apic_software_disabled, f.vcpu->apic.svr &= ~APIC_SPIV_APIC_ENABLED)
NO_OFFER_ROW(EOI_4_no_offer_where_the_byte_cannot_be_written, memory_slot_remove(&f.vm.memory, 0);
             memory_slot_add(&f.vm.memory, 0, FAKE_RAM_SIZE, SLOT_READONLY))
NO_OFFER_ROW(EOI_2_no_offer_at_a_stale_address, guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, HOLE | 1))
NO_OFFER_ROW(EOI_6_a_stuck_vector_below_16_suppresses_offers, raise_vector(&f, 5))

Test(pv_eoi, EOI_4_no_offer_with_the_apic_disabled_by_its_base)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    lapic_set_base(f.vcpu, f.vcpu->apic.base_msr & ~(uint64_t)APICBASE_ENABLE);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, byte(&f), 0));
}

Test(pv_eoi, EOI_6_the_hint_is_true_after_reset_and_exact_once_an_interrupt_was_taken)
{
    FAKE_VM(f);
    eoi_machine(&f);
    cr_assert(lapic_irr_pending_hint(f.vcpu));
    inject(&f, V1);
    cr_assert(not(lapic_irr_pending_hint(f.vcpu)));
}

Test(pv_eoi, EOI_7_a_level_triggered_vector_is_not_offered)
{
    FAKE_VM(f);
    eoi_machine(&f);
    cr_assert(lapic_accept(f.vcpu, APIC_FIXED, V1, true, true));
    cr_assert(eq(int, enter(&f), V1));
    cr_assert(eq(u8, byte(&f), 0));
}

#define EXIT_ROW(name, exit_action)                                                                          \
    Test(pv_eoi, name)                                                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        struct trap trap;                                                                                    \
        eoi_machine(&f);                                                                                     \
        inject(&f, V1);                                                                                      \
        cr_assert(eq(u8, byte(&f), 1));                                                                      \
        f.vcpu->regs.gpr[RCX] = MSR_KVM_POLL_CONTROL;                                                        \
        (void)trap;                                                                                          \
        exit_action;                                                                                         \
        cr_assert(eq(u8, byte(&f), 0));                                                                      \
        cr_assert(in_service(&f, V1));                                                                       \
        cr_assert(not(f.vcpu->eoi.pending));                                                                 \
    }
EXIT_ROW(EOI_9_cpuid_withdraws, intercept_cpuid(f.vcpu))
EXIT_ROW(EOI_9_rdmsr_withdraws, intercept_rdmsr(f.vcpu))
EXIT_ROW(EOI_9_wrmsr_withdraws, intercept_wrmsr(f.vcpu))
EXIT_ROW(EOI_9_a_hypercall_withdraws, intercept_hypercall(f.vcpu, HC_VMCALL, &trap))
EXIT_ROW(EOI_9_a_foreign_hypercall_withdraws, intercept_hypercall(f.vcpu, HC_VMMCALL, &trap))
EXIT_ROW(EOI_9_hlt_withdraws, vcpu_halt(f.vcpu))
EXIT_ROW(EOI_9_a_device_access_withdraws, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, HOLE, 4))
EXIT_ROW(EOI_9_a_port_access_withdraws, bus_write(&f.vm.bus, BUS_PIO, f.vcpu, 0x80, 1, 0))

Test(pv_eoi, EOI_9_bit_0_alone_says_what_the_guest_did)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    ram_write(&f, WORD, "\xfe", 1);
    leave(&f);
    cr_assert(not(in_service(&f, V1)));
    cr_assert(eq(u8, byte(&f), 0xfe), "nothing was to be cleared");
}

Test(pv_eoi, GEN_1_an_msr_access_above_ring_0_is_no_exit)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    cpu_mode(f.vcpu, true, true, 3);
    intercept_rdmsr(f.vcpu);
    intercept_wrmsr(f.vcpu);
    cr_assert(eq(u8, byte(&f), 1));
}

Test(pv_eoi, EOI_10_out_of_the_guest_nothing_is_pending)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    board_system_reset(&f.vm);
    cr_assert(eq(u8, byte(&f), 0));
    cr_assert(not(f.vcpu->eoi.pending));
}

Test(pv_eoi, EOI_10_a_reset_takes_back_the_offer_of_a_register_that_QEMU_does_not_know)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 0);
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, WORD | 1);
    inject(&f, V1);
    cr_assert(eq(u8, byte(&f), 1));
    board_system_reset(&f.vm);
    cr_assert(eq(u8, byte(&f), 0));
    cr_assert(not(f.vcpu->eoi.pending));
}

Test(pv_eoi, EOI_11_an_entry_that_processes_events_offers_again)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    leave(&f);
    cr_assert(eq(u8, byte(&f), 0));
    hypercall(&f.vm.vcpus[1], KVM_HC_KICK_CPU, 0, 0, 0, 0); /* an event, and IRR stays empty */
    cr_assert(eq(int, enter(&f), -1));
    cr_assert(eq(u8, byte(&f), 1));
    cr_assert(test_and_clear(&f));
    leave(&f);
    cr_assert(not(in_service(&f, V1)));
}

Test(pv_eoi, EOI_12_an_apic_eoi_while_the_flag_is_1_ends_one_interrupt)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    raise_vector(&f, V2);
    cr_assert(eq(int, enter(&f), V2));
    cr_assert(eq(u8, byte(&f), 1));
    apic_eoi(&f);
    cr_assert(eq(u8, byte(&f), 0));
    cr_assert(not(in_service(&f, V2)));
    cr_assert(in_service(&f, V1));
}

Test(pv_eoi, EOI_13_a_lower_vector_comes_in_by_the_exit_that_its_arrival_makes)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    cr_assert(test_and_clear(&f));
    raise_vector(&f, LOW);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1), "v1 is in service still");
    cr_assert(eq(int, enter(&f), LOW));
    cr_assert(not(in_service(&f, V1)));
}

Test(pv_eoi, EOI_14_an_unreadable_byte_counts_as_cleared)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    memory_slot_remove(&f.vm.memory, 0);
    leave(&f);
    cr_assert(not(in_service(&f, V1)));
    cr_assert(f.vcpu->eoi.pending, "and the mark stays");
}

Test(pv_eoi, EOI_14_a_byte_that_cannot_be_cleared_counts_as_cleared)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    memory_slot_remove(&f.vm.memory, 0);
    memory_slot_add(&f.vm.memory, 0, FAKE_RAM_SIZE, SLOT_READONLY);
    *(uint8_t *)gpa_host(&f.vm.memory, WORD, 1, false) = 1;
    leave(&f);
    cr_assert(not(in_service(&f, V1)));
    cr_assert(f.vcpu->eoi.pending, "and the mark stays");
}

Test(pv_eoi, EOI_16_disabling_by_wrmsr_takes_the_offer_back_first)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_PV_EOI_EN, 0, ORIGIN_VMM), MSR_OK));
    cr_assert(eq(u8, byte(&f), 0));
    cr_assert(not(f.vcpu->eoi.pending));
    leave(&f);
    cr_assert(in_service(&f, V1));
}

Test(pv_eoi, EOI_16_a_mark_without_the_msr_is_ignored)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    f.vcpu->eoi.msr = 0;
    area_unregister(vcpu_area(f.vcpu, AREA_PV_EOI));
    leave(&f);
    cr_assert(not(f.vcpu->eoi.pending));
    cr_assert(in_service(&f, V1));
}

Test(pv_eoi, EOI_16_init_clears_the_mark_and_writes_nothing)
{
    FAKE_VM(f);
    eoi_machine(&f);
    inject(&f, V1);
    uint64_t stores = f.vm.trace.total;
    vcpu_init(f.vcpu);
    cr_assert(not(f.vcpu->eoi.pending));
    cr_assert(eq(u64, f.vm.trace.total, stores));
}

static unsigned in_service_count(const struct fake_vm *f)
{
    unsigned count = 0;

    for (int i = 0; i < 8; i++)
        count += (unsigned)__builtin_popcount(f->vcpu->apic.isr[i]);
    return count;
}

/* The guest ends what it handles by one of the two ways. */
static void end_interrupt(struct fake_vm *f, bool by_the_apic)
{
    if (by_the_apic || !test_and_clear(f))
        apic_eoi(f);
}

/* 400 interrupts, every other one in the handler of another, ended by either way, whatever exits come between. */
Test(pv_eoi, EOI_18_as_many_eois_as_interrupts) /* INV-7 */
{
    FAKE_VM(f);
    eoi_machine(&f);
    uint32_t seed = 7;
    for (int round = 0; round < 200; round++) {
        uint8_t outer = (uint8_t)(0x40 + seed % 0x40), inner = (uint8_t)(0x80 + seed % 0x40);
        seed = seed * 1664525u + 1013904223u;
        inject(&f, outer);
        if (seed >> 20 & 1)
            leave(&f);
        inject(&f, inner);
        cr_assert(eq(uint, in_service_count(&f), 2));
        if (seed >> 21 & 1)
            leave(&f);
        end_interrupt(&f, seed >> 22 & 1);
        leave(&f);
        cr_assert(eq(uint, in_service_count(&f), 1));
        cr_assert(in_service(&f, outer));
        end_interrupt(&f, seed >> 23 & 1);
        leave(&f);
        cr_assert(eq(uint, in_service_count(&f), 0));
        cr_assert(eq(u8, byte(&f), 0), "no flag without one in service");
    }
}

Test(pv_eoi, EOI_15_nobody_else_touches_the_byte)
{
    FAKE_VM(f);
    uint64_t stores;
    eoi_machine(&f);
    inject(&f, V1);
    cr_assert(eq(u8, byte(&f), 1));
    stores = f.vm.trace.total;
    intercept_cpuid(&f.vm.vcpus[1]); /* an exit of the other vCPU, and its next entry */
    vcpu_enter(&f.vm.vcpus[1]);
    raise_vector(&f, V2); /* and an interrupt on its way from there */
    vm_host_events(&f.vm);
    cr_assert(eq(u8, byte(&f), 1));
    cr_assert(eq(u64, f.vm.trace.total, stores));
    leave(&f);
    cr_assert(lt(u64, stores, f.vm.trace.total));
}

Test(pv_eoi, EOI_8_where_the_CPU_delivers_interrupts_nothing_is_offered)
{
    FAKE_VM(f);
    eoi_machine(&f);
    f.vm.config.apicv = true;
    inject(&f, V1);
    cr_assert(eq(u8, byte(&f), 0));
    cr_assert(lapic_irr_pending_hint(f.vcpu));
    apic_eoi(&f);
    cr_assert(not(in_service(&f, V1)));
}
