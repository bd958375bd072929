/* The invariants of time as the guest reads it can fail. spec INV-5. */
#include "tests/invariants_fixture.h"

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
