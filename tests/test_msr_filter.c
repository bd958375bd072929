/* The filter of a guest's MSR accesses. spec SAV-10, SAV-11, GEN-4. */
#include <errno.h>
#include "tests/fake_vm.h"
#include "vmm/board/reset.h"
#include "vmm/pv/msr_filter.h"

#define MSR  MSR_KVM_STEAL_TIME /* base + 3 */
#define BASE 0x4b564d00u

static const uint8_t allow_none[2], allow_steal[2] = {1u << 3};

static bool guest_reads(struct fake_vm *f, uint32_t index)
{
    f->vcpu->regs.gpr[RCX] = index;
    return !trapped(intercept_rdmsr(f->vcpu));
}

static bool guest_writes(struct fake_vm *f, uint32_t index, uint64_t value)
{
    f->vcpu->regs.gpr[RCX] = index;
    f->vcpu->regs.gpr[RAX] = (uint32_t)value;
    f->vcpu->regs.gpr[RDX] = value >> 32;
    return !trapped(intercept_wrmsr(f->vcpu));
}

Test(msr_filter, SAV_10_and_11_a_clear_bit_denies_and_has_no_effect_at_all)
{
    static const struct msr_filter filter = {.ranges = {{MSR_ACCESS_WRITE, BASE, 8, allow_none}}};
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    cr_assert(not(guest_writes(&f, MSR, 0x5001)));
    cr_assert(eq(u64, f.vcpu->steal.msr, 0));
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x5008), 0));
    cr_assert(guest_reads(&f, MSR), "the range is about writes");
}

Test(msr_filter, SAV_10_a_set_bit_allows)
{
    static const struct msr_filter filter = {.default_deny = true,
                                             .ranges = {{MSR_ACCESS_WRITE, BASE, 8, allow_steal}}};
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    cr_assert(guest_writes(&f, MSR, 0x5001));
    cr_assert(not(guest_writes(&f, MSR_KVM_POLL_CONTROL, 0)));
    cr_assert(not(guest_reads(&f, MSR)), "no range decides, and the default denies");
    cr_assert(not(guest_writes(&f, BASE + 8, 0)));
}

Test(msr_filter, SAV_10_a_bit_behind_the_last_register_says_nothing)
{
    static const struct msr_filter filter = {.default_deny = true,
                                             .ranges = {{MSR_ACCESS_WRITE, BASE, 3, allow_steal}}};
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    cr_assert(not(guest_writes(&f, MSR, 0x5001)));
}

Test(msr_filter, SAV_10_the_first_range_of_that_direction_decides)
{
    static const struct msr_filter filter = {.ranges = {{MSR_ACCESS_READ, BASE, 8, allow_none},
                                                        {MSR_ACCESS_WRITE, BASE, 8, allow_steal},
                                                        {MSR_ACCESS_WRITE, BASE, 8, allow_none}}};
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    cr_assert(guest_writes(&f, MSR, 0x5001));
    cr_assert(not(guest_reads(&f, MSR)));
}

Test(msr_filter, SAV_10_x2apic_registers_are_exempt)
{
    static const uint8_t none[32];
    static const struct msr_filter filter = {.ranges = {{MSR_ACCESS_READ, 0x800, 256, none}}};
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    lapic_set_base(f.vcpu, f.vcpu->apic.base_msr | APICBASE_EXTD);
    cr_assert(guest_reads(&f, 0x802));
}

Test(msr_filter, SAV_11_the_VMM_itself_is_not_filtered)
{
    static const struct msr_filter filter = {.default_deny = true,
                                             .ranges = {{MSR_ACCESS_WRITE, BASE, 8, allow_none}}};
    FAKE_VM(f);
    uint64_t value;
    fake_vm_init(&f);
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR, 0x5001, ORIGIN_VMM), MSR_OK));
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, MSR, &value, ORIGIN_VMM), MSR_OK));
    cr_assert(eq(u64, value, 0x5001));
}

Test(msr_filter, GEN_4_the_filter_comes_before_ignore_msrs)
{
    static const struct msr_filter filter = {
        .ranges = {{MSR_ACCESS_READ | MSR_ACCESS_WRITE, BASE, 16, allow_none}}};
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vm.config.ignore_msrs = true;
    cr_assert(guest_reads(&f, BASE + 9));
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    cr_assert(not(guest_reads(&f, BASE + 9)));
}

Test(msr_filter, GEN_4_the_filter_comes_before_the_handler)
{
    static const struct msr_filter filter = {.ranges = {{MSR_ACCESS_WRITE, BASE, 8, allow_none}}};
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));
    cr_assert(not(guest_writes(&f, MSR_KVM_POLL_CONTROL, 0)));
    cr_assert(eq(u64, f.vcpu->poll.msr, 1));
}

#define REFUSED_ROW(name, ...)                                                                               \
    Test(msr_filter, name)                                                                                   \
    {                                                                                                        \
        static const struct msr_filter filter = __VA_ARGS__;                                                 \
        FAKE_VM(f);                                                                                          \
        fake_vm_init(&f);                                                                                    \
        cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), -EINVAL));                                      \
        cr_assert(eq(ptr, (void *)(uintptr_t)f.vm.msr_filter, NULL));                                        \
    }
REFUSED_ROW(SAV_10_a_range_without_direction, {.ranges = {{0, BASE, 8, allow_none}}})
REFUSED_ROW(SAV_10_an_unknown_direction, {.ranges = {{5, BASE, 8, allow_none}}})
REFUSED_ROW(SAV_10_too_long_a_range, {.ranges = {{MSR_ACCESS_READ, 0, 0x3001, allow_none}}})
REFUSED_ROW(SAV_10_everything_denied_by_nothing, {.default_deny = true})

/* Exits to the VMM. */

static void ask(struct fake_vm *f, uint8_t reasons)
{
    fake_vm_init(f);
    f->vm.config.msr_exits = reasons;
}

static uint8_t outcome(struct fake_vm *f, uint32_t index, bool write, uint64_t value)
{
    uint64_t *gpr = f->vcpu->regs.gpr;

    gpr[RCX] = index;
    gpr[RAX] = (uint32_t)value;
    gpr[RDX] = value >> 32;
    return (write ? intercept_wrmsr(f->vcpu) : intercept_rdmsr(f->vcpu)).vector;
}

#define REASON_ROW(name, nr, writes, val, enforced, want)                                                    \
    Test(msr_filter, name)                                                                                   \
    {                                                                                                        \
        static const struct msr_filter filter = {                                                            \
            .ranges = {{MSR_ACCESS_READ | MSR_ACCESS_WRITE, 0x35, 1, allow_none}}};                          \
        FAKE_VM(f);                                                                                          \
        ask(&f, MSR_EXIT_ALL);                                                                               \
        cr_assert(eq(int, vm_set_msr_filter(&f.vm, &filter), 0));                                            \
        fake_set_features(&f, enforced ? 0 : ALL_FEATURES);                                                  \
        vcpu_set_enforce(f.vcpu, enforced);                                                                  \
        cr_assert(eq(u8, outcome(&f, nr, writes, val), TRAP_RETRY));                                         \
        cr_assert(eq(u8, f.vcpu->msr_exit.reason, want));                                                    \
        cr_assert(eq(u32, f.vcpu->msr_exit.index, nr));                                                      \
        cr_assert(eq(int, f.vcpu->msr_exit.write, writes));                                                  \
        cr_assert(eq(u64, f.vcpu->msr_exit.data, writes ? val : 0));                                         \
        cr_assert(eq(u8, f.vcpu->hold, HOLD_EXIT));                                                          \
        f.vm.config.msr_exits = (uint8_t)(MSR_EXIT_ALL & ~(want));                                           \
        f.vcpu->hold = 0;                                                                                    \
        cr_assert(eq(u8, outcome(&f, nr, writes, val), TRAP_GP), "nobody asked for this reason");            \
        cr_assert(eq(u8, f.vcpu->hold, 0));                                                                  \
    }
REASON_ROW(SAV_12_a_filtered_read, 0x35, false, 0, false, MSR_EXIT_FILTER)
REASON_ROW(SAV_12_a_filtered_write, 0x35, true, 0x1122334455667788, false, MSR_EXIT_FILTER)
REASON_ROW(SAV_12_reserved_bits, MSR_KVM_STEAL_TIME, true, 0x5003, false, MSR_EXIT_INVALID)
REASON_ROW(SAV_12_an_unknown_index, BASE + 8, false, 0, false, MSR_EXIT_UNKNOWN)
REASON_ROW(SAV_12_an_unknown_index_written, BASE + 8, true, 5, false, MSR_EXIT_UNKNOWN)
REASON_ROW(SAV_12_a_closed_gate, MSR_KVM_STEAL_TIME, true, 0x5001, true, MSR_EXIT_UNKNOWN)

Test(msr_filter, SAV_12_the_VMM_gives_the_value)
{
    FAKE_VM(f);
    ask(&f, MSR_EXIT_UNKNOWN);
    cr_assert(eq(u8, outcome(&f, BASE + 8, false, 0x77), TRAP_RETRY));
    cr_assert(not(vcpu_enter(f.vcpu)), "it waits");
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 0x77), "untouched until then");
    vcpu_answer_msr(f.vcpu, false, 0x1122334455667788);
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 0x55667788));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RDX], 0x11223344));
    cr_assert(f.vcpu->answered);
    cr_assert(vcpu_enter(f.vcpu));
}

Test(msr_filter, SAV_12_the_VMM_takes_the_value)
{
    FAKE_VM(f);
    ask(&f, MSR_EXIT_INVALID);
    cr_assert(eq(u8, outcome(&f, MSR, true, 0x5003), TRAP_RETRY));
    vcpu_answer_msr(f.vcpu, false, 0xdead);
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 0x5003), "a write gives nothing back");
    cr_assert(eq(u64, f.vcpu->steal.msr, 0));
    cr_assert(f.vcpu->answered);
}

Test(msr_filter, SAV_12_the_VMM_refuses)
{
    FAKE_VM(f);
    ask(&f, MSR_EXIT_UNKNOWN);
    cr_assert(eq(u8, outcome(&f, BASE + 8, false, 0x77), TRAP_RETRY));
    vcpu_answer_msr(f.vcpu, true, 0x1122334455667788);
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 0x77));
    cr_assert(eq(u8, f.vcpu->injected.vector, TRAP_GP));
    cr_assert(not(f.vcpu->answered));
}

Test(msr_filter, SAV_12_what_is_allowed_asks_nobody)
{
    FAKE_VM(f);
    ask(&f, MSR_EXIT_ALL);
    cr_assert(eq(u8, outcome(&f, MSR, true, 0x5001), TRAP_NONE));
    f.vm.config.ignore_msrs = true;
    cr_assert(eq(u8, outcome(&f, BASE + 8, false, 0), TRAP_NONE), "excused first");
    cpu_mode(f.vcpu, true, true, 3);
    cr_assert(eq(u8, outcome(&f, MSR, false, 0), TRAP_GP), "above ring 0 KVM never sees it");
}

#define ENDS_ROW(name, what)                                                                                 \
    Test(msr_filter, name)                                                                                   \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        ask(&f, MSR_EXIT_ALL);                                                                               \
        cr_assert(eq(u8, outcome(&f, BASE + 8, false, 0), TRAP_RETRY));                                      \
        what;                                                                                                \
        cr_assert(eq(u8, f.vcpu->hold, 0));                                                                  \
        cr_assert(eq(u8, f.vcpu->msr_exit.reason, 0));                                                       \
    }
ENDS_ROW(SAV_12_a_reset_ends_the_question, board_system_reset(&f.vm))
ENDS_ROW(SAV_12_an_INIT_ends_the_question, vcpu_init(f.vcpu))

Test(msr_filter, SAV_12_reasons_that_do_not_exist_are_refused)
{
    FAKE_VM(f);
    struct vm vm;
    struct vm_config config = fake_config;
    fake_vm_init(&f);
    config.msr_exits = 8;
    cr_assert(eq(int, vm_create(&vm, &config, &f.vm.env), -EINVAL));
}
