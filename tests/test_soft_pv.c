/* What PV features do to guest code that really runs: stale translations flushed, pages awaited, interrupts ended by the
 * bit, a hypercall that the VMM answers. spec TLB-2, APF-9 .. APF-15, EOI-19, GPA-*. */
#include "cpu_fixture.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/apic/lapic.h"
#include "vmm/backend/soft.h"
#include "vmm/pv/intercept.h"
#include "vmm/pv/lifecycle.h"
#include "vmm/pv/msr.h"

#define PTE(va)    (FIX_PT + ((va) >> 12) * 8)
#define STEAL      0xa0000ull
#define APF        0xa1000ull
#define EOI_WORD   0xa2000ull
#define OTHER      0xc0000ull /* another page behind FIX_DATA's address */
#define VECTOR     0xf3
#define IRETQ      "\x48\xcf"
#define READ_TWICE "\x48\x8b\x03\xf4\x48\x8b\x0b\xf4" /* mov rax, [rbx]; hlt; mov rcx, [rbx]; hlt */
#define READ       "\x48\x8b\x03\xf4"                 /* mov rax, [rbx]; hlt */

struct machine {
    struct cpu_fixture f;
    struct soft *soft;
    struct stop stop;
};
static struct machine m;

static void setup(void)
{
    fix_init(&m.f);
    m.f.vm.config.native = HC_VMMCALL;
    m.f.vm.config.sched_info = true;
    m.f.vm.config.exit_hypercalls = 1u << KVM_HC_MAP_GPA_RANGE;
    vm_start(&m.f.vm);
    fix_long_mode(&m.f);
    cr_assert(eq(int, lapic_map(&m.f.vm), 0));
    cr_assert(eq(int, soft_create(&m.soft, &m.f.vm), 0));
    m.f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    fix_write64(&m.f, FIX_DATA, 0x1111);
    fix_write64(&m.f, OTHER, 0x2222);
    m.f.regs->gpr[RBX] = FIX_DATA;
}
static void teardown(void)
{
    soft_destroy(m.soft);
    m.f.vcpu->tlb = m.f.cpu;
    fix_done(&m.f);
}
TestSuite(soft_pv, .init = setup, .fini = teardown);

static void run_to_idle(void)
{
    soft_run(m.soft, 100000, &m.stop);
    cr_assert(eq(int, m.stop.reason, STOP_IDLE), "%s at %llx", m.stop.text, (long long)m.stop.rip);
}

static void wrmsr(uint32_t index, uint64_t value)
{
    cr_assert(eq(int, vcpu_wrmsr(m.f.vcpu, index, value, ORIGIN_GUEST), MSR_OK));
}

static void kick(void)
{
    lapic_send_physical(&m.f.vm, 0, APIC_REMOTE_READ, 0);
}

/* The guest reads, another vCPU changes the page table and asks for a flush, or does not; the guest reads again. */
static uint64_t second_read(uint8_t request)
{
    FIX_CODE_AT(&m.f, FIX_CODE, READ_TWICE);
    wrmsr(MSR_KVM_STEAL_TIME, STEAL | 1);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 0x1111));
    fix_write64(&m.f, PTE(FIX_DATA), OTHER | 7);
    fix_write(&m.f, STEAL + offsetof(struct kvm_steal_time, preempted), &request, 1);
    vcpu_load(m.f.vcpu);
    kick();
    run_to_idle();
    return m.f.regs->gpr[RCX];
}

Test(soft_pv, TLB_2_a_flush_request_makes_the_new_page_table_count)
{
    cr_assert(eq(u64, second_read(KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB), 0x2222));
}

Test(soft_pv, TLB_2_without_a_request_the_old_translation_stays)
{
    cr_assert(eq(u64, second_read(KVM_VCPU_PREEMPTED), 0x1111));
}

static void apf_on(uint64_t bits)
{
    static const uint32_t free_token = 0;

    wrmsr(MSR_KVM_ASYNC_PF_INT, VECTOR);
    wrmsr(MSR_KVM_ASYNC_PF_EN, APF | bits);
    vcpu_enter(m.f.vcpu);
    fix_write(&m.f, APF + 4, &free_token, 4);
    wrmsr(MSR_KVM_ASYNC_PF_ACK, 1);
    memset(m.f.vcpu->apic.irr, 0, sizeof(m.f.vcpu->apic.irr));
    m.f.regs->rflags |= RFLAGS_IF;
}

static void page_out(uint64_t gpa)
{
    cr_assert(eq(int, memory_page_out(&m.f.vm.memory, gpa), 0));
}

static void page_in(uint64_t gpa)
{
    cr_assert(eq(int, memory_page_in(&m.f.vm.memory, gpa), 0));
}

Test(soft_pv, APF_12_the_guest_is_told_by_a_page_fault_and_reads_when_the_page_is_there)
{
    apf_on(0xb); /* kernel code too */
    FIX_CODE_AT(&m.f, FIX_CODE, READ);
    FIX_CODE_AT(&m.f, FIX_HANDLERS + 16 * TRAP_PF, "\xf4\x48\x83\xc4\x08" IRETQ); /* hlt; add rsp, 8; iretq */
    FIX_CODE_AT(&m.f, FIX_HANDLERS + 16 * VECTOR, IRETQ);
    page_out(FIX_DATA);
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), TRAP_PF));
    cr_assert(eq(u64, m.f.regs->cr2, 0x1000));
    cr_assert(eq(u64, fix_read64(&m.f, m.f.regs->gpr[RSP]), 0), "error code");
    cr_assert(eq(u64, fix_read64(&m.f, m.f.regs->gpr[RSP] + 8), FIX_CODE), "RIP of the access");
    cr_assert(eq(u64, fix_read64(&m.f, APF), 1), "flags set, no token yet");
    page_in(FIX_DATA);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 0x1111));
    cr_assert(eq(u64, fix_read64(&m.f, APF) >> 32, 0x1000));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 4));
}

#define HALTS_ROW(name, code, away)                                                                          \
    Test(soft_pv, name)                                                                                      \
    {                                                                                                        \
        FIX_CODE_AT(&m.f, FIX_CODE, code);                                                                   \
        m.f.regs->rflags |= RFLAGS_IF;                                                                       \
        page_out(away);                                                                                      \
        run_to_idle();                                                                                       \
        cr_assert(eq(u64, m.f.regs->rip, FIX_CODE), "nothing was done yet");                                 \
        cr_assert(eq(int, m.f.vcpu->mp_state, MP_RUNNABLE));                                                 \
        page_in(away);                                                                                       \
        run_to_idle();                                                                                       \
        cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + sizeof(code) - 1));                                      \
    }
HALTS_ROW(APF_12_without_the_mechanism_a_load_waits, READ, FIX_DATA)
HALTS_ROW(APF_12_without_the_mechanism_a_store_waits, "\x48\x89\x03\xf4", FIX_DATA)
HALTS_ROW(APF_12_without_the_mechanism_an_instruction_waits, READ, FIX_CODE)
HALTS_ROW(APF_12_without_the_mechanism_a_push_waits, "\x50\xf4", FIX_STACK - 8)

Test(soft_pv, APF_9_with_interrupts_off_nothing_waits)
{
    FIX_CODE_AT(&m.f, FIX_CODE, READ);
    page_out(FIX_DATA);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 4));
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 0x1111));
}

Test(soft_pv, APF_9_in_an_interrupt_shadow_nothing_waits)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\xfb" READ); /* sti */
    page_out(FIX_DATA);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 0x1111));
}

Test(soft_pv, APF_9_the_delivery_of_an_interrupt_does_not_wait)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\xf4");
    m.f.regs->rflags |= RFLAGS_IF;
    page_out(FIX_STACK - 8);
    lapic_accept(m.f.vcpu, APIC_FIXED, 0x50, false, true);
    run_to_idle();
    cr_assert(eq(int, fix_vector(&m.f), 0x50));
    cr_assert(not(memory_absent(&m.f.vm.memory, FIX_STACK - 8)));
}

Test(soft_pv, APF_9_a_cached_translation_does_not_reach_a_page_that_is_out)
{
    FIX_CODE_AT(&m.f, FIX_CODE, READ_TWICE);
    m.f.regs->rflags |= RFLAGS_IF;
    run_to_idle();
    page_out(FIX_DATA);
    kick();
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 4), "at the second load");
    page_in(FIX_DATA);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RCX], 0x1111));
}

#define BTR  "\x0f\xba\x34\x25\x00\x20\x0a\x00\x00" /* btr dword [EOI_WORD], 0 */
#define SETC "\x0f\x92\xc2"                         /* setc dl */

static void interrupt_handler(const char *code, size_t len)
{
    FIX_CODE_AT(&m.f, FIX_CODE, "\xf4\xf4");
    fix_write(&m.f, FIX_HANDLERS + 16 * 0x50, code, len);
    wrmsr(MSR_KVM_PV_EOI_EN, EOI_WORD | 1);
    m.f.regs->rflags |= RFLAGS_IF;
    lapic_accept(m.f.vcpu, APIC_FIXED, 0x50, false, true);
    run_to_idle();
}

Test(soft_pv, EOI_19_A_a_handler_that_clears_the_bit_writes_no_EOI)
{
    interrupt_handler(BTR SETC IRETQ, sizeof(BTR SETC IRETQ) - 1);
    cr_assert(eq(u64, m.f.regs->gpr[RDX] & 0xff, 1));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 1), "in HLT again");
    cr_assert(eq(u32, m.f.vcpu->apic.isr[2], 0), "the exit for HLT has ended it");
}

Test(soft_pv, EOI_19_B_a_handler_that_exits_finds_the_bit_clear)
{
    interrupt_handler("\x31\xc0\x0f\xa2" BTR SETC "\xf4", sizeof("\x31\xc0\x0f\xa2" BTR SETC "\xf4") - 1);
    cr_assert(eq(u64, m.f.regs->gpr[RDX] & 0xff, 0));
    cr_assert(eq(u32, m.f.vcpu->apic.isr[2], 1u << 0x10));
}

#define VMMCALL "\x0f\x01\xd9\xf4"

static void map_gpa_range(uint64_t gpa, uint64_t pages, uint64_t attributes)
{
    FIX_CODE_AT(&m.f, FIX_CODE, VMMCALL);
    m.f.regs->gpr[RAX] = KVM_HC_MAP_GPA_RANGE;
    m.f.regs->gpr[RBX] = gpa;
    m.f.regs->gpr[RCX] = pages;
    m.f.regs->gpr[RDX] = attributes;
    soft_run(m.soft, 1000, &m.stop);
}

Test(soft_pv, GPA_4_the_VMM_is_asked_and_its_answer_is_RAX) /* known bug KB-29 */
{
    map_gpa_range(0x1000, 1, 0xffff);
    cr_assert(eq(int, m.stop.reason, STOP_HYPERCALL));
    const struct hypercall_exit *asked = &m.f.vcpu->hypercall;
    cr_assert(eq(u64, asked->nr, 12));
    cr_assert(eq(u64, asked->args[0], 0x1000));
    cr_assert(eq(u64, asked->args[1], 1));
    cr_assert(eq(u64, asked->args[2], 0xffff), "GPA-5: as it is");
    cr_assert(asked->wide);
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE));
    cr_assert(eq(u64, m.f.regs->gpr[RAX], KVM_HC_MAP_GPA_RANGE));
    soft_run(m.soft, 1000, &m.stop);
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE), "it waits for the answer");
    vcpu_answer_hypercall(m.f.vcpu, 0x1234567800000002);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 0x1234567800000002));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 4));
}

Test(soft_pv, GPA_4_the_32_bit_form_gets_32_bits)
{
    m.f.regs->seg[SREG_CS] = fix_segment(SEL_CODE32, 0xc09b, 0xffffffff);
    map_gpa_range(0x1000, 1, 0);
    cr_assert(eq(int, m.stop.reason, STOP_HYPERCALL));
    cr_assert(not(m.f.vcpu->hypercall.wide));
    vcpu_answer_hypercall(m.f.vcpu, (uint64_t)-1);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 0xffffffff));
}

#define GPA_ROW(name, gpa, pages, asked, answer)                                                             \
    Test(soft_pv, name)                                                                                      \
    {                                                                                                        \
        map_gpa_range(gpa, pages, 0);                                                                        \
        cr_assert(eq(int, m.stop.reason, asked ? STOP_HYPERCALL : STOP_IDLE));                               \
        if (!asked)                                                                                          \
            cr_assert(eq(u64, m.f.regs->gpr[RAX], (uint64_t)(answer)));                                      \
    }
GPA_ROW(GPA_7_an_unaligned_address, 0x1001, 1, false, -22)
GPA_ROW(GPA_7_no_pages, 0, 0, false, -22)
GPA_ROW(GPA_7_the_last_page_of_all, 0xfffffffffffff000, 1, true, 0)
GPA_ROW(GPA_7_pages_that_wrap, 0x1000, UINT64_MAX, false, -22)
GPA_ROW(GPA_7_all_pages_there_can_be, 0, UINT64_MAX, true, 0)

GPA_ROW(GPA_3_a_start_inside_of_a_page, 0x1800, 1, false, -22)
GPA_ROW(GPA_3_at_least_one_page, 0x1000, 0, false, -22)
GPA_ROW(GPA_3_pages_that_wrap_from_the_last_one, 0xfffffffffffff000, 0xfff0000000000001, false, -22)

Test(soft_pv, GPA_5_attributes_are_handed_on_as_they_are)
{
    map_gpa_range(0x1000, 1, UINT64_MAX);
    cr_assert(eq(int, m.stop.reason, STOP_HYPERCALL));
    cr_assert(eq(u64, m.f.vcpu->hypercall.args[2], UINT64_MAX));
}

Test(soft_pv, GPA_1_without_the_capability_the_number_is_unknown)
{
    m.f.vm.config.exit_hypercalls = 0;
    map_gpa_range(0x1000, 1, 0);
    cr_assert(eq(u64, m.f.regs->gpr[RAX], (uint64_t)-1000));
}

Test(soft_pv, GPA_7_above_ring_0_nobody_is_asked)
{
    fix_user(&m.f);
    FIX_CODE_AT(&m.f, FIX_HANDLERS + 16 * TRAP_GP, "\xf4");
    map_gpa_range(0x1000, 1, 0);
    cr_assert(eq(u64, m.f.regs->gpr[RAX], (uint64_t)-1));
}

Test(soft_pv, GPA_2_no_other_hypercall_can_be_asked_for)
{
    struct vm vm;
    struct vm_config config = m.f.vm.config;
    config.exit_hypercalls = 1u << KVM_HC_SEND_IPI;
    cr_assert(ne(int, vm_create(&vm, &config, &m.f.vm.env), 0));
}

#define RDMSR_HLT "\x66\x0f\x32\xf4" /* with a prefix: the length is the instruction's, not 2 */

static void read_unknown_msr(void)
{
    m.f.vm.config.msr_exits = MSR_EXIT_UNKNOWN;
    FIX_CODE_AT(&m.f, FIX_CODE, RDMSR_HLT);
    m.f.regs->gpr[RCX] = 0x4b564d08;
    soft_run(m.soft, 1000, &m.stop);
    cr_assert(eq(int, m.stop.reason, STOP_MSR));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE));
    soft_run(m.soft, 1000, &m.stop);
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE), "it waits for the answer");
}

Test(soft_pv, SAV_12_the_VMM_s_answer_ends_the_instruction)
{
    read_unknown_msr();
    vcpu_answer_msr(m.f.vcpu, false, 0x500000007);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], 7));
    cr_assert(eq(u64, m.f.regs->gpr[RDX], 5));
    cr_assert(eq(u64, m.f.regs->rip, FIX_CODE + 4));
}

Test(soft_pv, SAV_12_the_VMM_s_refusal_is_gp_at_the_instruction)
{
    read_unknown_msr();
    FIX_CODE_AT(&m.f, FIX_HANDLERS + 16 * TRAP_GP, "\x58\x58\xf4"); /* error code, RIP */
    vcpu_answer_msr(m.f.vcpu, true, 0);
    run_to_idle();
    cr_assert(eq(u64, m.f.regs->gpr[RAX], FIX_CODE));
}
