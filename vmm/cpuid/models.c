/* QEMU 7.2's CPU models, one row each. QEMU flags specification M3, M7, M10. */
#include "vmm/cpuid/models.h"

#include <string.h>

#define INTEL "GenuineIntel"
#define AMD   "AuthenticAMD"

const struct cpu_model cpu_models[] = {
    {
        .name = "qemu64",
        .vendor = AMD,
        .family = 15,
        .model = 107,
        .stepping = 1,
        .level = 0xd,
        .xlevel = 0x8000000a,
        .model_id = "QEMU Virtual CPU version 2.5+",
        .words = {[FW_1_EDX] = 0x078bfbfd,
                  [FW_1_ECX] = 0x80002001,
                  [FW_80000001_EDX] = 0x20100800,
                  [FW_80000001_ECX] = 0x00000005},
    },
    {
        .name = "kvm64",
        .vendor = INTEL,
        .family = 15,
        .model = 6,
        .stepping = 1,
        .level = 0xd,
        .xlevel = 0x80000008,
        .model_id = "Common KVM processor",
        .words = {[FW_1_EDX] = 0x078bfbff, [FW_1_ECX] = 0x80002001, [FW_80000001_EDX] = 0x20100800},
    },
    {
        .name = "486",
        .vendor = INTEL,
        .family = 4,
        .model = 8,
        .stepping = 0,
        .level = 1,
        .model_id = "",
        .words = {[FW_1_EDX] = 0x0000000b, [FW_1_ECX] = 0x80000000},
    },
    {.name = "base", .kind = MODEL_BASE, .model_id = ""},
    {
        .name = "max",
        .kind = MODEL_MAX,
        .vendor = AMD,
        .family = 15,
        .model = 107,
        .stepping = 1,
        .model_id = "QEMU TCG CPU version 2.5+",
    },
    {.name = "host", .kind = MODEL_HOST, .model_id = ""},
};
const unsigned cpu_model_count = sizeof(cpu_models) / sizeof(cpu_models[0]);

const struct cpu_model_alias cpu_model_aliases[] = {
    {"qemu64-v1", "qemu64"},
    {"kvm64-v1", "kvm64"},
    {"486-v1", "486"},
};
const unsigned cpu_model_alias_count = sizeof(cpu_model_aliases) / sizeof(cpu_model_aliases[0]);

const struct cpu_model *cpu_model_find(const char *name, size_t len)
{
    for (unsigned i = 0; i < cpu_model_alias_count; i++)
        if (name_compare(name, len, cpu_model_aliases[i].name) == 0)
            return cpu_model_find(cpu_model_aliases[i].model, strlen(cpu_model_aliases[i].model));
    for (unsigned i = 0; i < cpu_model_count; i++)
        if (name_compare(name, len, cpu_models[i].name) == 0)
            return &cpu_models[i];
    return NULL;
}
