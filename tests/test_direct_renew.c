/* The direct machine forgets: equal programs give equal outcomes on a machine that is new, renewed or restored. */
#include "tests/direct_fixture.h"
#include "tests/random_program.h"
#include "vmm/abi/kvm_para.h"

/* Outcomes of a program on a machine that has just been started; save_at: saved and restored before that action. */
static void run_actions(struct direct_machine *m, const struct program *program, struct outcome *outcomes,
                        uint32_t save_at)
{
    static const struct action save = {.op = OP_SAVE_RESTORE};
    struct outcome done;

    for (uint32_t i = 0; i < program->count; i++) {
        if (i == save_at) {
            direct_machine_step(m, &save, &done);
            cr_assert(eq(int, done.status, OUTCOME_HOST));
            cr_assert(eq(u64, done.regs[0], 0));
            m->index--; /* the outcomes of HLT count actions */
        }
        direct_machine_step(m, &program->actions[i], &outcomes[i]);
    }
}

static void run_fresh(const struct program *program, struct outcome *outcomes)
{
    struct direct_machine *m = malloc(sizeof(*m));

    cr_assert(eq(int, direct_machine_create(m, &program->config), 0));
    run_actions(m, program, outcomes, UINT32_MAX);
    direct_machine_destroy(m);
    free(m);
}

static void run_renewed(struct direct_machine *m, const struct program *program, struct outcome *outcomes,
                        uint32_t save_at)
{
    cr_assert(direct_machine_renew(m, &program->config));
    for (unsigned i = 0; i < program->config.vcpus; i++)
        cr_assert(eq(u32, m->event_count[i], 0));
    run_actions(m, program, outcomes, save_at);
}

static void expect_same(const struct program *program, const struct outcome *a, const struct outcome *b)
{
    for (uint32_t i = 0; i < program->count; i++) {
        char line[PROGRAM_NOTE_MAX + 2];

        action_print(program, &program->actions[i], line, sizeof(line));
        cr_assert(eq(int, memcmp(&a[i], &b[i], sizeof(a[i])), 0), "action %u: %s", i, line);
    }
}

/* Few shapes, so that machines are renewed; a random header rarely gives the same one twice. */
static void decode_random(struct program *program, uint64_t *seed)
{
    uint8_t data[512];

    program_decode_total(program, data, random_bytes(seed, data, sizeof(data)));
    program->config.ram_pages = 4;
    program->config.vcpus = 3;
    program->config.irqchip = PROGRAM_IRQCHIP_KERNEL;
    for (uint32_t i = 0; i < program->count; i++)
        program->actions[i].vcpu %= 3;
}

/* A renewed machine is a new one, and a restored one goes on as if nothing had happened (decision 11). */
Test(direct, equal_programs_give_equal_outcomes_renewed_or_restored)
{
    static struct outcome first[512], second[512];
    struct direct_machine *m = malloc(sizeof(*m));
    struct program program;
    uint64_t seed = 7;

    program_init(&program);
    decode_random(&program, &seed);
    cr_assert(eq(int, direct_machine_create(m, &program.config), 0));
    for (unsigned round = 0; round < 2000; round++) {
        decode_random(&program, &seed);
        run_fresh(&program, first);
        run_renewed(m, &program, second, UINT32_MAX);
        expect_same(&program, first, second);
        if (!program.count)
            continue;
        run_renewed(m, &program, second, random_u64(&seed) % program.count);
        expect_same(&program, first, second);
    }
    direct_machine_destroy(m);
    program_free(&program);
    free(m);
}

Test(direct, another_shape_is_built_anew)
{
    struct direct_machine *m = malloc(sizeof(*m));
    struct program_config small = {.vcpus = 1, .ram_pages = 1},
                          large = {.vcpus = 16, .ram_pages = PROGRAM_RAM_MAX};

    cr_assert(eq(int, direct_machine_create(m, &small), 0));
    cr_assert(direct_machine_renew(m, &large));
    cr_expect(eq(int, m->vm.config.vcpus, 16));
    cr_expect(eq(u64, m->bases[BASE_RAM_END], PROBE_RAM_BASE + (256ull << 20)));
    direct_machine_destroy(m);
    small.vcpus = 17;
    cr_expect(eq(int, direct_machine_create(m, &small), -22));
    free(m);
}

/* What follows the stores, such as the invariants, goes by their number. */
Test(direct, INV_1_the_trace_of_stores_goes_on_over_a_new_vm)
{
    static const struct action wrmsr = {.op = OP_WRMSR,
                                        .args = {{BASE_NONE, MSR_KVM_SYSTEM_TIME_NEW}, {BASE_RAM, 0x1001}}};
    static const enum action_op renewing[] = {OP_SAVE_RESTORE, OP_MIGRATE};
    const struct program_config config = {.vcpus = 1, .ram_pages = 16};
    struct direct_machine *m = calloc(1, sizeof(*m));
    struct outcome outcome;

    cr_assert(m != NULL);
    cr_assert(eq(int, direct_machine_create(m, &config), 0));
    direct_machine_step(m, &wrmsr, &outcome);
    for (unsigned i = 0; i < 2; i++) {
        uint64_t before = m->vm.trace.total;

        cr_assert(lt(u64, 0, before));
        direct_machine_step(m, &(struct action){.op = (uint8_t)renewing[i]}, &outcome);
        cr_assert(ge(u64, m->vm.trace.total, before));
    }
    direct_machine_destroy(m);
    free(m);
}

Test(direct, CPU_9_the_next_program_has_its_own_cpuid_again)
{
    static const struct action changes[] = {{.op = OP_SET_CPUID, .args = {{BASE_NONE, 1u << 5}}},
                                            {.op = OP_ENFORCE, .args = {{BASE_NONE, 1}}},
                                            {.op = OP_WRMSR, .args = {{BASE_NONE, MSR_KVM_PV_EOI_EN}}}};
    static const struct action leaf = {.op = OP_CPUID, .args = {{BASE_NONE, 0x40000001}}};
    const struct program_config config = {.vcpus = 1, .ram_pages = 16, .features = 1u << 6};
    struct direct_machine *m = calloc(1, sizeof(*m));
    struct outcome outcome;

    cr_assert(m != NULL);
    cr_assert(eq(int, direct_machine_create(m, &config), 0));
    for (unsigned i = 0; i < 3; i++)
        direct_machine_step(m, &changes[i], &outcome);
    cr_assert(eq(int, outcome.status, OUTCOME_FAULT));
    cr_assert(direct_machine_renew(m, &config));
    direct_machine_step(m, &leaf, &outcome);
    cr_assert(eq(u64, outcome.regs[0], 1u << 6));
    direct_machine_step(m, &changes[2], &outcome);
    cr_assert(eq(int, outcome.status, OUTCOME_OK));
    cr_assert(not(m->vm.vcpus[0].enforce));
    direct_machine_destroy(m);
    free(m);
}
