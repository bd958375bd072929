/* That a save and restore before any action of any program of every corpus, or before all of them, is nothing that a guest
 * on the software vCPU can see. Its time is counted, so that what it answers is compared byte for byte, clocks included.
 * spec section 22, SAV-*. */
#include "diff/machine/machine.h"
#include "tests/saved_judge.h"

#define MODEL                                                                                                \
    "qemu64,kvm-pv-unhalt=on,kvm-pv-tlb-flush=on,kvm-pv-ipi=on,kvm-poll-control=on,kvm-pv-sched-yield=on,"   \
    "kvm-asyncpf-int=on"

/* Every PV feature, so that a program meets what it uses; of its own configuration what makes another machine. */
static struct flag_set flags_of(const struct program_config *config)
{
    return (struct flag_set){.name = "saved",
                             .cpu = config->hyperv ? MODEL ",hv-relaxed=on,hv-vapic=on,hv-vpindex=on" : MODEL,
                             .machine = config->irqchip == PROGRAM_IRQCHIP_KERNEL ? "pc,kernel-irqchip=on"
                                                                                  : "pc,kernel-irqchip=split",
                             .smp = config->vcpus == 1   ? "1"
                                    : config->vcpus == 2 ? "2"
                                                         : "4",
                             .memory = "4M"};
}

static void run_soft(struct machine *machine, const struct program *program, enum action_op op, uint32_t at,
                     struct run_result *result)
{
    struct program woven;
    const struct run_item item = {
        .programs = &woven, .program_count = 1, .flags = flags_of(&program->config), .counted_time = true};

    weave(&woven, program, op, at);
    cr_assert(eq(int, machine_run(machine, &item, 1, result), 0));
    cr_assert(eq(str, result->error, ""));
    program_free(&woven);
}

static bool saved_at(struct machine *machine, const struct program *program, const char *path, uint32_t at)
{
    struct run_result saved, plain;
    bool same;

    run_soft(machine, program, OP_SAVE_RESTORE, at, &saved);
    run_soft(machine, program, OP_ADVANCE, at, &plain);
    same = same_answers(&saved.transcripts[0], &plain.transcripts[0], path, at);
    run_result_free(&saved, 1);
    run_result_free(&plain, 1);
    return same;
}

static bool saved_everywhere(struct program *program, const char *path)
{
    struct machine *machine;
    char why[240];
    bool same;

    drop_notes(program);
    cr_assert(eq(int, machine_open(&machine, MACHINE_SOFT, 0, NULL, NULL, why), 0), "%s", why);
    same = saved_at(machine, program, path, EVERYWHERE);
    for (uint32_t at = 0; at <= program->count; at++)
        same &= saved_at(machine, program, path, at);
    machine_close(machine);
    return same;
}

#define CORPUS_TEST(name, pattern, least)                                                                    \
    Test(saved_soft, name)                                                                                   \
    {                                                                                                        \
        each_program(PARAVANE_CORPORA pattern, least, saved_everywhere);                                     \
    }
CORPUS_TEST(hypercall_corpus, "/hypercall/*.pv", 10)
CORPUS_TEST(msr_corpus, "/msr/*.pv", 20)
CORPUS_TEST(scenarios_to_features, "/diff/[a-g]*.pv", 5)
CORPUS_TEST(scenarios_from_h, "/diff/h*.pv", 5)
CORPUS_TEST(scenarios_from_i, "/diff/[i-l]*.pv", 3)
CORPUS_TEST(scenarios_from_m, "/diff/[m-o]*.pv", 5)
CORPUS_TEST(scenarios_from_p, "/diff/[p-z]*.pv", 5)
