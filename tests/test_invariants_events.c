/* The invariants of tokens, EOIs and interrupts to other vCPUs can fail. spec INV-6, INV-7, INV-9, EOI-*. */
#include "tests/invariants_fixture.h"

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
