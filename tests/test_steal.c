/* Steal time, `preempted` and the flush request in it, over the scheduler. spec STL-*, TLB-*. */
#include "tests/fake_vm.h"
#include "vmm/pv/sched.h"

#define RECORD 0x5000ull

static struct kvm_steal_time record(struct fake_vm *f)
{
    struct kvm_steal_time st;

    ram_read(f, RECORD, &st, sizeof(st));
    return st;
}

static void put_record(struct fake_vm *f, const struct kvm_steal_time *st)
{
    ram_write(f, RECORD, st, sizeof(*st));
}

/* vCPU 0 with its record, updated once. */
static void enabled(struct fake_vm *f)
{
    fake_vm_init_smp(f, 2);
    guest_wrmsr(f, MSR_KVM_STEAL_TIME, RECORD | 1);
}

static void ask_for_flush(struct fake_vm *f)
{
    uint8_t byte = record(f).preempted;

    cr_assert(eq(u8, byte, KVM_VCPU_PREEMPTED), "TLB-1: a guest asks only a vCPU that is preempted");
    byte |= KVM_VCPU_FLUSH_TLB;
    ram_write(f, RECORD + offsetof(struct kvm_steal_time, preempted), &byte, 1);
}

Test(steal, STL_5_each_load_grows_the_version_by_2_and_loads_coalesce)
{
    FAKE_VM(f);
    enabled(&f);
    uint32_t version = record(&f).version;
    cr_assert(eq(u32, version, 2), "by the enabling write");
    vcpu_load(f.vcpu);
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, record(&f).version, version + 2));
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, record(&f).version, version + 2), "no load, no update");
}

Test(steal, STL_3_memory_that_comes_later_is_used)
{
    FAKE_VM(f);
    uint32_t version;
    fake_vm_init_smp(&f, 1);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_STEAL_TIME, HOLE | 1), MSR_OK));
    memory_slot_add(&f.vm.memory, HOLE, GPA_PAGE_SIZE, 0);
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    ram_read(&f, HOLE + offsetof(struct kvm_steal_time, version), &version, sizeof(version));
    cr_assert(eq(u32, version, 2));
}

Test(steal, STL_3_a_bad_address_says_nothing_about_the_next) /* known bug KB-15 */
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, HOLE | 1);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, RECORD | 1);
    cr_assert(eq(u32, record(&f).version, 2));
}

Test(steal, STL_9_flags_and_pads_are_left_as_they_are)
{
    FAKE_VM(f);
    struct kvm_steal_time st, now;
    fake_vm_init_smp(&f, 1);
    memset(&st, 0xaa, sizeof(st));
    put_record(&f, &st);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, RECORD | 1);
    vcpu_deschedule(f.vcpu);
    now = record(&f);
    st.steal = now.steal;
    st.version = now.version;
    st.preempted = now.preempted;
    cr_assert(eq(u8, now.preempted, KVM_VCPU_PREEMPTED));
    cr_assert(zero(int, memcmp(&now, &st, sizeof(st))));
}

/* vCPU 0 halts and is kicked; asleep: between the two it is found to have nothing to do. */
static void halt_and_kick(struct fake_vm *f, bool asleep)
{
    vcpu_enter(f->vcpu);
    vcpu_halt(f->vcpu);
    if (asleep)
        cr_assert(not(vcpu_enter(f->vcpu)));
    lapic_accept(f->vcpu, APIC_REMOTE_READ, 0, false, true);
}

Test(steal, STL_5_one_that_slept_comes_back_by_a_load)
{
    FAKE_VM(f);
    enabled(&f);
    halt_and_kick(&f, true);
    uint32_t version = record(&f).version;
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u32, record(&f).version, version + 2));
    halt_and_kick(&f, false);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u32, record(&f).version, version + 2), "a halt that ends at once keeps its CPU");
}

/* Seen on Linux 6.1: scenario tlb-flush-smp. */
Test(steal, TLB_2_one_that_slept_wakes_with_a_flushed_TLB)
{
    FAKE_VM(f);
    const uint8_t flush = KVM_VCPU_FLUSH_TLB;

    enabled(&f);
    halt_and_kick(&f, true);
    ram_write(&f, RECORD + offsetof(struct kvm_steal_time, preempted), &flush, 1);
    uint32_t flushes = f.vcpu->tlb_flushes;
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u8, record(&f).preempted, 0));
    cr_assert(eq(u32, f.vcpu->tlb_flushes, flushes + 1));
}

/* The kernel's own test of the record. */
Test(steal, STL_12_what_an_enabled_record_looks_like)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_STEAL_TIME, RECORD | 0x3e, ORIGIN_VMM), MSR_INVALID));
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_STEAL_TIME, RECORD | 1, ORIGIN_VMM), MSR_OK));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_STEAL_TIME), RECORD | 1));
    vcpu_enter(f.vcpu);
    struct kvm_steal_time first = record(&f);
    cr_assert(eq(u32, first.version & 1, 0));
    cr_assert(zero(u32, first.flags | first.preempted));
    vcpu_load(f.vcpu); /* the next KVM_RUN */
    vcpu_enter(f.vcpu);
    cr_assert(lt(u32, first.version, record(&f).version));
}

Test(steal, STL_5_an_ioctl_of_the_vcpu_loads_it_even_if_it_fails)
{
    FAKE_VM(f);
    enabled(&f);
    uint32_t version = record(&f).version;
    cr_assert(ne(int, vcpu_kvmclock_ctrl(f.vcpu), 0), "it has no clock");
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, record(&f).version, version + 2));
}

Test(steal, STL_6_the_vector_of_the_specification)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    struct kvm_steal_time st = {.steal = 100, .version = 7, .flags = 5, .preempted = 3};
    memset(st.u8_pad, 0xaa, sizeof(st.u8_pad));
    memset(st.pad, 0xaa, sizeof(st.pad));
    put_record(&f, &st);
    f.time.run_delay_ns[0] = 12345;
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, RECORD | 1);
    struct kvm_steal_time now = record(&f), want = st;
    want.steal = 100 + 12345;
    want.version = 10;
    want.preempted = 0;
    cr_assert(eq(int, memcmp(&now, &want, sizeof(now)), 0));
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 1));
}

Test(steal, STL_7_a_value_of_the_guest_is_kept_and_added_to)
{
    FAKE_VM(f);
    enabled(&f);
    struct kvm_steal_time st = record(&f);
    st.steal = 1000;
    put_record(&f, &st);
    vcpu_deschedule(f.vcpu);
    vcpu_schedule(f.vcpu, 50);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, record(&f).steal, 1050));
}

Test(steal, STL_7_enabling_again_credits_nothing_twice)
{
    FAKE_VM(f);
    const uint64_t delay_ns = (1ull << 40) + 71; /* all its bits are remembered */
    enabled(&f);
    f.time.run_delay_ns[0] = delay_ns;
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 0);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, RECORD | 1);
    cr_assert(eq(u64, record(&f).steal, delay_ns));
}

Test(steal, STL_8_waiting_counts_and_sleeping_does_not)
{
    FAKE_VM(f);
    enabled(&f);
    vcpu_deschedule(f.vcpu);
    vcpu_schedule(f.vcpu, 300);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, record(&f).steal, 300));
    vcpu_halt(f.vcpu);
    vcpu_deschedule(f.vcpu);
    vcpu_schedule(f.vcpu, 1000);
    hypercall(&f.vm.vcpus[1], KVM_HC_KICK_CPU, 0, 0, 0, 0);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u64, record(&f).steal, 300));
}

Test(steal, STL_8_a_halted_vcpu_that_was_woken_while_it_had_no_cpu_waited)
{
    FAKE_VM(f);
    enabled(&f);
    vcpu_deschedule(f.vcpu);
    cr_assert(not(vcpu_enter(f.vcpu)));
    vcpu_schedule(f.vcpu, 40);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, record(&f).steal, 40));
}

Test(steal, STL_10_a_descheduled_vcpu_is_preempted_and_not_any_more_when_it_runs)
{
    FAKE_VM(f);
    enabled(&f);
    cr_assert(eq(u8, record(&f).preempted, 0));
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, KVM_VCPU_PREEMPTED));
    vcpu_schedule(f.vcpu, 1);
    cr_assert(eq(u8, record(&f).preempted, KVM_VCPU_PREEMPTED), "until its next entry");
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, 0));
}

Test(steal, STL_10_the_store_clears_the_other_bits)
{
    FAKE_VM(f);
    enabled(&f);
    struct kvm_steal_time st = record(&f);
    st.preempted = 0xfe;
    put_record(&f, &st);
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, KVM_VCPU_PREEMPTED));
}

Test(steal, STL_10_sleeping_is_not_being_preempted)
{
    FAKE_VM(f);
    enabled(&f);
    vcpu_halt(f.vcpu);
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, 0));
}

Test(steal, STL_10_not_before_the_first_update_of_a_record)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    vcpu_wrmsr(f.vcpu, MSR_KVM_STEAL_TIME, RECORD | 1, ORIGIN_GUEST);
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, 0));
}

Test(steal, STL_10_not_where_slots_changed_since_the_last_update)
{
    FAKE_VM(f);
    enabled(&f);
    memory_slot_add(&f.vm.memory, HOLE, GPA_PAGE_SIZE, 0);
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, 0));
}

Test(steal, STL_10_not_in_the_middle_of_an_instruction) /* known bug KB-14 */
{
    FAKE_VM(f);
    enabled(&f);
    f.vcpu->hold |= HOLD_EXIT;
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, 0));
}

Test(steal, STL_4_a_disabled_record_is_left_alone)
{
    FAKE_VM(f);
    enabled(&f);
    struct kvm_steal_time before = record(&f), after;
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, RECORD);
    vcpu_deschedule(f.vcpu);
    vcpu_schedule(f.vcpu, 5);
    vcpu_enter(f.vcpu);
    after = record(&f);
    cr_assert(eq(int, memcmp(&before, &after, sizeof(before)), 0));
}

Test(steal, STL_10_a_second_deschedule_keeps_the_flush_request) /* known bug KB-12 */
{
    FAKE_VM(f);
    enabled(&f);
    vcpu_deschedule(f.vcpu);
    ask_for_flush(&f);
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB));
    /* On the CPU again for a moment, but not in the guest. */
    vcpu_schedule(f.vcpu, 1);
    vcpu_deschedule(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, KVM_VCPU_PREEMPTED | KVM_VCPU_FLUSH_TLB));
}

Test(tlb, TLB_1_and_2_a_flush_that_is_asked_for_is_done_before_the_next_instruction)
{
    FAKE_VM(f);
    enabled(&f);
    vcpu_deschedule(f.vcpu);
    ask_for_flush(&f);
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 0));
    vcpu_schedule(f.vcpu, 1);
    cr_assert(vcpu_enter(f.vcpu));
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 1));
    cr_assert(eq(u8, record(&f).preempted, 0));
}

Test(tlb, TLB_2_bit_1_alone_is_enough)
{
    FAKE_VM(f);
    enabled(&f);
    struct kvm_steal_time st = record(&f);
    st.preempted = KVM_VCPU_FLUSH_TLB;
    put_record(&f, &st);
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 1));
}

Test(tlb, TLB_3_a_request_after_the_exchange_waits_for_the_next_update)
{
    FAKE_VM(f);
    enabled(&f);
    struct kvm_steal_time st = record(&f);
    st.preempted = KVM_VCPU_FLUSH_TLB;
    put_record(&f, &st);
    lapic_accept(f.vcpu, APIC_NMI, 0, false, true); /* an entry with work, but no update */
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 0));
    for (int update = 0; update < 2; update++) {
        vcpu_load(f.vcpu);
        vcpu_enter(f.vcpu);
        cr_assert(eq(u32, f.vcpu->tlb_flushes, 1), "the first update takes it");
    }
}

/* Known bug KB-16: the byte is wiped without the feature, too. */
Test(tlb, TLB_4_without_the_feature_the_byte_is_wiped_and_nothing_flushed)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 1u << KVM_FEATURE_STEAL_TIME);
    vcpu_set_enforce(f.vcpu, true);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, RECORD | 1);
    vcpu_deschedule(f.vcpu);
    ask_for_flush(&f);
    vcpu_schedule(f.vcpu, 1);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, 0));
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 0));
}

Test(tlb, TLB_5_without_a_record_nobody_looks_at_the_byte)
{
    FAKE_VM(f);
    fake_vm_init_smp(&f, 1);
    struct kvm_steal_time st = {.preempted = 3};
    put_record(&f, &st);
    guest_wrmsr(&f, MSR_KVM_STEAL_TIME, RECORD); /* an address, and disabled */
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u8, record(&f).preempted, 3));
    cr_assert(eq(u32, f.vcpu->tlb_flushes, 0));
}

/* The byte is taken in one exchange, before anything else of the update is stored (known bug KB-13). */
Test(tlb, STL_6_the_exchange_is_the_first_store_of_an_update)
{
    FAKE_VM(f);
    enabled(&f);
    f.vm.trace.total = 0;
    vcpu_load(f.vcpu);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u64, f.vm.trace.total, 4));
    cr_assert(eq(u8, f.vm.trace.ring[0].offset, offsetof(struct kvm_steal_time, preempted)));
    cr_assert(eq(u8, f.vm.trace.ring[1].offset, offsetof(struct kvm_steal_time, version)));
    cr_assert(eq(u8, f.vm.trace.ring[2].offset, offsetof(struct kvm_steal_time, steal)));
    cr_assert(eq(u8, f.vm.trace.ring[3].offset, offsetof(struct kvm_steal_time, version)));
}
