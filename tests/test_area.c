/* Host-written areas: registration, states, the trace of stores, the version protocol. decision 20; spec EOI-2, CLK-5. */
#include "tests/fake_vm.h"
#include "vmm/core/record.h"

static struct area *steal_area(struct fake_vm *f, uint64_t gpa)
{
    struct area *area = vcpu_area(f->vcpu, AREA_STEAL);

    area_register(area, gpa, 64);
    return area;
}

Test(area, good_on_memory_and_bad_elsewhere)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(u8, steal_area(&f, 0x2000)->state, AREA_GOOD));
    cr_assert(eq(u8, steal_area(&f, HOLE)->state, AREA_BAD));
    cr_assert(eq(u8, steal_area(&f, FAKE_RAM_SIZE - 63)->state, AREA_BAD));
}

Test(area, usable_follows_the_slots)
{
    FAKE_VM(f);
    struct area *area;
    fake_vm_init(&f);
    area = steal_area(&f, HOLE);
    cr_assert(not(area_usable(area)));
    memory_slot_add(&f.vm.memory, HOLE, 0x1000, 0);
    cr_assert(area_usable(area));
    memory_slot_move(&f.vm.memory, HOLE, HOLE + 0x1000);
    cr_assert(not(area_usable(area)));
}

Test(area, an_unregistered_one_is_neither_read_nor_written)
{
    FAKE_VM(f);
    struct area *area;
    uint32_t value = 5;
    uint8_t old;
    fake_vm_init(&f);
    area = steal_area(&f, 0x2000);
    area_unregister(area);
    cr_assert(not(area_write(area, 0, &value, 4)));
    cr_assert(not(area_write_partial(area, 0, &value, 4)));
    cr_assert(not(area_read(area, 0, &value, 4)));
    cr_assert(not(area_exchange_u8(area, 0, 1, &old)));
    cr_assert(eq(u64, f.vm.trace.total, 0));
}

Test(area, a_store_outside_is_refused_whole)
{
    FAKE_VM(f);
    struct area *area;
    uint64_t value = 5;
    fake_vm_init(&f);
    area = steal_area(&f, 0x2000);
    cr_assert(not(area_write(area, 60, &value, 8)));
    cr_assert(not(area_write(area, (size_t)-4, &value, 8)));
    cr_assert(not(area_write_partial(area, 60, &value, 8)));
    cr_assert(eq(u32, ram_u32(&f, 0x203c), 0));
}

Test(area, stores_are_traced_in_order_with_what_was_written)
{
    FAKE_VM(f);
    struct area *area;
    uint32_t value = 0x11223344;
    uint8_t old;
    const struct trace_entry *entry = f.vm.trace.ring;
    fake_vm_init(&f);
    area = steal_area(&f, 0x2000);
    ram_fill(&f, 0x2010, 0x77, 1);
    area_write(area, 8, &value, 4);
    cr_assert(area_exchange_u8(area, 16, 9, &old));
    cr_assert(eq(u8, old, 0x77));
    cr_assert(eq(u64, f.vm.trace.total, 2));
    cr_assert(eq(u64, entry[0].gpa, 0x2008));
    cr_assert(eq(u8, entry[0].offset, 8));
    cr_assert(eq(u8, entry[0].size, 4));
    cr_assert(eq(u8, entry[0].kind, AREA_STEAL));
    cr_assert(zero(int, memcmp(entry[0].bytes, &value, 4)));
    cr_assert(eq(u8, entry[1].bytes[0], 9));
    cr_assert(entry[0].allowed);
    cr_assert(entry[1].allowed);
}

Test(area, a_store_through_a_stale_copy_is_not_allowed)
{
    FAKE_VM(f);
    struct area copy;
    uint32_t value = 1;
    fake_vm_init(&f);
    copy = *steal_area(&f, 0x2000);
    steal_area(&f, 0x3000);
    area_write(&copy, 0, &value, 4);
    cr_assert(not(f.vm.trace.ring[0].allowed));
}

Test(area, a_full_trace_forgets_the_oldest_and_counts)
{
    FAKE_VM(f);
    struct area *area;
    fake_vm_init(&f);
    area = steal_area(&f, 0x2000);
    for (uint32_t i = 0; i < TRACE_ENTRIES + 3; i++)
        area_write(area, 0, &i, 4);
    cr_assert(eq(u64, f.vm.trace.total, TRACE_ENTRIES + 3));
    cr_assert(eq(u8, f.vm.trace.ring[2].bytes[0], TRACE_ENTRIES + 2));
    cr_assert(eq(u8, f.vm.trace.ring[3].bytes[0], 3));
}

Test(area, renewing_the_machine_forgets_areas_trace_and_memory)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME, 0x2001);
    vm_renew(&f.vm);
    cr_assert(eq(u64, f.vm.trace.total, 0));
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 0));
    cr_assert(eq(u8, vcpu_area(f.vcpu, AREA_CLOCK)->state, AREA_OFF));
    cr_assert(eq(u64, guest_rdmsr(&f, MSR_KVM_SYSTEM_TIME), 0));
}

#define ODD_ROW(name, found, odd)                                                                            \
    Test(record, CLK_8_##name)                                                                               \
    {                                                                                                        \
        cr_assert(eq(u32, record_odd(found), odd));                                                          \
    }
ODD_ROW(zero, 0, 1)
ODD_ROW(one, 1, 3)
ODD_ROW(two, 2, 3)
ODD_ROW(three, 3, 5)
ODD_ROW(last_even, 0xfffffffe, 0xffffffff)
ODD_ROW(last, 0xffffffff, 1)

Test(record, CLK_8_nothing_happens_without_memory)
{
    FAKE_VM(f);
    uint32_t version = 9;
    fake_vm_init(&f);
    cr_assert(not(record_begin(steal_area(&f, HOLE), 8, &version)));
    cr_assert(eq(u64, f.vm.trace.total, 0));
}
