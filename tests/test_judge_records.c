/* The judge of memory: records that the host writes may differ in what moves, and in nothing else. spec DIF-*. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "tests/judge_fixture.h"

Test(judge, HC_10_patched_code_bytes_are_part_of_the_outcome)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "vmcall 1");
    at = fixture_action(&f, OP_VMCALL, 0);
    for (struct transcript *t = &f.ours; t; t = t == &f.ours ? &f.theirs : NULL) {
        t->outcomes[at].rip_delta = t->outcomes[at].data_len = 3;
        memcpy(t->outcomes[at].data, "\x0f\x01\xd9", 3);
    }
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_EQUAL), 1));
    f.ours.outcomes[at].data[2] = 0xc1;
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->ours, "0x0, code 0f01c1"));
    fixture_free(&f);
}

/* Every byte of a dumped record: forgiven exactly where DIF-1 says so. */
Test(judge, DIF_1_only_the_moving_fields_of_a_clock_record_may_differ)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+0x1001\ndump ram+0xff8 64");
    at = fixture_action(&f, OP_DUMP, 0);
    f.ours.outcomes[at].data_len = f.theirs.outcomes[at].data_len = 64;
    for (unsigned byte = 0; byte < 64; byte++) {
        int field = (int)byte - 8; /* the record begins 8 bytes into the dump */
        bool forgiven = field >= 8 && field < 29;

        f.ours.outcomes[at].data[byte] = 0x40;
        fixture_judge(&f);
        cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], !forgiven), "byte %u", byte);
        f.ours.outcomes[at].data[byte] = 0;
    }
    fixture_free(&f);
}

/* The same of the other records; bit n of forgiven: byte n may differ in its bit 6. All other bytes hold 2. */
Test(judge, DIF_1_and_2_every_byte_of_the_other_records)
{
    static const struct {
        const char *body;
        uint64_t forgiven;
    } rows[] = {
        {"wrmsr MSR_KVM_WALL_CLOCK ram+0x40\ndump ram+0x40 64", 0x7ff}, /* byte 11: a second or more */
        {"wrmsr MSR_KVM_ASYNC_PF_EN ram+0x49\ndump ram+0x40 64", 0xf0},
        {"wrmsr MSR_KVM_STEAL_TIME ram+0x41\ndump ram+0x40 64", 0x10fff},
        {"wrmsr MSR_KVM_PV_EOI_EN ram+0x41\ndump ram+0x40 64", 1},
        {"vmmcall KVM_HC_CLOCK_PAIRING ram+0x40\ndump ram+0x40 64", 0xffffff},
    };

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;
        uint8_t *ours, *theirs;
        uint32_t at;

        fixture_init(&f, rows[i].body);
        at = fixture_action(&f, OP_DUMP, 0);
        f.ours.outcomes[at].data_len = f.theirs.outcomes[at].data_len = 64;
        ours = f.ours.outcomes[at].data;
        theirs = f.theirs.outcomes[at].data;
        memset(ours, 2, 64);
        memset(theirs, 2, 64);
        for (unsigned byte = 0; byte < 64; byte++) {
            ours[byte] = 0x42;
            fixture_judge(&f);
            cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], !(rows[i].forgiven >> byte & 1)),
                      "%s: byte %u", rows[i].body, byte);
            ours[byte] = 2;
        }
        fixture_free(&f);
    }
}

Test(judge, DIF_1_a_token_is_forgiven_its_number_and_not_its_kind)
{
    static const struct {
        uint32_t ours, theirs;
        bool different;
    } rows[] = {{0x1000, 0x2000, false}, {0, 0x1000, true}, {0x1000, 0xffffffff, true}};
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "wrmsr MSR_KVM_ASYNC_PF_EN ram+0x49\nload32 ram+0x44");
    at = fixture_action(&f, OP_LOAD32, 0);
    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        f.ours.outcomes[at].regs[0] = rows[i].ours;
        f.theirs.outcomes[at].regs[0] = rows[i].theirs;
        fixture_judge(&f);
        cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], rows[i].different), "row %u", i);
    }
    fixture_free(&f);
}

Test(judge, DIF_2_a_part_of_a_field_is_judged_as_its_field)
{
    static const struct {
        const char *body;
        bool different;
    } rows[] = {{"wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload8 ram+5", true},   /* of pad0 */
                {"wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload8 ram+9", false}}; /* of tsc_timestamp */

    for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture f;

        fixture_init(&f, rows[i].body);
        f.ours.outcomes[fixture_action(&f, OP_LOAD8, 0)].regs[0] = 1;
        fixture_judge(&f);
        cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], rows[i].different), "%s",
                  rows[i].body);
        fixture_free(&f);
    }
}

Test(judge, DIF_2_a_dump_that_is_shorter_is_a_difference)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "dump ram 8");
    at = fixture_action(&f, OP_DUMP, 0);
    f.ours.outcomes[at].data_len = 8;
    f.theirs.outcomes[at].data_len = 7;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 1));
    fixture_free(&f);
}

Test(judge, DIF_5_versions_are_even_and_both_or_neither_moved)
{
    static const char *const bodies[] = {
        "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload32 ram",
        "wrmsr MSR_KVM_STEAL_TIME ram+1\nload32 ram+8",
        "wrmsr MSR_KVM_WALL_CLOCK ram+4\nload32 ram+4",
    };
    static const struct {
        uint8_t ours, theirs;
        bool different;
    } rows[] = {{2, 8, false}, {2, 3, true}, {3, 2, true}, {0, 2, true}, {4, 0, true}};

    for (unsigned body = 0; body < sizeof(bodies) / sizeof(bodies[0]); body++) {
        struct fixture f;
        uint32_t at;

        fixture_init(&f, bodies[body]);
        at = fixture_action(&f, OP_LOAD32, 0);
        for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
            f.ours.outcomes[at].regs[0] = rows[i].ours;
            f.theirs.outcomes[at].regs[0] = rows[i].theirs;
            fixture_judge(&f);
            cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], rows[i].different), "%s: row %u",
                      bodies[body], i);
        }
        fixture_free(&f);
    }
}

Test(judge, DIF_4_the_stable_bit_is_forgiven_only_without_a_TSC_clocksource)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+1\nload8 ram+29");
    at = fixture_action(&f, OP_LOAD8, 0);
    f.ours.outcomes[at].regs[0] = 1;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 1));
    f.judged.theirs.clocksource_tsc = false;
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 0));
    f.ours.outcomes[at].regs[0] = 3; /* guest-stopped is another matter */
    fixture_judge(&f);
    cr_assert(eq(u32, f.counts.by[CHECK_RECORD][VERDICT_DIFFERENT], 1));
    fixture_free(&f);
}

Test(judge, DIF_2_ordinary_memory_is_compared_byte_by_byte)
{
    struct fixture f;
    uint32_t at;

    fixture_init(&f, "dump ram 8");
    at = fixture_action(&f, OP_DUMP, 0);
    f.ours.outcomes[at].data_len = f.theirs.outcomes[at].data_len = 8;
    f.ours.outcomes[at].data[5] = 1;
    fixture_judge(&f);
    cr_assert(eq(str, (char *)fixture_first(&f, VERDICT_DIFFERENT)->what, "byte +5"));
    fixture_free(&f);
}

Test(judge, DIF_3_an_offer_may_be_withdrawn_where_the_same_vector_had_one)
{
    struct probe_event ours[3] = {{.vector = 0x51, .watched = 1, .byte = 1},
                                  {.vector = 0x51, .watched = 1, .byte = 1},
                                  {.vector = 0x52, .watched = 1}},
                       theirs[3];
    struct fixture f;

    fixture_init(&f, "rdtsc");
    memcpy(theirs, ours, sizeof(ours));
    f.ours.event_count[0] = f.theirs.event_count[0] = 3;
    f.ours.events[0] = ours;
    f.theirs.events[0] = theirs;
    theirs[1].byte = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0));
    theirs[0].byte = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1), "never offered there");
    ours[2].byte = theirs[2].byte = 1;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 0), "offers are made there");
    cr_assert(eq(u32, fixture_total(&f, VERDICT_NOT_COMPARED), 1), "but perhaps never this one");
    memcpy(theirs, ours, sizeof(ours));
    ours[1].byte = 0;
    fixture_judge(&f);
    cr_assert(eq(u32, fixture_total(&f, VERDICT_DIFFERENT), 1), "ours has no such host");
    f.ours.events[0] = f.theirs.events[0] = NULL;
    f.ours.event_count[0] = f.theirs.event_count[0] = 0;
    fixture_free(&f);
}
