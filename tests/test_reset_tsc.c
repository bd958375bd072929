/* The TSC over QEMU's system_reset, and what kvmclock makes of it: QEMU flags specification S3; spec STB-3, CLK-12, CLK-15. */
#include "tests/fake_vm.h"
#include "vmm/board/reset.h"
#include "vmm/pv/clock.h"

#define NEW       MSR_KVM_SYSTEM_TIME_NEW
#define RECORD    0x2000ull
#define SECOND_NS 1000000000ull
#define SECOND    (FAKE_KHZ * 1000ull) /* cycles */

static uint64_t tsc_on(struct fake_vm *f, unsigned vcpu)
{
    uint64_t value = 0xdead;

    cr_assert(eq(int, vcpu_rdmsr(&f->vm.vcpus[vcpu], MSR_IA32_TSC, &value, ORIGIN_GUEST), MSR_OK));
    return value;
}

Test(reset, S3_more_than_a_second_after_the_last_write_the_TSC_begins_with_1)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, SECOND_NS + 1);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, tsc_on(&f, 0), 1));
    fake_advance(&f, 500);
    cr_assert(eq(u64, tsc_on(&f, 0), 1001));
}

Test(reset, S3_within_a_second_the_TSC_goes_on)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, SECOND_NS);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, tsc_on(&f, 0), SECOND));
}

/* Each write moves KVM's expectation, so a guest that is reset again and again never sees its TSC begin anew. */
Test(reset, S3_the_second_counts_from_the_last_reset_whether_the_TSC_began_or_went_on)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    for (uint64_t n = 1; n <= 5; n++) {
        fake_advance(&f, SECOND_NS - 1);
        board_system_reset(&f.vm);
        cr_assert(eq(u64, tsc_on(&f, 0), n * (SECOND - 2)));
    }
    fake_advance(&f, SECOND_NS); /* 1 was written, not 0: one cycle less is enough now */
    board_system_reset(&f.vm);
    cr_assert(eq(u64, tsc_on(&f, 0), 1));
    fake_advance(&f, SECOND_NS / 2);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, tsc_on(&f, 0), 1 + SECOND / 2));
}

Test(reset, S3_a_TSC_that_is_0_is_written_as_0_which_joins)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, 5 * SECOND_NS);
    guest_wrmsr(&f, MSR_IA32_TSC, 0);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, tsc_on(&f, 0), 5 * SECOND));
}

Test(reset, S3_all_vcpus_begin_together)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 3);
    guest_wrmsr_on(&f.vm.vcpus[1], MSR_IA32_TSC, 1ull << 50);
    guest_wrmsr_on(&f.vm.vcpus[2], MSR_IA32_TSC_ADJUST, 12345);
    fake_advance(&f, 2 * SECOND_NS);
    board_system_reset(&f.vm);
    fake_advance(&f, 500);
    for (unsigned i = 0; i < 3; i++) {
        cr_assert(eq(u64, tsc_on(&f, i), 1001));
        cr_assert(f.vm.vcpus[i].tsc_matched);
    }
}

Test(reset, S3_all_vcpus_go_on_together_whatever_the_guest_wrote)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 3);
    guest_wrmsr_on(&f.vm.vcpus[1], MSR_IA32_TSC, 1ull << 50);
    guest_wrmsr_on(&f.vm.vcpus[2], MSR_IA32_TSC_ADJUST, 12345);
    fake_advance(&f, SECOND_NS / 2);
    board_system_reset(&f.vm);
    for (unsigned i = 0; i < 3; i++)
        cr_assert(eq(u64, tsc_on(&f, i), SECOND / 2));
}

Test(reset, S3_and_CLK_15_TSC_ADJUST_is_0_where_CPUID_has_it)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_IA32_TSC_ADJUST, 777);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 0));
}

/* Seen on QEMU 7.2.22 over Linux 6.1.0-56 and 6.12.117: KVM drops QEMU's write as it drops the guest's. */
Test(reset, S3_and_CLK_15_TSC_ADJUST_stays_where_CPUID_lacks_it)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    guest_wrmsr(&f, MSR_IA32_TSC, 777);
    board_system_reset(&f.vm);
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 777));
    cr_assert(eq(u64, tsc_on(&f, 0), 0), "the TSC itself is back in step");
}

/* No stop, so nobody sets the clock (C4): records of after the reset count on from those of before. */
static void clock_goes_on(struct fake_vm *f, uint64_t ns)
{
    const unsigned vcpus = f->vm.config.vcpus;
    struct pvclock_vcpu_time_info record;
    uint64_t before;

    for (unsigned i = 0; i < vcpus; i++)
        guest_wrmsr_on(&f->vm.vcpus[i], NEW, (RECORD + 64 * i) | 1);
    fake_advance(f, ns);
    record = clock_record(f, RECORD);
    before = clock_read(&record, tsc_on(f, 0));
    board_system_reset(&f->vm);
    for (unsigned i = 1; i < vcpus; i++)
        vcpu_sipi(&f->vm.vcpus[i], 8);
    for (unsigned i = 0; i < vcpus; i++) {
        guest_wrmsr_on(&f->vm.vcpus[i], NEW, (RECORD + 64 * i) | 1);
        record = clock_record(f, RECORD + 64 * i);
        cr_assert(eq(u64, clock_read(&record, tsc_on(f, i)), before));
        cr_assert(eq(u8, record.flags, PVCLOCK_TSC_STABLE_BIT));
    }
}

#define BEGINS_ROW(name, vcpus, release)                                                                     \
    Test(reset, S3_and_STB_4_kvmclock_goes_on_over_a_TSC_that_begins_anew_##name)                            \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init_smp(&f, vcpus);                                                                         \
        f.vm.config.version = release;                                                                       \
        clock_goes_on(&f, 3 * SECOND_NS);                                                                    \
        cr_assert(eq(u64, clock_record(&f, RECORD).tsc_timestamp, 1));                                       \
        cr_assert(eq(u64, clock_record(&f, RECORD).system_time, 3 * SECOND_NS));                             \
    }
BEGINS_ROW(on_6_1, 1, KVM_6_1)
BEGINS_ROW(on_6_1_smp, 2, KVM_6_1)
BEGINS_ROW(on_6_12, 1, KVM_6_12)
BEGINS_ROW(on_6_12_smp, 2, KVM_6_12)

/* Seen in the box: 6.1 takes a new snapshot at every such write, 6.12 only where the TSC begins anew (CLK-12). */
#define GOES_ON_ROW(release, stamp_cycles, stamp_ns)                                                         \
    Test(reset, S3_and_STB_4_kvmclock_goes_on_with_a_TSC_that_goes_on_##release)                             \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        fake_vm_init_smp(&f, 2);                                                                             \
        f.vm.config.version = release;                                                                       \
        clock_goes_on(&f, SECOND_NS / 2);                                                                    \
        cr_assert(eq(u64, clock_record(&f, RECORD).tsc_timestamp, stamp_cycles));                            \
        cr_assert(eq(u64, clock_record(&f, RECORD).system_time, stamp_ns));                                  \
    }
GOES_ON_ROW(KVM_6_1, SECOND / 2, SECOND_NS / 2)
GOES_ON_ROW(KVM_6_12, 0, 0)

Test(reset, S3_INIT_leaves_the_TSC_alone)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    fake_advance(&f, 2 * SECOND_NS);
    guest_wrmsr(&f, MSR_IA32_TSC_ADJUST, 777);
    vcpu_init(f.vcpu);
    cr_assert(eq(u64, tsc_on(&f, 0), 2 * SECOND + 777));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_IA32_TSC_ADJUST), 777));
}
