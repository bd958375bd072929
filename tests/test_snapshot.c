/* Save and restore: nothing is forgotten, a restored machine goes on, hostile bytes are refused whole. decision 11; CLK-24. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include "tests/fake_vm.h"
#include "vmm/pv/snapshot.h"

/* Bytes between the fields of each structure. */
#define VCPU_PADDING   81
#define CONFIG_PADDING 18
#define ENV_PADDING    3

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

struct span {
    size_t offset, size;
};
#define SPAN(type, member)                                                                                   \
    {                                                                                                        \
        offsetof(type, member), sizeof(((type *)0)->member)                                                  \
    }

/* Bytes of a structure of `size` that neither its table nor the other spans cover. */
static size_t bytes_left(size_t size, const struct field *fields, size_t count, const struct span *others,
                         size_t other_count)
{
    uint8_t *covered = calloc(1, size);
    size_t left = 0;

    for (size_t i = 0; i < count; i++)
        for (unsigned n = 0; n < fields[i].count; n++)
            memset(covered + fields[i].offset + n * fields[i].stride, 1, fields[i].size);
    for (size_t i = 0; i < other_count; i++)
        memset(covered + others[i].offset, 1, others[i].size);
    for (size_t i = 0; i < size; i++)
        left += !covered[i];
    free(covered);
    return left;
}
#define BYTES_LEFT(type, table, others)                                                                      \
    bytes_left(sizeof(type), table##_fields, table##_field_count, others, sizeof(others) / sizeof(others[0]))

Test(snapshot, every_byte_of_a_vcpu_is_in_the_table_or_known_not_to_be)
{
    /* Identity, configuration, caches and what is rebuilt; the rest of what is left is padding. */
    static const struct span others[] = {
#define OTHER(member) SPAN(struct vcpu, member)
        OTHER(vm),        OTHER(id),    OTHER(apic_id), OTHER(cpuid),      OTHER(caps),
        OTHER(phys_bits), OTHER(areas), OTHER(tlb),     OTHER(apf_faults), /* as many as are used are written apart */
    };
    cr_assert(eq(sz, BYTES_LEFT(struct vcpu, snapshot_vcpu, others), VCPU_PADDING),
              "a new field of struct vcpu belongs in snapshot_vcpu_fields");
}

Test(snapshot, every_word_of_the_configuration_is_in_the_table)
{
    static const struct span config[] = {SPAN(struct vm_config, apic_ids)}; /* with each vCPU */
    static const struct span host[] = {SPAN(struct env, tsc), SPAN(struct env, now_ns),
                                       SPAN(struct env, realtime_ns), SPAN(struct env, run_delay_ns),
                                       SPAN(struct env, ctx)};

    cr_assert(eq(sz, BYTES_LEFT(struct vm_config, snapshot_config, config), CONFIG_PADDING),
              "a new field of struct vm_config belongs in snapshot_config_fields");
    cr_assert(eq(sz, BYTES_LEFT(struct env, snapshot_host, host), ENV_PADDING),
              "a new field of struct env belongs in snapshot_host_fields");
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
    for (int version = 0; version < 256; version++)
        if (version != SNAPSHOT_VERSION) {
            cr_assert(eq(int, restore_changed(&f, &at, 8, (uint8_t)version, message), -EINVAL));
            cr_assert(eq(str, message, "version: this build reads version 4"));
        }
    fake_vm_init_smp(&other, 2);
    cr_assert(eq(int, restore(&other, &at, message), -EINVAL));
    cr_assert(ne(ptr, strstr(message, "machine.vcpus"), NULL), "%s", message);
}

static void refused_unchanged(struct fake_vm *f, const struct snapshot *theirs, const char *word)
{
    SNAPSHOT(before);
    SNAPSHOT(after);
    char message[160], expected[160];

    save(f, &before);
    snprintf(expected, sizeof(expected), "machine.%s: the snapshot is of another machine", word);
    cr_assert(eq(int, restore(f, theirs, message), -EINVAL));
    cr_assert(eq(str, message, expected));
    save(f, &after);
    cr_assert(same(&before, &after));
    cr_assert(eq(int, restore(f, &before, message), 0), "its own: %s", message);
}

/* Two machines that differ in one word of how they were made: each refuses the other's snapshot and takes its own. */
static void refuse_each_other(struct fake_vm *f, struct fake_vm *other, const char *word)
{
    SNAPSHOT(ours);
    SNAPSHOT(theirs);

    save(f, &ours);
    save(other, &theirs);
    refused_unchanged(f, &theirs, word);
    refused_unchanged(other, &ours, word);
}
#define OTHER_CONFIG_ROW(word, value)                                                                        \
    Test(snapshot, another_configuration_by_##word)                                                          \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        FAKE_VM(other);                                                                                      \
        struct vm_config config = fake_config;                                                               \
        fake_vm_create(&f, &config, true);                                                                   \
        config.word = value;                                                                                 \
        fake_vm_create(&other, &config, true);                                                               \
        refuse_each_other(&f, &other, #word);                                                                \
    }
OTHER_CONFIG_ROW(vcpus, 2)
OTHER_CONFIG_ROW(ids_32bit, true)
OTHER_CONFIG_ROW(irqchip, IRQCHIP_SPLIT)
OTHER_CONFIG_ROW(native, HC_VMMCALL)
OTHER_CONFIG_ROW(fix_hypercall_quirk, false)
OTHER_CONFIG_ROW(ignore_msrs, true)
OTHER_CONFIG_ROW(sched_info, false)
OTHER_CONFIG_ROW(apic_off, true)
OTHER_CONFIG_ROW(apicv, true)
OTHER_CONFIG_ROW(hlt_in_guest, true)
OTHER_CONFIG_ROW(version, KVM_6_1)
OTHER_CONFIG_ROW(msr_exits, MSR_EXIT_FILTER)
OTHER_CONFIG_ROW(exit_hypercalls, 1u << KVM_HC_MAP_GPA_RANGE)

Test(snapshot, another_host_by_its_TSC_rate)
{
    FAKE_VM(f);
    FAKE_VM(other);
    fake_vm_create(&f, &fake_config, true);
    fake_vm_create(&other, &fake_config, true);
    other.vm.env.tsc_khz++;
    refuse_each_other(&f, &other, "tsc_khz");
}

Test(snapshot, another_host_by_its_clocksource)
{
    FAKE_VM(f);
    FAKE_VM(other);
    fake_vm_create(&f, &fake_config, true);
    fake_vm_create(&other, &fake_config, false);
    refuse_each_other(&f, &other, "clocksource_tsc");
}

/* Ids that need 32 bits turn them on: asked for or not, it is the same machine. */
Test(snapshot, wide_ids_that_the_apic_ids_need_are_no_difference)
{
    static const uint32_t ids[] = {255};
    FAKE_VM(f);
    FAKE_VM(other);
    SNAPSHOT(at);
    char message[160];
    struct vm_config config = fake_config;
    config.apic_ids = ids;
    fake_vm_create(&f, &config, true);
    config.ids_32bit = true;
    fake_vm_create(&other, &config, true);
    save(&f, &at);
    cr_assert(eq(int, restore(&other, &at, message), 0), "%s", message);
}

/* Magic, version, tag and length of the first section are 8, 4, 4 and 8 bytes. */
Test(snapshot, refuses_a_machine_section_that_ends_early)
{
    enum { LENGTH_AT = 16, WORDS = LENGTH_AT + 8 };
    FAKE_VM(f);
    SNAPSHOT(at);
    char message[160];
    uint64_t len;
    fake_vm_init(&f);
    save(&f, &at);
    memcpy(&len, at.data + LENGTH_AT, sizeof(len));
    for (uint64_t shorter = 0; shorter < len; shorter++) {
        memcpy(at.data + LENGTH_AT, &shorter, sizeof(shorter));
        cr_assert(eq(int, restore(&f, &at, message), -EINVAL));
        cr_assert(ne(ptr, strstr(message, ": cut short"), NULL), "%s", message);
    }
    memcpy(at.data + LENGTH_AT, &len, sizeof(len));
    for (uint64_t i = 0; i < len; i++)
        cr_assert(eq(int, restore_changed(&f, &at, WORDS + i, (uint8_t)(at.data[WORDS + i] ^ 0x80), message),
                     -EINVAL));
    cr_assert(eq(int, restore(&f, &at, message), 0), "%s", message);
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
