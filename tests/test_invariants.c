/* The invariants of registers, CPUID and answers can fail: one rule at a time is broken. */
#include "tests/invariants_fixture.h"

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
