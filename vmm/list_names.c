/* What -cpu help, -machine help and -smp help print: the names that the other values are made of. P2. */
#include <stdio.h>
#include <string.h>
#include "vmm/cmd.h"
#include "vmm/cpuid/features.h"
#include "vmm/cpuid/models.h"
#include "vmm/cpuid/smp.h"

static void list_cpus(void)
{
    printf("Available CPUs:\n");
    for (unsigned i = 0; i < cpu_model_count; i++)
        printf("  %s\n", cpu_models[i].name);
    for (unsigned i = 0; i < cpu_model_alias_count; i++)
        printf("  %s (%s)\n", cpu_model_aliases[i].name, cpu_model_aliases[i].model);
    printf("\nFlags:\n");
    for (unsigned i = 0; i < feature_name_count; i++)
        if (!feature_names[i].alias)
            printf("  %s\n", feature_names[i].name);
}

static void list_machines(void)
{
    char name[MACHINE_NAME_LEN];

    printf("Machine types:\n  pc (the latest pc-i440fx)\n  q35 (the latest pc-q35)\n");
    for (unsigned i = 0; machine_type_nth(i, name); i++)
        printf("  %s\n", name);
}

/* QEMU's words. */
static void list_smp_keys(void)
{
    printf("smp-opts options:\n");
    for (unsigned key = 0; key < SMP_KEYS; key++)
        printf("  %s=<num>\n", smp_keys[key]);
}

bool names_listed(const struct vmm_options *options)
{
    bool cpus = options->cpu && (!strcmp(options->cpu, "help") || !strcmp(options->cpu, "?"));

    if (options->machine_help)
        list_machines();
    else if (options->smp_help)
        list_smp_keys();
    else if (cpus)
        list_cpus();
    return cpus || options->machine_help || options->smp_help;
}
