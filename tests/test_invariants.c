/* Each invariant of the fuzz targets can fail: a machine put together by hand breaks one rule at a time. */
#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz/invariants.h"
#include "vmm/abi/kvm_para.h"

#define RAM 0x200000ull

struct fixture {
    struct vm vm;
    struct vcpu vcpus[2];
    uint64_t tsc;
    struct invariants inv;
    struct violation violation;
};

static uint64_t fixture_tsc(void *ctx)
{
    return ((struct fixture *)ctx)->tsc;
}

/* Two vCPUs with every feature advertised and enforced; nothing enabled. */
static struct fixture *fixture_new(void)
{
    static const uint64_t bases[BASE_COUNT] = {[BASE_RAM] = RAM, [BASE_RAM_END] = RAM + 0x10000};
    struct fixture *f = calloc(1, sizeof(*f));

    f->vm.config.vcpus = 2;
    f->vm.config.irqchip = IRQCHIP_KERNEL;
    f->vm.config.native = HC_VMMCALL;
    f->vm.env = (struct env){.tsc = fixture_tsc, .ctx = f, .clocksource_tsc = 1};
    f->vm.vcpus = f->vcpus;
    for (uint16_t i = 0; i < 2; i++) {
        struct vcpu *vcpu = &f->vcpus[i];

        vcpu->vm = &f->vm;
        vcpu->id = i;
        vcpu->enforce = true;
        vcpu->pv_features = 0x01007efb;
        vcpu->pv_base = 0x40000000;
        vcpu->cpuid.count = 1;
        vcpu->cpuid.entries[0] = (struct cpuid_entry){.leaf = 0x40000001, .regs.eax = 0x01007efb};
    }
    invariants_begin(&f->inv, &f->vm, bases);
    return f;
}

static bool after(struct fixture *f, const struct action *action, const struct outcome *outcome)
{
    f->violation.rule = "";
    return invariants_after(&f->inv, action, outcome, &f->violation);
}

static void expect_rule(struct fixture *f, const struct action *action, const struct outcome *outcome,
                        const char *rule)
{
    bool held = after(f, action, outcome);

    cr_expect(!held, "%s did not fail", rule);
    cr_expect_str_eq(f->violation.rule, rule, "%s: %s", f->violation.rule, held ? "" : f->violation.text);
    free(f);
}

static struct action wrmsr(uint32_t index, uint64_t value)
{
    return (struct action){.op = OP_WRMSR, .args = {{BASE_NONE, index}, {BASE_NONE, value}}};
}

static const struct outcome ok = {.status = OUTCOME_OK};
static const struct outcome gp = {.status = OUTCOME_FAULT, .vector = TRAP_GP};
static const struct action nop = {.op = OP_RDTSC};

static void store(struct fixture *f, enum area_kind kind, uint64_t gpa, unsigned offset, const void *bytes,
                  unsigned size)
{
    struct trace_entry *entry = &f->vm.trace.ring[f->vm.trace.total++ % TRACE_ENTRIES];

    *entry = (struct trace_entry){.gpa = gpa + offset,
                                  .kind = (uint8_t)kind,
                                  .offset = (uint8_t)offset,
                                  .size = (uint8_t)size,
                                  .allowed = true};
    memcpy(entry->bytes, bytes, size);
}

static void store32(struct fixture *f, enum area_kind kind, uint64_t gpa, unsigned offset, uint32_t value)
{
    store(f, kind, gpa, offset, &value, 4);
}

struct clock_record { /* struct pvclock_vcpu_time_info */
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad[2];
};

static void store_clock(struct fixture *f, struct clock_record record)
{
    uint64_t gpa = f->vcpus[0].clock.msr & ~1ull;

    store32(f, AREA_CLOCK, gpa, 0, record.version);
    store(f, AREA_CLOCK, gpa, 0, &record, 32);
    store32(f, AREA_CLOCK, gpa, 0, record.version + 1);
}

static const struct clock_record good_record = {.version = 1, .mul = 0x80000000};

Test(invariants, a_correct_clock_update_breaks_nothing)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].clock.msr = RAM | 1;
    store_clock(f, good_record);
    cr_expect(after(f, &nop, &ok), "%s", f->violation.text);
    free(f);
}

Test(invariants, GEN_1_an_accepted_access_above_cpl_0)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_POLL_CONTROL, 0);

    action.mode = MODE_64_CPL3;
    expect_rule(f, &action, &ok, "GEN-1");
}

Test(invariants, GEN_3_a_fault_other_than_gp_0)
{
    struct action action = wrmsr(MSR_KVM_POLL_CONTROL, 2);
    struct outcome outcome = {.status = OUTCOME_FAULT, .vector = TRAP_UD};

    expect_rule(fixture_new(), &action, &outcome, "GEN-3");
}

Test(invariants, GEN_8_an_unknown_register_that_answers)
{
    struct action action = wrmsr(0x4b564d08, 0);

    expect_rule(fixture_new(), &action, &ok, "GEN-8");
}

Test(invariants, ENF_3_a_gated_register_that_answers)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_STEAL_TIME, 0);

    f->vcpus[0].pv_features = 0;
    expect_rule(f, &action, &ok, "ENF-3");
}

/* One reserved bit of each register, accepted. */
#define RESERVED(name, index, bit, rule)                                                                     \
    Test(invariants, name)                                                                                   \
    {                                                                                                        \
        struct action action = wrmsr(index, 1ull << (bit));                                                  \
        expect_rule(fixture_new(), &action, &ok, rule);                                                      \
    }
RESERVED(APF_1_reserved_bit, MSR_KVM_ASYNC_PF_EN, 4, "APF-1")
RESERVED(STL_1_reserved_bit, MSR_KVM_STEAL_TIME, 5, "STL-1")
RESERVED(EOI_1_reserved_bit, MSR_KVM_PV_EOI_EN, 1, "EOI-1")
RESERVED(POL_1_reserved_bit, MSR_KVM_POLL_CONTROL, 63, "POL-1")
RESERVED(API_1_reserved_bit, MSR_KVM_ASYNC_PF_INT, 8, "API-1")

Test(invariants, INV_2_a_refused_write_leaves_its_value)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_PV_EOI_EN, 3);

    invariants_before(&f->inv, &action);
    f->vcpus[0].eoi.msr = 3;
    expect_rule(f, &action, &gp, "INV-2");
}

Test(invariants, APF_7_is_the_one_exception)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_ASYNC_PF_EN, 0xffff0009);

    invariants_before(&f->inv, &action);
    f->vcpus[0].apf.en_msr = 0xffff0009;
    cr_expect(after(f, &action, &gp), "%s", f->violation.text);
    free(f);
}

Test(invariants, GEN_2_an_accepted_write_is_lost)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_STEAL_TIME, RAM | 1);

    invariants_before(&f->inv, &action);
    expect_rule(f, &action, &ok, "GEN-2");
}

Test(invariants, GEN_9_a_read_gives_something_else)
{
    struct action action = {.op = OP_RDMSR, .args = {{BASE_NONE, MSR_KVM_STEAL_TIME}}};
    struct outcome outcome = {.status = OUTCOME_OK, .regs = {0x41}};

    expect_rule(fixture_new(), &action, &outcome, "GEN-9");
}

Test(invariants, DIF_2_a_register_changed)
{
    struct outcome outcome = {.status = OUTCOME_OK, .changed = 1u << RBX};

    expect_rule(fixture_new(), &nop, &outcome, "DIF-2");
}

Test(invariants, SAVE_RESTORE_a_refused_snapshot)
{
    struct action action = {.op = OP_SAVE_RESTORE};
    struct outcome outcome = {.status = OUTCOME_HOST, .regs = {22}};

    expect_rule(fixture_new(), &action, &outcome, "SAVE-RESTORE");
}

static struct action vmmcall(uint64_t nr)
{
    return (struct action){.op = OP_VMMCALL, .args = {{BASE_NONE, nr}}};
}

#define ANSWER(name, call, answer, rule)                                                                     \
    Test(invariants, name)                                                                                   \
    {                                                                                                        \
        struct action action = vmmcall(call);                                                                \
        struct outcome outcome = {.status = OUTCOME_OK, .regs = {(uint64_t)(int64_t)(answer)}};              \
        expect_rule(fixture_new(), &action, &outcome, rule);                                                 \
    }
ANSWER(VPI_1_answer, 1, 1, "VPI-1")
ANSWER(UNH_1_answer, 5, -22, "UNH-1")
ANSWER(PAIR_2_answer, 9, -22, "PAIR-2")
ANSWER(IPI_5_more_targets_than_vcpus, 10, 3, "IPI-5")
ANSWER(YLD_1_answer, 11, -1, "YLD-1")
ANSWER(HC_7_unknown_number, 13, 0, "HC-7")
ANSWER(HC_3_number_above_32_bits, 0x100000001, 0, "HC-7")

Test(invariants, HC_1_a_register_changed)
{
    struct action action = vmmcall(1);
    struct outcome outcome = {.status = OUTCOME_OK, .changed = 1u << RCX};

    expect_rule(fixture_new(), &action, &outcome, "HC-1");
}

Test(invariants, HC_2_a_32_bit_call_with_a_64_bit_answer)
{
    struct action action = vmmcall(99);
    struct outcome outcome = {.status = OUTCOME_OK, .regs = {(uint64_t)-1000}};

    action.mode = MODE_COMPAT;
    expect_rule(fixture_new(), &action, &outcome, "HC-2");
}

Test(invariants, HC_5_served_above_cpl_0)
{
    struct action action = vmmcall(1);

    action.mode = MODE_64_CPL3;
    expect_rule(fixture_new(), &action, &ok, "HC-5");
}

Test(invariants, HC_5_the_native_instruction_faults)
{
    struct action action = vmmcall(1);

    expect_rule(fixture_new(), &action, &gp, "HC-5");
}

Test(invariants, RST_2_a_register_survives_init)
{
    struct fixture *f = fixture_new();

    f->vcpus[1].mp_state = MP_WAIT_SIPI;
    f->vcpus[1].steal.msr = RAM | 1;
    expect_rule(f, &nop, &ok, "RST-2");
}

Test(invariants, CPU_5_the_cached_word_is_stale)
{
    struct fixture *f = fixture_new();
    struct action action = {.op = OP_SAVE_RESTORE};
    struct outcome outcome = {.status = OUTCOME_HOST};

    f->vcpus[1].pv_features = 0;
    expect_rule(f, &action, &outcome, "CPU-5");
}

Test(invariants, INV_1_a_store_outside_the_record)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].steal.msr = RAM | 1;
    store32(f, AREA_STEAL, RAM + 0x40, 8, 1);
    expect_rule(f, &nop, &ok, "INV-1");
}

Test(invariants, INV_1_a_store_over_the_end_of_the_record)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].steal.msr = RAM | 1;
    store32(f, AREA_STEAL, RAM, 14, 1);
    expect_rule(f, &nop, &ok, "INV-1");
}

Test(invariants, INV_1_the_last_of_more_stores_than_the_trace_holds)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].steal.msr = RAM | 1;
    for (unsigned i = 0; i < TRACE_ENTRIES; i++)
        store32(f, AREA_STEAL, RAM, 8, 1);
    store32(f, AREA_STEAL, RAM + 0x40, 8, 1);
    expect_rule(f, &nop, &ok, "INV-1");
}

Test(invariants, INV_1_a_store_that_core_did_not_allow)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].steal.msr = RAM | 1;
    store32(f, AREA_STEAL, RAM, 8, 1);
    f->vm.trace.ring[0].allowed = false;
    expect_rule(f, &nop, &ok, "INV-1");
}

/* The register names the address still, but a bit that turns the feature on is clear. */
#define DISABLED(name, register, value, kind, offset)                                                        \
    Test(invariants, name)                                                                                   \
    {                                                                                                        \
        struct fixture *f = fixture_new();                                                                   \
                                                                                                             \
        f->vcpus[0].register = value;                                                                        \
        store(f, kind, RAM, offset, "\1", 1);                                                                \
        expect_rule(f, &nop, &ok, "INV-1");                                                                  \
    }
DISABLED(INV_4_a_clock_after_disable, clock.msr, RAM, AREA_CLOCK, 0)
DISABLED(INV_4_steal_time_after_disable, steal.msr, RAM, AREA_STEAL, 16)
DISABLED(INV_4_a_token_after_disable, apf.en_msr, RAM | 8, AREA_ASYNC_PF, 4)
DISABLED(INV_4_a_token_without_interrupts, apf.en_msr, RAM | 1, AREA_ASYNC_PF, 4)
DISABLED(INV_4_an_offer_after_disable, eoi.msr, RAM, AREA_PV_EOI, 0)

Test(invariants, CLK_4_a_crossing_address_is_never_written)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].clock.msr = RAM | 0xfe3;
    store32(f, AREA_CLOCK, RAM | 0xfe2, 0, 1);
    expect_rule(f, &nop, &ok, "INV-1");
}

Test(invariants, INV_3_an_update_without_an_end)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].clock.msr = RAM | 1;
    store32(f, AREA_CLOCK, RAM, 0, 1);
    expect_rule(f, &nop, &ok, "INV-3");
}

Test(invariants, INV_3_steal_time_without_an_end)
{
    struct fixture *f = fixture_new();

    f->vcpus[1].steal.msr = RAM | 1;
    store32(f, AREA_STEAL, RAM, 8, 1);
    f->vm.trace.ring[0].vcpu_id = 1;
    expect_rule(f, &nop, &ok, "INV-3");
}

Test(invariants, INV_3_a_wall_clock_without_an_end)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_WALL_CLOCK, RAM);

    invariants_before(&f->inv, &action);
    f->vm.clock.wall_msr = RAM;
    store32(f, AREA_WALL_CLOCK, RAM, 0, 1);
    expect_rule(f, &action, &ok, "INV-3");
}

Test(invariants, CLK_8_a_body_before_the_odd_version)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].clock.msr = RAM | 1;
    store(f, AREA_CLOCK, RAM, 0, &good_record, 32);
    expect_rule(f, &nop, &ok, "CLK-8");
}

Test(invariants, STL_6_a_version_that_jumps)
{
    struct fixture *f = fixture_new();
    uint64_t steal = 0;

    f->vcpus[0].steal.msr = RAM | 1;
    store32(f, AREA_STEAL, RAM, 8, 1);
    store(f, AREA_STEAL, RAM, 0, &steal, 8);
    store32(f, AREA_STEAL, RAM, 8, 4);
    expect_rule(f, &nop, &ok, "STL-6");
}

Test(invariants, STL_9_the_flags_field_is_the_guests)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].steal.msr = RAM | 1;
    store32(f, AREA_STEAL, RAM, 8, 1);
    store32(f, AREA_STEAL, RAM, 12, 0);
    expect_rule(f, &nop, &ok, "STL-9");
}

#define CLOCK_BODY(name, field, value, rule)                                                                 \
    Test(invariants, name)                                                                                   \
    {                                                                                                        \
        struct fixture *f = fixture_new();                                                                   \
        struct clock_record record = good_record;                                                            \
                                                                                                             \
        f->vcpus[0].clock.msr = RAM | 1;                                                                     \
        record.field = value;                                                                                \
        store_clock(f, record);                                                                              \
        expect_rule(f, &nop, &ok, rule);                                                                     \
    }
CLOCK_BODY(CLK_9_pad0_is_not_zeroed, pad0, 1, "CLK-9")
CLOCK_BODY(CLK_9_pad_is_not_zeroed, pad[1], 1, "CLK-9")
CLOCK_BODY(CLK_10_an_unknown_flag, flags, 4, "CLK-10")
CLOCK_BODY(CLK_26_a_multiplier_that_is_not_normalised, mul, 1, "CLK-26")

Test(invariants, STB_2_stable_while_the_old_register_is_in_use)
{
    struct fixture *f = fixture_new();
    struct clock_record record = good_record;

    f->vcpus[0].clock.msr = RAM | 1;
    f->vm.clock.old_in_use = true;
    invariants_before(&f->inv, &nop);
    record.flags = 1;
    store_clock(f, record);
    expect_rule(f, &nop, &ok, "STB-2");
}

Test(invariants, INV_5_time_goes_back)
{
    struct fixture *f = fixture_new();
    struct clock_record record = good_record;

    f->vcpus[0].clock.msr = RAM | 1;
    record.system_time = 1000;
    store_clock(f, record);
    cr_assert(after(f, &nop, &ok));
    record.system_time = 998;
    record.version = 3;
    store_clock(f, record);
    expect_rule(f, &nop, &ok, "INV-5");
}

Test(invariants, INV_5_one_nanosecond_is_rounding)
{
    struct fixture *f = fixture_new();
    struct clock_record record = good_record;

    f->vcpus[0].clock.msr = RAM | 1;
    record.system_time = 1000;
    store_clock(f, record);
    cr_assert(after(f, &nop, &ok));
    record.system_time = 999;
    record.version = 3;
    store_clock(f, record);
    cr_expect(after(f, &nop, &ok), "%s", f->violation.text);
    free(f);
}

Test(invariants, INV_5_the_host_may_set_the_clock_back)
{
    struct fixture *f = fixture_new();
    struct clock_record record = good_record;
    struct action set_clock = {.op = OP_SET_CLOCK};

    f->vcpus[0].clock.msr = RAM | 1;
    record.system_time = 1000;
    store_clock(f, record);
    cr_assert(after(f, &nop, &ok));
    cr_assert(after(f, &set_clock, &ok));
    record.system_time = 10;
    record.version = 3;
    store_clock(f, record);
    cr_expect(after(f, &nop, &ok), "%s", f->violation.text);
    free(f);
}

Test(invariants, INV_5_a_record_of_before_a_migration_is_not_read)
{
    struct fixture *f = fixture_new();
    struct clock_record record = good_record;
    struct action migrate = {.op = OP_MIGRATE};

    f->vcpus[0].clock.msr = RAM | 1;
    record.tsc_timestamp = f->tsc = 1000;
    store_clock(f, record);
    cr_assert(after(f, &nop, &ok));
    f->tsc = 0;
    cr_assert(after(f, &migrate, &ok));
    cr_assert(after(f, &nop, &ok), "%s", f->violation.text);
    record.tsc_timestamp = 0;
    record.version = 3;
    store_clock(f, record);
    cr_expect(after(f, &nop, &ok), "%s", f->violation.text);
    free(f);
}

Test(invariants, INV_5_time_is_read_as_the_guest_reads_it)
{
    struct fixture *f = fixture_new();
    struct clock_record record = good_record;

    f->vcpus[0].clock.msr = RAM | 1;
    record.shift = 1; /* a cycle takes a nanosecond */
    store_clock(f, record);
    f->tsc = 100;
    cr_assert(after(f, &nop, &ok));
    record.tsc_timestamp = 100;
    record.system_time = 90;
    record.version = 3;
    store_clock(f, record);
    expect_rule(f, &nop, &ok, "INV-5");
}

Test(invariants, APF_13_token_0)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].apf.en_msr = RAM | 9;
    store32(f, AREA_ASYNC_PF, RAM, 4, 0);
    expect_rule(f, &nop, &ok, "APF-13");
}

Test(invariants, APF_12_a_store_at_another_field)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].apf.en_msr = RAM | 9;
    store32(f, AREA_ASYNC_PF, RAM, 2, 1);
    expect_rule(f, &nop, &ok, "APF-12");
}

Test(invariants, EOI_4_more_than_the_flag)
{
    struct fixture *f = fixture_new();
    uint8_t byte = 3;

    f->vcpus[0].eoi.msr = RAM | 1;
    store(f, AREA_PV_EOI, RAM, 0, &byte, 1);
    expect_rule(f, &nop, &ok, "EOI-4");
}

Test(invariants, EOI_9_the_old_byte_is_withdrawn_by_the_write_that_moves_it)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_PV_EOI_EN, RAM + 0x1001);
    uint8_t byte = 0;

    f->vcpus[0].eoi = (struct pv_eoi){.msr = RAM | 1, .pending = true};
    invariants_before(&f->inv, &action);
    f->vcpus[0].eoi = (struct pv_eoi){.msr = RAM + 0x1001};
    store(f, AREA_PV_EOI, RAM, 0, &byte, 1);
    cr_expect(after(f, &action, &ok), "%s", f->violation.text);
    free(f);
}

Test(invariants, CLK_18_a_wall_clock_only_where_the_write_asked_for_it)
{
    struct fixture *f = fixture_new();
    struct action action = wrmsr(MSR_KVM_WALL_CLOCK_NEW, RAM);

    invariants_before(&f->inv, &action);
    f->vm.clock.wall_msr = RAM;
    store32(f, AREA_WALL_CLOCK, RAM + 4, 0, 1);
    store32(f, AREA_WALL_CLOCK, RAM + 12, 0, 2);
    expect_rule(f, &action, &ok, "INV-1");
}

static void in_service(struct fixture *f, unsigned vcpu, uint8_t vector, bool on)
{
    uint32_t *word = &f->vcpus[vcpu].apic.isr[vector / 32];

    *word = on ? *word | 1u << vector % 32 : *word & ~(1u << vector % 32);
}

Test(invariants, INV_6_a_token_over_an_unread_one)
{
    struct fixture *f = fixture_new();
    uint32_t token = 0x1000;

    memory_init(&f->vm.memory);
    memory_slot_add(&f->vm.memory, RAM, GPA_PAGE_SIZE, 0);
    gpa_write(&f->vm.memory, RAM + 4, &token, sizeof(token));
    f->vcpus[0].apf.en_msr = RAM | 9;
    invariants_before(&f->inv, &nop);
    store32(f, AREA_ASYNC_PF, RAM, 4, 0x2000);
    memory_free(&f->vm.memory);
    expect_rule(f, &nop, &ok, "INV-6");
}

Test(invariants, INV_6_two_tokens_in_one_action)
{
    struct fixture *f = fixture_new();

    memory_init(&f->vm.memory);
    memory_slot_add(&f->vm.memory, RAM, GPA_PAGE_SIZE, 0);
    f->vcpus[0].apf.en_msr = RAM | 9;
    invariants_before(&f->inv, &nop);
    store32(f, AREA_ASYNC_PF, RAM, 4, 0x1000);
    store32(f, AREA_ASYNC_PF, RAM, 4, 0x2000);
    memory_free(&f->vm.memory);
    expect_rule(f, &nop, &ok, "INV-6");
}

Test(invariants, INV_7_an_interrupt_ends_without_an_EOI)
{
    struct fixture *f = fixture_new();

    in_service(f, 1, 0x41, true);
    invariants_before(&f->inv, &nop);
    in_service(f, 1, 0x41, false);
    expect_rule(f, &nop, &ok, "INV-7");
}

Test(invariants, INV_7_the_EOI_of_another_vcpu_ends_none)
{
    struct fixture *f = fixture_new();
    const struct action eoi = {.op = OP_EOI};

    in_service(f, 1, 0x41, true);
    invariants_before(&f->inv, &eoi);
    in_service(f, 1, 0x41, false);
    expect_rule(f, &eoi, &ok, "INV-7");
}

Test(invariants, INV_7_one_that_begins_does_not_make_up_for_one_that_ends)
{
    struct fixture *f = fixture_new();

    in_service(f, 0, 0x41, true);
    invariants_before(&f->inv, &nop);
    in_service(f, 0, 0x41, false);
    in_service(f, 0, 0x51, true);
    expect_rule(f, &nop, &ok, "INV-7");
}

Test(invariants, INV_7_one_EOI_ends_two)
{
    struct fixture *f = fixture_new();
    const struct action eoi = {.op = OP_EOI};

    in_service(f, 0, 0x41, true);
    in_service(f, 0, 0x61, true);
    invariants_before(&f->inv, &eoi);
    in_service(f, 0, 0x41, false);
    in_service(f, 0, 0x61, false);
    expect_rule(f, &eoi, &ok, "INV-7");
}

Test(invariants, INV_7_a_consumed_offer_ends_one)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].eoi = (struct pv_eoi){.msr = RAM | 1, .pending = true};
    in_service(f, 0, 0x41, true);
    invariants_before(&f->inv, &nop);
    in_service(f, 0, 0x41, false);
    f->vcpus[0].eoi.pending = false;
    cr_expect(after(f, &nop, &ok), "%s", f->violation.text);
    free(f);
}

Test(invariants, RST_2_an_init_before_the_action_ends_what_was)
{
    struct fixture *f = fixture_new();
    struct action action = {.op = OP_RDMSR, .args = {{BASE_NONE, MSR_KVM_STEAL_TIME}}};

    f->vcpus[0].steal.msr = 0x41;
    f->vcpus[0].apic.svr = 0x1ff;
    in_service(f, 0, 0x41, true);
    f->vcpus[0].apic.init_pending = true;
    invariants_before(&f->inv, &action);
    f->vcpus[0].apic.init_pending = false;
    f->vcpus[0].steal.msr = 0;
    in_service(f, 0, 0x41, false);
    cr_expect(after(f, &action, &ok), "%s", f->violation.text);
    free(f);
}

Test(invariants, EOI_9_an_offer_taken_back_that_was_not_made)
{
    struct fixture *f = fixture_new();
    uint8_t byte = 0;

    f->vcpus[0].eoi.msr = RAM | 1;
    invariants_before(&f->inv, &nop);
    store(f, AREA_PV_EOI, RAM, 0, &byte, 1);
    expect_rule(f, &nop, &ok, "EOI-9");
}

Test(invariants, EOI_18_an_offer_with_nothing_in_service)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].eoi = (struct pv_eoi){.msr = RAM | 1, .pending = true};
    f->vcpus[0].areas[AREA_PV_EOI].state = AREA_GOOD;
    expect_rule(f, &nop, &ok, "EOI-18");
}

/* Both vCPUs are there; only number 0 takes interrupts. */
#define IPI_ROW(name, low, high, min, icr, answer, rule)                                                     \
    Test(invariants, name)                                                                                   \
    {                                                                                                        \
        struct fixture *f = fixture_new();                                                                   \
        const struct action send = {.op = OP_VMMCALL,                                                        \
                                    .args = {{0, 10}, {0, low}, {0, high}, {0, min}, {0, icr}}};             \
        struct outcome outcome = {.status = OUTCOME_OK, .regs = {(uint64_t)(answer)}};                       \
        for (uint32_t i = 0; i < 2; i++)                                                                     \
            f->vcpus[i].apic = (struct lapic){.base_msr = 0xfee00800, .id = i, .svr = i ? 0xff : 0x1ff};     \
        invariants_before(&f->inv, &send);                                                                   \
        if (*(rule)) {                                                                                       \
            expect_rule(f, &send, &outcome, rule);                                                           \
            return;                                                                                          \
        }                                                                                                    \
        cr_expect(after(f, &send, &outcome), "%s", f->violation.text);                                       \
        free(f);                                                                                             \
    }
IPI_ROW(INV_9_a_disabled_apic_is_not_counted, 3, 0, 0, 0x41, 1, "")
IPI_ROW(INV_9_a_disabled_apic_was_counted, 3, 0, 0, 0x41, 2, "INV-9")
IPI_ROW(INV_9_an_NMI_reaches_both, 3, 0, 0, 0x400, 2, "")
IPI_ROW(INV_9_an_NMI_reached_one, 3, 0, 0, 0x400, 1, "INV-9")
IPI_ROW(INV_9_the_window_begins_at_min, 1, 0, 1, 0x400, 1, "")
IPI_ROW(INV_9_nobody_is_there, 4, 0, 0, 0x400, 1, "INV-9")
IPI_ROW(INV_9_a_shorthand_is_refused, 3, 0, 0, 0x40041, -22, "")
IPI_ROW(INV_9_a_shorthand_was_served, 3, 0, 0, 0x40041, 1, "INV-9")
IPI_ROW(INV_9_an_ExtINT_reaches_nobody, 3, 0, 0, 0x700, 0, "")
IPI_ROW(INV_9_the_high_half_begins_64_later, 0, 3, 0xffffffc0, 0x400, 2, "")
