/* The local APIC: registers, priorities, IPIs, INIT and SIPI, x2APIC, base MSR. Intel SDM vol. 3 ch. 11. */
#include "tests/fake_vm.h"

static void enable(struct vcpu *vcpu)
{
    lapic_write(vcpu, APIC_SPIV, 0x1ff);
}

static void to_x2apic(struct vcpu *vcpu)
{
    cr_assert(eq(int, vcpu_wrmsr(vcpu, MSR_IA32_APICBASE, vcpu->apic.base_msr | APICBASE_EXTD, ORIGIN_GUEST),
                 MSR_OK));
}

#define RESET_ROW(name, reg, want)                                                                           \
    Test(lapic, after_power_on_##name)                                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init(&f);                                                                                    \
        cr_assert(eq(u32, lapic_read(f.vcpu, reg), want));                                                   \
    }
RESET_ROW(id, APIC_ID, 0)
RESET_ROW(version, APIC_LVR, 0x00050014)
RESET_ROW(task_priority, APIC_TASKPRI, 0)
RESET_ROW(spurious, APIC_SPIV, 0xff)
RESET_ROW(destination_format, APIC_DFR, 0xffffffff)
RESET_ROW(timer_is_masked, APIC_LVTT, 0x10000)
RESET_ROW(lint0_is_masked, APIC_LVT0, 0x10000)
RESET_ROW(error_is_masked, APIC_LVTERR, 0x10000)
RESET_ROW(unknown_register, 0x3c0, 0)

/* Seen on QEMU 7.2.22 over Linux 6.1.0-56 with kernel-irqchip=split. */
Test(lapic, split_irqchip_offers_directed_eoi)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vm.config.irqchip = IRQCHIP_SPLIT;
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVR), 0x01050014));
}

Test(lapic, only_a_software_enabled_apic_accepts_fixed)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(not(lapic_accept(f.vcpu, APIC_FIXED, 0x40, false, true)));
    enable(f.vcpu);
    cr_assert(lapic_accept(f.vcpu, APIC_FIXED, 0x40, false, true));
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x40));
}

Test(lapic, the_highest_class_above_the_priority_is_delivered)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    lapic_accept(f.vcpu, APIC_FIXED, 0x41, false, true);
    lapic_accept(f.vcpu, APIC_FIXED, 0x52, false, true);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x52));
    lapic_take(f.vcpu, 0x52);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1), "0x41 waits for the EOI of 0x52");
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_PROCPRI), 0x50));
    lapic_accept(f.vcpu, APIC_FIXED, 0x5f, false, true);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1), "the same class does not interrupt itself");
    lapic_write(f.vcpu, APIC_EOI, 0);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x5f));
}

Test(lapic, task_priority_masks_its_class_and_below)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    lapic_accept(f.vcpu, APIC_FIXED, 0x4f, false, true);
    lapic_write(f.vcpu, APIC_TASKPRI, 0x40);
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    cr_assert(eq(u64, f.vcpu->regs.cr8, 4));
    lapic_write(f.vcpu, APIC_TASKPRI, 0x3f);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x4f));
}

Test(lapic, cr8_is_the_task_priority)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    lapic_accept(f.vcpu, APIC_FIXED, 0x4f, false, true);
    f.vcpu->regs.cr8 = 4;
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TASKPRI), 0x40));
    f.vcpu->regs.cr8 = 3;
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x4f));
}

Test(lapic, IPI_9_vectors_below_16_are_accepted_and_never_delivered)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    for (uint8_t v = 0; v < 16; v++) {
        cr_assert(lapic_accept(f.vcpu, APIC_FIXED, v, false, true));
        cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    }
}

Test(lapic, isr_and_irr_are_readable)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    lapic_accept(f.vcpu, APIC_FIXED, 0xf3, false, true);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_IRR + 0x70), 1u << 19));
    lapic_take(f.vcpu, 0xf3);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_IRR + 0x70), 0));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ISR + 0x70), 1u << 19));
}

Test(lapic, software_disable_masks_the_local_vectors)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    lapic_write(f.vcpu, APIC_LVT1, 0x400);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVT1), 0x400));
    lapic_write(f.vcpu, APIC_SPIV, 0xff);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVT1), 0x10400));
    lapic_write(f.vcpu, APIC_LVT1, 0x400);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVT1), 0x10400));
}

/* IPIs. Who of 4 gets vector 0x80 from vCPU 0? A bit per vCPU. */
#define IPI_ROW(name, icr, destination, want)                                                                \
    Test(lapic, ipi_##name)                                                                                  \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        unsigned got = 0;                                                                                    \
        fake_vm_init_smp(&f, 4);                                                                             \
        for (unsigned i = 0; i < 4; i++)                                                                     \
            lapic_write(&f.vm.vcpus[i], APIC_LDR, 1u << (24 + i));                                           \
        lapic_write(f.vcpu, APIC_ICR2, (destination##u) << 24);                                              \
        lapic_write(f.vcpu, APIC_ICR, icr);                                                                  \
        for (unsigned i = 0; i < 4; i++)                                                                     \
            got |= (unsigned)(lapic_pending(&f.vm.vcpus[i]) == 0x80) << i;                                   \
        cr_assert(eq(uint, got, want));                                                                      \
    }
IPI_ROW(physical, 0x4080, 2, 0x4)
IPI_ROW(physical_nobody, 0x4080, 9, 0)
IPI_ROW(physical_broadcast, 0x4080, 0xff, 0xf)
IPI_ROW(self, 0x44080, 0, 0x1)
IPI_ROW(all, 0x84080, 0, 0xf)
IPI_ROW(all_but_self, 0xc4080, 0, 0xe)
IPI_ROW(logical_two, 0x4880, 6, 0x6)
IPI_ROW(logical_broadcast, 0x4880, 0xff, 0xf)
IPI_ROW(lowest_priority_takes_one, 0x4980, 6, 0x2) /* 0x80 % 2 = 0: the first of the two */

Test(lapic, icr_reads_back_without_busy)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    lapic_write(f.vcpu, APIC_ICR2, 0xabcdef01);
    lapic_write(f.vcpu, APIC_ICR, 0x45080);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ICR), 0x44080));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ICR2), 0xab000000));
}

Test(lapic, RST_6_init_then_sipi_starts_a_vcpu_once)
{
    FAKE_VM(f);
    struct vcpu *ap;
    fake_vm_init_smp(&f, 2);
    ap = &f.vm.vcpus[1];
    ap->mp_state = MP_WAIT_SIPI;
    lapic_write(f.vcpu, APIC_ICR2, 1u << 24);
    lapic_write(f.vcpu, APIC_ICR, 0x4500);
    cr_assert(not(vcpu_enter(ap)));
    vcpu_wrmsr(ap, MSR_KVM_POLL_CONTROL, 0, ORIGIN_VMM);
    vcpu_wrmsr(ap, MSR_KVM_STEAL_TIME, 0x5001, ORIGIN_VMM);
    lapic_write(f.vcpu, APIC_ICR, 0x4612);
    cr_assert(vcpu_enter(ap));
    cr_assert(eq(u64, ap->poll.msr, 0), "no PV state changes");
    cr_assert(eq(u64, ap->steal.msr, 0x5001));
    cr_assert(eq(u64, ap->regs.rip, 0));
    cr_assert(eq(u16, ap->regs.seg[SREG_CS].selector, 0x1200));
    cr_assert(eq(u64, ap->regs.seg[SREG_CS].base, 0x12000));
    ap->regs.rip = 0x55;
    lapic_write(f.vcpu, APIC_ICR, 0x4634);
    cr_assert(vcpu_enter(ap));
    cr_assert(eq(u64, ap->regs.rip, 0x55), "a second SIPI is ignored");
}

Test(lapic, init_of_the_bsp_restarts_it_at_the_reset_vector)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vcpu->regs.rip = 0x1234;
    lapic_accept(f.vcpu, APIC_INIT, 0, false, true);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u64, f.vcpu->regs.rip, 0xfff0));
    cr_assert(eq(u64, f.vcpu->regs.seg[SREG_CS].base, 0xffff0000));
}

Test(lapic, init_opens_lint0_of_the_boot_cpu_alone)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    vcpu_init(f.vcpu);
    vcpu_init(&f.vm.vcpus[1]);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVT0), 0x700));
    cr_assert(eq(u32, lapic_read(&f.vm.vcpus[1], APIC_LVT0), 0x10000));
}

Test(lapic, init_keeps_msrs_that_are_not_pv_and_the_apic_base)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_LSTAR, 0x1000);
    guest_wrmsr(&f, MSR_IA32_APICBASE, LAPIC_GPA | APICBASE_ENABLE | APICBASE_EXTD | APICBASE_BSP);
    vcpu_init(f.vcpu);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_LSTAR), 0x1000));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_APICBASE), LAPIC_GPA | 0xd00));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_EFER), 0));
}

Test(lapic, a_masked_interrupt_does_not_end_hlt_and_an_nmi_does)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    vcpu_enter(f.vcpu);
    vcpu_halt(f.vcpu);
    lapic_accept(f.vcpu, APIC_FIXED, 0x40, false, true);
    cr_assert(not(vcpu_enter(f.vcpu)), "IF is clear");
    lapic_accept(f.vcpu, APIC_NMI, 0, false, true);
    cr_assert(vcpu_enter(f.vcpu));
}

Test(lapic, a_deliverable_interrupt_ends_hlt)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    enable(f.vcpu);
    f.vcpu->regs.rflags |= RFLAGS_IF;
    vcpu_halt(f.vcpu);
    cr_assert(not(vcpu_enter(f.vcpu)));
    lapic_accept(f.vcpu, APIC_FIXED, 0x40, false, true);
    cr_assert(vcpu_enter(f.vcpu));
}

/* IA32_APIC_BASE: from a mode, a guest writes, the answer. */
#define BASE_ROW(name, from, to, want)                                                                       \
    Test(lapic, base_##name)                                                                                 \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init(&f);                                                                                    \
        lapic_set_base(f.vcpu, LAPIC_GPA | (from));                                                          \
        cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_IA32_APICBASE, LAPIC_GPA | (to), ORIGIN_GUEST), want));     \
        cr_assert(                                                                                           \
            eq(u64, guest_rdmsr(&f, MSR_IA32_APICBASE), LAPIC_GPA | ((want) == MSR_OK ? (to) : (from))));    \
    }
BASE_ROW(xapic_to_x2apic, 0x800, 0xc00, MSR_OK)
BASE_ROW(xapic_to_off, 0x800, 0, MSR_OK)
BASE_ROW(off_to_xapic, 0, 0x800, MSR_OK)
BASE_ROW(off_to_x2apic, 0, 0xc00, MSR_INVALID)
BASE_ROW(x2apic_to_xapic, 0xc00, 0x800, MSR_INVALID)
BASE_ROW(x2apic_to_off, 0xc00, 0, MSR_OK)
BASE_ROW(extd_without_enable, 0x800, 0x400, MSR_INVALID)
BASE_ROW(reserved_bit_9, 0x800, 0xa00, MSR_INVALID)
BASE_ROW(reserved_bit_0, 0x800, 0x801, MSR_INVALID)
BASE_ROW(beyond_the_address_width, 0x800, 0x10000000800ull, MSR_INVALID)

Test(lapic, base_x2apic_needs_its_cpuid_bit)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_IA32_APICBASE, LAPIC_GPA | 0xc00), MSR_INVALID));
}

Test(lapic, base_the_vmm_may_change_modes_at_will)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    lapic_set_base(f.vcpu, LAPIC_GPA);
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_IA32_APICBASE, LAPIC_GPA | 0xc00, ORIGIN_VMM), MSR_OK));
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_IA32_APICBASE, LAPIC_GPA | 0x800, ORIGIN_VMM), MSR_OK));
}

Test(lapic, x2apic_registers_are_refused_outside_the_mode)
{
    FAKE_VM(f);
    uint64_t value;
    fake_vm_init(&f);
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, 0x802, &value, ORIGIN_GUEST), MSR_INVALID));
    to_x2apic(f.vcpu);
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, 0x802, &value, ORIGIN_GUEST), MSR_OK));
}

Test(lapic, x2apic_every_index_of_the_window_is_answered_or_refused) /* known bug KB-06 */
{
    FAKE_VM(f);
    unsigned readable = 0, writable = 0;
    uint64_t value;
    fake_vm_init(&f);
    to_x2apic(f.vcpu);
    for (uint32_t index = 0x800; index <= 0x8ff; index++) {
        readable += vcpu_rdmsr(f.vcpu, index, &value, ORIGIN_GUEST) == MSR_OK;
        writable += vcpu_wrmsr(f.vcpu, index, 0, ORIGIN_GUEST) == MSR_OK;
    }
    cr_assert(eq(uint, readable, 41));
    cr_assert(eq(uint, writable, 14));
}

Test(lapic, x2apic_upper_halves_are_reserved)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    to_x2apic(f.vcpu);
    cr_assert(eq(int, guest_wrmsr(&f, 0x80f, 1ull << 32), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, 0x83f, 0x100), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, 0x828, 1), MSR_INVALID));
}

Test(lapic, x2apic_id_and_logical_id_are_the_initial_id)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    const uint32_t ids[] = {0, 0x12345};
    uint64_t value;
    config.vcpus = 2;
    config.apic_ids = ids;
    fake_vm_create(&f, &config, true);
    fake_set_features(&f, 0);
    to_x2apic(&f.vm.vcpus[1]);
    vcpu_rdmsr(&f.vm.vcpus[1], 0x802, &value, ORIGIN_GUEST);
    cr_assert(eq(u64, value, 0x12345));
    vcpu_rdmsr(&f.vm.vcpus[1], 0x80d, &value, ORIGIN_GUEST);
    cr_assert(eq(u64, value, 0x12340000 | 1u << 5));
    cr_assert(eq(ptr, lapic_find(&f.vm, 0x12345), &f.vm.vcpus[1]));
    cr_assert(eq(ptr, lapic_find(&f.vm, 0x45), NULL)); /* known bug KB-52 */
}

Test(lapic, x2apic_ipi_by_32_bit_destination)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    to_x2apic(f.vcpu);
    to_x2apic(&f.vm.vcpus[1]);
    cr_assert(eq(int, guest_wrmsr(&f, 0x830, 1ull << 32 | 0x90), MSR_OK));
    cr_assert(eq(int, lapic_pending(&f.vm.vcpus[1]), 0x90));
    cr_assert(eq(u64, guest_rdmsr(&f, 0x830), 1ull << 32 | 0x90));
    guest_wrmsr(&f, 0x83f, 0x91);
    cr_assert(eq(int, lapic_pending(f.vcpu), 0x91));
}

Test(lapic, x2apic_logical_destinations_of_unknown_clusters_reach_nobody) /* known bug KB-08 */
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 20);
    for (unsigned i = 0; i < 20; i++)
        to_x2apic(&f.vm.vcpus[i]);
    guest_wrmsr(&f, 0x830, 0xffff0001ull << 32 | 0x890);
    for (unsigned i = 0; i < 20; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), -1));
    guest_wrmsr(&f, 0x830, 0x0001000aull << 32 | 0x890); /* cluster 1, members 1 and 3 */
    for (unsigned i = 0; i < 20; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), i == 17 || i == 19 ? 0x90 : -1));
}

Test(lapic, x2apic_reserved_icr_bits_are_refused) /* seen on Linux 6.1.192 */
{
    static const unsigned reserved[] = {13, 16, 17, 20, 21, 30, 31};
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    to_x2apic(f.vcpu);
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
        cr_assert(eq(int, guest_wrmsr(&f, 0x830, 1u << reserved[i] | 0x40090), MSR_INVALID));
    cr_assert(eq(u64, guest_rdmsr(&f, 0x830), 0));
    cr_assert(eq(int, guest_wrmsr(&f, 0x830, 0x41090), MSR_OK), "delivery status is ignored");
    cr_assert(eq(u64, guest_rdmsr(&f, 0x830), 0x40090));
}

Test(lapic, the_page_answers_at_its_address_and_in_its_mode_only)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, lapic_map(&f.vm), 0));
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, LAPIC_GPA + APIC_LVR, 4), 0x00050014));
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, LAPIC_GPA + APIC_LVR + 2, 1), 0x05));
    bus_write(&f.vm.bus, BUS_MMIO, f.vcpu, LAPIC_GPA + APIC_TASKPRI, 4, 0x50);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TASKPRI), 0x50));
    bus_write(&f.vm.bus, BUS_MMIO, f.vcpu, LAPIC_GPA + APIC_TASKPRI, 1, 0x60);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TASKPRI), 0x50), "only 32-bit writes count");
    to_x2apic(f.vcpu);
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, LAPIC_GPA + APIC_LVR, 4), 0xffffffff));
}

Test(lapic, more_than_64_vcpus_all_get_a_broadcast) /* known bug KB-10 */
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 300);
    lapic_send_ipi(f.vcpu, 0xc4080, 0);
    for (unsigned i = 1; i < 300; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), 0x80));
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
}

Test(lapic, EOI_5_the_vector_in_service_is_known_from_its_injection_to_any_eoi)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    cr_assert(eq(int, lapic_isr_known(f.vcpu), -1));
    lapic_accept(f.vcpu, APIC_FIXED, 0x41, false, true);
    lapic_take(f.vcpu, 0x41);
    cr_assert(eq(int, lapic_isr_known(f.vcpu), 0x41));
    lapic_accept(f.vcpu, APIC_FIXED, 0x52, false, true);
    lapic_take(f.vcpu, 0x52);
    cr_assert(eq(int, lapic_isr_known(f.vcpu), 0x52));
    lapic_eoi(f.vcpu);
    cr_assert(eq(int, lapic_isr_known(f.vcpu), -1), "0x41 is in service again, but no longer known");
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ISR + 0x20), 2));
}

Test(lapic, EOI_6_the_hint_counts_vectors_that_are_never_delivered_and_starts_true)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    cr_assert(lapic_irr_pending_hint(f.vcpu), "after reset");
    lapic_accept(f.vcpu, APIC_FIXED, 0x41, false, true);
    lapic_take(f.vcpu, 0x41);
    cr_assert(not(lapic_irr_pending_hint(f.vcpu)));
    lapic_accept(f.vcpu, APIC_FIXED, 5, false, true);
    cr_assert(lapic_irr_pending_hint(f.vcpu));
    lapic_accept(f.vcpu, APIC_FIXED, 0x61, false, true);
    lapic_take(f.vcpu, 0x61);
    cr_assert(lapic_irr_pending_hint(f.vcpu), "vector 5 is stuck");
}

/* What KVM's map makes of logical destinations; ldr: of vCPU 0 to 2 in the flat model. */
static void logical_machine(struct fake_vm *f, enum kvm_version version, const uint32_t ldr[3])
{
    struct vm_config config = fake_config;

    config.vcpus = 3;
    config.version = version;
    fake_vm_create(f, &config, true);
    for (unsigned i = 0; i < 3; i++) {
        lapic_write(&f->vm.vcpus[i], APIC_SPIV, 0x1ff);
        lapic_write(&f->vm.vcpus[i], APIC_LDR, ldr[i] << 24);
    }
}

static unsigned reached(struct fake_vm *f, uint32_t icr, uint32_t destination)
{
    unsigned set = 0;
    uint8_t vector = icr & 0xff;

    lapic_send_ipi(f->vcpu, icr | APIC_DEST_LOGICAL, destination);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t *irr = &f->vm.vcpus[i].apic.irr[vector / 32];

        set |= (*irr >> vector % 32 & 1) << i;
        *irr &= ~(1u << vector % 32);
    }
    return set;
}

/* Seen on Linux 6.1: scenarios msi and lowest-priority. */
Test(lapic, IPI_8_lowest_priority_picks_a_bit_even_of_an_apic_that_is_off)
{
    static const uint32_t ldr[] = {1, 2, 4};
    FAKE_VM(f);
    logical_machine(&f, KVM_6_1, ldr);
    cr_assert(eq(uint, reached(&f, 0x155, 3), 2));
    lapic_write(&f.vm.vcpus[1], APIC_SPIV, 0xff);
    cr_assert(eq(uint, reached(&f, 0x155, 3), 0), "the second bit is that of vCPU 1");
    cr_assert(eq(uint, reached(&f, 0x156, 3), 1));
    cr_assert(eq(uint, reached(&f, 0x15f, 0x19), 0), "0x5f % 3 = 2: bit 4, which nobody has");
    cr_assert(eq(uint, reached(&f, 0x155, 0xff), 4), "of those that a broadcast meets: 0x55 % 2 = 1");
}

Test(lapic, an_apic_has_the_lowest_bit_of_its_logical_id_on_6_1_alone)
{
    static const uint32_t several[] = {3, 4, 8}, same[] = {1, 1, 2};
    FAKE_VM(f);
    logical_machine(&f, KVM_6_1, several);
    cr_assert(eq(uint, reached(&f, 0x50, 2), 0));
    cr_assert(eq(uint, reached(&f, 0x50, 1), 1));
    logical_machine(&f, KVM_6_12, several);
    cr_assert(eq(uint, reached(&f, 0x50, 2), 1));
    logical_machine(&f, KVM_6_1, same);
    cr_assert(eq(uint, reached(&f, 0x50, 1), 2), "the later one took it");
    logical_machine(&f, KVM_6_12, same);
    cr_assert(eq(uint, reached(&f, 0x50, 1), 3));
}

Test(lapic, models_that_differ_are_asked_one_by_one)
{
    static const uint32_t ldr[] = {0x12, 0x12, 0x21};
    FAKE_VM(f);
    logical_machine(&f, KVM_6_1, ldr);
    for (unsigned i = 0; i < 3; i++)
        lapic_write(&f.vm.vcpus[i], APIC_DFR, 0x0fffffff);
    cr_assert(eq(uint, reached(&f, 0x50, 0x21), 4));
    cr_assert(eq(uint, reached(&f, 0x50, 0x13), 2), "one place for two");
    lapic_write(f.vcpu, APIC_DFR, 0xffffffff);
    cr_assert(eq(uint, reached(&f, 0x50, 0x12), 3));
    lapic_write(f.vcpu, APIC_DFR, 0x7fffffff);
    cr_assert(eq(uint, reached(&f, 0x50, 0x12), 2), "neither model: nothing matches");
}
