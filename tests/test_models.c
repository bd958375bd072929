/* CPU models against a real QEMU and the specification's table. QEMU flags specification M3, M7, M9, M10, section 15. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "tests/qemu_query.h"
#include "vmm/cpuid/build.h"
#include "vmm/cpuid/models.h"

#define TEXT_MAX (512u << 10)

static char *read_all(FILE *file, const char *what)
{
    char *text = malloc(TEXT_MAX);
    size_t len;

    cr_assert(file != NULL && text != NULL, "%s", what);
    len = fread(text, 1, TEXT_MAX - 1, file);
    text[len] = 0;
    return text;
}

Test(models, M10_the_data_are_what_the_installed_qemu_gives)
{
    FILE *pipe = popen(GEN_MODELS, "r"), *file = fopen(MODELS_DATA, "r");
    char *now = read_all(pipe, GEN_MODELS), *kept = read_all(file, MODELS_DATA);
    unsigned line = 1;
    size_t at = 0;

    cr_assert(eq(int, pclose(pipe), 0));
    fclose(file);
    while (now[at] && now[at] == kept[at])
        line += now[at++] == '\n';
    cr_assert(now[at] == kept[at], "%s:%u differs: run gen_models again and look at what changed",
              MODELS_DATA, line);
    free(now);
    free(kept);
}

Test(models, G14_rows_and_aliases_are_sorted_and_every_alias_leads_to_a_row)
{
    for (unsigned i = 0; i < cpu_model_count; i++) {
        const char *name = cpu_models[i].name;

        cr_assert(i == 0 || strcmp(cpu_models[i - 1].name, name) < 0, "%s", name);
        cr_assert(cpu_model_find(name, strlen(name), false) == &cpu_models[i], "%s", name);
        cr_assert(cpu_models[i].version < 2 || cpu_models[i - 1].version + 1 == cpu_models[i].version, "%s",
                  name);
    }
    for (unsigned i = 0; i < cpu_model_alias_count; i++) {
        const struct cpu_model_alias *alias = &cpu_model_aliases[i];
        const struct cpu_model *model = cpu_model_find(alias->name, strlen(alias->name), false);
        const struct cpu_model *latest = cpu_model_find(alias->name, strlen(alias->name), true);

        cr_assert(i == 0 || strcmp(cpu_model_aliases[i - 1].name, alias->name) < 0, "%s", alias->name);
        cr_assert(model && latest, "%s", alias->name);
        cr_assert(eq(str, (char *)model->name, (char *)alias->model));
        cr_assert(eq(str, (char *)latest->name, (char *)alias->latest));
    }
    cr_assert(cpu_model_find("EPYC-v4", 7, false) == NULL);
    cr_assert(cpu_model_find("epyc", 4, false) == NULL);
}

/* The table of M10, taken down by other means than gen_models. */
static const struct {
    const char *name;
    uint32_t words[13];
} specified[] = {
    {"qemu64-v1", {0x078bfbfd, 0x80002001, 0, 0, 0, 0x20100800, 0x5, 0, 0, 0, 0, 0xd, 0x8000000a}},
    {"kvm64-v1", {0x078bfbff, 0x80002001, 0, 0, 0, 0x20100800, 0, 0, 0, 0, 0, 0xd, 0x80000008}},
    {"Nehalem-v1", {0x078bfbff, 0x80982201, 0, 0, 0, 0x20100800, 0x1, 0, 0, 0, 0, 0xb, 0x80000008}},
    {"Haswell-v1", {0x078bfbff, 0xf7fa3203, 0xfb9, 0, 0, 0x28100800, 0x21, 1, 4, 0, 0, 0xd, 0x80000008}},
    {"Skylake-Server-v1",
     {0x078bfbff, 0xf7fa3203, 0xd19f0fb9, 8, 0, 0x2c100800, 0x121, 7, 4, 0, 0, 0xd, 0x80000008}},
    {"EPYC-v1",
     {0x078bfbff, 0xf6d8320b, 0x209c01a9, 0, 0, 0x2e500800, 0x4003f5, 7, 4, 0, 9, 0xd, 0x8000001e}},
    {"Haswell-v4",
     {0x078bfbff, 0xf7fa3203, 0x7a9, 0, 1u << 26, 0x28100800, 0x21, 1, 4, 0, 0, 0xd, 0x80000008}},
};

Test(models, M10_words_and_levels_are_those_of_the_specification)
{
    static const uint8_t columns[] = {FW_1_EDX,   FW_1_ECX,        FW_7_0_EBX,      FW_7_0_ECX,
                                      FW_7_0_EDX, FW_80000001_EDX, FW_80000001_ECX, FW_XSAVE,
                                      FW_6_EAX,   FW_80000008_EBX, FW_SVM};
    uint64_t words[FEATURE_WORDS];

    for (size_t i = 0; i < sizeof(specified) / sizeof(specified[0]); i++) {
        const struct cpu_model *model = cpu_model_find(specified[i].name, strlen(specified[i].name), false);

        cr_assert(model != NULL, "%s", specified[i].name);
        cpu_model_words(model, words);
        for (size_t c = 0; c < sizeof(columns); c++)
            cr_expect(eq(u64, words[columns[c]], specified[i].words[c]), "%s column %zu", model->name, c);
        cr_expect(eq(u32, model->level, specified[i].words[11]));
        cr_expect(eq(u32, model->xlevel, specified[i].words[12]));
    }
}

/* One model on one machine, ours: nothing filtered, as QEMU's expansion is. */
struct ours {
    struct cpuid_table table;
    struct cpuid_outcome outcome;
};

static unsigned differ(const char *machine, const char *model, const char *what, uint64_t ours, uint64_t qemu)
{
    if (ours == qemu)
        return 0;
    fprintf(stderr, "%s, %s: %s is %#llx, QEMU %#llx\n", machine, model, what, (unsigned long long)ours,
            (unsigned long long)qemu);
    return 1;
}

static unsigned compare_features(const char *machine, const char *model, const struct ours *ours,
                                 const cJSON *props)
{
    unsigned found = 0;

    for (unsigned i = 0; i < feature_name_count; i++) {
        const struct feature_name *row = &feature_names[i];
        bool on = (ours->outcome.granted[row->word] & row->bits) == row->bits;

        found += differ(machine, model, row->name, on, cJSON_IsTrue(cJSON_GetObjectItem(props, row->name)));
    }
    return found;
}

static unsigned compare_identity(const char *machine, const char *model, const struct ours *ours,
                                 const cJSON *props)
{
    uint32_t eax = supported_regs(&ours->table, 1, 0).eax;
    const struct {
        const char *name;
        uint32_t have;
    } numbers[] = {
        {"level", supported_regs(&ours->table, 0, 0).eax},
        {"family", (eax >> 8 & 15) + (eax >> 20 & 0xff)},
        {"model", (eax >> 4 & 15) | (eax >> 12 & 0xf0)},
        {"stepping", eax & 15},
        {"xlevel", supported_regs(&ours->table, 0x80000000, 0).eax},
    };
    unsigned found = 0, first = supported_regs(&ours->table, 0, 0).eax ? 0 : 4;
    struct cpuid_regs brand[3];
    const char *model_id = cJSON_GetStringValue(cJSON_GetObjectItem(props, "model-id"));

    for (unsigned i = first; i < 4 + (numbers[4].have > 0); i++)
        found += differ(machine, model, numbers[i].name, numbers[i].have,
                        (uint64_t)cJSON_GetNumberValue(cJSON_GetObjectItem(props, numbers[i].name)));
    for (uint32_t i = 0; i < 3; i++)
        brand[i] = supported_regs(&ours->table, 0x80000002 + i, 0);
    if (numbers[4].have >= 0x80000004)
        found +=
            differ(machine, model, model_id, 0, strncmp((const char *)brand, model_id, sizeof(brand)) != 0);
    return found;
}

static unsigned compare_model(const char *machine, const char *model, const cJSON *props)
{
    static struct ours ours;
    char cpu[80];

    snprintf(cpu, sizeof(cpu), "%s,check=off,x-force-features=on", model);
    if (cpuid_for_flags(cpu, machine, NULL, cpuid_supported_tcg(), 0, &ours.table, &ours.outcome)) {
        fprintf(stderr, "%s, %s: %s\n", machine, model, ours.outcome.error.text);
        return 1;
    }
    return compare_features(machine, model, &ours, props) + compare_identity(machine, model, &ours, props);
}

static unsigned compare_machine(const char *machine)
{
    struct qemu_query qemu;
    char why[QMP_ERROR];
    cJSON *models, *item, *props;
    unsigned found = 0;

    cr_assert(eq(int, qemu_query_open(&qemu, machine, "tcg", why), 0), "%s: %s", machine, why);
    models = qemu_query_models(&qemu, why);
    cr_assert(models != NULL, "%s", why);
    cJSON_ArrayForEach(item, models)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(item, "name"));

        if (!strcmp(name, "host")) /* KVM's */
            continue;
        props = qemu_query_model(&qemu, name, NULL, why);
        cr_assert(props != NULL, "%s: %s", name, why);
        found += compare_model(machine, name, props);
        cJSON_Delete(props);
    }
    cJSON_Delete(models);
    qemu_query_close(&qemu);
    return found;
}

/* Every machine version that changes a CPU, its neighbours, and the two that are unlike the others. */
#define MACHINE_TEST(id, name)                                                                               \
    Test(models, M9_every_name_on_##id##_is_what_qemu_makes_of_it)                                           \
    {                                                                                                        \
        cr_assert(eq(u32, compare_machine(name), 0));                                                        \
    }
MACHINE_TEST(pc_1_4, "pc-i440fx-1.4")
MACHINE_TEST(pc_1_5, "pc-i440fx-1.5")
MACHINE_TEST(pc_1_6, "pc-i440fx-1.6")
MACHINE_TEST(pc_1_7, "pc-i440fx-1.7")
MACHINE_TEST(pc_2_1, "pc-i440fx-2.1")
MACHINE_TEST(pc_2_2, "pc-i440fx-2.2")
MACHINE_TEST(pc_2_3, "pc-i440fx-2.3")
MACHINE_TEST(q35_2_4, "pc-q35-2.4")
MACHINE_TEST(q35_2_7, "pc-q35-2.7")
MACHINE_TEST(pc_2_8, "pc-i440fx-2.8")
MACHINE_TEST(pc_2_11, "pc-i440fx-2.11")
MACHINE_TEST(pc_2_12, "pc-i440fx-2.12")
MACHINE_TEST(pc_3_0, "pc-i440fx-3.0")
MACHINE_TEST(pc_3_1, "pc-i440fx-3.1")
MACHINE_TEST(pc_4_0, "pc-i440fx-4.0")
MACHINE_TEST(pc_4_1, "pc-i440fx-4.1")
MACHINE_TEST(q35_6_0, "pc-q35-6.0")
MACHINE_TEST(pc_7_2, "pc-i440fx-7.2")
MACHINE_TEST(microvm, "microvm")

/* TCG hides what a model says of vme; gen_models and the rows up to 2.2 know it from here. */
static void compare_vme(const char *machine)
{
    static struct ours ours;
    struct qemu_query qemu;
    char why[QMP_ERROR], cpu[80];
    cJSON *models, *item, *props;

    if (qemu_query_open(&qemu, machine, "kvm", why))
        cr_skip_test("no KVM here: %s", why);
    models = qemu_query_models(&qemu, why);
    cJSON_ArrayForEach(item, models)
    {
        const char *name = cJSON_GetStringValue(cJSON_GetObjectItem(item, "name"));

        snprintf(cpu, sizeof(cpu), "%s,check=off,x-force-features=on", name);
        if (!strcmp(name, "host") || !strcmp(name, "max")) /* the processor's */
            continue;
        cr_assert(eq(
            int, cpuid_for_flags(cpu, machine, NULL, cpuid_supported_soft(), 0, &ours.table, &ours.outcome),
            0));
        props = qemu_query_model(&qemu, name, NULL, why);
        cr_assert(props != NULL, "%s", why);
        cr_expect(eq(u32,
                     differ(machine, name, "vme", (ours.outcome.granted[FW_1_EDX] & FEATURE_BIT(F_VME)) != 0,
                            cJSON_IsTrue(cJSON_GetObjectItem(props, "vme"))),
                     0));
        cJSON_Delete(props);
    }
    cJSON_Delete(models);
    qemu_query_close(&qemu);
}

Test(models, R1_vme_is_what_a_qemu_on_kvm_has)
{
    compare_vme("pc-i440fx-7.2");
}

Test(models, R1_vme_on_an_old_machine_is_what_a_qemu_on_kvm_has)
{
    compare_vme("pc-i440fx-2.2");
}
