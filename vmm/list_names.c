/* What -cpu help and -machine help print: the names that the other values are made of. P2. */
#include <stdio.h>
#include <string.h>
#include "vmm/cmd.h"
#include "vmm/cpuid/features.h"
#include "vmm/cpuid/models.h"

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

bool names_listed(const struct vmm_options *options)
{
    bool cpus = options->cpu && (!strcmp(options->cpu, "help") || !strcmp(options->cpu, "?"));

    if (cpus)
        list_cpus();
    else if (options->machine_help)
        list_machines();
    return cpus || options->machine_help;
}
