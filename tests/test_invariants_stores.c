/* The invariants of what the host writes for the guest can fail: where, in which order, which fields.
 * spec INV-1, INV-3, INV-4. */
#include "tests/invariants_fixture.h"

Test(invariants, a_correct_clock_update_breaks_nothing)
{
    struct fixture *f = fixture_new();

    f->vcpus[0].clock.msr = RAM | 1;
    store_clock(f, good_record);
    cr_expect(after(f, &nop, &ok), "%s", f->violation.text);
    free(f);
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
