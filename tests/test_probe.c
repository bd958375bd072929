/* The probe inside real machines: memory, rings, modes and instructions, with outcomes that any x86 gives.
 * Decisions 10, 11, 16, 18. */
#include "tests/probe_fixture.h"

static void memory_in_every_mode(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "%s store64 ram+%u 0x1122334455667788\n%s load64 ram+%u\n%s load32 ram+%u\n"
                 "%s load16 ram+%u\n%s load8 ram+%u\n%s fill ram+%u 3 0xab\n%s dump ram+%u 6\n",
                 modes[i], 64 * i, modes[i], 64 * i, modes[i], 64 * i + 1, modes[i], 64 * i + 1, modes[i],
                 64 * i + 2, modes[i], 64 * i + 9, modes[i], 64 * i + 7);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++) {
        const struct outcome *dump = nth(&r, 7 * i + 6);

        expect_ok(&r, 7 * i, 0);
        expect_ok(&r, 7 * i + 1, 0x1122334455667788);
        expect_ok(&r, 7 * i + 2, 0x44556677);
        expect_ok(&r, 7 * i + 3, 0x6677);
        expect_ok(&r, 7 * i + 4, 0x66);
        expect_ok(&r, 7 * i + 5, 0);
        cr_assert(eq(u8, dump->data_len, 6));
        cr_assert(eq(int, memcmp(dump->data, "\x11\x00\xab\xab\xab\x00", 6), 0), "mode %u", i);
    }
    release(&r);
}
ON_BOTH(memory_in_every_mode)

static void a_store_writes_its_size_and_no_more(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "fill ram 16 0xff\n%s store8 ram 0\n%s store16 ram+3 0\n%s store32 ram+8 0\ndump ram 16\n",
                 modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++)
        cr_assert(eq(int,
                     memcmp(nth(&r, 5 * i + 4)->data,
                            "\x00\xff\xff\x00\x00\xff\xff\xff\x00\x00\x00\x00\xff\xff\xff\xff", 16),
                     0),
                  "mode %u", i);
    release(&r);
}
ON_BOTH(a_store_writes_its_size_and_no_more)

static void privilege_in_every_mode(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "%s cpuid 0\n%s rdmsr 0x1b\n%s wrmsr 0x277 0x0007040600070406\n%s sti\n%s cli\n", modes[i],
                 modes[i], modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++) {
        cr_assert(eq(u8, nth(&r, 5 * i)->status, OUTCOME_OK), "mode %u", i);
        cr_assert(eq(u32, nth(&r, 5 * i)->rip_delta, 2));
        if (user[i]) {
            for (unsigned k = 1; k < 5; k++)
                expect_fault(&r, 5 * i + k, 13, 0);
            continue;
        }
        expect_ok(&r, 5 * i + 1, 0xfee00900);
        expect_ok(&r, 5 * i + 2, 0);
        expect_ok(&r, 5 * i + 3, 0);
        cr_assert(eq(u8, nth(&r, 5 * i + 3)->flags, OUTCOME_F_IF), "mode %u", i);
        cr_assert(eq(u8, nth(&r, 5 * i + 4)->flags, 0), "mode %u", i);
    }
    release(&r);
}
ON_BOTH(privilege_in_every_mode)

static void faults_are_outcomes(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1",
        HEAD(1) "load64 0x180000000\ncpl3 { store8 0x180000000 1 }\nload8 0x800000000000\ncpl3 { hlt }\n"
                "wrmsr 0x1b 0xffffffffffffffff\nload8 ram\n");
    expect_fault(&r, 0, 14, 0);
    cr_assert(eq(u64, nth(&r, 0)->cr2, 0x180000000));
    expect_fault(&r, 1, 14, 6);
    expect_fault(&r, 2, 13, 0);
    expect_fault(&r, 3, 13, 0);
    if (kind == MACHINE_SOFT)
        expect_fault(&r, 4, 13, 0); /* TCG ignores reserved bits there */
    expect_ok(&r, 5, 0);
    release(&r);
}
ON_BOTH(faults_are_outcomes)

static void a_program_that_overwrites_the_mailbox_is_survived(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1", HEAD(1) "store8 ram 5\nfill 0x100000 400 0xff\nload8 ram\n!advance 1ms\nload8 ram\n");
    expect_ok(&r, 0, 0);
    /* The run ends early and says so, or a reset got over it, which a transcript shows as an action that hung. */
    cr_assert(r.t->stopped[0] || nth(&r, 2)->status == OUTCOME_TIMEOUT);
    release(&r);
}
ON_BOTH(a_program_that_overwrites_the_mailbox_is_survived)

static void ports_are_read_and_written(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        /* 0x3f0: nothing is there on microvm and on ours */
        snprintf(
            text + at, sizeof(text) - at,
            "%s in8 0x3f0\n%s in16 0x3f0\n%s in32 0x3f0\n%s out8 0x80 1\n%s out16 0x3f0 1\n%s out32 0x3f0 1\n",
            modes[i], modes[i], modes[i], modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < 6 * MODES; i++) {
        static const uint64_t floating[6] = {0xff, 0xffff, 0xffffffff};
        bool real = i / 6 == 6;

        if (user[i / 6]) {
            expect_fault(&r, i, 13, 0);
            continue;
        }
        expect_ok(&r, i, floating[i % 6]);
        cr_assert(eq(u32, nth(&r, i)->rip_delta, i % 3 == 0 ? 1 : i % 3 == 1 ? 1 + !real : 1 + real));
    }
    release(&r);
}
ON_BOTH(ports_are_read_and_written)

static void single_instructions_read_and_write(enum machine_kind kind)
{
    char text[4096] = HEAD(1);
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at,
                 "store32 ram 0xffffff05\n%s lock-cmpxchg8 ram 4 6\n%s lock-cmpxchg8 ram 5 7\nload32 ram\n"
                 "%s test-clear ram\n%s test-clear ram\nload32 ram\n",
                 modes[i], modes[i], modes[i], modes[i]);
    }
    run(&r, kind, "1", text);
    for (unsigned i = 0; i < MODES; i++) {
        expect_ok(&r, 7 * i + 1, 5); /* what it found, and it differs: nothing is stored */
        expect_ok(&r, 7 * i + 2, 5);
        expect_ok(&r, 7 * i + 3, 0xffffff07);
        expect_ok(&r, 7 * i + 4, 1);
        expect_ok(&r, 7 * i + 5, 0);
        expect_ok(&r, 7 * i + 6, 0xffffff06);
    }
    release(&r);
}
ON_BOTH(single_instructions_read_and_write)

static void rdtscp_gives_the_auxiliary_register(enum machine_kind kind)
{
    struct ran r;

    run_cpu(&r, kind, "qemu64,+rdtscp", "1", HEAD(1) "wrmsr MSR_TSC_AUX 7\nrdtscp\ncpl3 { rdtscp }\n");
    for (unsigned i = 1; i < 3; i++) {
        cr_assert(eq(u8, nth(&r, i)->status, OUTCOME_OK));
        cr_assert(eq(u64, nth(&r, i)->regs[2], 7));
        cr_assert(eq(u32, nth(&r, i)->changed, 0));
    }
    release(&r);
}
ON_BOTH(rdtscp_gives_the_auxiliary_register)

static void the_window_is_mapped_as_told(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2",
        HEAD(2) "store64 ram 0x1111\nstore64 ram+0x1000 0x2222\nload64 0x8000000000\nmap 0x8000000000 ram+7\n"
                "load64 0x8000000000\n@1 load64 0x8000000000\ncpl3 { load64 0x8000000000 }\n"
                "map 0x8000000000 ram+0x1001\ninvlpg 0x8000000000\nload64 0x8000000000\n"
                "store64 0x8000000000 1\ncpl3 { load64 0x8000000000 }\nmap 0x8000200000 ram+7\n"
                "cpl3 { invlpg 0x8000000000 }\nmap 0x8000001000 ram+7\nload16 0x8000000fff\n"
                "load16 0x80001fffff\n");
    expect_fault(&r, 2, 14, 0);
    expect_ok(&r, 4, 0x1111);
    expect_ok(&r, 5, 0x1111);
    expect_ok(&r, 6, 0x1111);
    expect_ok(&r, 9, 0x2222);
    expect_fault(&r, 10, 14, 3);
    expect_fault(&r, 11, 14, 5);
    cr_assert(eq(u8, nth(&r, 12)->status, OUTCOME_UNSUPPORTED));
    expect_fault(&r, 13, 13, 0);
    expect_ok(&r, 15, 0x1100);
    expect_fault(&r, 16, 14, 0);
    cr_assert(eq(u64, nth(&r, 16)->cr2, 0x80001fffff));
    release(&r);
}
ON_BOTH(the_window_is_mapped_as_told)
