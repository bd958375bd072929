/* kvmclock's arithmetic: factors of a rate, scaling, what a guest reads from a record. spec CLK-24, CLK-26, CLK-27. */
#include "tests/fake_vm.h"
#include "vmm/pv/clock.h"

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
