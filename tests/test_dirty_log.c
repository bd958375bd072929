/* Every store of the host into guest memory is in the dirty log, whatever feature made it. spec GEN-12, SAV-13; known bug
 * KB-45. */
#include "tests/fake_vm.h"
#include "vmm/pv/async_pf.h"
#include "vmm/pv/sched.h"

#define RECORD 0x5000ull
#define PAGES  (FAKE_RAM_SIZE / GPA_PAGE_SIZE)

struct log {
    uint64_t bits[PAGES / 64];
};

static void take(struct fake_vm *f, struct log *log)
{
    cr_assert(eq(int, memory_dirty_take(&f->vm.memory, 0, log->bits), 0));
}

static bool dirty(const struct log *log, uint64_t gpa)
{
    uint64_t page = gpa / GPA_PAGE_SIZE;

    return log->bits[page / 64] >> page % 64 & 1;
}

static unsigned count(const struct log *log)
{
    unsigned n = 0;

    for (size_t i = 0; i < PAGES / 64; i++)
        n += (unsigned)__builtin_popcountll(log->bits[i]);
    return n;
}

/* A machine with the feature on at RECORD, its log clean. */
static void logging(struct fake_vm *f, uint32_t msr, uint64_t value)
{
    struct log log;

    fake_vm_init_smp(f, 2);
    f->vcpu->regs.rflags |= RFLAGS_IF;
    cpu_mode(f->vcpu, true, true, 3);
    cr_assert(eq(int, guest_wrmsr(f, MSR_KVM_ASYNC_PF_INT, 0xf3), MSR_OK));
    cr_assert(eq(int, guest_wrmsr(f, msr, value), MSR_OK));
    cr_assert(eq(int, memory_dirty_log(&f->vm.memory, 0, true), 0));
    take(f, &log);
    cr_assert(eq(uint, count(&log), 0));
}

static void expect_record_dirty(struct fake_vm *f)
{
    struct log log;

    take(f, &log);
    cr_assert(dirty(&log, RECORD));
    cr_assert(eq(uint, count(&log), 1));
    take(f, &log);
    cr_assert(eq(uint, count(&log), 0), "taking the log clears it");
}

#define DIRTY_ROW(name, msr, value, act)                                                                     \
    Test(dirty_log, name)                                                                                    \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        struct trap trap;                                                                                    \
        (void)trap;                                                                                          \
        logging(&f, msr, value);                                                                             \
        act;                                                                                                 \
        expect_record_dirty(&f);                                                                             \
    }
DIRTY_ROW(GEN_12_a_clock_update, MSR_KVM_SYSTEM_TIME_NEW, RECORD | 1, vcpu_kvmclock_ctrl(f.vcpu);
          vcpu_enter(f.vcpu))
DIRTY_ROW(GEN_12_a_steal_time_update, MSR_KVM_STEAL_TIME, RECORD | 1, vcpu_load(f.vcpu); vcpu_enter(f.vcpu))
DIRTY_ROW(GEN_12_the_preempted_byte, MSR_KVM_STEAL_TIME, RECORD | 1, vcpu_deschedule(f.vcpu))
DIRTY_ROW(GEN_12_a_wall_clock, MSR_KVM_WALL_CLOCK, 0, guest_wrmsr(&f, MSR_KVM_WALL_CLOCK, RECORD))
DIRTY_ROW(GEN_12_a_pv_eoi_offer, MSR_KVM_PV_EOI_EN, RECORD | 1,
          lapic_accept(f.vcpu, APIC_FIXED, 0x50, false, true);
          vcpu_enter(f.vcpu); vcpu_take_interrupt(f.vcpu))
DIRTY_ROW(GEN_12_a_page_ready_token, MSR_KVM_ASYNC_PF_EN, RECORD | 1,
          guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, RECORD | 9))
DIRTY_ROW(GEN_12_the_not_present_flag, MSR_KVM_ASYNC_PF_EN, RECORD | 1,
          vcpu_wrmsr(f.vcpu, MSR_KVM_ASYNC_PF_EN, RECORD | 9, ORIGIN_GUEST);
          memory_page_out(&f.vm.memory, 0x20000); apf_access(f.vcpu, 0x20000, &trap))
DIRTY_ROW(GEN_12_a_clock_pairing, MSR_KVM_POLL_CONTROL, 1, cpu_mode(f.vcpu, true, true, 0);
          hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, RECORD, 0, 0, 0))

Test(dirty_log, GEN_12_a_withdrawn_offer_is_a_store_too)
{
    FAKE_VM(f);
    struct log log;
    logging(&f, MSR_KVM_PV_EOI_EN, RECORD | 1);
    lapic_accept(f.vcpu, APIC_FIXED, 0x50, false, true);
    vcpu_enter(f.vcpu);
    vcpu_take_interrupt(f.vcpu);
    take(&f, &log);
    vcpu_exit(f.vcpu);
    expect_record_dirty(&f);
}

Test(dirty_log, GEN_12_the_exchange_of_the_preempted_byte)
{
    FAKE_VM(f);
    uint8_t old;
    logging(&f, MSR_KVM_STEAL_TIME, RECORD | 1);
    cr_assert(area_exchange_u8(vcpu_area(f.vcpu, AREA_STEAL), 16, 0, &old));
    expect_record_dirty(&f);
}

Test(dirty_log, reading_and_paging_dirty_nothing)
{
    FAKE_VM(f);
    struct log log;
    uint32_t value;
    logging(&f, MSR_KVM_POLL_CONTROL, 1);
    ram_read(&f, RECORD, &value, sizeof(value));
    gpa_host(&f.vm.memory, RECORD, 4, false);
    memory_page_out(&f.vm.memory, RECORD);
    memory_page_in(&f.vm.memory, RECORD);
    take(&f, &log);
    cr_assert(eq(uint, count(&log), 0));
}

/* KB-45's own oracle: a copy that gets the dirty pages is the machine's memory, whatever the guest did meanwhile. */
Test(dirty_log, KB_45_a_copy_kept_up_to_date_by_the_log_is_exact)
{
    static uint8_t copy[FAKE_RAM_SIZE], now[FAKE_RAM_SIZE];
    FAKE_VM(f);
    struct log log;
    logging(&f, MSR_KVM_STEAL_TIME, RECORD | 1);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x6001);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x7001);
    guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x8009);
    ram_read(&f, 0, copy, sizeof(copy));
    take(&f, &log);
    for (int round = 0; round < 20; round++) {
        fake_advance(&f, 1000000007);
        vcpu_deschedule(f.vcpu);
        vcpu_schedule(f.vcpu, 5);
        lapic_accept(f.vcpu, APIC_FIXED, (uint8_t)(0x40 + round), false, true);
        vcpu_enter(f.vcpu);
        vcpu_take_interrupt(f.vcpu);
        ram_put_u32(&f, 0x8004, 0);
        guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0x8009);
        take(&f, &log);
        for (uint64_t gpa = 0; gpa < FAKE_RAM_SIZE; gpa += GPA_PAGE_SIZE)
            if (dirty(&log, gpa))
                ram_read(&f, gpa, copy + gpa, GPA_PAGE_SIZE);
        ram_read(&f, 0, now, sizeof(now));
        cr_assert(eq(int, memcmp(copy, now, sizeof(now)), 0), "round %d", round);
    }
}
