/* The probe inside real machines: interrupts, what ends a HLT, resets, and handlers. */
#include "tests/probe_fixture.h"

static void interrupts_in_every_mode(enum machine_kind kind)
{
    char text[4096] = HEAD(1) "apic-write 0xf0 0x1ff\nsti\n";
    struct ran r;

    for (unsigned i = 0; i < MODES; i++) {
        size_t at = strlen(text);

        snprintf(text + at, sizeof(text) - at, "%s ipi 0 0x%x\neoi\n", modes[i], 0x40040 + 0x11 * i);
    }
    run(&r, kind, "1", text);
    cr_assert(eq(u32, r.t->event_count[0], MODES));
    for (unsigned i = 0; i < MODES; i++) {
        expect_ok(&r, 2 + 2 * i, 0);
        expect_event(&r, 0, i, 0x40 + 0x11 * i);
    }
    release(&r);
}
ON_BOTH(interrupts_in_every_mode)

static void cli_holds_interrupts_back(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1", HEAD(1) "apic-write 0xf0 0x1ff\nipi 0 0x40051\nipi 0 0x40061\nnop\nsti\neoi\neoi\n");
    cr_assert(eq(u32, r.t->event_count[0], 2));
    expect_event(&r, 0, 0, 0x61);
    cr_assert(eq(u8, r.program.actions[r.t->events[0][0].after].op, OP_STI));
    expect_event(&r, 0, 1, 0x51);
    cr_assert(eq(u8, r.program.actions[r.t->events[0][1].after].op, OP_EOI));
    release(&r);
}
ON_BOTH(cli_holds_interrupts_back)

static void an_interrupt_of_another_vcpu_is_in_before_the_next_action(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2", HEAD(2) "@1 apic-write 0xf0 0x1ff\n@1 sti\nipi 1 0x72\nnop\n@1 eoi\n");
    cr_assert(eq(u32, r.t->event_count[1], 1));
    expect_event(&r, 1, 0, 0x72);
    cr_assert(eq(u8, r.program.actions[r.t->events[1][0].after].op, OP_IPI));
    release(&r);
}
ON_BOTH(an_interrupt_of_another_vcpu_is_in_before_the_next_action)

static void a_halted_vcpu_says_what_woke_it(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2",
        HEAD(2) "@1 apic-write 0xf0 0x1ff\n@1 sti\n@1 hlt\nnop\nipi 1 0x71\n@1 eoi\n@1 apic-read 0x20\n"
                "@1 cpl3 { load8 ram }\n@1 m16 { store8 ram 7 }\nload8 ram\n");
    expect_ok(&r, 2, 0x71);
    cr_assert(eq(u8, r.program.actions[nth(&r, 2)->regs[1]].op, OP_IPI));
    expect_event(&r, 1, 0, 0x71);
    expect_ok(&r, 6, 0x1000000);
    expect_ok(&r, 7, 0);
    expect_ok(&r, 9, 7);
    release(&r);
}
ON_BOTH(a_halted_vcpu_says_what_woke_it)

static void a_hlt_that_nothing_ends_costs_itself_alone(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2", HEAD(2) "store8 ram 1\nhlt\nload8 ram\n@1 hlt\n@1 load8 ram\nload8 ram\n");
    cr_assert(eq(u8, nth(&r, 1)->status, OUTCOME_TIMEOUT));
    expect_ok(&r, 2, 1); /* after the reset that got over it, RAM is kept */
    cr_assert(eq(u8, nth(&r, 3)->status, OUTCOME_TIMEOUT));
    cr_assert(eq(u8, nth(&r, 4)->status, OUTCOME_TIMEOUT));
    expect_ok(&r, 5, 1);
    release(&r);
}
ON_BOTH(a_hlt_that_nothing_ends_costs_itself_alone)

static void reset_goes_on_behind_itself(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "2",
        HEAD(
            2) "store64 ram 0x1234\nwrmsr 0xc0000102 0x55\n@1 wrmsr 0xc0000102 0x66\nsti\n!reset\nload64 ram\n"
               "rdmsr 0xc0000102\n@1 rdmsr 0xc0000102\nnop\n!reset\n!reset\nload64 ram\n");
    cr_assert(eq(u8, nth(&r, 4)->status, OUTCOME_HOST));
    expect_ok(&r, 5, 0x1234);
    expect_ok(&r, 6, 0);
    expect_ok(&r, 7, 0);
    cr_assert(eq(u8, nth(&r, 8)->flags, 0)); /* IF is clear again */
    cr_assert(eq(u8, nth(&r, 9)->status, OUTCOME_HOST));
    expect_ok(&r, 11, 0x1234);
    release(&r);
}
ON_BOTH(reset_goes_on_behind_itself)

static void a_window_lets_interrupts_in_once(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1",
        HEAD(1) "apic-write 0xf0 0x1ff\nipi 0 0x40051\nwindow\nipi 0 0x40061\nnop\ncpl3 { window }\n");
    cr_assert(eq(u32, r.t->event_count[0], 1));
    expect_event(&r, 0, 0, 0x51);
    cr_assert(eq(u8, r.program.actions[r.t->events[0][0].after].op, OP_WINDOW));
    cr_assert(eq(u8, nth(&r, 2)->flags, 0));
    cr_assert(eq(u32, nth(&r, 2)->rip_delta, 3));
    expect_fault(&r, 5, 13, 0);
    release(&r);
}
ON_BOTH(a_window_lets_interrupts_in_once)

static void x2apic_actions_use_the_msrs(enum machine_kind kind)
{
    struct ran r;

    run_cpu(&r, kind, "qemu64,+x2apic", "2",
            HEAD(2) "@1 x2apic\nx2apic\nrdmsr 0x1b\napic-write 0xf0 0x1ff\nsti\nipi 0 0x51\neoi\n"
                    "apic-read 0x20\n@1 apic-read 0x20\n@1 apic-write 0xf0 0x1ff\n@1 sti\nipi 1 0x61\n"
                    "apic-read 0x300\ncpl3 { apic-read 0x20 }\n!reset\napic-read 0x20\n@1 apic-read 0x20\n");
    expect_ok(&r, 2, 0xfee00d00);
    expect_ok(&r, 5, 0);
    cr_assert(eq(u32, nth(&r, 5)->rip_delta, 2));
    expect_event(&r, 0, 0, 0x51);
    expect_ok(&r, 7, 0);
    expect_ok(&r, 8, 1);
    expect_event(&r, 1, 0, 0x61);
    expect_ok(&r, 12, 0x100000061);
    expect_fault(&r, 13, 13, 0);
    expect_ok(&r, 16, 0x1000000); /* xAPIC again */
    release(&r);
}

static void a_handler_looks_and_ends_its_interrupt(enum machine_kind kind)
{
    struct ran r;

    run(&r, kind, "1",
        HEAD(1) "apic-write 0xf0 0x1ff\nsti\nstore32 ram 0xff05\non-interrupt ram\nipi 0 0x51\neoi\n"
                "on-interrupt ram 2\nipi 0 0x61\nload32 ram\nipi 0 0x71\nload32 ram\napic-read 0x130\neoi\n"
                "apic-read 0x130\non-interrupt 0x100000000\n");
    for (unsigned i = 0; i < 3; i++)
        cr_assert(eq(u8, r.t->events[0][i].watched, 1));
    cr_assert(eq(u8, r.t->events[0][0].byte, 5));
    cr_assert(eq(u8, r.t->events[0][1].byte, 5));
    expect_ok(&r, 8, 0xff04); /* taken as an end by PV EOI: the APIC was not written */
    cr_assert(eq(u8, r.t->events[0][2].byte, 4));
    expect_ok(&r, 11, 2); /* 0x61 is in service still, 0x71 was ended at the APIC */
    expect_ok(&r, 13, 0);
    cr_assert(eq(u8, nth(&r, 14)->status, OUTCOME_UNSUPPORTED));
    release(&r);
}
ON_BOTH(a_handler_looks_and_ends_its_interrupt)

/* QEMU's TCG of 7.2 has no x2APIC. */
Test(probe_soft, x2apic_actions_use_the_msrs)
{
    x2apic_actions_use_the_msrs(MACHINE_SOFT);
}
