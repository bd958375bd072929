/* The kvmclock record: its address, when it is written, every field. spec CLK-1 .. CLK-10, RST-2, GEN-12. */
#include <errno.h>
#include "tests/clock_fixture.h"

Test(clock, CLK_1_any_value_is_accepted)
{
    static const uint64_t values[] = {
        0, 1, 2, 0xffffffffffffffff, 0x8000000000000001, 0x3102, 0x123456789abcdef1};
    FAKE_VM(f);
    fake_vm_init(&f);
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        cr_assert(eq(int, guest_wrmsr(&f, NEW, values[i]), MSR_OK));
        cr_assert(eq(u64, guest_rdmsr(&f, NEW), values[i]));
    }
}

Test(clock, CLK_1_an_address_needs_no_alignment)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x3102 | 1);
    cr_assert(eq(u32, ram_u32(&f, 0x3102), 2));
    cr_assert(eq(u32, clock_record(&f, 0x3102).tsc_to_system_mul, 0x80000000));
}

Test(clock, CLK_3_disabling_leaves_memory_as_it_was)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info before, after;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    before = clock_record(&f, 0x2000);
    guest_wrmsr(&f, NEW, 0x2000);
    fake_advance(&f, 400000000000);
    vcpu_enter(f.vcpu);
    after = clock_record(&f, 0x2000);
    cr_assert(zero(int, memcmp(&before, &after, sizeof(before))));
}

Test(clock, CLK_3_enabling_writes_the_record_before_the_next_instruction)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    vcpu_wrmsr(f.vcpu, NEW, 0x2001, ORIGIN_GUEST);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 0));
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
}

Test(clock, CLK_4_the_last_place_in_a_page_works)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2fe0 | 1);
    cr_assert(eq(u32, ram_u32(&f, 0x2fe0), 2));
}

Test(clock, CLK_4_a_crossing_address_writes_nothing_on_6_12)
{
    static const uint64_t crossing[] = {0x2fe2, 0x2ff0, 0x2ffe};
    FAKE_VM(f);
    fake_vm_init(&f);
    for (size_t i = 0; i < sizeof(crossing) / sizeof(crossing[0]); i++) {
        cr_assert(eq(int, guest_wrmsr(&f, NEW, crossing[i] | 1), MSR_OK));
        cr_assert(eq(u64, guest_rdmsr(&f, NEW), crossing[i] | 1));
        cr_assert(eq(u64, f.vm.trace.total, 0));
        cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), -EINVAL));
    }
}

Test(clock, CLK_4_a_crossing_address_keeps_an_active_clock_where_it_was)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr(&f, NEW, 0x3fe1 | 0x10);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
}

Test(clock, CLK_4_a_crossing_address_on_6_1_falls_back_to_page_0)
{
    struct vm_config config = fake_config;
    FAKE_VM(f);
    config.version = KVM_6_1;
    fake_vm_create(&f, &config, true);
    guest_wrmsr(&f, NEW, 0x1ff1);
    cr_assert(eq(u32, ram_u32(&f, 0), 2));
    cr_assert(eq(u32, ram_u32(&f, 0x1ff0), 0));
    guest_wrmsr(&f, NEW, 0x3001);
    guest_wrmsr(&f, NEW, 0);
    guest_wrmsr(&f, NEW, 0x1ff1); /* the last address that was accepted, although disabled since */
    cr_assert(eq(u32, ram_u32(&f, 0x3000), 4));
}

Test(clock, CLK_5_an_address_without_memory_is_retried_when_memory_appears)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, guest_wrmsr(&f, NEW, HOLE | 1), MSR_OK));
    cr_assert(eq(u64, f.vm.trace.total, 0));
    cr_assert(eq(int, memory_slot_add(&f.vm.memory, HOLE, 0x1000, 0), 0));
    fake_advance(&f, CLOCK_SYNC_INTERVAL_NS);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, HOLE), 2));
}

Test(clock, CLK_5_memory_that_goes_away_is_not_written) /* known bug KB-02 */
{
    FAKE_VM(f);
    fake_vm_init(&f);
    memory_slot_add(&f.vm.memory, HOLE, 0x1000, 0);
    guest_wrmsr(&f, NEW, HOLE | 1);
    memory_slot_remove(&f.vm.memory, HOLE);
    fake_advance(&f, CLOCK_SYNC_INTERVAL_NS);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, f.vm.trace.total, 3));
}

Test(clock, CLK_5_read_only_memory_is_not_written)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    memory_slot_add(&f.vm.memory, HOLE, 0x1000, SLOT_READONLY);
    guest_wrmsr(&f, NEW, HOLE | 1);
    cr_assert(eq(u32, ram_u32(&f, HOLE), 0));
}

Test(clock, CLK_7_two_vcpus_may_share_an_address)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x2001);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
}

#define VERSION_ROW(name, before, odd, after)                                                                \
    Test(clock, CLK_8_version_##name)                                                                        \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        uint32_t seen;                                                                                       \
        fake_vm_init(&f);                                                                                    \
        ram_put_u32(&f, 0x2000, before);                                                                     \
        guest_wrmsr(&f, NEW, 0x2001);                                                                        \
        cr_assert(eq(u64, f.vm.trace.total, 3));                                                             \
        memcpy(&seen, f.vm.trace.ring[0].bytes, sizeof(seen));                                               \
        cr_assert(eq(u32, seen, odd));                                                                       \
        memcpy(&seen, f.vm.trace.ring[1].bytes, sizeof(seen)); /* the body carries the odd one too */        \
        cr_assert(eq(u32, seen, odd));                                                                       \
        cr_assert(eq(u32, ram_u32(&f, 0x2000), after));                                                      \
    }
VERSION_ROW(zero, 0, 1, 2)
VERSION_ROW(odd_is_rounded_up, 1, 3, 4)
VERSION_ROW(two, 2, 3, 4)
VERSION_ROW(three, 3, 5, 6)
VERSION_ROW(wraps_even, 0xfffffffe, 0xffffffff, 0)
VERSION_ROW(wraps_odd, 0xffffffff, 1, 2)

Test(clock, CLK_9_padding_becomes_zero_and_what_follows_stays)
{
    FAKE_VM(f);
    uint8_t bytes[64];
    fake_vm_init(&f);
    ram_fill(&f, 0x2000, 0xaa, 64);
    guest_wrmsr(&f, NEW, 0x2001);
    ram_read(&f, 0x2000, bytes, sizeof(bytes));
    for (int i = 4; i < 8; i++)
        cr_assert(eq(u8, bytes[i], 0));
    cr_assert(eq(u8, bytes[30], 0));
    cr_assert(eq(u8, bytes[31], 0));
    for (int i = 32; i < 64; i++)
        cr_assert(eq(u8, bytes[i], 0xaa));
}

Test(clock, CLK_10_only_stopped_survives_in_the_flags)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    ram_fill(&f, 0x2000 + offsetof(struct pvclock_vcpu_time_info, flags), 0xff, 1);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT | PVCLOCK_GUEST_STOPPED));
}

Test(clock, CLK_10_a_stable_bit_that_no_longer_holds_goes)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, false);
    ram_fill(&f, 0x2000 + offsetof(struct pvclock_vcpu_time_info, flags), PVCLOCK_TSC_STABLE_BIT, 1);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, RST_2_init_turns_the_clock_off_and_writes_nothing)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    uint64_t stores = f.vm.trace.total;
    vcpu_init(f.vcpu);
    fake_advance(&f, CLOCK_SYNC_INTERVAL_NS);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, guest_rdmsr(&f, NEW), 0));
    cr_assert(eq(u64, f.vm.trace.total, stores));
}

Test(clock, GEN_12_a_record_marks_its_page_dirty) /* known bug KB-45 */
{
    FAKE_VM(f);
    uint64_t bitmap[FAKE_RAM_SIZE / GPA_PAGE_SIZE / 64];
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    memory_dirty_log(&f.vm.memory, 0, true);
    fake_advance(&f, CLOCK_SYNC_INTERVAL_NS);
    vcpu_enter(f.vcpu);
    memory_dirty_take(&f.vm.memory, 0, bitmap);
    cr_assert(eq(u64, bitmap[0], 1ull << 2));
    fake_advance(&f, CLOCK_SYNC_INTERVAL_NS);
    vcpu_enter(f.vcpu);
    memory_dirty_take(&f.vm.memory, 0, bitmap);
    cr_assert(eq(u64, bitmap[0], 1ull << 2), "marked again after the log was cleared");
}
