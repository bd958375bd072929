/* kvmclock: system time MSR, record, guest-stopped, reading and scaling, stable bit, KVM_GET/SET_CLOCK. spec CLK, STB, SAV. */
#include <errno.h>
#include "tests/fake_vm.h"
#include "vmm/pv/clock.h"

#define NEW MSR_KVM_SYSTEM_TIME_NEW
#define OLD MSR_KVM_SYSTEM_TIME

/* CLK-26, CLK-27 and the ns that one second of cycles gives: the specification's table. */
#define SCALE_ROW(khz, want_shift, want_mul, second, inverse)                                                \
    Test(clock, CLK_26_and_27_factors_of_##khz##_khz)                                                        \
    {                                                                                                        \
        uint32_t mul;                                                                                        \
        int8_t shift;                                                                                        \
        clock_scale(khz, &mul, &shift);                                                                      \
        cr_assert(eq(int, shift, want_shift));                                                               \
        cr_assert(eq(u32, mul, want_mul));                                                                   \
        cr_assert(eq(u64, clock_scale_delta(khz * 1000ull, mul, shift), second));                            \
        cr_assert(eq(u64, clock_khz(mul, shift), inverse));                                                  \
    }
SCALE_ROW(1, 20, 0xf4240000, 1000000000, 1)
SCALE_ROW(1000, 10, 0xfa000000, 1000000000, 1000)
SCALE_ROW(500000, 2, 0x80000000, 1000000000, 500000)
SCALE_ROW(999999, 1, 0x80000863, 999999999, 999999)
SCALE_ROW(1000000, 1, 0x80000000, 1000000000, 1000000)
SCALE_ROW(1000001, 0, 0xffffef39, 999999999, 1000001)
SCALE_ROW(1193182, 0, 0xd68d66b2, 999999999, 1193182)
SCALE_ROW(1500000, 0, 0xaaaaaaaa, 999999999, 1500000)
SCALE_ROW(2000000, 0, 0x80000000, 1000000000, 2000000)
SCALE_ROW(2000001, -1, 0xfffff79c, 999999999, 2000000)
SCALE_ROW(2095000, -1, 0xf4643352, 999999999, 2095000)
SCALE_ROW(2194843, -1, 0xe9462aa8, 999999999, 2194842)
SCALE_ROW(2592000, -1, 0xc587e6b7, 999999999, 2592000)
SCALE_ROW(2600000, -1, 0xc4ec4ec4, 999999999, 2600000)
SCALE_ROW(2995198, -1, 0xaaf0b685, 999999999, 2995198)
SCALE_ROW(3600000, -1, 0x8e38e38e, 999999999, 3600000)
SCALE_ROW(3999999, -1, 0x80000218, 999999999, 3999998)
SCALE_ROW(4000000, -1, 0x80000000, 1000000000, 4000000)
SCALE_ROW(4000001, -2, 0xfffffbce, 999999999, 4000000)
SCALE_ROW(4294968, -2, 0xee6b2570, 999999999, 4294968)
SCALE_ROW(8000000, -2, 0x80000000, 1000000000, 8000000)

/* CLK-24: scaling. */
#define DELTA_ROW(name, delta, mul, shift, want)                                                             \
    Test(clock, CLK_24_scales_##name)                                                                        \
    {                                                                                                        \
        cr_assert(eq(u64, clock_scale_delta(delta, mul, shift), want));                                      \
    }
DELTA_ROW(nothing, 0, 0x80000000, 0, 0)
DELTA_ROW(one_rounds_down, 1, 0xffffffff, 0, 0)
DELTA_ROW(two_halved, 2, 0x80000000, 0, 1)
DELTA_ROW(shift_left_then_half, 1000, 0x80000000, 1, 1000)
DELTA_ROW(three_shifted_right, 3, 0xaaaaaaab, -1, 0)
DELTA_ROW(all_ones_halved, 0xffffffffffffffff, 0x80000000, 0, 0x7fffffffffffffff)
DELTA_ROW(all_ones_by_largest, 0xffffffffffffffff, 0xffffffff, 0, 0xfffffffeffffffff)
DELTA_ROW(all_ones_truncated, 0xffffffffffffffff, 0xffffffff, 1, 0xfffffffefffffffe)
DELTA_ROW(top_bit_shifted_out, 0x8000000000000000, 0xffffffff, 1, 0)
DELTA_ROW(pattern_right, 0x123456789abcdef0, 0xcccccccc, -1, 0x074822969d0369c9)
DELTA_ROW(pattern_left, 0x123456789abcdef0, 0xcccccccc, 3, 0x74822969d0369c95)
DELTA_ROW(second_at_2600_mhz, 2600000000, 0xc4ec4ec4, -1, 999999999)
DELTA_ROW(day_at_2600_mhz, 224640000000000, 0xc4ec4ec4, -1, 86399999975860)
DELTA_ROW(near_the_end, 0xfffffffffffffffe, 0xd5555555, -1, 0x6aaaaaaa7fffffff)
DELTA_ROW(shift_32, 0xdeadbeef, 1, 32, 0xdeadbeef)
DELTA_ROW(shift_63, 1, 0xffffffff, 63, 0x7fffffff80000000)
DELTA_ROW(shift_63_gone, 2, 0xffffffff, 63, 0)
DELTA_ROW(shift_minus_63, 0x8000000000000000, 0xffffffff, -63, 0)
DELTA_ROW(no_meaning_64, 1, 0xffffffff, 64, 0)
DELTA_ROW(no_meaning_minus_64, 1, 0xffffffff, -64, 0)

#define READ_ROW(name, timestamp, now, system, mul, shift, want)                                             \
    Test(clock, CLK_24_reads_##name)                                                                         \
    {                                                                                                        \
        struct pvclock_vcpu_time_info r = {.tsc_timestamp = timestamp,                                       \
                                           .system_time = system,                                            \
                                           .tsc_to_system_mul = mul,                                         \
                                           .tsc_shift = shift};                                              \
        cr_assert(eq(u64, clock_read(&r, now), want));                                                       \
    }
READ_ROW(a_tsc_before_the_record, 4096, 4095, 5, 0x80000000, 0, 9223372036854775812ull)
READ_ROW(one_second_later, 10000000000, 12600000000, 777, 0xc4ec4ec4, -1, 1000000776)
READ_ROW(across_the_wrap, -100ull, 900, -10ull, 0x80000000, 1, 990)

static bool stopped(struct fake_vm *f, uint64_t gpa)
{
    return clock_record(f, gpa).flags & PVCLOCK_GUEST_STOPPED;
}

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

Test(clock, CLK_6_the_old_msr_on_vcpu_0_turns_the_stable_flag_off)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
    guest_wrmsr(&f, OLD, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
}

Test(clock, CLK_6_the_vmm_and_other_vcpus_do_not_touch_the_flag)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr_on(&f.vm.vcpus[1], OLD, 0x2001);
    vcpu_wrmsr(f.vcpu, OLD, 0x3001, ORIGIN_VMM);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
    cr_assert(eq(u8, clock_record(&f, 0x3000).flags, PVCLOCK_TSC_STABLE_BIT));
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

Test(clock, CLK_11_factors_are_those_of_the_host_rate)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u64,
                 clock_khz(clock_record(&f, 0x2000).tsc_to_system_mul, clock_record(&f, 0x2000).tsc_shift),
                 FAKE_KHZ));
}

Test(clock, CLK_11_another_rate_gives_other_factors)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    f.vm.env.tsc_khz = 1000000;
    guest_wrmsr(&f, NEW, 0x2001);
    r = clock_record(&f, 0x2000);
    cr_assert(eq(u32, r.tsc_to_system_mul, 0x80000000));
    cr_assert(eq(int, r.tsc_shift, 1));
}

Test(clock, CLK_12_with_master_clock_the_times_stay_until_the_next_snapshot)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info first, second;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    first = clock_record(&f, 0x2000);
    fake_advance(&f, 1000000);
    guest_wrmsr(&f, NEW, 0x2001);
    second = clock_record(&f, 0x2000);
    cr_assert(eq(u32, second.version, first.version + 2));
    cr_assert(eq(u64, second.system_time, first.system_time));
    cr_assert(eq(u64, second.tsc_timestamp, first.tsc_timestamp));
}

Test(clock, CLK_12_without_master_clock_each_update_samples_afresh)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, false);
    fake_advance(&f, 5000);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u64, clock_record(&f, 0x2000).system_time, 5000));
    fake_advance(&f, 1000000);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u64, clock_record(&f, 0x2000).system_time, 1005000));
    cr_assert(eq(u64, clock_record(&f, 0x2000).tsc_timestamp, vcpu_tsc(f.vcpu)));
}

Test(clock, CLK_13_the_clock_is_0_when_the_machine_starts)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, 123456);
    guest_wrmsr(&f, NEW, 0x2001);
    struct pvclock_vcpu_time_info r = clock_record(&f, 0x2000);
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), 123456));
}

Test(clock, CLK_13_a_new_snapshot_does_not_start_it_again)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 123456);
    vm_clock_update_master(&f.vm);
    vcpu_enter(f.vcpu);
    r = clock_record(&f, 0x2000);
    cr_assert(eq(u64, r.system_time, 123456));
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), 123456));
}

Test(clock, CLK_14_one_write_updates_every_vcpu_100_ms_later)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS);
    vcpu_enter(f.vcpu);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS - 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    fake_advance(&f, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 6));
}

Test(clock, CLK_14_an_update_on_its_way_is_not_put_off_by_another_write)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS - 1);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    fake_advance(&f, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS); /* that one served both */
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
}

Test(clock, CLK_14_set_clock_and_ctrl_update_at_the_next_entry)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    vm_set_clock(&f.vm, &(struct clock_data){.clock = 5});
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
    vcpu_enter(f.vcpu);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    cr_assert(eq(u32, ram_u32(&f, 0x3000), 4));
    vcpu_kvmclock_ctrl(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    vcpu_enter(f.vcpu);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 6));
    cr_assert(eq(u32, ram_u32(&f, 0x3000), 4), "the ioctl is one vCPU's");
}

Test(clock, CLK_14_days_cost_one_periodic_update)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, CLOCK_GLOBAL_DELAY_NS);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
    fake_advance(&f, 86400ull * 4 * 1000000000);
    vcpu_enter(f.vcpu);
    vm_host_events(&f.vm);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 6));
}

Test(clock, CLK_14_days_without_an_update_read_right) /* known bug KB-37 */
{
    FAKE_VM(f);
    const uint64_t days = 86400ull * 10 * 1000000000;
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    r = clock_record(&f, 0x2000);
    f.time.tsc += days / 1000000 * FAKE_KHZ;
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), days));
}

Test(clock, CLK_15_writing_the_tsc_moves_it_without_an_update)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr(&f, MSR_IA32_TSC, 50000);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC), 50000));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 50000));
}

Test(clock, CLK_15_writing_tsc_adjust_requests_an_update)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr(&f, MSR_IA32_TSC_ADJUST, 777);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC), 777));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 777));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 4));
}

Test(clock, CLK_15_without_the_cpuid_bit_tsc_adjust_is_ignored)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_IA32_TSC_ADJUST, 777), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 0));
}

Test(clock, CLK_20_a_stop_is_told_once_and_stays_until_the_guest_clears_it)
{
    FAKE_VM(f);
    const uint64_t flags = 0x2000 + offsetof(struct pvclock_vcpu_time_info, flags);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), 0));
    vcpu_enter(f.vcpu);
    cr_assert(stopped(&f, 0x2000));
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(stopped(&f, 0x2000), "a second update must not lose it");
    ram_fill(&f, flags, 0, 1);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(not(stopped(&f, 0x2000)), "the host must not set it again");
}

Test(clock, CLK_20_a_stop_waits_for_a_record_that_can_be_written)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, HOLE | 1);
    vcpu_kvmclock_ctrl(f.vcpu);
    vcpu_enter(f.vcpu);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(stopped(&f, 0x2000));
}

Test(clock, CLK_20_a_stop_of_one_vcpu_stays_in_its_own_record) /* known bug KB-39, third variant */
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    vcpu_kvmclock_ctrl(f.vcpu);
    vcpu_enter(f.vcpu);
    fake_advance(&f, CLOCK_SYNC_INTERVAL_NS);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(not(stopped(&f, 0x3000)));
}

Test(clock, CLK_21_ctrl_is_refused_unless_the_clock_is_active)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), -EINVAL));
    guest_wrmsr(&f, NEW, HOLE | 1); /* a bad address counts as active */
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), 0));
    guest_wrmsr(&f, NEW, HOLE); /* bit 0 decides */
    cr_assert(eq(int, vcpu_kvmclock_ctrl(f.vcpu), -EINVAL));
}

Test(clock, STB_1_the_cpuid_bit_does_not_decide_the_flag)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 1u << KVM_FEATURE_CLOCKSOURCE2);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
}

Test(clock, STB_2_no_tsc_clocksource_no_stable_flag)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, false);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_2_a_backwards_host_tsc_turns_it_off)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    f.vm.clock.backwards_tsc = true;
    vm_clock_update_master(&f.vm);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_2_the_old_register_on_vcpu_0_turns_it_off)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, OLD, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_2_one_vcpu_of_another_tsc_generation_turns_it_off)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    vcpu_wrmsr(&f.vm.vcpus[1], MSR_IA32_TSC, 100ull * FAKE_KHZ * 1000, ORIGIN_VMM);
    vcpu_enter(&f.vm.vcpus[1]);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
}

Test(clock, STB_3_a_vmm_tsc_write_far_off_starts_a_generation_that_all_must_join)
{
    FAKE_VM(f);
    const uint64_t far = 100ull * FAKE_KHZ * 1000;
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, far, ORIGIN_VMM);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, 0));
    fake_advance(&f, 1000);
    vcpu_wrmsr(&f.vm.vcpus[1], MSR_IA32_TSC, far + 5, ORIGIN_VMM);
    vcpu_enter(&f.vm.vcpus[1]);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
    cr_assert(eq(u8, clock_record(&f, 0x3000).flags, PVCLOCK_TSC_STABLE_BIT));
    cr_assert(eq(i64, f.vcpu->tsc_offset, f.vm.vcpus[1].tsc_offset), "joining takes the generation's offset");
}

Test(clock, STB_3_zero_and_within_a_second_join)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    int64_t offset = f.vcpu->tsc_offset;
    fake_advance(&f, 50000000000);
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 0, ORIGIN_VMM);
    cr_assert(eq(i64, f.vcpu->tsc_offset, offset));
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, FAKE_KHZ * 1000ull - 1, ORIGIN_VMM);
    cr_assert(eq(i64, f.vcpu->tsc_offset, offset));
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 2 * FAKE_KHZ * 1000ull - 1, ORIGIN_VMM);
    cr_assert(ne(i64, f.vcpu->tsc_offset, offset), "a whole second above does not join");
    offset = f.vcpu->tsc_offset;
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 10 * FAKE_KHZ * 1000ull, ORIGIN_VMM);
    cr_assert(ne(i64, f.vcpu->tsc_offset, offset));
    offset = f.vcpu->tsc_offset;
    vcpu_wrmsr(f.vcpu, MSR_IA32_TSC, 9 * FAKE_KHZ * 1000ull, ORIGIN_VMM);
    cr_assert(ne(i64, f.vcpu->tsc_offset, offset), "a whole second below is as far as one above");
}

Test(clock, STB_3_a_guest_tsc_write_does_not_change_matching)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, MSR_IA32_TSC, 1ull << 50);
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags, PVCLOCK_TSC_STABLE_BIT));
}

Test(clock, STB_2_stable_records_agree_across_vcpus_with_different_tsc) /* known bug KB-34 */
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info a, b;
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, MSR_IA32_TSC, 1ull << 40);
    guest_wrmsr(&f, NEW, 0x2001);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    fake_advance(&f, 123456789);
    a = clock_record(&f, 0x2000);
    b = clock_record(&f, 0x3000);
    cr_assert(eq(u64, clock_read(&a, vcpu_tsc(f.vcpu)), clock_read(&b, vcpu_tsc(&f.vm.vcpus[1]))));
}

Test(clock, STB_4_a_toggle_reaches_every_record_before_its_vcpu_runs)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 2);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    guest_wrmsr(&f, OLD, 0x2001);
    vcpu_enter(&f.vm.vcpus[1]);
    cr_assert(eq(u8, clock_record(&f, 0x3000).flags, 0));
}

Test(clock, CLK_16_a_vcpu_reads_its_own_time_from_anothers_record)
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info mine, other;
    fake_vm_init_smp(&f, 2);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 987654321);
    guest_wrmsr_on(&f.vm.vcpus[1], NEW, 0x3001);
    mine = clock_record(&f, 0x2000);
    other = clock_record(&f, 0x3000);
    cr_assert(eq(u64, clock_read(&other, vcpu_tsc(f.vcpu)), clock_read(&mine, vcpu_tsc(f.vcpu))));
    cr_assert(eq(u32, mine.version, 2), "each record has its own version");
}

Test(clock, STB_5_the_retired_flag_is_never_set)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    ram_fill(&f, 0x2000, 0xff, sizeof(struct pvclock_vcpu_time_info));
    guest_wrmsr(&f, NEW, 0x2001);
    cr_assert(eq(u8, clock_record(&f, 0x2000).flags & 4, 0));
}

Test(clock, SAV_9_the_guests_clock_lies_between_two_readings_of_the_vms)
{
    FAKE_VM(f);
    struct clock_data before, after;
    struct pvclock_vcpu_time_info r;
    uint64_t read;
    fake_vm_init(&f);
    fake_advance(&f, 5000000000);
    vm_set_clock(&f.vm, &(struct clock_data){.clock = 77000000000});
    fake_advance(&f, 1000000);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 1234567);
    vm_get_clock(&f.vm, &before);
    fake_advance(&f, 1000);
    r = clock_record(&f, 0x2000);
    read = clock_read(&r, vcpu_tsc(f.vcpu));
    fake_advance(&f, 1000);
    vm_get_clock(&f.vm, &after);
    cr_assert(ge(u64, before.clock, 77000000000));
    cr_assert(le(u64, before.clock, 77002234567), "it counts from the value that was set");
    cr_assert(le(u64, before.clock, read));
    cr_assert(le(u64, read, after.clock));
}

Test(clock, SAV_6_get_clock_with_master_clock_carries_realtime_and_tsc)
{
    FAKE_VM(f);
    struct clock_data data;
    fake_vm_init(&f);
    fake_advance(&f, 1000000);
    vm_get_clock(&f.vm, &data);
    cr_assert(eq(u64, data.clock, 1000000));
    cr_assert(eq(u32, data.flags, KVM_CLOCK_TSC_STABLE | KVM_CLOCK_REALTIME | KVM_CLOCK_HOST_TSC));
    cr_assert(eq(u64, data.realtime, f.time.realtime_ns));
    cr_assert(eq(u64, data.host_tsc, f.time.tsc));
}

Test(clock, SAV_6_get_clock_without_master_clock_has_no_flags)
{
    FAKE_VM(f);
    struct clock_data data;
    fake_vm_create(&f, &fake_config, false);
    fake_advance(&f, 31);
    vm_get_clock(&f.vm, &data);
    cr_assert(eq(u64, data.clock, 31));
    cr_assert(eq(u32, data.flags, 0));
}

Test(clock, SAV_7_set_clock_refuses_unknown_flags)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    for (uint32_t flags = 0; flags < 32; flags++)
        cr_assert(eq(int, vm_set_clock(&f.vm, &(struct clock_data){.clock = 5, .flags = flags}),
                     flags & ~0xeu ? -EINVAL : 0));
}

Test(clock, SAV_7_a_small_value_right_after_start_stays_small) /* known bug KB-35 */
{
    FAKE_VM(f);
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    guest_wrmsr(&f, NEW, 0x2001);
    fake_advance(&f, 999);
    vm_set_clock(&f.vm, &(struct clock_data){.clock = 0});
    vcpu_enter(f.vcpu);
    r = clock_record(&f, 0x2000);
    cr_assert(eq(u64, r.system_time, 0));
    fake_advance(&f, 2000);
    cr_assert(eq(u64, clock_read(&r, vcpu_tsc(f.vcpu)), 2000));
}

Test(clock, SAV_7_elapsed_realtime_is_added_and_never_subtracted)
{
    FAKE_VM(f);
    struct clock_data data = {.clock = 1000, .flags = KVM_CLOCK_REALTIME}, now;
    fake_vm_init(&f);
    data.realtime = f.time.realtime_ns - 300;
    vm_set_clock(&f.vm, &data);
    vm_get_clock(&f.vm, &now);
    cr_assert(eq(u64, now.clock, 1300));
    data.realtime = f.time.realtime_ns + 300;
    vm_set_clock(&f.vm, &data);
    vm_get_clock(&f.vm, &now);
    cr_assert(eq(u64, now.clock, 1000));
    data.realtime = f.time.realtime_ns - 300;
    data.flags = KVM_CLOCK_HOST_TSC;
    vm_set_clock(&f.vm, &data);
    vm_get_clock(&f.vm, &now);
    cr_assert(eq(u64, now.clock, 1000), "nobody asked for it");
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

Test(clock, SAV_8_the_flags_that_may_be_set_are_0xe)
{
    FAKE_VM(f);
    struct clock_data data = {0};
    fake_vm_init(&f);
    vm_get_clock(&f.vm, &data);
    for (int bit = 0; bit < 32; bit++) {
        data.flags = 1u << bit;
        cr_assert(eq(int, vm_set_clock(&f.vm, &data), 0xe >> bit & 1 ? 0 : -EINVAL), "bit %d", bit);
    }
}
