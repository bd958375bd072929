/* Hypercall mechanics: width, ring, numbers, the foreign instruction; and the short ones.
 * spec HC-*, YLD-1, GPA-*, VPI-1, MMU-1. */
#include "tests/hypercall_fixture.h"

/* The same call in each mode and at each CPL: RAX given, RAX wanted. */
#define MODE_ROW(name, paging_long, cs_l, cpl, nr, want)                                                     \
    Test(hypercall, name)                                                                                    \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init(&f);                                                                                    \
        cpu_mode(f.vcpu, paging_long, cs_l, cpl);                                                            \
        cr_assert(eq(u64, hypercall(f.vcpu, nr, 0, 0, 0, 0), want));                                         \
    }
MODE_ROW(HC_7_poll_irq_in_64_bit_code, true, true, 0, 1, 0)
MODE_ROW(HC_7_mmu_op, true, true, 0, 2, ENOSYS_64)
MODE_ROW(HC_7_number_0, true, true, 0, 0, ENOSYS_64)
MODE_ROW(HC_7_number_13, true, true, 0, 13, ENOSYS_64)
MODE_ROW(HC_7_all_ones_of_32_bits, true, true, 0, 0xffffffff, ENOSYS_64)
MODE_ROW(HC_3_64_bit_code_compares_all_of_rax, true, true, 0, 0x100000005, ENOSYS_64)
MODE_ROW(HC_2_32_bit_code_cuts_rax, false, false, 0, 0xffffffff00000001, 0)
MODE_ROW(HC_2_32_bit_code_cuts_the_result, false, false, 0, 0xffffffff00000063, ENOSYS_32)
MODE_ROW(HC_2_compatibility_mode_is_not_wide, true, false, 0, 0xffffffff00000001, 0) /* known bug KB-28 */
MODE_ROW(HC_2_compatibility_mode_result, true, false, 0, 99, ENOSYS_32)
MODE_ROW(HC_5_cpl_3, true, true, 3, 1, ~0ull) /* known bug KB-27 */
MODE_ROW(HC_5_cpl_1, true, true, 1, 1, ~0ull)
MODE_ROW(HC_5_cpl_2, true, true, 2, 1, ~0ull)
MODE_ROW(HC_5_cpl_3_unknown_number, true, true, 3, 99, ~0ull)
MODE_ROW(HC_5_cpl_3_compatibility, true, false, 3, 1, 0xffffffff)
MODE_ROW(HC_5_cpl_3_32_bit, false, false, 3, 1, 0xffffffff)
MODE_ROW(MMU_1_mmu_op_at_cpl_0, true, true, 0, 2, ENOSYS_64)
MODE_ROW(MMU_1_mmu_op_at_cpl_3, true, true, 3, 2, ~0ull)

Test(hypercall, HC_4_the_cpl_is_checked_before_anything_is_done)
{
    FAKE_VM(f);
    start(&f);
    cpu_mode(f.vcpu, true, true, 3);
    ram_fill(&f, 0x2000, 0xaa, 64);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), ~0ull));
    cr_assert(not(f.vcpu->kicked));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, 0, 0), ~0ull));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 0xaaaaaaaa));
}

/* Paging is on and all of RAM is zero: no linear address leads anywhere. */
Test(hypercall, HC_8_memory_is_named_by_physical_address)
{
    FAKE_VM(f);
    start(&f);
    f.vcpu->regs.seg[SREG_DS].base = 0x10000; /* nor has a segment a say */
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, 0, 0), 0));
    cr_assert(ne(u32, ram_u32(&f, 0x2000), 0));
}

#define NUMBER_ROW(nr)                                                                                       \
    Test(hypercall, HC_7_number_##nr##_is_unknown)                                                           \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        start(&f);                                                                                           \
        cr_assert(eq(u64, hypercall(f.vcpu, nr, 0, 0, 0, 0), ENOSYS_64));                                    \
    }
NUMBER_ROW(3)
NUMBER_ROW(4)
NUMBER_ROW(6)
NUMBER_ROW(7)
NUMBER_ROW(8)
NUMBER_ROW(14)

Test(hypercall, HC_15_real_mode_is_cpl_0_and_32_bits)
{
    FAKE_VM(f);
    fake_vm_init(&f);                          /* as after power-on */
    f.vcpu->regs.seg[SREG_SS].access = 0x00f3; /* whatever DPL is left behind */
    cr_assert(eq(u64, hypercall(f.vcpu, 0xffffffff00000001, 0, 0, 0, 0), 0));
    cr_assert(eq(u64, hypercall(f.vcpu, 99, 0, 0, 0, 0), ENOSYS_32));
}

Test(hypercall, HC_5_virtual_8086_mode_is_cpl_3)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cpu_mode(f.vcpu, false, false, 0);
    f.vcpu->regs.rflags |= RFLAGS_VM;
    cr_assert(eq(u64, hypercall(f.vcpu, 1, 0, 0, 0, 0), 0xffffffff));
}

Test(hypercall, HC_1_only_rax_changes)
{
    FAKE_VM(f);
    struct cpu_regs before;
    struct trap trap;
    start(&f);
    for (int i = 0; i < GPRS; i++)
        f.vcpu->regs.gpr[i] = 0x1111111111111111ull * (unsigned)(i + 1);
    f.vcpu->regs.gpr[RAX] = 77;
    before = f.vcpu->regs;
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMCALL, &trap), HC_DONE));
    before.gpr[RAX] = ENOSYS_64;
    cr_assert(zero(int, memcmp(&before, &f.vcpu->regs, sizeof(before))));
}

/* SEND_IPI tells all four apart. */
Test(hypercall, HC_1_number_in_rax_arguments_in_rbx_rcx_rdx_rsi)
{
    FAKE_VM(f);
    struct trap trap;
    uint64_t *gpr;
    start_smp(&f, 4);
    gpr = f.vcpu->regs.gpr;
    gpr[RAX] = KVM_HC_SEND_IPI;
    gpr[RBX] = 1; /* nobody: an id near the end */
    gpr[RCX] = 1; /* id 1, once the window has wrapped */
    gpr[RDX] = 0xffffffc1;
    gpr[RSI] = 0xfd;
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMCALL, &trap), HC_DONE));
    cr_assert(eq(u64, gpr[RAX], 1));
    for (unsigned i = 0; i < 4; i++)
        cr_assert(eq(int, lapic_pending(&f.vm.vcpus[i]), i == 1 ? 0xfd : -1));
}

Test(hypercall, HC_2_32_bit_code_cuts_the_arguments)
{
    const uint64_t high = 0xffffffff00000000;
    FAKE_VM(f);
    start(&f);
    cpu_mode(f.vcpu, true, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, high | 0x2000, high, high, high), 0));
    cr_assert(ne(u32, ram_u32(&f, 0x2000), 0));
}

/* The other vendor's instruction. */
#define FOREIGN_ROW(name, native_form, insn, paging_long, cs_l, cpl, quirk, want, want_vector)               \
    Test(hypercall, name)                                                                                    \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        struct vm_config config = fake_config;                                                               \
        struct trap trap;                                                                                    \
        config.native = native_form;                                                                         \
        config.fix_hypercall_quirk = quirk;                                                                  \
        fake_vm_create(&f, &config, true);                                                                   \
        cpu_mode(f.vcpu, paging_long, cs_l, cpl);                                                            \
        f.vcpu->regs.gpr[RAX] = 1;                                                                           \
        cr_assert(eq(int, intercept_hypercall(f.vcpu, insn, &trap), want));                                  \
        cr_assert(eq(u8, trap.vector, want_vector));                                                         \
        cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 1));                                                        \
    }
FOREIGN_ROW(HC_10_vmmcall_on_intel_is_rewritten, HC_VMCALL, HC_VMMCALL, true, true, 0, true, HC_REWRITE,
            TRAP_NONE)
FOREIGN_ROW(HC_10_vmcall_on_amd_is_rewritten, HC_VMMCALL, HC_VMCALL, true, true, 0, true, HC_REWRITE,
            TRAP_NONE)
FOREIGN_ROW(HC_12_vmmcall_at_cpl_3_is_rewritten, HC_VMCALL, HC_VMMCALL, true, true, 3, true, HC_REWRITE,
            TRAP_NONE)
FOREIGN_ROW(HC_12_vmcall_at_cpl_3_is_gp, HC_VMMCALL, HC_VMCALL, true, true, 3, true, HC_TRAP, TRAP_GP)
FOREIGN_ROW(HC_13_quirk_off_is_ud, HC_VMCALL, HC_VMMCALL, true, true, 0, false, HC_TRAP, TRAP_UD)
FOREIGN_ROW(HC_13_quirk_off_is_ud_on_amd, HC_VMMCALL, HC_VMCALL, true, true, 0, false, HC_TRAP, TRAP_UD)
FOREIGN_ROW(HC_13_cpl_is_checked_before_the_quirk, HC_VMMCALL, HC_VMCALL, true, true, 3, false, HC_TRAP,
            TRAP_GP)
FOREIGN_ROW(HC_10_vmmcall_in_compatibility_mode, HC_VMCALL, HC_VMMCALL, true, false, 0, true, HC_REWRITE,
            TRAP_NONE)

Test(hypercall, HC_12_foreign_vmmcall_in_virtual_8086_mode_is_ud)
{
    FAKE_VM(f);
    struct trap trap;
    start(&f);
    cpu_mode(f.vcpu, false, false, 3);
    f.vcpu->vm->config.native = HC_VMCALL;
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMMCALL, &trap), HC_REWRITE));
    f.vcpu->regs.rflags |= RFLAGS_VM;
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMMCALL, &trap), HC_TRAP));
    cr_assert(eq(u8, trap.vector, TRAP_UD));
}

Test(hypercall, HC_12_foreign_vmmcall_in_real_mode_is_ud)
{
    FAKE_VM(f);
    struct trap trap;
    fake_vm_init(&f);
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMMCALL, &trap), HC_TRAP));
    cr_assert(eq(u8, trap.vector, TRAP_UD));
}

Test(hypercall, HC_10_foreign_vmcall_in_real_mode_is_rewritten)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    struct trap trap;
    config.native = HC_VMMCALL;
    fake_vm_create(&f, &config, true);
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMCALL, &trap), HC_REWRITE));
}

Test(hypercall, HC_1_bytes_of_both_forms)
{
    cr_assert(zero(int, memcmp(hypercall_bytes[HC_VMCALL], "\x0f\x01\xc1", 3)));
    cr_assert(zero(int, memcmp(hypercall_bytes[HC_VMMCALL], "\x0f\x01\xd9", 3)));
}

/* VAPIC_POLL_IRQ. */
Test(hypercall, VPI_1_returns_0_whatever_is_enforced)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 0);
    vcpu_set_enforce(f.vcpu, true);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_VAPIC_POLL_IRQ, ~0ull, ~0ull, ~0ull, ~0ull), 0));
}

/* An offer of PV EOI shows the exit: it is withdrawn at any (EOI-9). */
Test(hypercall, VPI_1_the_exit_is_its_effect)
{
    FAKE_VM(f);
    start_smp(&f, 1);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6001);
    lapic_accept(f.vcpu, APIC_FIXED, 0x50, false, true);
    vcpu_enter(f.vcpu);
    cr_assert(eq(int, vcpu_take_interrupt(f.vcpu), 0x50));
    cr_assert(eq(u32, ram_u32(&f, 0x6000), 1));
    hypercall(f.vcpu, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0, 0);
    cr_assert(eq(u32, ram_u32(&f, 0x6000), 0));
}

Test(hypercall, YLD_1_always_0)
{
    FAKE_VM(f);
    start(&f);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SCHED_YIELD, 0, 0, 0, 0), 0));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SCHED_YIELD, ~0ull, 1, 2, 3), 0));
}

#define GPA_ROW(name, a0, a1, a2)                                                                            \
    Test(hypercall, GPA_1_and_7_capability_off_##name)                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        start(&f);                                                                                           \
        cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_MAP_GPA_RANGE, a0, a1, a2, 0), ENOSYS_64));               \
    }
GPA_ROW(good, 0x1000, 1, 0)
GPA_ROW(unaligned, 0x1001, 1, 0)
GPA_ROW(no_pages, 0, 0, 0)

Test(hypercall, GPA_1_cpuid_bit_16_does_not_matter)
{
    FAKE_VM(f);
    start(&f);
    cr_assert(f.vcpu->pv_features >> KVM_FEATURE_HC_MAP_GPA_RANGE & 1);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_MAP_GPA_RANGE, 0x1000, 1, 0, 0), ENOSYS_64));
    fake_set_features(&f, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_MAP_GPA_RANGE, 0x1000, 1, 0, 0), ENOSYS_64));
}
