/* Save and restore: nothing is forgotten, a restored machine goes on, hostile bytes are refused whole. decision 11; CLK-24. */
#include <errno.h>
#include <stdlib.h>
#include "tests/fake_vm.h"
#include "vmm/pv/snapshot.h"

/* Bytes between the fields of struct vcpu. */
#define VCPU_PADDING 81

struct snapshot {
    uint8_t *data;
    size_t len;
};

static void snapshot_free(struct snapshot *s)
{
    free(s->data);
}
#define SNAPSHOT(name) __attribute__((cleanup(snapshot_free))) struct snapshot name = {0}

static void save(struct fake_vm *f, struct snapshot *s)
{
    free(s->data);
    cr_assert(eq(int, vm_save(&f->vm, &s->data, &s->len), 0));
}

static int restore(struct fake_vm *f, const struct snapshot *s, char message[160])
{
    return vm_restore(&f->vm, s->data, s->len, message);
}

static bool same(const struct snapshot *a, const struct snapshot *b)
{
    return a->len == b->len && !memcmp(a->data, b->data, a->len);
}

/* A machine that has seen something of everything. */
static void live(struct fake_vm *f)
{
    static const struct {
        uint32_t index;
        uint64_t value;
    } writes[] = {{MSR_KVM_WALL_CLOCK, 0x2000},  {MSR_KVM_SYSTEM_TIME_NEW, 0x3001},
                  {MSR_KVM_STEAL_TIME, 0x4001},  {MSR_KVM_PV_EOI_EN, 0x5001},
                  {MSR_KVM_POLL_CONTROL, 0},     {MSR_KVM_ASYNC_PF_INT, 0xf3},
                  {MSR_KVM_ASYNC_PF_EN, 0x7009}, {MSR_LSTAR, 0x1234},
                  {MSR_IA32_TSC, 1u << 20}};
    fake_vm_init_smp(f, 2);
    for (size_t i = 0; i < sizeof(writes) / sizeof(writes[0]); i++)
        guest_wrmsr(f, writes[i].index, writes[i].value);
    vcpu_kvmclock_ctrl(f->vcpu);
    hypercall(f->vcpu, KVM_HC_KICK_CPU, 0, 1, 0, 0);
    lapic_accept(&f->vm.vcpus[1], APIC_FIXED, 0x41, false, true);
    vcpu_halt(&f->vm.vcpus[1]);
}

Test(snapshot, save_restore_save_gives_the_same_bytes)
{
    FAKE_VM(f);
    SNAPSHOT(first);
    SNAPSHOT(second);
    char message[160];
    live(&f);
    save(&f, &first);
    vm_renew(&f.vm);
    cr_assert(eq(int, restore(&f, &first, message), 0));
    save(&f, &second);
    cr_assert(same(&first, &second));
}

Test(snapshot, a_restored_machine_goes_on_as_the_straight_one) /* known bugs KB-32, KB-46, KB-47, KB-48 */
{
    FAKE_VM(straight);
    FAKE_VM(restored);
    SNAPSHOT(at);
    SNAPSHOT(a);
    SNAPSHOT(b);
    char message[160];
    live(&straight);
    save(&straight, &at);
    fake_vm_init_smp(&restored, 2);
    restored.time = straight.time;
    cr_assert(eq(int, restore(&restored, &at, message), 0));
    struct fake_vm *machines[] = {&straight, &restored};
    for (int i = 0; i < 2; i++) {
        fake_advance(machines[i], 400000000000);
        machines[i]->time.run_delay_ns[0] += 5;
        vcpu_load(machines[i]->vcpu);
        vcpu_enter(machines[i]->vcpu);
        vcpu_enter(&machines[i]->vm.vcpus[1]);
        ram_put_u32(machines[i], 0x7004, 0);
        guest_wrmsr(machines[i], MSR_KVM_ASYNC_PF_ACK, 1);
    }
    save(&straight, &a);
    save(&restored, &b);
    cr_assert(same(&a, &b));
    cr_assert(eq(u32, ram_u32(&restored, 0x3000), ram_u32(&straight, 0x3000)), "the version goes on");
}

Test(snapshot, every_byte_of_a_vcpu_is_in_the_table_or_known_not_to_be)
{
    static uint8_t covered[sizeof(struct vcpu)];
    size_t left = 0, known = 0;
    /* Identity, configuration, caches and what is rebuilt; the rest of what is left is padding. */
    static const struct {
        size_t offset, size;
    } others[] = {
#define OTHER(member) {offsetof(struct vcpu, member), sizeof(((struct vcpu *)0)->member)}
        OTHER(vm),        OTHER(id),    OTHER(apic_id), OTHER(cpuid),      OTHER(caps),
        OTHER(phys_bits), OTHER(areas), OTHER(tlb),     OTHER(apf_faults), /* as many as are used are written apart */
    };
    for (size_t i = 0; i < snapshot_vcpu_field_count; i++) {
        const struct field *field = &snapshot_vcpu_fields[i];
        for (unsigned n = 0; n < field->count; n++)
            memset(covered + field->offset + n * field->stride, 1, field->size);
    }
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        memset(covered + others[i].offset, 1, others[i].size);
    for (size_t i = 0; i < sizeof(covered); i++)
        left += !covered[i];
    known = VCPU_PADDING;
    cr_assert(eq(sz, left, known), "a new field of struct vcpu belongs in snapshot_vcpu_fields");
}

Test(snapshot, slots_come_back_where_they_were)
{
    FAKE_VM(f);
    SNAPSHOT(at);
    char message[160];
    uint32_t value = 0xabcdef;
    fake_vm_init(&f);
    memory_slot_add(&f.vm.memory, HOLE, 0x4000, SLOT_DIRTY_LOG);
    ram_put_u32(&f, HOLE + 0x2000, value);
    save(&f, &at);
    memory_slot_remove(&f.vm.memory, HOLE);
    memory_slot_add(&f.vm.memory, HOLE + 0x100000, 0x1000, 0);
    cr_assert(eq(int, restore(&f, &at, message), 0));
    cr_assert(eq(u32, ram_u32(&f, HOLE + 0x2000), value));
    cr_assert(eq(ptr, memory_slot(&f.vm.memory, HOLE + 0x100000), NULL));
    uint64_t dirty;
    cr_assert(eq(int, memory_dirty_take(&f.vm.memory, HOLE, &dirty), 0));
    cr_assert(eq(u64, dirty, 4));
    memory_reset(&f.vm.memory);
    cr_assert(eq(u32, ram_u32(&f, HOLE + 0x2000), 0), "restored pages count as touched");
}

Test(snapshot, pages_written_after_the_save_are_zero_again)
{
    FAKE_VM(f);
    SNAPSHOT(at);
    char message[160];
    fake_vm_init(&f);
    save(&f, &at);
    ram_put_u32(&f, 0x9000, 1);
    cr_assert(eq(int, restore(&f, &at, message), 0));
    cr_assert(eq(u32, ram_u32(&f, 0x9000), 0));
}

Test(snapshot, EOI_2_staleness_survives)
{
    FAKE_VM(f);
    SNAPSHOT(at);
    char message[160];
    fake_vm_init(&f);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, 0x6001);
    guest_wrmsr(&f, MSR_KVM_PV_EOI_EN, HOLE | 1);
    save(&f, &at);
    cr_assert(eq(int, restore(&f, &at, message), 0));
    cr_assert(not(area_usable(vcpu_area(f.vcpu, AREA_PV_EOI))));
}

Test(snapshot, all_that_SVR_can_hold_survives)
{
    FAKE_VM(f);
    SNAPSHOT(at);
    char message[160];
    fake_vm_init(&f);
    f.vcpu->apic.svr = SVR_BITS;
    save(&f, &at);
    cr_assert(eq(int, restore(&f, &at, message), 0), "%s", message);
    f.vcpu->apic.svr |= 1u << 10;
    save(&f, &at);
    cr_assert(eq(int, restore(&f, &at, message), -EINVAL), "reserved");
}

Test(snapshot, every_cut_is_refused_and_changes_nothing)
{
    FAKE_VM(f);
    SNAPSHOT(at);
    SNAPSHOT(before);
    SNAPSHOT(after);
    char message[160];
    live(&f);
    save(&f, &at);
    fake_advance(&f, 5);
    guest_wrmsr(&f, MSR_KVM_SYSTEM_TIME_NEW, 0x9001);
    save(&f, &before);
    for (size_t len = 0; len < at.len; len += len < 4000 ? 1 : 97) {
        cr_assert(eq(int, vm_restore(&f.vm, at.data, len, message), -EINVAL));
        cr_assert(ne(chr, message[0], '\0'));
    }
    save(&f, &after);
    cr_assert(same(&before, &after));
}

/* A small fixed generator: equal on every run. */
static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

Test(snapshot, changed_bytes_are_refused_or_taken_but_never_harm)
{
    FAKE_VM(f);
    SNAPSHOT(at);
    uint32_t seed = 1;
    char message[160];
    unsigned refused = 0;
    live(&f);
    save(&f, &at);
    uint8_t *copy = malloc(at.len);
    for (int round = 0; round < 3000; round++) {
        memcpy(copy, at.data, at.len);
        for (int n = 0; n < 3; n++)
            copy[next_random(&seed) % (round % 2 ? 2200 : at.len)] = (uint8_t)next_random(&seed);
        refused += vm_restore(&f.vm, copy, at.len, message) != 0;
        for (int i = 0; i < 2; i++)
            vcpu_enter(&f.vm.vcpus[i]);
    }
    free(copy);
    cr_assert(lt(uint, 100, refused));
    cr_assert(eq(int, restore(&f, &at, message), 0));
}

/* One hostile field each, and the words that name it. */
#define HOSTILE_ROW(name, change, words)                                                                     \
    Test(snapshot, refuses_##name)                                                                           \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        SNAPSHOT(good);                                                                                      \
        SNAPSHOT(bad);                                                                                       \
        SNAPSHOT(after);                                                                                     \
        char message[160];                                                                                   \
        live(&f);                                                                                            \
        save(&f, &good);                                                                                     \
        {                                                                                                    \
            change;                                                                                          \
        }                                                                                                    \
        save(&f, &bad);                                                                                      \
        cr_assert(eq(int, restore(&f, &good, message), 0));                                                  \
        cr_assert(eq(int, restore(&f, &bad, message), -EINVAL));                                             \
        cr_assert(ne(ptr, strstr(message, words), NULL), "%s", message);                                     \
        save(&f, &after);                                                                                    \
        cr_assert(same(&good, &after));                                                                      \
    }
HOSTILE_ROW(CLK_24_a_shift_of_64, f.vcpu->clock.shift = 64, "vcpu 0: clock.shift")
HOSTILE_ROW(CLK_24_a_shift_of_minus_64, f.vcpu->clock.shift = -64, "vcpu 0: clock.shift")
HOSTILE_ROW(a_factor_that_is_not_of_its_rate, f.vcpu->clock.mul = 5, "clock.mul")
HOSTILE_ROW(CLK_4_a_record_across_pages, f.vcpu->clock.target = 0x2ff0, "clock.target")
HOSTILE_ROW(an_active_clock_without_enable, f.vcpu->clock.msr = 0x3000, "clock.active")
HOSTILE_ROW(STL_1_reserved_bits, f.vcpu->steal.msr = 0x43, "steal.msr")
HOSTILE_ROW(APF_1_reserved_bits, f.vcpu->apf.en_msr |= 0x10, "apf.en_msr")
HOSTILE_ROW(an_apf_state_that_the_msr_denies, f.vcpu->apf.on = false, "apf.on")
HOSTILE_ROW(API_1_a_vector_of_9_bits, f.vcpu->apf.int_msr = 0x100, "apf.int_msr")
HOSTILE_ROW(EOI_1_an_unaligned_address, f.vcpu->eoi.msr = 0x5003, "eoi.msr")
HOSTILE_ROW(POL_1_a_poll_value_of_2, f.vcpu->poll.msr = 2, "poll.msr")
HOSTILE_ROW(SAV_12_two_reasons_to_ask, (f.vcpu->hold |= HOLD_EXIT, f.vcpu->msr_exit.reason = 3),
            "msr_exit.reason")
HOSTILE_ROW(SAV_12_a_register_that_nobody_asks_about, f.vcpu->msr_exit.reason = MSR_EXIT_FILTER,
            "msr_exit.reason")
HOSTILE_ROW(SAV_12_an_answer_before_the_end_of_the_exit, (f.vcpu->hold |= HOLD_EXIT, f.vcpu->answered = true),
            "answered")
HOSTILE_ROW(unknown_requests, f.vm.vcpus[1].requests = 0x80000000, "vcpu 1: requests")
HOSTILE_ROW(an_unknown_run_state, f.vcpu->mp_state = (enum mp_state)3, "mp_state")
HOSTILE_ROW(x2apic_without_enable, f.vcpu->apic.base_msr = 0x400, "apic.base_msr")

static int restore_changed(struct fake_vm *f, const struct snapshot *s, size_t at, uint8_t value,
                           char message[160])
{
    uint8_t *copy = malloc(s->len);
    int err;

    memcpy(copy, s->data, s->len);
    copy[at] = value;
    err = vm_restore(&f->vm, copy, s->len, message);
    free(copy);
    return err;
}

Test(snapshot, refuses_other_magic_version_and_machine)
{
    FAKE_VM(f);
    FAKE_VM(other);
    SNAPSHOT(at);
    char message[160];
    fake_vm_init(&f);
    save(&f, &at);
    cr_assert(eq(int, restore_changed(&f, &at, 0, 'X', message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "magic"), NULL));
    cr_assert(eq(int, restore_changed(&f, &at, 8, 99, message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "version"), NULL));
    fake_vm_init_smp(&other, 2);
    cr_assert(eq(int, restore(&other, &at, message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "machine.vcpus"), NULL), "%s", message);
}

Test(snapshot, refuses_trailing_bytes)
{
    FAKE_VM(f);
    SNAPSHOT(at);
    char message[160];
    fake_vm_init(&f);
    save(&f, &at);
    at.data = realloc(at.data, at.len + 1);
    at.data[at.len++] = 0;
    cr_assert(eq(int, restore(&f, &at, message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "end"), NULL));
}

Test(snapshot, refuses_rom_that_the_machine_lacks)
{
    FAKE_VM(f);
    FAKE_VM(other);
    SNAPSHOT(at);
    char message[160];
    fake_vm_init(&f);
    memory_slot_add(&f.vm.memory, HOLE, 0x1000, SLOT_READONLY);
    save(&f, &at);
    fake_vm_init(&other);
    cr_assert(eq(int, restore(&other, &at, message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "read-only"), NULL));
    cr_assert(eq(int, restore(&f, &at, message), 0));
}
