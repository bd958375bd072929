/* Machine types and what old ones change. QEMU flags specification K10, section 15; limits T4. */
#include "vmm/cpuid/machine_type.h"

#include <stdio.h>
#include <string.h>
#include "vmm/cpuid/features.h"

static const struct machine_type bare_types[] = {
    {FAMILY_I440FX, "pc-i440fx-", 0, 255, IRQCHIP_KERNEL, .dies = true, .default_cpu = "qemu64"},
    {FAMILY_Q35, "pc-q35-", 0, 288, IRQCHIP_KERNEL, .dies = true, .default_cpu = "qemu64"},
    {FAMILY_MICROVM, "microvm", MACHINE_LATEST, 288, IRQCHIP_SPLIT, .default_cpu = "qemu64"},
    {FAMILY_ISAPC, "isapc", MACHINE_LATEST, 1, IRQCHIP_KERNEL, .dies = true, .default_cpu = "486"},
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

#define RELEASES (sizeof(releases) / sizeof(releases[0]))

static bool has_release(const struct machine_type *bare, size_t release)
{
    return bare->family == FAMILY_Q35 ? releases[release].q35 : releases[release].i440fx;
}

static void name_release(const struct machine_type *bare, size_t release, char name[MACHINE_NAME_LEN])
{
    snprintf(name, MACHINE_NAME_LEN, releases[release].patch ? "%s%u.%u.%u" : "%s%u.%u", bare->name,
             releases[release].major, releases[release].minor, releases[release].patch);
}

#define UP_TO(major, minor) MACHINE_VERSION(major, minor, 9)

/* Differences between versions of one family that are no CPU property. */
static void adapt_to_version(struct machine_type *type)
{
    type->prefer_sockets = type->version <= UP_TO(6, 1);
    type->deprecated = type->version <= UP_TO(1, 7);
    if (type->family == FAMILY_Q35 && type->version == MACHINE_VERSION(4, 0, 0))
        type->irqchip = IRQCHIP_SPLIT;
}

/* "2.12" or "4.0.1" as MACHINE_VERSION; 0: neither. Spellings such as "02.12" are caught by the caller. */
static uint32_t read_version(const char *text, size_t len)
{
    uint32_t parts[3] = {0}, part = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.' && part < 2)
            part++;
        else if (text[i] >= '0' && text[i] <= '9' && parts[part] < 100)
            parts[part] = parts[part] * 10 + (uint32_t)(text[i] - '0');
        else
            return 0;
    }
    return MACHINE_VERSION(parts[0], parts[1], parts[2]);
}

static bool find_versioned(const struct machine_type *bare, const char *name, size_t len,
                           struct machine_type *type)
{
    size_t stem = strlen(bare->name);
    uint32_t version;

    if (len <= stem || memcmp(name, bare->name, stem) != 0)
        return false;
    version = read_version(name + stem, len - stem);
    for (size_t i = 0; i < RELEASES; i++) {
        if (MACHINE_VERSION(releases[i].major, releases[i].minor, releases[i].patch) != version ||
            !has_release(bare, i))
            continue;
        *type = *bare;
        name_release(bare, i, type->name);
        type->version = version;
        adapt_to_version(type);
        return name_compare(name, len, type->name) == 0;
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

bool machine_type_nth(unsigned n, char name[MACHINE_NAME_LEN])
{
    for (size_t i = 0; i < sizeof(bare_types) / sizeof(bare_types[0]); i++) {
        const struct machine_type *bare = &bare_types[i];

        if (bare->version != 0 && n-- == 0) {
            snprintf(name, MACHINE_NAME_LEN, "%s", bare->name);
            return true;
        }
        for (size_t release = RELEASES; bare->version == 0 && release-- > 0;)
            if (has_release(bare, release) && n-- == 0) {
                name_release(bare, release, name);
                return true;
            }
    }
    return false;
}
