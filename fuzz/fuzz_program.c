/* Runs an input as a program on the direct machine and holds it to the invariants after every action. */
#include "fuzz/fuzz_program.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/program/direct.h"
#include "fuzz/invariants.h"
#include "fuzz/target.h"
#include "vmm/abi/kvm_para.h"

#define SAVE_JUDGE_ONE_IN 64
#define SAVE_POINTS_MAX   256 /* per replayed input, evenly spread */
#define NO_SAVE           UINT32_MAX

/* Kept between inputs: machines are renewed, not built again. */
static struct {
    struct program program;
    struct invariants invariants;
    struct violation violation;
    struct direct_machine machines[FUZZ_VCPUS_MAX][3]; /* by vCPUs - 1 and irqchip */
    bool built[FUZZ_VCPUS_MAX][3];
    struct outcome outcomes[PROGRAM_ACTIONS_MAX];
    struct outcome restored[PROGRAM_ACTIONS_MAX],
        exited[PROGRAM_ACTIONS_MAX]; /* of other runs of the program */
} fuzz;

/* Few machine shapes, so that every input can renew one. The printed program shows what was run. */
static void reduce(struct program *program)
{
    uint32_t kept = 0;

    program->config.vcpus = (uint8_t)((program->config.vcpus - 1u) % FUZZ_VCPUS_MAX + 1);
    program->config.ram_pages = FUZZ_RAM_PAGES;
    for (uint32_t i = 0; i < program->count; i++) {
        if (!(fuzz_surface_ops >> program->actions[i].op & 1))
            continue;
        if (kept != i)
            program->actions[kept] = program->actions[i];
        kept++;
    }
    program->count = kept;
}

/* Without memory nothing can go on, and it is not the input's doing. */
static struct direct_machine *machine_for(const struct program_config *config)
{
    struct direct_machine *machine = &fuzz.machines[config->vcpus - 1][config->irqchip];
    bool *built = &fuzz.built[config->vcpus - 1][config->irqchip];

    if (*built ? !direct_machine_renew(machine, config) : direct_machine_create(machine, config) != 0)
        abort();
    *built = true;
    return machine;
}

static void show(const struct program *program, const struct action *action, const struct outcome *outcome)
{
    static const char *const statuses[] = {"not run", "ok", "fault", "host", "unsupported", "timeout"};
    char text[256];

    action_print(program, action, text, sizeof(text));
    printf("  %-48s # %s", text, outcome->status < 6 ? statuses[outcome->status] : "?");
    if (outcome->status == OUTCOME_FAULT)
        printf(" #%u(%#x)", outcome->vector, outcome->error);
    else
        printf(" rax=%#" PRIx64 " rdx=%#" PRIx64, outcome->regs[0], outcome->regs[3]);
    printf("\n");
}

#ifdef PARAVANE_DEMO_FAULT
/* The fault of Linux 5.10 (EOI-2): a refused address is stored all the same. */
static void demo_fault(struct vm *vm, const struct action *action, const struct outcome *outcome)
{
    if (action->op == OP_WRMSR && (uint32_t)action->args[0].value == MSR_KVM_PV_EOI_EN &&
        outcome->status == OUTCOME_FAULT)
        vm->vcpus[action->vcpu].eoi.msr = action->args[1].value;
}
#else
static void demo_fault(struct vm *vm, const struct action *action, const struct outcome *outcome)
{
    (void)vm, (void)action, (void)outcome;
}
#endif

static void check(const struct action *action, const struct outcome *outcome)
{
    if (!invariants_after(&fuzz.invariants, action, outcome, &fuzz.violation))
        fuzz_fail(fuzz.violation.rule, "%s", fuzz.violation.text);
}

static void run_straight(const struct program *program)
{
    struct direct_machine *machine = machine_for(&program->config);
    uint32_t count = program->count;

    invariants_begin(&fuzz.invariants, &machine->vm, machine->bases);
    for (uint32_t i = 0; i < count; i++) {
        const struct action *action = &program->actions[i];
        struct outcome *outcome = &fuzz.outcomes[i];

        fuzz_run.action = i;
        invariants_before(&fuzz.invariants, action);
        direct_machine_step(machine, action, outcome);
        demo_fault(&machine->vm, action, outcome);
        if (fuzz_run.verbose)
            show(program, action, outcome);
        check(action, outcome);
    }
}

/* The same program with a host action before action `at`, whose outcome is returned. */
static struct outcome run_with(const struct program *program, uint32_t at, enum action_op op,
                               struct outcome *outcomes)
{
    const struct action host_action = {.op = op};
    struct direct_machine *machine = machine_for(&program->config);
    struct outcome outcome = {0};

    for (uint32_t i = 0; i < program->count; i++) {
        fuzz_run.action = i;
        if (i == at) {
            direct_machine_step(machine, &host_action, &outcome);
            machine->index--; /* outcomes count actions, and the program does not have this one */
        }
        direct_machine_step(machine, &program->actions[i], &outcomes[i]);
    }
    return outcome;
}

static uint32_t first_difference(const struct outcome *a, const struct outcome *b, uint32_t count)
{
    uint32_t i = 0;

    while (i < count && !memcmp(&a[i], &b[i], sizeof(a[i])))
        i++;
    return i;
}

/* The guest must not notice that it is saved and restored before action `at`. */
static void run_restored(const struct program *program, uint32_t at)
{
    const struct outcome saved = run_with(program, at, OP_SAVE_RESTORE, fuzz.restored), *want, *got;
    uint32_t i = first_difference(fuzz.outcomes, fuzz.restored, program->count);

    if (saved.regs[0])
        fuzz_fail("SAVE-RESTORE", "saved before action %u, the snapshot is refused: errno %" PRIu64, at,
                  saved.regs[0]);
    if (i == program->count)
        return;
    /* To be saved the vCPUs leave the guest, which takes a PV EOI offer back (EOI-9): so much may show. */
    run_with(program, at, OP_ADVANCE, fuzz.exited);
    i = first_difference(fuzz.exited, fuzz.restored, program->count);
    if (i == program->count)
        return;
    want = &fuzz.exited[i];
    got = &fuzz.restored[i];
    fuzz_run.action = i;
    fuzz_fail("SAVE-RESTORE",
              "saved and restored before action %u, action %u ends otherwise: status %u/%u vector %u/%u "
              "rax %#" PRIx64 "/%#" PRIx64,
              at, i, got->status, want->status, got->vector, want->vector, got->regs[0], want->regs[0]);
}

static uint32_t draw(const uint8_t *data, size_t size)
{
    uint32_t hash = 2166136261u; /* FNV-1a: the same input is always judged at the same point */

    for (size_t i = 0; i < size; i++)
        hash = (hash ^ data[i]) * 16777619u;
    return hash;
}

static void judge_save(const struct program *program, const uint8_t *data, size_t size)
{
    uint32_t step = program->count / SAVE_POINTS_MAX + 1, drawn;

    if (program->count == 0 || fuzz_run.save_judge == SAVE_NEVER)
        return;
    if (fuzz_run.save_judge == SAVE_EVERY_POINT) {
        for (uint32_t at = 0; at < program->count; at += step)
            run_restored(program, at);
        return;
    }
    drawn = draw(data, size);
    if (drawn % SAVE_JUDGE_ONE_IN == 0)
        run_restored(program, drawn / SAVE_JUDGE_ONE_IN % program->count);
}

void fuzz_program(const uint8_t *data, size_t size)
{
    program_decode_total(&fuzz.program, data, size);
    reduce(&fuzz.program);
    run_straight(&fuzz.program);
    judge_save(&fuzz.program, data, size);
    fuzz_run.action = FUZZ_NO_ACTION;
}

char *fuzz_input_text(const uint8_t *data, size_t size)
{
    struct program program;
    char *text = NULL;
    size_t len;

    program_init(&program);
    program_decode_total(&program, data, size);
    reduce(&program);
    if (program_print(&program, &text, &len))
        text = NULL;
    program_free(&program);
    return text;
}

int fuzz_input_load(const uint8_t *data, size_t size, uint8_t **out, size_t *out_size, char message[200])
{
    struct program program;
    struct program_error error;
    int err;

    program_init(&program);
    err = program_load(&program, data, size, &error);
    if (err == -EINVAL)
        snprintf(message, 200, "line %u, column %u: %s", error.line, error.column, error.message);
    else if (!err)
        err = program_encode(&program, out, out_size);
    if (err && err != -EINVAL)
        snprintf(message, 200, "%s", strerror(-err));
    program_free(&program);
    return err;
}
