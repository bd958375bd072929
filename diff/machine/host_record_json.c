/* The host record as JSON and back: the keys of the record behind the recorded CPUID vectors. Values of up to 64 bits
 * are hex strings, because JSON numbers are doubles. */
#include "diff/machine/host_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>

#define INTEL_EBX 0x756e6547u /* "Genu" */

bool host_record_is_intel(const struct host_record *record)
{
    for (uint32_t i = 0; i < record->host.count; i++)
        if (record->host.entries[i].leaf == 0)
            return record->host.entries[i].regs.ebx == INTEL_EBX;
    return false;
}

static void add_hex(cJSON *object, const char *key, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof(text), "0x%" PRIx64, value);
    cJSON_AddStringToObject(object, key, text);
}

static void add_table(cJSON *root, const char *key, const struct cpuid_table *table)
{
    cJSON *list = cJSON_AddArrayToObject(root, key);

    for (uint32_t i = 0; i < table->count; i++) {
        const struct cpuid_entry *e = &table->entries[i];
        cJSON *row = cJSON_CreateObject();

        add_hex(row, "leaf", e->leaf);
        add_hex(row, "subleaf", e->subleaf);
        cJSON_AddNumberToObject(row, "flags", e->flags);
        add_hex(row, "eax", e->regs.eax);
        add_hex(row, "ebx", e->regs.ebx);
        add_hex(row, "ecx", e->regs.ecx);
        add_hex(row, "edx", e->regs.edx);
        cJSON_AddItemToArray(list, row);
    }
}

int host_record_to_json(const struct host_record *record, char **text)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *extensions, *msrs;
    char key[24];

    cJSON_AddStringToObject(root, "kernel_release", record->kernel_release);
    cJSON_AddStringToObject(root, "kvm_flavour", record->flavour);
    cJSON_AddStringToObject(root, "clocksource", record->clocksource);
    cJSON_AddStringToObject(root, "microcode", record->microcode);
    cJSON_AddStringToObject(root, "hypervisor", record->hypervisor);
    cJSON_AddStringToObject(root, "native", record->native_vmcall ? "vmcall" : "vmmcall");
    cJSON_AddNumberToObject(root, "tsc_khz", record->tsc_khz);
    add_table(root, "host_cpuid", &record->host);
    add_table(root, "supported_cpuid", &record->supported);
    if (record->hyperv.count)
        add_table(root, "hyperv_cpuid", &record->hyperv);
    extensions = cJSON_AddObjectToObject(root, "check_extension");
    for (int i = 0; i < SUPPORTED_EXTENSIONS; i++) {
        if (!record->extensions[i])
            continue;
        snprintf(key, sizeof(key), "%d", i);
        cJSON_AddNumberToObject(extensions, key, record->extensions[i]);
    }
    msrs = cJSON_AddObjectToObject(root, "feature_msrs");
    for (uint32_t i = 0; i < record->feature_msr_count; i++) {
        snprintf(key, sizeof(key), "0x%" PRIx32, record->feature_msrs[i].index);
        add_hex(msrs, key, record->feature_msrs[i].value);
    }
    *text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    return *text ? 0 : -ENOMEM;
}

static bool parse_hex(const char *text, uint64_t max, uint64_t *value)
{
    char *end;

    if (!text || text[0] != '0' || text[1] != 'x' || !text[2] || text[2] == '-' || strlen(text) > 18)
        return false;
    *value = strtoull(text + 2, &end, 16);
    return !*end && *value <= max;
}

static bool get_hex32(const cJSON *object, const char *key, uint32_t *out)
{
    uint64_t value;

    if (!parse_hex(cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, key)), UINT32_MAX, &value))
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool get_table(const cJSON *root, const char *key, struct cpuid_table *table)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key);
    const cJSON *row;

    if (!cJSON_IsArray(list))
        return false;
    cJSON_ArrayForEach(row, list)
    {
        struct cpuid_entry e = {0};
        const cJSON *flags = cJSON_GetObjectItemCaseSensitive(row, "flags"); /* native leaves may have none */

        if (table->count == CPUID_ENTRIES || !get_hex32(row, "leaf", &e.leaf) ||
            !get_hex32(row, "subleaf", &e.subleaf) || !get_hex32(row, "eax", &e.regs.eax) ||
            !get_hex32(row, "ebx", &e.regs.ebx) || !get_hex32(row, "ecx", &e.regs.ecx) ||
            !get_hex32(row, "edx", &e.regs.edx))
            return false;
        e.flags = cJSON_IsNumber(flags) && flags->valueint > 0 ? (uint32_t)flags->valueint : 0;
        if (e.leaf == 1)
            e.regs.ebx &= HOST_RECORD_LEAF1_EBX;
        table->entries[table->count++] = e;
    }
    return true;
}

static bool get_extensions(const cJSON *root, struct host_record *record)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "check_extension");
    const cJSON *item;

    if (!cJSON_IsObject(object))
        return false;
    cJSON_ArrayForEach(item, object)
    {
        char *end;
        unsigned long number = strtoul(item->string, &end, 10);

        if (end == item->string || *end || !cJSON_IsNumber(item))
            return false;
        if (number < SUPPORTED_EXTENSIONS) /* later kernels may have more */
            record->extensions[number] = item->valueint;
    }
    return true;
}

static bool get_feature_msrs(const cJSON *root, struct host_record *record)
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "feature_msrs");
    const cJSON *item;

    cJSON_ArrayForEach(item, object)
    {
        uint64_t index, value;

        if (record->feature_msr_count == sizeof(record->feature_msrs) / sizeof(record->feature_msrs[0]) ||
            !parse_hex(item->string, UINT32_MAX, &index) ||
            !parse_hex(cJSON_GetStringValue(item), UINT64_MAX, &value))
            return false;
        record->feature_msrs[record->feature_msr_count].index = (uint32_t)index;
        record->feature_msrs[record->feature_msr_count++].value = value;
    }
    return cJSON_IsObject(object);
}

static void get_text(const cJSON *root, const char *key, char *buf, size_t size)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(root, key));

    snprintf(buf, size, "%s", text ? text : "");
}

static bool get_native(const cJSON *root, struct host_record *record)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(root, "native");
    const char *name = cJSON_GetStringValue(item);

    if (!item) { /* older records: the vendor of the host decides */
        record->native_vmcall = host_record_is_intel(record);
        return true;
    }
    record->native_vmcall = name && !strcmp(name, "vmcall");
    return record->native_vmcall || (name && !strcmp(name, "vmmcall"));
}

static const char *parse_record(struct host_record *record, const cJSON *root)
{
    const cJSON *khz = cJSON_GetObjectItemCaseSensitive(root, "tsc_khz");

    get_text(root, "kernel_release", record->kernel_release, sizeof(record->kernel_release));
    get_text(root, "kvm_flavour", record->flavour, sizeof(record->flavour));
    get_text(root, "clocksource", record->clocksource, sizeof(record->clocksource));
    get_text(root, "microcode", record->microcode, sizeof(record->microcode));
    get_text(root, "hypervisor", record->hypervisor, sizeof(record->hypervisor));
    if (!cJSON_IsNumber(khz) || khz->valueint <= 0)
        return "tsc_khz must be a positive number";
    record->tsc_khz = (uint32_t)khz->valueint;
    if (!get_table(root, "supported_cpuid", &record->supported))
        return "supported_cpuid must be a list of at most 256 {leaf, subleaf, eax, ebx, ecx, edx} in \"0x\" strings";
    if (!get_table(root, "host_cpuid", &record->host))
        return "host_cpuid must be a list of at most 256 {leaf, subleaf, eax, ebx, ecx, edx} in \"0x\" strings";
    if (cJSON_HasObjectItem(root, "hyperv_cpuid") && !get_table(root, "hyperv_cpuid", &record->hyperv))
        return "hyperv_cpuid must be a list of at most 256 {leaf, subleaf, eax, ebx, ecx, edx} in \"0x\" strings";
    if (!get_extensions(root, record))
        return "check_extension must map numbers to numbers";
    if (!get_feature_msrs(root, record))
        return "feature_msrs must map at most 32 \"0x\" indices to \"0x\" values";
    if (!get_native(root, record))
        return "native must be vmcall or vmmcall";
    return NULL;
}

int host_record_from_json(struct host_record *record, const char *text, size_t len, char message[160])
{
    cJSON *root = cJSON_ParseWithLength(text, len);
    const char *wrong;

    *record = (struct host_record){0};
    wrong = cJSON_IsObject(root) ? parse_record(record, root) : "not a JSON object";
    cJSON_Delete(root);
    if (!wrong)
        return 0;
    snprintf(message, 160, "host record: %s", wrong);
    return -EINVAL;
}
