/* Every CPU model read by a guest in a real QEMU without KVM, leaf by leaf, against our table. QEMU flags specification
 * sections 6, 7.9, 12, 13. Usage: check_models [MODEL...], all without arguments (a few minutes); exit 1: they differ. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/machine/machine.h"
#include "tests/tcg_guest.h"
#include "vmm/cpuid/build.h"
#include "vmm/cpuid/models.h"

/* What stands after the model's name, and -smp. */
static const struct variant {
    const char *items, *smp;
} variants[] = {
    {"", "1"},
    {",kvmclock=on,kvm-nopiodelay=on,kvm-mmu=on,kvm-asyncpf=on,kvm-steal-time=on,kvm-pv-eoi=on,kvm-pv-unhalt=on,"
     "kvm-pv-tlb-flush=on,kvm-pv-ipi=on,kvm-poll-control=on,kvm-pv-sched-yield=on,kvm-asyncpf-int=on,"
     "kvm-msi-ext-dest-id=on,kvmclock-stable-bit=on,kvm-hint-dedicated=on",
     "1"},
    {",kvmclock=off,kvm-nopiodelay=off,kvm-mmu=off,kvm-asyncpf=off,kvm-steal-time=off,kvm-pv-eoi=off,"
     "kvm-pv-unhalt=off,kvm-pv-tlb-flush=off,kvm-pv-ipi=off,kvm-poll-control=off,kvm-pv-sched-yield=off,"
     "kvm-asyncpf-int=off,kvm-msi-ext-dest-id=off,kvmclock-stable-bit=off,kvm-hint-dedicated=off",
     "1"},
    {"", "8,sockets=2,cores=2,threads=2"},
    {",x-force-features=on", "1"}, /* the definition itself */
    {",vendor=GenuineIntel", "4,dies=2,cores=1,threads=2"},
    {",vendor=AuthenticAMD,l3-cache=off", "3,cores=3"},
};
#define VARIANTS (sizeof(variants) / sizeof(variants[0]))

/* Leaves with the subleaves from 0 to last. */
static const struct {
    uint32_t leaf, last;
} leaves[] = {
    {0x0, 0},        {0x1, 0},        {0x2, 0},        {0x3, 0},        {0x4, 4},        {0x5, 0},
    {0x6, 0},        {0x7, 2},        {0x8, 0},        {0x9, 0},        {0xa, 0},        {0xb, 3},
    {0xc, 0},        {0xd, 19},       {0xe, 0},        {0x12, 2},       {0x14, 1},       {0x1d, 1},
    {0x1e, 0},       {0x1f, 3},       {0x20, 0},       {0x40000000, 0}, {0x40000001, 0}, {0x40000002, 0},
    {0x40000100, 0}, {0x80000000, 0}, {0x80000001, 0}, {0x80000002, 0}, {0x80000003, 0}, {0x80000004, 0},
    {0x80000005, 0}, {0x80000006, 0}, {0x80000007, 0}, {0x80000008, 0}, {0x80000009, 0}, {0x8000000a, 0},
    {0x80000019, 0}, {0x8000001a, 0}, {0x8000001d, 4}, {0x8000001e, 0}, {0x8000001f, 0}, {0x80000020, 0},
    {0xc0000000, 0}, {0xc0000001, 0},
};
#define LEAVES (sizeof(leaves) / sizeof(leaves[0]))

static void build_program(struct program *program, unsigned vcpus)
{
    program_init(program);
    program->config.vcpus = (uint8_t)vcpus;
    for (unsigned v = 0; v < vcpus; v++)
        for (size_t i = 0; i < LEAVES; i++)
            for (uint32_t sub = 0; sub <= leaves[i].last; sub++)
                program_add(program, &(struct action){.op = OP_CPUID,
                                                      .vcpu = (uint8_t)v,
                                                      .args = {{.value = leaves[i].leaf}, {.value = sub}}});
}

/* Bits that the guest's own doing sets: the probe may turn XSAVE and protection keys on in CR4. */
static void mask(uint32_t leaf, uint32_t regs[4])
{
    if (leaf == 1)
        regs[2] &= ~(1u << 27); /* OSXSAVE */
    if (leaf == 7)
        regs[2] &= ~(1u << 4); /* OSPKE */
}

static unsigned compare(const char *cpu, const struct action *action, const struct outcome *outcome,
                        const struct cpuid_table *table)
{
    uint32_t leaf = (uint32_t)action->args[0].value, sub = (uint32_t)action->args[1].value;
    struct cpuid_regs regs = tcg_guest(table, leaf, sub);
    uint32_t ours[4] = {regs.eax, regs.ebx, regs.ecx, regs.edx}, theirs[4];

    for (int i = 0; i < 4; i++)
        theirs[i] = (uint32_t)outcome->regs[i];
    mask(leaf, ours);
    mask(leaf, theirs);
    if (outcome->status == OUTCOME_OK && !memcmp(ours, theirs, sizeof(ours)))
        return 0;
    printf("%.90s: cpu %u leaf %x.%x: %08x/%08x/%08x/%08x, QEMU %08x/%08x/%08x/%08x (status %u)\n", cpu,
           action->vcpu, leaf, sub, ours[0], ours[1], ours[2], ours[3], theirs[0], theirs[1], theirs[2],
           theirs[3], outcome->status);
    return 1;
}

static unsigned compare_all(const char *cpu, const char *smp, const struct program *program,
                            const struct transcript *transcript)
{
    static struct cpuid_table table;
    static struct cpuid_outcome outcome;
    unsigned found = 0;

    for (uint32_t i = 0; i < program->count; i++) {
        const struct action *action = &program->actions[i];

        if ((i == 0 || action->vcpu != action[-1].vcpu) &&
            cpuid_for_flags(cpu, "pc", smp, cpuid_supported_tcg(), action->vcpu, &table, &outcome)) {
            printf("%s: %s\n", cpu, outcome.error.text);
            return 1;
        }
        found += compare(cpu, action, &transcript->outcomes[i], &table);
    }
    return found;
}

/* The probe runs in long mode; models without it get what it needs, on both sides. Their definitions as they are stand
 * compared in test_models. */
static const char *helpers(const char *model)
{
    const struct cpu_model *row = cpu_model_find(model, strlen(model), false);
    uint64_t words[FEATURE_WORDS];

    if (!row || row->kind == MODEL_MAX)
        return "";
    cpu_model_words(row, words);
    return words[FW_80000001_EDX] & FEATURE_BIT(F_LM)
               ? ""
               : ",+fpu,+tsc,+msr,+pae,+cx8,+apic,+pge,+cmov,+pat,+mmx,+fxsr,+sse,+sse2,+syscall,+nx,+lm";
}

/* A host that was busy elsewhere answers late: that says nothing about the model. */
static bool too_late(const struct run_result *result)
{
    const struct transcript *t = &result->transcripts[0];

    for (uint32_t i = 0; i < t->count; i++)
        if (t->outcomes[i].status == OUTCOME_TIMEOUT)
            return true;
    return false;
}

static unsigned check(struct machine *machine, const char *model, const struct variant *variant)
{
    char cpu[640];
    struct program program;
    struct run_item item = {
        .flags = {.name = model, .cpu = cpu, .machine = "pc", .smp = variant->smp, .memory = "64M"},
        .programs = &program,
        .program_count = 1};
    struct run_result result;
    unsigned found = 1;

    snprintf(cpu, sizeof(cpu), "%s,check=off%s%s", model, variant->items, helpers(model));
    build_program(&program, (unsigned)atoi(variant->smp));
    for (int tries = 3; tries > 0 && !machine_run(machine, &item, 1, &result); tries--) {
        if (tries > 1 && too_late(&result)) {
            run_result_free(&result, 1);
            continue;
        }
        if (*result.error || result.transcripts[0].count != program.count)
            printf("%s: %s %s\n", cpu, result.error, result.transcripts[0].stopped);
        else
            found = compare_all(cpu, variant->smp, &program, &result.transcripts[0]);
        run_result_free(&result, 1);
        break;
    }
    program_free(&program);
    return found;
}

static unsigned check_variants(struct machine *machine, const char *model, unsigned *cases)
{
    unsigned found = 0;

    for (size_t i = 0; i < VARIANTS; i++, ++*cases)
        found += check(machine, model, &variants[i]);
    return found;
}

int main(int argc, char **argv)
{
    struct machine *machine;
    char why[240];
    unsigned found = 0, cases = 0;

    setvbuf(stdout, NULL, _IOLBF, 0);
    if (machine_open(&machine, MACHINE_QEMU_TCG, NEED_CPUID | NEED_SMP, NULL, NULL, why)) {
        fprintf(stderr, "check_models: %s\n", why);
        return 3;
    }
    for (int i = 1; i < argc; i++)
        found += check_variants(machine, argv[i], &cases);
    for (unsigned i = 0; argc < 2 && i < cpu_model_count; i++)
        if (cpu_models[i].kind != MODEL_HOST)
            found += check_variants(machine, cpu_models[i].name, &cases);
    for (unsigned i = 0; argc < 2 && i < cpu_model_alias_count; i++)
        found += check(machine, cpu_model_aliases[i].name, &variants[0]), cases++;
    machine_close(machine);
    printf("%u flag sets, %u leaves differ\n", cases, found);
    return found != 0;
}
