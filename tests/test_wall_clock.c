/* The wall clock MSR: one synchronous write of 12 bytes. spec CLK-17 .. CLK-19, CLK-28, PAIR-*. */
#include "tests/fake_vm.h"
#include "vmm/pv/clock.h"

#define WALL_ROW(name, realtime, kvmclock, want_sec, want_nsec)                                              \
    Test(wall_clock, CLK_19_##name)                                                                          \
    {                                                                                                        \
        uint32_t sec, nsec;                                                                                  \
        clock_wall(realtime, kvmclock, &sec, &nsec);                                                         \
        cr_assert(eq(u32, sec, want_sec));                                                                   \
        cr_assert(eq(u32, nsec, want_nsec));                                                                 \
    }
WALL_ROW(an_ordinary_day, 1700000000123456789ull, 5000000000ull, 1699999995, 123456789)
WALL_ROW(a_clock_ahead_of_realtime_wraps, 1000000000ull, 2000000000ull, 1266874888, 709551616)
WALL_ROW(seconds_wrap_in_2106, 4294967296000000005ull, 0, 0, 5)

static struct pvclock_wall_clock wall(struct fake_vm *f, uint64_t gpa)
{
    struct pvclock_wall_clock w;

    ram_read(f, gpa, &w, sizeof(w));
    return w;
}

Test(wall_clock, CLK_19_the_clock_of_now_is_taken_off_the_time_of_now)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, 5000000000);
    vm_set_clock(&f.vm, &(struct clock_data){.clock = 77000000000});
    fake_advance(&f, 1000);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, 0x2000);
    cr_assert(eq(u32, wall(&f, 0x2000).sec, 1700000000 + 5 - 77));
    cr_assert(eq(u32, wall(&f, 0x2000).nsec, 123456789));
}

Test(wall_clock, CLK_18_written_in_the_wrmsr_itself)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, 5000000000);
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_WALL_CLOCK_NEW, 0x2000, ORIGIN_GUEST), MSR_OK));
    cr_assert(eq(u32, wall(&f, 0x2000).version, 2));
    cr_assert(eq(u32, wall(&f, 0x2000).sec, 1700000000));
    cr_assert(eq(u32, wall(&f, 0x2000).nsec, 123456789));
}

Test(wall_clock, CLK_18_the_version_is_odd_while_the_body_is_written)
{
    FAKE_VM(f);
    struct pvclock_wall_clock body;
    fake_vm_init(&f);
    ram_put_u32(&f, 0x2000, 7);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, 0x2000);
    cr_assert(eq(u64, f.vm.trace.total, 3));
    memcpy(&body, f.vm.trace.ring[1].bytes, sizeof(body));
    cr_assert(eq(u8, f.vm.trace.ring[0].size, 4));
    cr_assert(eq(u8, f.vm.trace.ring[1].size, 12));
    cr_assert(eq(u32, body.version, 9));
    cr_assert(eq(u32, wall(&f, 0x2000).version, 10));
}

Test(wall_clock, CLK_18_never_refreshed)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, 0x2000);
    uint64_t stores = f.vm.trace.total;
    fake_advance(&f, 1000000000000);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, f.vm.trace.total, stores));
}

Test(wall_clock, CLK_17_a_record_may_cross_a_page_at_any_alignment)
{
    FAKE_VM(f);
    uint8_t around[2];
    fake_vm_init(&f);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_WALL_CLOCK_NEW, 0x2ff9), MSR_OK)); /* bit 0 is an address bit */
    cr_assert(eq(u32, wall(&f, 0x2ff9).version, 2));
    cr_assert(eq(u32, wall(&f, 0x2ff9).sec, 1700000000));
    ram_read(&f, 0x2ff8, around, 1);
    ram_read(&f, 0x3005, around + 1, 1);
    cr_assert(eq(u8, around[0] | around[1], 0));
}

Test(wall_clock, CLK_17_zero_is_stored_and_writes_nothing)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, 0x2000);
    uint64_t stores = f.vm.trace.total;
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, 0);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_WALL_CLOCK_NEW), 0));
    cr_assert(eq(u64, f.vm.trace.total, stores));
}

Test(wall_clock, CLK_17_an_address_without_memory_is_accepted)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, ~0ull), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_WALL_CLOCK), ~0ull));
    cr_assert(eq(u64, f.vm.trace.total, 0));
}

Test(wall_clock, CLK_18_a_record_half_outside_memory_is_left_half_written)
{
    FAKE_VM(f);
    struct {
        uint32_t version, sec;
    } half;
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, FAKE_RAM_SIZE - 8);
    ram_read(&f, FAKE_RAM_SIZE - 8, &half, sizeof(half));
    cr_assert(eq(u32, half.version, 2));
    cr_assert(eq(u32, half.sec, 1700000000));
    cr_assert(eq(u64, f.vm.trace.total, 3));
    cr_assert(eq(u8, f.vm.trace.ring[1].size, 8), "the trace has what was written, not what was meant");
}

Test(wall_clock, CLK_18_an_unreadable_version_stops_it)
{
    FAKE_VM(f);
    uint16_t tail = 0xaaaa;
    fake_vm_init(&f);
    ram_write(&f, FAKE_RAM_SIZE - 2, &tail, 2);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, FAKE_RAM_SIZE - 2);
    ram_read(&f, FAKE_RAM_SIZE - 2, &tail, 2);
    cr_assert(eq(u16, tail, 0xaaaa));
    cr_assert(eq(u64, f.vm.trace.total, 0));
}

Test(wall_clock, SAV_3_a_write_by_the_vmm_rewrites_memory_too)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    vcpu_wrmsr(f.vcpu, MSR_KVM_WALL_CLOCK, 0x2000, ORIGIN_VMM);
    cr_assert(eq(u32, wall(&f, 0x2000).version, 2));
}

Test(wall_clock, CLK_28_wall_plus_kvmclock_is_the_time_of_day)
{
    FAKE_VM(f);
    struct pvclock_wall_clock w;
    struct pvclock_vcpu_time_info r;
    fake_vm_init(&f);
    fake_advance(&f, 77777);
    guest_wrmsr(&f, MSR_KVM_WALL_CLOCK_NEW, 0x2000);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x3001);
    fake_advance(&f, 88888);
    w = wall(&f, 0x2000);
    r = clock_record(&f, 0x3000);
    cr_assert(eq(u64, w.sec * 1000000000ull + w.nsec + clock_read(&r, vcpu_tsc(f.vcpu)), f.time.realtime_ns));
}
