/* Machine types and what old ones change. QEMU flags specification K10, section 15; limits T4. */
#include "vmm/cpuid/machine_type.h"

#include <stdio.h>
#include <string.h>
#include "vmm/cpuid/features.h"

static const struct machine_type bare_types[] = {
    {FAMILY_I440FX, "pc-i440fx-", 0, 255, IRQCHIP_KERNEL, .dies = true, .default_cpu = "qemu64"},
    {FAMILY_Q35, "pc-q35-", 0, 288, IRQCHIP_KERNEL, .dies = true, .default_cpu = "qemu64"},
    {FAMILY_MICROVM, "microvm", MACHINE_LATEST, 288, IRQCHIP_SPLIT, .default_cpu = "qemu64"},
    {FAMILY_ISAPC, "isapc", MACHINE_LATEST, 1, IRQCHIP_KERNEL, .default_cpu = "486"},
    {FAMILY_NONE, "none", MACHINE_LATEST, 1, IRQCHIP_KERNEL, .default_cpu = NULL},
};

static const struct {
    uint8_t major, minor, patch;
    bool i440fx, q35;
} releases[] = {
    {1, 4, 0, true, false}, {1, 5, 0, true, false}, {1, 6, 0, true, false}, {1, 7, 0, true, false},
    {2, 0, 0, true, false}, {2, 1, 0, true, false}, {2, 2, 0, true, false}, {2, 3, 0, true, false},
    {2, 4, 0, true, true},  {2, 5, 0, true, true},  {2, 6, 0, true, true},  {2, 7, 0, true, true},
    {2, 8, 0, true, true},  {2, 9, 0, true, true},  {2, 10, 0, true, true}, {2, 11, 0, true, true},
    {2, 12, 0, true, true}, {3, 0, 0, true, true},  {3, 1, 0, true, true},  {4, 0, 0, true, true},
    {4, 0, 1, false, true}, {4, 1, 0, true, true},  {4, 2, 0, true, true},  {5, 0, 0, true, true},
    {5, 1, 0, true, true},  {5, 2, 0, true, true},  {6, 0, 0, true, true},  {6, 1, 0, true, true},
    {6, 2, 0, true, true},  {7, 0, 0, true, true},  {7, 1, 0, true, true},  {7, 2, 0, true, true},
};

#define UP_TO(major, minor) MACHINE_VERSION(major, minor, 9)

/* Differences between versions of one family that are no CPU property. */
static void adapt_to_version(struct machine_type *type)
{
    type->prefer_sockets = type->version <= UP_TO(6, 1);
    type->deprecated = type->version <= UP_TO(1, 7);
    if (type->family == FAMILY_Q35 && type->version == MACHINE_VERSION(4, 0, 0))
        type->irqchip = IRQCHIP_SPLIT;
}

static bool find_versioned(const struct machine_type *bare, const char *name, size_t len,
                           struct machine_type *type)
{
    for (size_t i = 0; i < sizeof(releases) / sizeof(releases[0]); i++) {
        char full[MACHINE_NAME_LEN];

        if (!(bare->family == FAMILY_Q35 ? releases[i].q35 : releases[i].i440fx))
            continue;
        snprintf(full, sizeof(full), releases[i].patch ? "%s%u.%u.%u" : "%s%u.%u", bare->name,
                 releases[i].major, releases[i].minor, releases[i].patch);
        if (name_compare(name, len, full))
            continue;
        *type = *bare;
        memcpy(type->name, full, sizeof(full));
        type->version = MACHINE_VERSION(releases[i].major, releases[i].minor, releases[i].patch);
        adapt_to_version(type);
        return true;
    }
    return false;
}

bool machine_type_find(const char *name, size_t len, struct machine_type *type)
{
    static const struct {
        const char *alias, *name;
    } aliases[] = {{"pc", "pc-i440fx-7.2"}, {"q35", "pc-q35-7.2"}};

    for (size_t i = 0; i < 2; i++)
        if (name_compare(name, len, aliases[i].alias) == 0)
            return machine_type_find(aliases[i].name, strlen(aliases[i].name), type);
    for (size_t i = 0; i < sizeof(bare_types) / sizeof(bare_types[0]); i++) {
        const struct machine_type *bare = &bare_types[i];

        if (bare->version == 0 && find_versioned(bare, name, len, type))
            return true;
        if (bare->version != 0 && name_compare(name, len, bare->name) == 0) {
            *type = *bare;
            return true;
        }
    }
    return false;
}
