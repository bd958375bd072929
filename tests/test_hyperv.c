/* Hyper-V's interface beside KVM's: registers, the takeover of hypercalls, the VP assist page. spec HC-9, EOI-17, GEN-6. */
#include <errno.h>
#include <stdlib.h>
#include "tests/fake_vm.h"
#include "vmm/abi/hyperv.h"
#include "vmm/board/migrate.h"
#include "vmm/board/reset.h"
#include "vmm/pv/hyperv.h"

#define OS_ID 0x8100000000000000ull
#define PAGE  0x3000ull
#define IN    0x5000ull
#define FAST  0x10000ull

/* Two vCPUs whose CPUID shows Hyper-V with these features in front of KVM's leaves. */
static void hyperv_machine(struct fake_vm *f, uint32_t features_a, uint32_t features_d, uint32_t advice)
{
    struct cpuid_table table;

    fake_vm_init_smp(f, 2);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE + KVM_BASE_STEP, ALL_FEATURES);
    cpuid_put(&table, HYPERV_CPUID_VENDOR, HYPERV_CPUID_LIMITS, HYPERV_VENDOR_EBX, HYPERV_VENDOR_ECX,
              HYPERV_VENDOR_EDX);
    cpuid_put(&table, HYPERV_CPUID_INTERFACE, HYPERV_INTERFACE_HV1, 0, 0, 0);
    cpuid_put(&table, HYPERV_CPUID_FEATURES, features_a, 0, 0, features_d);
    cpuid_put(&table, HYPERV_CPUID_ADVICE, advice, HV_SPIN_NEVER_NOTIFY, 0, 0);
    for (int i = 0; i < 2; i++) {
        cr_assert(eq(int, vcpu_set_cpuid(&f->vm.vcpus[i], &table), 0));
        cpu_mode(&f->vm.vcpus[i], true, true, 0);
    }
}

static void plain_machine(struct fake_vm *f)
{
    hyperv_machine(f, HV_APIC_ACCESS | HV_HYPERCALL | HV_VP_INDEX, 0, 0);
}

static void takeover(struct fake_vm *f)
{
    plain_machine(f);
    cr_assert(eq(int, guest_wrmsr(f, HV_X64_MSR_GUEST_OS_ID, OS_ID), MSR_OK));
}

/* The native instruction in 64-bit code: what RAX becomes. */
static uint64_t call(struct fake_vm *f, uint64_t input, uint64_t in, uint64_t out)
{
    f->vcpu->regs.gpr[R8] = out;
    return hypercall(f->vcpu, KVM_HC_VAPIC_POLL_IRQ, 0xb, input, in, 0x51);
}

static uint8_t outcome(struct fake_vm *f, enum hc_insn insn)
{
    struct trap trap;

    return intercept_hypercall(f->vcpu, insn, &trap) == HC_TRAP ? trap.vector : TRAP_NONE;
}

static void put_words(struct fake_vm *f, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
    const uint64_t words[] = {a, b, c, d};

    ram_write(f, IN, words, sizeof(words));
}

Test(hyperv, HC_9_KVM_s_numbers_are_gone_once_a_guest_has_named_itself)
{
    FAKE_VM(f);
    plain_machine(&f);
    cr_assert(eq(u64, call(&f, 0xdead, 0, 0), 0), "KVM's VAPIC_POLL_IRQ");
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_GUEST_OS_ID, OS_ID), MSR_OK));
    cr_assert(eq(u64, call(&f, 0xdead, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE));
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_GUEST_OS_ID, 0), MSR_OK));
    cr_assert(eq(u64, call(&f, 0xdead, 0, 0), 0));
}

Test(hyperv, HC_9_without_the_leaf_nothing_is_taken_over)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_GUEST_OS_ID, OS_ID), MSR_INVALID));
    f.vm.hyperv.guest_os_id = OS_ID; /* another vCPU's guest may see the leaf */
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, call(&f, 0xdead, 0, 0), 0));
}

Test(hyperv, HC_9_the_identity_is_the_VM_s)
{
    FAKE_VM(f);
    takeover(&f);
    f.vcpu = &f.vm.vcpus[1];
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_GUEST_OS_ID), OS_ID));
    cr_assert(eq(u64, call(&f, 0xdead, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE));
}

#define MODE_ROW(name, paging_long, cs_l, cpl, vector)                                                       \
    Test(hyperv, name)                                                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        takeover(&f);                                                                                        \
        cpu_mode(f.vcpu, paging_long, cs_l, cpl);                                                            \
        cr_assert(eq(u8, outcome(&f, HC_VMCALL), vector));                                                   \
    }
MODE_ROW(HC_9_ring_0_is_served, true, true, 0, TRAP_NONE)
MODE_ROW(HC_9_ring_1_is_ud, true, true, 1, TRAP_UD)
MODE_ROW(HC_9_ring_3_is_ud, true, true, 3, TRAP_UD)
MODE_ROW(HC_9_ring_3_of_32_bit_code_is_ud, false, false, 3, TRAP_UD)

Test(hyperv, HC_9_real_mode_is_ud)
{
    FAKE_VM(f);
    takeover(&f);
    vcpu_regs_reset(f.vcpu);
    cr_assert(eq(u8, outcome(&f, HC_VMCALL), TRAP_UD));
}

Test(hyperv, HC_4_the_foreign_instruction_is_rewritten_first)
{
    FAKE_VM(f);
    struct trap trap;
    takeover(&f);
    cr_assert(eq(int, intercept_hypercall(f.vcpu, HC_VMMCALL, &trap), HC_REWRITE));
}

Test(hyperv, HC_9_a_fault_changes_nothing_and_a_result_only_RAX)
{
    FAKE_VM(f);
    uint64_t before[GPRS];
    takeover(&f);
    for (int i = 0; i < GPRS; i++)
        f.vcpu->regs.gpr[i] = before[i] = 0x1111111111111111ull * (unsigned)i;
    cpu_mode(f.vcpu, true, true, 3);
    outcome(&f, HC_VMCALL);
    cr_assert(eq(int, memcmp(before, f.vcpu->regs.gpr, sizeof(before)), 0));
    cpu_mode(f.vcpu, true, true, 0);
    outcome(&f, HC_VMCALL);
    before[RAX] = f.vcpu->regs.gpr[RAX];
    cr_assert(eq(int, memcmp(before, f.vcpu->regs.gpr, sizeof(before)), 0));
}

Test(hyperv, HC_9_outside_of_64_bit_code_input_and_result_are_EDX_EAX)
{
    FAKE_VM(f);
    uint64_t *gpr;
    takeover(&f);
    gpr = f.vcpu->regs.gpr;
    cpu_mode(f.vcpu, true, false, 0);
    gpr[RAX] = 0xffffffff00000000 | FAST | HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST;
    gpr[RDX] = 5;
    cr_assert(eq(u8, outcome(&f, HC_VMCALL), TRAP_NONE));
    cr_assert(eq(u64, gpr[RAX], HV_STATUS_SUCCESS));
    cr_assert(eq(u64, gpr[RDX], 5), "repetitions done");
    gpr[RAX] = HVCALL_SEND_IPI;
    gpr[RBX] = 1; /* the address is EBX:ECX: no RAM there */
    gpr[RCX] = IN;
    gpr[RDX] = 0;
    outcome(&f, HC_VMCALL);
    cr_assert(eq(u64, gpr[RAX], HV_STATUS_INVALID_HYPERCALL_INPUT));
}

#define CALL_ROW(name, input, in, out, want)                                                                 \
    Test(hyperv, name)                                                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        takeover(&f);                                                                                        \
        cr_assert(eq(u64, call(&f, input, in, out), want));                                                  \
    }
CALL_ROW(HC_9_an_unknown_code, 0x4d, 0, 0, HV_STATUS_INVALID_HYPERCALL_CODE)
CALL_ROW(HC_9_an_unknown_code_is_found_after_reserved_bits, 0x800004d, 0, 0,
         HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_reserved_bits_27, 0x8000008, 0, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_reserved_bits_44, 1ull << 44 | 8, 0, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_reserved_bits_60, 1ull << 60 | 8, 0, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_a_long_spin_wait, 8, 0, 0, HV_STATUS_SUCCESS)
CALL_ROW(HC_9_a_simple_call_with_repetitions, 1ull << 32 | 8, 0, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_a_simple_call_with_a_start, 1ull << 48 | 8, 0, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_a_simple_call_with_a_variable_header, 1ull << 17 | 8, 0, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_a_message_has_nobody_to_go_to, 0x5c, IN, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_an_event_has_nobody_to_go_to, FAST | 0x5d, 1, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_an_event_at_an_odd_address, 0x5d, IN + 1, 0, HV_STATUS_INVALID_ALIGNMENT)
CALL_ROW(HC_9_an_event_where_no_memory_is, 0x5d, HOLE, 0, HV_STATUS_INVALID_ALIGNMENT)
CALL_ROW(HC_9_debug_data, 0x69, 0, 0, HV_STATUS_INVALID_HYPERCALL_CODE)
CALL_ROW(HC_9_fast_debug_data, FAST | 0x69, 0, 0, HV_STATUS_INVALID_PARAMETER)
CALL_ROW(HC_9_a_list_flush_without_a_list, FAST | 3, 0, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_a_list_flush_that_goes_on, 1ull << 48 | 2ull << 32 | FAST | 3, 0, 0,
         HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_a_list_flush_tells_its_repetitions, 7ull << 32 | FAST | 3, 0, 0, 7ull << 32)
CALL_ROW(HC_9_a_flush_without_memory, 2, HOLE, 0, HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_a_fast_ipi_with_a_reserved_half, FAST | 0xb, 1ull << 32 | 0x61, 3,
         HV_STATUS_INVALID_HYPERCALL_INPUT)
CALL_ROW(HC_9_an_ipi_with_a_low_vector, FAST | 0xb, 0xf, 3, HV_STATUS_INVALID_HYPERCALL_INPUT)

Test(hyperv, HC_9_extended_calls_go_to_the_VMM_since_6_3)
{
    FAKE_VM(f);
    takeover(&f);
    cr_assert(eq(u64, call(&f, FAST | 0x8041, 0, 0), HV_STATUS_INVALID_PARAMETER));
    cr_assert(eq(u64, call(&f, 0x8001, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE));
    cr_assert(eq(u64, call(&f, FAST | 0x8042, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE));
    f.vm.config.version = KVM_6_1;
    cr_assert(eq(u64, call(&f, FAST | 0x8041, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE));
}

/* Who of the two vCPUs is flushed by the words at IN. */
static unsigned flushed(struct fake_vm *f, uint64_t input)
{
    unsigned who = 0;

    for (unsigned i = 0; i < 2; i++)
        f->vm.vcpus[i].requests = 0;
    cr_assert(eq(u64, call(f, input, IN, 0) & 0xffff, HV_STATUS_SUCCESS));
    for (unsigned i = 0; i < 2; i++)
        who |= (unsigned)!!(f->vm.vcpus[i].requests & REQ_TLB_FLUSH) << i;
    return who;
}

Test(hyperv, HC_9_a_flush_reaches_those_it_names_and_nobody_means_everybody)
{
    FAKE_VM(f);
    takeover(&f);
    put_words(&f, 0, 0, 2, 0);
    cr_assert(eq(uint, flushed(&f, 2), 2));
    put_words(&f, 0, 0, 0, 0);
    cr_assert(eq(uint, flushed(&f, 2), 3));
    put_words(&f, 0, HV_FLUSH_ALL_PROCESSORS, 2, 0);
    cr_assert(eq(uint, flushed(&f, 2), 3));
    cr_assert(eq(uint, flushed(&f, FAST | 2), 3), "XMM0 is 0");
}

Test(hyperv, HC_9_a_flush_of_a_sparse_set)
{
    FAKE_VM(f);
    const uint64_t bank = 2;
    takeover(&f);
    put_words(&f, 0, 0, HV_SET_SPARSE_4K, 1);
    ram_write(&f, IN + 32, &bank, sizeof(bank));
    cr_assert(eq(uint, flushed(&f, 1ull << 17 | 0x13), 2));
    cr_assert(eq(u64, call(&f, 0x13, IN, 0), HV_STATUS_INVALID_HYPERCALL_INPUT), "as many banks as it says");
    put_words(&f, 0, 0, HV_SET_SPARSE_4K, 0);
    cr_assert(eq(uint, flushed(&f, 0x13), 0));
    put_words(&f, 0, 0, HV_SET_ALL, 0);
    cr_assert(eq(uint, flushed(&f, 0x13), 3));
    put_words(&f, 0, 0, HV_SET_SPARSE_4K, 1ull << 63);
    cr_assert(eq(uint, flushed(&f, 1ull << 17 | 0x13), 0), "a bank beyond every vCPU");
}

static bool has(struct fake_vm *f, unsigned vcpu, uint8_t vector)
{
    return f->vm.vcpus[vcpu].apic.irr[vector / 32] >> vector % 32 & 1;
}

Test(hyperv, HC_9_an_ipi_reaches_those_it_names)
{
    FAKE_VM(f);
    takeover(&f);
    cr_assert(eq(u64, call(&f, FAST | 0xb, 0x61, 2), HV_STATUS_SUCCESS));
    cr_assert(not(has(&f, 0, 0x61)));
    cr_assert(has(&f, 1, 0x61));
    put_words(&f, 0x62, 1, 0, 0);
    cr_assert(eq(u64, call(&f, 0xb, IN, 0), HV_STATUS_SUCCESS));
    cr_assert(has(&f, 0, 0x62) && !has(&f, 1, 0x62));
    put_words(&f, 0x63, HV_SET_ALL, 0, 0);
    cr_assert(eq(u64, call(&f, 0x15, IN, 0), HV_STATUS_SUCCESS));
    cr_assert(has(&f, 0, 0x63) && has(&f, 1, 0x63));
    put_words(&f, 0x64, HV_SET_SPARSE_4K, 1, 2);
    cr_assert(eq(u64, call(&f, 1ull << 17 | 0x15, IN, 0), HV_STATUS_SUCCESS));
    cr_assert(not(has(&f, 0, 0x64)));
    cr_assert(has(&f, 1, 0x64));
}

/* What enforcement leaves of the calls: 0x40000003 EBX, EDX and 0x40000004. */
static void enforced(struct fake_vm *f, uint32_t features_d, uint32_t advice)
{
    hyperv_machine(f, HV_HYPERCALL, features_d, advice);
    vcpu_set_hv_enforce(f->vcpu, true);
    cr_assert(eq(int, guest_wrmsr(f, HV_X64_MSR_GUEST_OS_ID, OS_ID), MSR_OK));
}

Test(hyperv, HC_9_enforced_calls_that_are_not_shown_are_denied_before_anything_is_looked_at)
{
    static const uint16_t codes[] = {2, 3, 8, 0xb, 0x13, 0x14, 0x15, 0x5c, 0x5d};
    FAKE_VM(f);
    enforced(&f, 0, 0);
    for (size_t i = 0; i < sizeof(codes) / sizeof(codes[0]); i++)
        cr_assert(eq(u64, call(&f, 0x8000000 | codes[i], 0, 0), HV_STATUS_ACCESS_DENIED), "%#x", codes[i]);
    cr_assert(eq(u64, call(&f, 0x4d, 0, 0), HV_STATUS_INVALID_HYPERCALL_CODE));
    cr_assert(eq(u64, call(&f, 0x8001, 0, 0), HV_STATUS_ACCESS_DENIED));
}

Test(hyperv, HC_9_enforced_sets_of_processors_need_their_own_bit)
{
    FAKE_VM(f);
    enforced(&f, 0, HV_REMOTE_TLB_FLUSH | HV_CLUSTER_IPI);
    cr_assert(eq(u64, call(&f, 2, IN, 0), HV_STATUS_SUCCESS));
    cr_assert(eq(u64, call(&f, 0x13, IN, 0), HV_STATUS_ACCESS_DENIED));
    cr_assert(eq(u64, call(&f, 0x15, IN, 0), HV_STATUS_ACCESS_DENIED));
}

Test(hyperv, HC_9_enforced_fast_input_in_XMM_registers_is_ud_where_it_is_not_shown)
{
    FAKE_VM(f);
    enforced(&f, 0, HV_REMOTE_TLB_FLUSH);
    f.vcpu->regs.gpr[RCX] = FAST | 2;
    cr_assert(eq(u8, outcome(&f, HC_VMCALL), TRAP_UD));
    enforced(&f, HV_XMM_INPUT, HV_REMOTE_TLB_FLUSH);
    f.vcpu->regs.gpr[RCX] = FAST | 2;
    cr_assert(eq(u8, outcome(&f, HC_VMCALL), TRAP_NONE));
}

/* Registers. */

Test(hyperv, HC_9_the_hypercall_page_holds_the_native_instruction_and_a_return)
{
    static const uint8_t code[4] = {0x0f, 0x01, 0xc1, 0xc3};
    FAKE_VM(f);
    uint8_t bytes[5];
    takeover(&f);
    ram_fill(&f, PAGE, 0xa5, 16);
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_HYPERCALL, PAGE | 0xff1), MSR_OK));
    ram_read(&f, PAGE, bytes, 5);
    cr_assert(eq(int, memcmp(bytes, code, 4), 0));
    cr_assert(eq(u8, bytes[4], 0xa5));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_HYPERCALL), PAGE | 0xff1));
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_HYPERCALL, HOLE | 1), MSR_INVALID));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_HYPERCALL), PAGE | 0xff1));
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_HYPERCALL, HOLE), MSR_OK), "off, so never looked at");
}

Test(hyperv, HC_9_the_hypercall_page_needs_a_guest_with_a_name)
{
    FAKE_VM(f);
    plain_machine(&f);
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_HYPERCALL, PAGE | 1), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_HYPERCALL), 0));
    cr_assert(eq(u32, ram_u32(&f, PAGE), 0));
    guest_wrmsr(&f, HV_X64_MSR_GUEST_OS_ID, OS_ID);
    guest_wrmsr(&f, HV_X64_MSR_HYPERCALL, PAGE | 1);
    guest_wrmsr(&f, HV_X64_MSR_GUEST_OS_ID, 0);
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_HYPERCALL), PAGE), "only the enable bit goes");
}

#define REGISTER_ROW(name, index, value, read, write)                                                        \
    Test(hyperv, name)                                                                                       \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        uint64_t got;                                                                                        \
        plain_machine(&f);                                                                                   \
        cr_assert(eq(int, vcpu_rdmsr(f.vcpu, index, &got, ORIGIN_GUEST), read));                             \
        cr_assert(eq(int, vcpu_wrmsr(f.vcpu, index, value, ORIGIN_GUEST), write));                           \
    }
REGISTER_ROW(HC_9_vp_index_is_read_only, HV_X64_MSR_VP_INDEX, 0, MSR_OK, MSR_INVALID)
REGISTER_ROW(HC_9_frequencies_are_read_only, HV_X64_MSR_TSC_FREQUENCY, 1, MSR_OK, MSR_INVALID)
REGISTER_ROW(HC_9_the_reference_time_is_read_only, HV_X64_MSR_TIME_REF_COUNT, 1, MSR_OK, MSR_INVALID)
REGISTER_ROW(HC_9_end_of_interrupt_is_write_only, HV_X64_MSR_EOI, 0, MSR_INVALID, MSR_OK)
REGISTER_ROW(HC_9_the_task_priority_has_32_bits, HV_X64_MSR_TPR, 1ull << 32, MSR_OK, MSR_INVALID)
REGISTER_ROW(HC_9_the_emulation_status_may_only_be_cleared, HV_X64_MSR_TSC_EMULATION_STATUS, 1, MSR_OK,
             MSR_INVALID)
REGISTER_ROW(HC_9_a_timer_without_a_controller, HV_X64_MSR_STIMER0_CONFIG, 1, MSR_OK, MSR_INVALID)
REGISTER_ROW(HC_9_the_interrupt_controller_is_not_there, 0x40000080, 0, MSR_INVALID, MSR_INVALID)
REGISTER_ROW(HC_9_a_number_behind_them, 0x400000a0, 0, MSR_UNSUPPORTED, MSR_UNSUPPORTED)

Test(hyperv, HC_9_values_of_registers)
{
    FAKE_VM(f);
    plain_machine(&f);
    fake_advance(&f, 5000);
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_TIME_REF_COUNT), 50));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_TSC_FREQUENCY), FAKE_KHZ * 1000ull));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_APIC_FREQUENCY), 1000000000));
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_TPR, 0x30), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_TPR), 0x30));
    cr_assert(eq(u32, f.vcpu->apic.tpr, 0x30));
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_CRASH_P0 + 4, 0x77), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_CRASH_P0 + 4), 0x77));
    f.vcpu = &f.vm.vcpus[1];
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_VP_INDEX), 1));
}

Test(hyperv, GEN_6_a_refusal_of_Hyper_V_s_is_never_excused)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vm.config.ignore_msrs = true;
    f.vcpu->regs.gpr[RCX] = HV_X64_MSR_GUEST_OS_ID;
    cr_assert(eq(u8, intercept_rdmsr(f.vcpu).vector, TRAP_GP));
}

Test(hyperv, HC_9_enforced_registers_are_opened_by_their_own_bit)
{
    FAKE_VM(f);
    uint64_t got;
    hyperv_machine(&f, HV_HYPERCALL, 0, 0);
    vcpu_set_hv_enforce(f.vcpu, true);
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, HV_X64_MSR_GUEST_OS_ID, &got, ORIGIN_GUEST), MSR_OK));
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, HV_X64_MSR_VP_INDEX, &got, ORIGIN_GUEST), MSR_INVALID));
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, HV_X64_MSR_CRASH_P0, &got, ORIGIN_GUEST), MSR_INVALID));
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, HV_X64_MSR_VP_INDEX, &got, ORIGIN_VMM), MSR_OK));
}

/* The VP assist page. */

Test(hyperv, EOI_17_the_assist_page_is_the_PV_EOI_register_by_another_name)
{
    FAKE_VM(f);
    plain_machine(&f);
    ram_fill(&f, PAGE, 0xa5, 16);
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 0xff1), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), PAGE | 1));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE), PAGE | 0xff1));
    cr_assert(eq(u32, ram_u32(&f, PAGE), 0), "the first word is cleared");
    cr_assert(eq(u32, ram_u32(&f, PAGE + 4), 0xa5a5a5a5), "and no other");
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 0xff0), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), 0));
}

Test(hyperv, EOI_17_an_offer_is_made_and_taken_in_the_assist_page)
{
    FAKE_VM(f);
    plain_machine(&f);
    guest_wrmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 1);
    cr_assert(lapic_accept(f.vcpu, APIC_FIXED, 0x51, false, true));
    cr_assert(eq(int, vcpu_take_interrupt(f.vcpu), 0x51));
    cr_assert(eq(u32, ram_u32(&f, PAGE), 1));
    ram_put_u32(&f, PAGE, 0);
    vcpu_exit(f.vcpu);
    cr_assert(eq(u32, f.vcpu->apic.isr[0x51 / 32], 0));
}

Test(hyperv, EOI_17_no_memory_no_change)
{
    FAKE_VM(f);
    plain_machine(&f);
    guest_wrmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 1);
    cr_assert(eq(int, guest_wrmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE, HOLE | 1), MSR_INVALID));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE), PAGE | 1));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), PAGE | 1));
}

Test(hyperv, EOI_17_init_clears_the_state_and_not_the_register)
{
    FAKE_VM(f);
    plain_machine(&f);
    guest_wrmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE, PAGE | 1);
    vcpu_init(f.vcpu);
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE), PAGE | 1));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_PV_EOI_EN), 0));
}

static void live(struct fake_vm *f)
{
    takeover(f);
    guest_wrmsr(f, HV_X64_MSR_HYPERCALL, PAGE | 1);
    guest_wrmsr(f, HV_X64_MSR_VP_ASSIST_PAGE, (PAGE + 0x1000) | 1);
    guest_wrmsr(f, HV_X64_MSR_CRASH_P0, 0x77);
    guest_wrmsr(f, HV_X64_MSR_REENLIGHTENMENT_CONTROL, 0x10051);
}

Test(hyperv, QMU_8_a_system_reset_clears_what_QEMU_knows_of)
{
    FAKE_VM(f);
    live(&f);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_GUEST_OS_ID), 0));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_HYPERCALL), PAGE), "no guest, no change of the address");
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE), 0));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_CRASH_P0), 0));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_REENLIGHTENMENT_CONTROL), 0x10051), "not shown: not known");
}

Test(hyperv, SAV_1_a_snapshot_holds_the_registers)
{
    FAKE_VM(f);
    uint8_t *data;
    size_t len;
    char message[160];
    live(&f);
    vcpu_set_hv_enforce(&f.vm.vcpus[1], true);
    cr_assert(eq(int, vm_save(&f.vm, &data, &len), 0));
    board_system_reset(&f.vm);
    guest_wrmsr(&f, HV_X64_MSR_REENLIGHTENMENT_CONTROL, 0);
    vcpu_set_hv_enforce(&f.vm.vcpus[1], false);
    cr_assert(eq(int, vm_restore(&f.vm, data, len, message), 0), "%s", message);
    free(data);
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_GUEST_OS_ID), OS_ID));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_HYPERCALL), PAGE | 1));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_VP_ASSIST_PAGE), (PAGE + 0x1000) | 1));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_CRASH_P0), 0x77));
    cr_assert(eq(u64, guest_rdmsr(&f, HV_X64_MSR_REENLIGHTENMENT_CONTROL), 0x10051));
    cr_assert(f.vm.vcpus[1].hv_enforce);
}

Test(hyperv, SAV_1_a_page_without_a_guest_is_refused)
{
    FAKE_VM(f);
    uint8_t *data;
    size_t len;
    char message[160];
    live(&f);
    f.vm.hyperv.guest_os_id = 0;
    cr_assert(eq(int, vm_save(&f.vm, &data, &len), 0));
    cr_assert(eq(int, vm_restore(&f.vm, data, len, message), -EINVAL));
    free(data);
    cr_assert(ne(ptr, strstr(message, "hyperv.hypercall"), NULL), "%s", message);
}

Test(hyperv, SAV_3_a_migration_carries_what_is_shown_and_writes_the_pages_anew)
{
    FAKE_VM(from);
    FAKE_VM(to);
    struct kvmclock_device a, b;
    char message[160];
    live(&from);
    ram_put_u32(&from, PAGE, 0);
    ram_put_u32(&from, PAGE + 0x1000, 0xa5a5a5a5);
    plain_machine(&to);
    kvmclock_device_create(&a, &from.vm);
    kvmclock_device_create(&b, &to.vm);
    cr_assert(eq(int, board_migrate(&from.vm, &a, &to.vm, &b, message), 0), "%s", message);
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_GUEST_OS_ID), OS_ID));
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_HYPERCALL), PAGE | 1));
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_VP_ASSIST_PAGE), (PAGE + 0x1000) | 1));
    cr_assert(eq(u64, guest_rdmsr(&to, MSR_KVM_PV_EOI_EN), (PAGE + 0x1000) | 1));
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_CRASH_P0), 0x77));
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_REENLIGHTENMENT_CONTROL), 0));
    cr_assert(eq(u32, ram_u32(&to, PAGE), 0xc3c1010f));
    cr_assert(eq(u32, ram_u32(&to, PAGE + 0x1000), 0));
}

Test(hyperv, SAV_3_each_register_finds_its_own_where_the_destination_shows_fewer)
{
    FAKE_VM(from);
    FAKE_VM(to);
    struct kvmclock_device a, b;
    char message[160];
    live(&from);
    hyperv_machine(&to, HV_APIC_ACCESS, 0, 0);
    kvmclock_device_create(&a, &from.vm);
    kvmclock_device_create(&b, &to.vm);
    cr_assert(eq(int, board_migrate(&from.vm, &a, &to.vm, &b, message), 0), "%s", message);
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_GUEST_OS_ID), 0));
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_VP_ASSIST_PAGE), (PAGE + 0x1000) | 1));
    cr_assert(eq(u64, guest_rdmsr(&to, HV_X64_MSR_CRASH_P0), 0x77));
}
