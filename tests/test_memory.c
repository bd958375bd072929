/* Guest memory: slots with guards, the checked door, touched and dirty pages. */
#include <errno.h>
#include <signal.h>
#include "tests/fake_vm.h"

#define MEMORY(name) __attribute__((cleanup(memory_free))) struct memory name = {0}

#define ADD_ROW(name, gpa, size, want)                                                                       \
    Test(memory, add_##name)                                                                                 \
    {                                                                                                        \
        MEMORY(mem);                                                                                         \
        cr_assert(eq(int, memory_slot_add(&mem, 0x10000, 0x4000, 0), 0));                                    \
        cr_assert(eq(int, memory_slot_add(&mem, gpa, size, 0), want));                                       \
        cr_assert(eq(uint, mem.count, want ? 1 : 2));                                                        \
    }
ADD_ROW(below, 0xf000, 0x1000, 0)
ADD_ROW(above, 0x14000, 0x1000, 0)
ADD_ROW(overlapping_the_start, 0xf000, 0x2000, -EEXIST)
ADD_ROW(overlapping_the_end, 0x13000, 0x2000, -EEXIST)
ADD_ROW(around, 0x0, 0x100000, -EEXIST)
ADD_ROW(inside, 0x11000, 0x1000, -EEXIST)
ADD_ROW(empty, 0x20000, 0, -EINVAL)
ADD_ROW(unaligned_address, 0x20800, 0x1000, -EINVAL)
ADD_ROW(unaligned_size, 0x20000, 0x1800, -EINVAL)
ADD_ROW(wrapping, 0xfffffffffffff000, 0x2000, -EINVAL)
ADD_ROW(last_page_of_the_address_space, 0xfffffffffffff000, 0x1000, -EINVAL)
ADD_ROW(more_pages_than_a_number_holds, 0x100000, 1ull << 45, -EINVAL)

Test(memory, add_at_most_32)
{
    MEMORY(mem);
    for (unsigned i = 0; i < MEMORY_SLOTS; i++)
        cr_assert(eq(int, memory_slot_add(&mem, i * 0x2000, 0x1000, 0), 0));
    cr_assert(eq(int, memory_slot_add(&mem, 0x1000000, 0x1000, 0), -ENOSPC));
}

Test(memory, copies_cross_pages_and_slots)
{
    MEMORY(mem);
    uint8_t in[64], out[64];
    memory_slot_add(&mem, 0x2000, 0x1000, 0);
    memory_slot_add(&mem, 0x1000, 0x1000, 0);
    for (unsigned i = 0; i < sizeof(in); i++)
        in[i] = (uint8_t)i;
    cr_assert(gpa_write(&mem, 0x1fe0, in, sizeof(in)));
    cr_assert(gpa_read(&mem, 0x1fe0, out, sizeof(out)));
    cr_assert(zero(int, memcmp(in, out, sizeof(in))));
    cr_assert(eq(ptr, gpa_host(&mem, 0x1fe0, 64, false), NULL), "one host range cannot cross slots");
}

Test(memory, a_copy_that_meets_a_hole_keeps_what_came_before)
{
    MEMORY(mem);
    uint8_t bytes[16] = {[0] = 1, [7] = 7, [8] = 8}, out[8];
    memory_slot_add(&mem, 0x1000, 0x1000, 0);
    cr_assert(not(gpa_write(&mem, 0x1ff8, bytes, sizeof(bytes))));
    cr_assert(gpa_read(&mem, 0x1ff8, out, sizeof(out)));
    cr_assert(eq(u8, out[7], 7));
}

Test(memory, addresses_do_not_wrap) /* known bug KB-43 */
{
    MEMORY(mem);
    uint8_t byte[16] = {0};
    memory_slot_add(&mem, 0, 0x1000, 0);
    cr_assert(not(gpa_read(&mem, 0xfffffffffffffff8, byte, sizeof(byte))));
    cr_assert(not(gpa_good(&mem, 0xfffffffffffffff8, 16)));
    cr_assert(eq(ptr, gpa_host(&mem, 0xff8, (size_t)-8, false), NULL));
}

Test(memory, read_only_slots_are_read_and_not_written)
{
    MEMORY(mem);
    uint8_t byte = 0x5a;
    memory_slot_add(&mem, 0x1000, 0x1000, SLOT_READONLY);
    cr_assert(not(gpa_write(&mem, 0x1000, &byte, 1)));
    cr_assert(not(gpa_good(&mem, 0x1000, 1)));
    cr_assert(eq(ptr, gpa_host(&mem, 0x1000, 1, true), NULL));
    cr_assert(gpa_load(&mem, 0x1000, &byte, 1));
    byte = 0;
    cr_assert(gpa_read(&mem, 0x1000, &byte, 1));
    cr_assert(eq(u8, byte, 0x5a));
    memory_reset(&mem);
    cr_assert(gpa_read(&mem, 0x1000, &byte, 1));
    cr_assert(eq(u8, byte, 0x5a), "ROM survives a reset");
}

Test(memory, a_good_address_may_cross_writable_slots_only)
{
    MEMORY(mem);
    memory_slot_add(&mem, 0x1000, 0x1000, 0);
    memory_slot_add(&mem, 0x2000, 0x1000, 0);
    memory_slot_add(&mem, 0x3000, 0x1000, SLOT_READONLY);
    cr_assert(gpa_good(&mem, 0x1ffc, 8));
    cr_assert(not(gpa_good(&mem, 0x2ffc, 8)));
}

Test(memory, reset_brings_back_what_was_paged_out_and_leaves_rom_as_it_is)
{
    MEMORY(mem);
    uint32_t value = 0xdeadbeef;
    memory_slot_add(&mem, 0, 0x10000, 0);
    memory_slot_add(&mem, 0x10000, 0x1000, SLOT_READONLY);
    gpa_load(&mem, 0x10000, &value, 4);
    memory_page_out(&mem, 0x3000);
    memory_page_out(&mem, 0x10000);
    memory_reset(&mem);
    cr_assert(eq(u32, mem.absent_pages, 0));
    cr_assert(not(memory_page_absent(&mem, 0x3000)));
    cr_assert(not(memory_page_absent(&mem, 0x10000)));
    value = 0;
    gpa_read(&mem, 0x10000, &value, 4);
    cr_assert(eq(u32, value, 0xdeadbeef));
}

Test(memory, a_reset_looks_at_each_page_once_however_often_it_came_and_went)
{
    MEMORY(mem);
    memory_slot_add(&mem, 0, 0x2000, 0);
    for (unsigned i = 0; i < 8; i++) {
        memory_page_out(&mem, 0x1000);
        memory_page_in(&mem, 0x1000);
    }
    cr_assert(eq(u32, mem.slots[0].touched_count, 1));
}

Test(memory, reset_zeroes_what_was_written_and_touches_no_more)
{
    MEMORY(mem);
    uint32_t value = 0xdeadbeef;
    memory_slot_add(&mem, 0, 0x10000, 0);
    gpa_write(&mem, 0x3ffe, &value, 4);
    gpa_write(&mem, 0x3000, &value, 4);
    cr_assert(eq(u32, mem.slots[0].touched_count, 2));
    uint32_t generation = mem.generation;
    memory_reset(&mem);
    cr_assert(eq(u32, mem.slots[0].touched_count, 0));
    cr_assert(ne(u32, mem.generation, generation), "pointers cached for writing must come back");
    gpa_read(&mem, 0x3ffe, &value, 4);
    cr_assert(eq(u32, value, 0));
}

Test(memory, every_slot_change_is_a_new_generation)
{
    MEMORY(mem);
    uint32_t last = mem.generation;
    memory_slot_add(&mem, 0, 0x1000, 0);
    cr_assert(ne(u32, mem.generation, last));
    last = mem.generation;
    memory_slot_move(&mem, 0, 0x5000);
    cr_assert(ne(u32, mem.generation, last));
    last = mem.generation;
    memory_slot_remove(&mem, 0x5000);
    cr_assert(ne(u32, mem.generation, last));
}

Test(memory, move_keeps_contents_and_refuses_overlap)
{
    MEMORY(mem);
    uint32_t value = 77;
    memory_slot_add(&mem, 0, 0x2000, 0);
    memory_slot_add(&mem, 0x8000, 0x1000, 0);
    gpa_write(&mem, 0x1000, &value, 4);
    cr_assert(eq(int, memory_slot_move(&mem, 0, 0x7000), -EEXIST));
    cr_assert(eq(int, memory_slot_move(&mem, 0x100, 0x3000), -ENOENT));
    cr_assert(eq(int, memory_slot_move(&mem, 0, 0x3001), -EINVAL));
    cr_assert(eq(int, memory_slot_move(&mem, 0, 0x1000), 0), "onto itself, one page further");
    value = 0;
    cr_assert(gpa_read(&mem, 0x2000, &value, 4));
    cr_assert(eq(u32, value, 77));
}

Test(memory, remove_closes_the_door)
{
    MEMORY(mem);
    memory_slot_add(&mem, 0x1000, 0x1000, 0);
    memory_slot_add(&mem, 0x4000, 0x1000, 0);
    cr_assert(eq(int, memory_slot_remove(&mem, 0x1000), 0));
    cr_assert(eq(int, memory_slot_remove(&mem, 0x1000), -ENOENT));
    cr_assert(eq(ptr, memory_slot(&mem, 0x1000), NULL));
    cr_assert(ne(ptr, memory_slot(&mem, 0x4fff), NULL));
    cr_assert(eq(ptr, memory_slot(&mem, 0x5000), NULL));
}

Test(memory, the_dirty_log_takes_and_clears)
{
    MEMORY(mem);
    uint64_t bitmap = 0;
    uint8_t byte = 1;
    memory_slot_add(&mem, 0x1000, 0x10000, SLOT_DIRTY_LOG);
    gpa_write(&mem, 0x3fff, &byte, 1);
    cr_assert(eq(int, memory_dirty_take(&mem, 0x1000, &bitmap), 0));
    cr_assert(eq(u64, bitmap, 1u << 2));
    cr_assert(eq(int, memory_dirty_take(&mem, 0x1000, &bitmap), 0));
    cr_assert(eq(u64, bitmap, 0));
    cr_assert(eq(int, memory_dirty_log(&mem, 0x1000, false), 0));
    cr_assert(eq(int, memory_dirty_take(&mem, 0x1000, &bitmap), -ENOENT));
}

static void access_guard(ptrdiff_t offset)
{
    MEMORY(mem);
    volatile uint8_t *host;
    signal(SIGSEGV, SIG_DFL); /* a sanitizer's handler would report it as a bug of the test */
    memory_slot_add(&mem, 0, 0x1000, 0);
    host = gpa_host(&mem, 0, 0x1000, true);
    host[offset] = 1;
}

Test(memory, a_page_before_a_slot_is_inaccessible, .signal = SIGSEGV)
{
    access_guard(-1);
}

Test(memory, a_page_after_a_slot_is_inaccessible, .signal = SIGSEGV)
{
    access_guard(0x1000);
}
