/* The direct machine and the software vCPU give the same answers: one calls the VMM's core as functions, the other runs
 * the probe's instructions. Every seed of the corpora, judged as two machines are. Decision 12. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/judge/judge.h"
#include "diff/machine/machine.h"
#include "tests/program_file.h"
#include "vmm/cpuid/supported.h"

/* Seeds whose answers hold times where the judge looks for none. */
static const char *const excluded[] = {
    "seed-two-records-on-one-page.pv", /* the clock's times lie in the fields of the steal record */
    "bug-halt-at-the-end-of-time.pv",  /* 158 years: the soft machine waits for no !advance that long */
};

static bool is_excluded(const char *name)
{
    for (unsigned i = 0; i < sizeof(excluded) / sizeof(excluded[0]); i++)
        if (!strcmp(excluded[i], name))
            return true;
    return false;
}

/* The flags that give the guest what the program's header asks for. */
static void flags_for(const struct program_config *config, char *cpu, size_t size)
{
    size_t at = (size_t)snprintf(cpu, size, "kvm64");

    for (unsigned i = 0; i < feature_symbols.count; i++)
        at += (size_t)snprintf(cpu + at, size - at, ",%s=%s", feature_symbols.rows[i].name,
                               config->features & feature_symbols.rows[i].value ? "on" : "off");
    snprintf(cpu + at, size - at, "%s%s%s", config->hints & 1 ? ",kvm-hint-dedicated=on" : "",
             config->enforce ? ",kvm-pv-enforce-cpuid=on" : "",
             config->hyperv ? ",hv-relaxed=on,hv-vapic=on,hv-vpindex=on" : "");
}

/* False: QEMU would refuse these flags, and so does the soft machine. */
static bool run(enum machine_kind kind, const struct program *program, struct run_result *result)
{
    static const char *const irqchips[] = {"on", "split", "off"};
    static struct host_record host;
    char cpu[1024], machine_text[64], smp[8], memory[16], why[240];
    struct run_item item = {.programs = program, .program_count = 1};
    struct machine *machine;

    flags_for(&program->config, cpu, sizeof(cpu));
    snprintf(machine_text, sizeof(machine_text), "pc,kernel-irqchip=%s", irqchips[program->config.irqchip]);
    snprintf(memory, sizeof(memory), "%uK", (unsigned)(PROBE_RAM_BASE >> 10) + 4 * program->config.ram_pages);
    snprintf(smp, sizeof(smp), "%u", program->config.vcpus);
    item.flags =
        (struct flag_set){.name = "seed", .cpu = cpu, .machine = machine_text, .smp = smp, .memory = memory};
    host.supported = cpuid_supported_soft()->supported;
    host.host = cpuid_supported_soft()->host;
    memcpy(host.extensions, cpuid_supported_soft()->extensions, sizeof(host.extensions));
    host.tsc_khz = 2000000;
    host.native_vmcall = program->config.vmcall_native;
    strcpy(host.clocksource, "tsc");
    cr_assert(eq(int, machine_open(&machine, kind, 0, &host, NULL, why), 0), "%s", why);
    cr_assert(eq(int, machine_run(machine, &item, 1, result), 0));
    machine_close(machine);
    if (!result->refused)
        cr_assert(eq(str, result->error, ""));
    return !result->refused;
}

static unsigned differences(const char *path)
{
    struct program program;
    struct run_result direct, soft;
    struct check_list list;
    const struct flag_set flags = {.name = "seed"};
    unsigned found = 0;

    program_from_file(&program, path);
    run(MACHINE_DIRECT, &program, &direct);
    check_list_init(&list);
    if (run(MACHINE_SOFT, &program, &soft))
        judge_program(
            &(struct judge_case){.flags = &flags,
                                 .scenario = path,
                                 .program = &program,
                                 .ours = {.transcript = &direct.transcripts[0], .tsc_khz = 2600000},
                                 .theirs = {.transcript = &soft.transcripts[0], .tsc_khz = 2000000}},
            &list);
    else
        fprintf(stderr, "%s: not compared: %s\n", path, soft.error);
    for (size_t i = 0; i < list.count; i++) {
        const struct check *c = &list.checks[i];

        if (c->verdict != VERDICT_DIFFERENT || c->kind == CHECK_CPUID || c->kind == CHECK_CLOCK)
            continue;
        fprintf(stderr, "%s: action %u: %s: %s: direct %s, soft %s (%s)\n", path, c->action, c->text, c->what,
                c->ours, c->theirs, c->rule);
        found++;
    }
    if (soft.transcripts[0].stopped[0])
        fprintf(stderr, "%s: soft stopped: %s\n", path, soft.transcripts[0].stopped);
    check_list_free(&list);
    run_result_free(&direct, 1);
    run_result_free(&soft, 1);
    program_free(&program);
    return found;
}

static void corpus_agrees(const char *surface)
{
    char folder[512], path[1024];
    struct dirent **names;
    unsigned found = 0;
    int count;

    snprintf(folder, sizeof(folder), PARAVANE_CORPORA "/%s", surface);
    count = scandir(folder, &names, NULL, alphasort);
    cr_assert(lt(int, 2, count), "%s", folder);
    for (int i = 0; i < count; i++) {
        snprintf(path, sizeof(path), "%s/%s", folder, names[i]->d_name);
        if (strstr(names[i]->d_name, ".pv") && !is_excluded(names[i]->d_name))
            found += differences(path);
        free(names[i]);
    }
    free(names);
    cr_assert(eq(uint, found, 0));
}

Test(machines_agree, on_the_msr_seeds)
{
    corpus_agrees("msr");
}

Test(machines_agree, on_the_hypercall_seeds)
{
    corpus_agrees("hypercall");
}
