/* The soft backend: turns, halts and wakes, hypercalls through real instructions, mode switches by guest code. */
#include "cpu_fixture.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/apic/lapic.h"
#include "vmm/backend/soft.h"
#include "vmm/board/devices.h"
#include "vmm/pv/lifecycle.h"

struct machine {
    struct cpu_fixture f; /* registers and tables by its helpers */
    struct soft *soft;
    struct stop stop;
};
static struct machine m;

static void setup_with(enum hc_insn native, bool quirk)
{
    fix_init(&m.f);
    m.f.vm.config.native = native;
    m.f.vm.config.fix_hypercall_quirk = quirk;
    vm_start(&m.f.vm);
    fix_long_mode(&m.f);
    cr_assert(eq(int, lapic_map(&m.f.vm), 0));
    cr_assert(eq(int, soft_create(&m.soft, &m.f.vm), 0));
}
static void setup(void)
{
    setup_with(HC_VMMCALL, true);
}
static void teardown(void)
{
    soft_destroy(m.soft);
    m.f.vcpu->tlb = m.f.cpu;
    fix_done(&m.f);
}
TestSuite(soft, .init = setup, .fini = teardown);

/* Until every vCPU sleeps. */
static void run_to_idle(void)
{
    soft_flush(m.soft);
    soft_run(m.soft, 1000000, &m.stop);
    cr_assert(eq(int, m.stop.reason, STOP_IDLE), "%s at %llx", m.stop.text, (long long)m.stop.rip);
}
static uint32_t code_word(uint64_t gpa)
{
    return (uint32_t)fix_read64(&m.f, gpa) & 0xffffff;
}

Test(soft, HC_1_a_native_hypercall_returns_in_rax)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\x0f\x01\xd9\xf4"); /* vmmcall */
    m.f.regs->gpr[RAX] = 99;
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], (uint64_t)-1000));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 4));
}

Test(soft, HC_6_single_step_traps_after_the_hypercall)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\x0f\x01\xd9\xf4");
    m.f.regs->rflags |= RFLAGS_TF;
    m.f.regs->shadow = true;
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), TRAP_DB));
    cr_assert(eq(u64, fix_read64(&m.f, m.f.regs->gpr[RSP]), FIX_CODE + 3));
    cr_assert(not(m.f.regs->shadow));
}

Test(soft, HC_10_the_foreign_instruction_is_rewritten_and_then_works)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\x0f\x01\xc1\xf4"); /* vmcall */
    m.f.regs->gpr[RAX] = KVM_HC_VAPIC_POLL_IRQ;
    run_to_idle();
    cr_assert(zero(u64, m.f.regs->gpr[RAX]));
    cr_assert(eq(u32, code_word(FIX_CODE), 0xd9010f));
}

Test(soft, HC_11_the_rewrite_is_a_guest_write_and_may_fault)
{
    fix_write64(&m.f, FIX_PT + (FIX_CODE >> 12) * 8, FIX_CODE | 5); /* read-only */
    FIX_CODE_AT(&m.f, FIX_CODE, "\x0f\x01\xc1\xf4");
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), TRAP_PF));
    cr_assert(eq(u64, fix_read64(&m.f, m.f.regs->gpr[RSP]), 3));
    cr_assert(eq(u64, m.f.regs->cr2, FIX_CODE));
    cr_assert(eq(u32, code_word(FIX_CODE), 0xc1010f));
}

Test(soft, HC_11_the_rewrite_goes_to_linear_rip_without_the_segment_base)
{
    fix_real_mode(&m.f);
    m.f.regs->seg[SREG_CS] =
        (struct segment){.selector = 0x1000, .access = 0x9b, .limit = 0xffff, .base = 0x10000};
    m.f.regs->rip = 0x809;
    FIX_CODE_AT(&m.f, 0x10809, "\x0f\x01\xc1\xf4");
    soft_run(m.soft, 100, &m.stop);
    cr_assert(eq(int, m.stop.reason, STOP_BUDGET)); /* the site faults for ever */
    cr_assert(eq(u32, code_word(0x809), 0xd9010f));
    cr_assert(eq(u32, code_word(0x10809), 0xc1010f));
}

Test(soft, HC_12_checks_come_before_the_rewrite)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\x0f\x01\xc1\xf4");
    fix_user(&m.f);
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), TRAP_GP));
    cr_assert(eq(u32, code_word(FIX_CODE), 0xc1010f));
}

Test(soft, HC_13_without_the_quirk_the_foreign_instruction_is_invalid)
{
    teardown();
    setup_with(HC_VMMCALL, false);
    FIX_CODE_AT(&m.f, FIX_CODE, "\x0f\x01\xc1\xf4");
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), TRAP_UD));
    cr_assert(eq(u32, code_word(FIX_CODE), 0xc1010f));
}

Test(soft, UNH_4_a_kick_ends_a_halt)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\xf4\xb9\x01\x00\x00\x00\xf4"); /* hlt; mov ecx, 1; hlt */
    m.f.vcpu->kicked = true;                                     /* UNH-5: latched */
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RCX], 1));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 7));
}

Test(soft, an_interrupt_ends_a_halt_when_IF_is_set)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\xfb\xf4"); /* sti; hlt */
    lapic_write(m.f.vcpu, 0xf0, 0x1ff);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 2));
    cr_assert(lapic_accept(m.f.vcpu, 0, 0x55, false, true));
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), 0x55));
}

static uint64_t scripted_now_ns(void *ctx)
{
    return *(const uint64_t *)ctx;
}

Test(soft, a_halted_vcpu_is_woken_by_its_timer_when_the_caller_moves_time)
{
    uint64_t now = 5000;

    m.f.vm.env.now_ns = scripted_now_ns;
    m.f.vm.env.ctx = &now;
    m.f.regs->rflags |= RFLAGS_IF;
    FIX_CODE_AT(&m.f, FIX_CODE, "\xf4\x90\xf4"); /* hlt; nop; hlt */
    lapic_write(m.f.vcpu, APIC_SPIV, 0x1ff);
    run_to_idle();
    cr_assert(eq(u64, m.stop.wake_ns, UINT64_MAX));
    lapic_write(m.f.vcpu, APIC_LVTT, 0x55);
    lapic_write(m.f.vcpu, APIC_TDCR, 0xb);
    lapic_write(m.f.vcpu, APIC_TMICT, 700);
    run_to_idle();
    cr_assert(eq(u64, m.stop.wake_ns, 5700));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 1));
    now = m.stop.wake_ns;
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), 0x55));
}

Test(soft, guest_code_climbs_from_real_mode_to_long_mode_and_down_to_compatibility_mode)
{
    static const uint16_t gdtr[] = {0x57, FIX_GDT, 0};

    fix_real_mode(&m.f);
    fix_write(&m.f, 0x600, gdtr, sizeof(gdtr));
    /* cli; lgdt [0x600]; cr0 |= 1; jmp 0x18:0x7d00 */
    FIX_CODE_AT(&m.f, 0x7c00, "\xfa\x0f\x01\x16\x00\x06\x0f\x20\xc0\x0c\x01\x0f\x22\xc0\xea\x00\x7d\x18\x00");
    /* data segments; cr4.PAE; cr3; EFER.LME by wrmsr; cr0.PG; jmp 0x08:0x7e00 */
    FIX_CODE_AT(
        &m.f, 0x7d00,
        "\xb8\x10\x00\x00\x00\x8e\xd8\x8e\xd0\x8e\xc0\x0f\x20\xe0\x83\xc8\x20\x0f\x22\xe0\xb8\x00\x40\x00\x00"
        "\x0f\x22\xd8\xb9\x80\x00\x00\xc0\x31\xd2\xb8\x00\x01\x00\x00\x0f\x30\x0f\x20\xc0\x0d\x00\x00\x00\x80"
        "\x0f\x22\xc0\xea\x00\x7e\x00\x00\x08\x00");
    /* mov rax, 0x1122334455667788; mov esp, 0x8000; push 0x18; push 0x7f00; retfq */
    FIX_CODE_AT(
        &m.f, 0x7e00,
        "\x48\xb8\x88\x77\x66\x55\x44\x33\x22\x11\xbc\x00\x80\x00\x00\x6a\x18\x68\x00\x7f\x00\x00\x48\xcb");
    FIX_CODE_AT(&m.f, 0x7f00, "\x89\xc3\x0f\x01\xe2\xf4"); /* mov ebx, eax; smsw edx; hlt */
    m.f.vcpu->caps |= CAP_LONG_MODE | CAP_NX;
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 0x1122334455667788));
    cr_assert(eq(u64, m.f.regs->gpr[RBX], 0x55667788));
    cr_assert(eq(u64, m.f.regs->efer & (EFER_LMA | EFER_LME), EFER_LMA | EFER_LME));
    cr_assert(not(vcpu_64bit(m.f.vcpu)));
    cr_assert(eq(u64, m.f.regs->gpr[RDX], m.f.regs->cr0));
}

Test(soft, devices_speak_and_stop_the_machine)
{
    static struct debugcon con;

    /* mov edx, 0xe9; in al, dx; hlt */
    FIX_CODE_AT(&m.f, FIX_CODE, "\xba\xe9\x00\x00\x00\xec\xf4");
    cr_assert(eq(int, debugcon_add(&con, &m.f.vm, DEBUGCON_PORT), 0));
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX] & 0xff, 0xe9));
}

Test(soft, equal_machines_run_equally_however_the_budget_is_cut)
{
    uint64_t whole;

    FIX_CODE_AT(&m.f, FIX_CODE, "\x48\xff\x04\x25\x00\x00\x10\x00\xeb\xf6"); /* inc [0x100000]; jmp */
    soft_run(m.soft, 9999, &m.stop);
    whole = fix_read64(&m.f, FIX_DATA);
    fix_write64(&m.f, FIX_DATA, 0);
    fix_long_mode(&m.f);
    soft_flush(m.soft);
    for (int n = 0; n < 9; n++)
        soft_run(m.soft, 1111, &m.stop);
    cr_assert(eq(u64, fix_read64(&m.f, FIX_DATA), whole));
    cr_assert(eq(u64, soft_instructions(m.soft), 2 * 9999));
}
