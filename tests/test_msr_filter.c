/* The filter of a guest's MSR accesses. spec SAV-10, SAV-11, GEN-4. */
#include <errno.h>
#include "tests/fake_vm.h"
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

Test(msr_filter, SAV_10_a_clear_bit_denies_and_has_no_effect_at_all)
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
