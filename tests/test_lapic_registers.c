/* What the local APIC's registers keep of a write, and where its page lies. Each value was read from KVM (Linux 6.1.192 on
 * SVM); Intel SDM vol. 3 table 11-1. */
#include "tests/fake_vm.h"

static void create(struct fake_vm *f, enum irqchip irqchip, enum hc_insn native)
{
    struct vm_config config = fake_config;

    config.irqchip = irqchip;
    config.native = native;
    fake_vm_create(f, &config, true);
    fake_set_features(f, 0);
    lapic_write(f->vcpu, APIC_SPIV, 0x1ff);
}

#define KEEPS_CASE(reg, irqchip, native, written, kept)                                                      \
    Test(lapic_registers, reg##_##irqchip##_##native##_keeps_##kept##_of_##written)                          \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        create(&f, irqchip, native);                                                                         \
        lapic_write(f.vcpu, reg, written);                                                                   \
        cr_assert(eq(u32, lapic_read(f.vcpu, reg), kept));                                                   \
    }
KEEPS_CASE(APIC_SPIV, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0x3ff)
KEEPS_CASE(APIC_SPIV, IRQCHIP_SPLIT, HC_VMMCALL, 0xffffffff, 0x13ff)
KEEPS_CASE(APIC_LVTT, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0x710ff)
KEEPS_CASE(APIC_LVTTHMR, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0x117ff)
KEEPS_CASE(APIC_LVTPC, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0x117ff)
KEEPS_CASE(APIC_LVT0, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0x1f7ff)
KEEPS_CASE(APIC_LVT1, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0x1f7ff)
KEEPS_CASE(APIC_LVTERR, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0x110ff)
KEEPS_CASE(APIC_TDCR, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0xb)
KEEPS_CASE(APIC_DFR, IRQCHIP_KERNEL, HC_VMMCALL, 0, 0x0fffffff)
KEEPS_CASE(APIC_LDR, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0xff000000)
KEEPS_CASE(APIC_ICR2, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0xff000000)
KEEPS_CASE(APIC_TASKPRI, IRQCHIP_KERNEL, HC_VMMCALL, 0xffffffff, 0xf0)
KEEPS_CASE(APIC_TASKPRI, IRQCHIP_KERNEL, HC_VMCALL, 0xffffffff,
           0xff) /* by source: VMX keeps the whole byte */
KEEPS_CASE(APIC_TASKPRI, IRQCHIP_NONE, HC_VMCALL, 0xffffffff, 0xf0)
KEEPS_CASE(APIC_LVR, IRQCHIP_KERNEL, HC_VMMCALL, 0, 0x50014)
KEEPS_CASE(APIC_LVR, IRQCHIP_SPLIT, HC_VMMCALL, 0, 0x1050014)
KEEPS_CASE(APIC_ESR, IRQCHIP_KERNEL, HC_VMMCALL, 0xff, 0)
KEEPS_CASE(APIC_ARBPRI, IRQCHIP_KERNEL, HC_VMMCALL, 0xff, 0)

Test(lapic_registers, directed_eoi_needs_x2apic_in_cpuid)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_SPLIT, HC_VMMCALL);
    f.vcpu->caps &= ~(uint32_t)CAP_X2APIC;
    lapic_write(f.vcpu, APIC_SPIV, 0xffffffff);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_SPIV), 0x3ff));
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LVR), 0x50014));
}

Test(lapic_registers, esr_stays_0_in_kvm_and_notes_illegal_registers_in_qemu)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, HC_VMMCALL);
    lapic_read(f.vcpu, 0x2f0);
    lapic_write(f.vcpu, 0, 1);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ESR), 0));
    create(&f, IRQCHIP_NONE, HC_VMMCALL);
    lapic_read(f.vcpu, APIC_ARBPRI);
    lapic_read(f.vcpu, APIC_EOI);
    lapic_write(f.vcpu, APIC_ISR + 0x70, 1);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ESR), 0));
    lapic_read(f.vcpu, 0x2f0);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ESR), 0x80));
    lapic_reset(f.vcpu, false);
    lapic_write(f.vcpu, 0, 1);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_ESR), 0x80));
}

Test(lapic_registers, an_xapic_finds_the_ldr_that_x2apic_mode_left)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, HC_VMMCALL);
    lapic_write(f.vcpu, APIC_LDR, 0x12000000);
    guest_wrmsr(&f, MSR_IA32_APICBASE, LAPIC_GPA | 0xd00);
    cr_assert(eq(u64, guest_rdmsr(&f, 0x80d), 1));
    guest_wrmsr(&f, MSR_IA32_APICBASE, LAPIC_GPA | 0x100);
    guest_wrmsr(&f, MSR_IA32_APICBASE, LAPIC_GPA | 0x900);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_LDR), 1));
}

Test(lapic_registers, KB_06_no_x2apic_register_is_beyond_0x83f)
{
    FAKE_VM(f);
    uint64_t value = 0x1234;
    create(&f, IRQCHIP_KERNEL, HC_VMMCALL);
    guest_wrmsr(&f, MSR_IA32_APICBASE, LAPIC_GPA | 0xd00);
    for (uint32_t index = 0x840; index <= 0xbff; index++) {
        cr_assert(ne(int, vcpu_rdmsr(f.vcpu, index, &value, ORIGIN_GUEST), MSR_OK));
        cr_assert(ne(int, guest_wrmsr(&f, index, 0), MSR_OK));
    }
    cr_assert(eq(u64, value, 0x1234));
}

Test(lapic_registers, the_page_moves_with_its_base)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, HC_VMMCALL);
    cr_assert(eq(int, lapic_map(&f.vm), 0));
    guest_wrmsr(&f, MSR_IA32_APICBASE, 0xe0000000 | 0x900);
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, LAPIC_GPA + APIC_LVR, 4), 0xffffffff));
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, f.vcpu, 0xe0000000 + APIC_LVR, 4), 0x50014));
    bus_write(&f.vm.bus, BUS_MMIO, f.vcpu, 0xe0000000 + APIC_TMICT, 4, 77);
    cr_assert(eq(u32, lapic_read(f.vcpu, APIC_TMICT), 77));
    cr_assert(eq(u64, bus_read(&f.vm.bus, BUS_MMIO, NULL, 0xe0000000 + APIC_LVR, 4), 0xffffffff),
              "an access of no vCPU reaches no APIC");
}

Test(lapic_registers, APF_16_enabling_the_apic_looks_for_page_ready_events_again)
{
    FAKE_VM(f);
    create(&f, IRQCHIP_KERNEL, HC_VMMCALL);
    f.vcpu->requests = 0;
    lapic_set_base(f.vcpu, LAPIC_GPA);
    cr_assert(zero(u32, f.vcpu->requests & REQ_APF_READY));
    lapic_set_base(f.vcpu, LAPIC_GPA | APICBASE_ENABLE);
    cr_assert(ne(u32, f.vcpu->requests & REQ_APF_READY, 0), "hardware enable");
    f.vcpu->requests = 0;
    lapic_write(f.vcpu, APIC_SPIV, 0xff);
    cr_assert(zero(u32, f.vcpu->requests & REQ_APF_READY));
    lapic_write(f.vcpu, APIC_SPIV, 0x1ff);
    cr_assert(ne(u32, f.vcpu->requests & REQ_APF_READY, 0), "software enable");
}
