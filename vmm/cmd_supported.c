/* --supported: which host stands under the CPUID table. Reads host records (diff/machine/host_record.h's JSON). */
#include "vmm/cmd.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "vmm/input_file.h"

/* cJSON numbers are doubles: registers come as hex strings. */
static bool read_number(const cJSON *object, const char *key, uint64_t *number)
{
    const cJSON *item = cJSON_GetObjectItemCaseSensitive(object, key);
    char *end;

    if (cJSON_IsNumber(item) && item->valuedouble >= 0 && item->valuedouble <= 4294967295.0) {
        *number = (uint64_t)item->valuedouble;
        return true;
    }
    if (!cJSON_IsString(item))
        return false;
    errno = 0;
    *number = strtoull(item->valuestring, &end, 0);
    return !errno && end != item->valuestring && !*end;
}

static bool read_u32(const cJSON *object, const char *key, uint32_t *number)
{
    uint64_t wide;

    if (!read_number(object, key, &wide) || wide > UINT32_MAX)
        return false;
    *number = (uint32_t)wide;
    return true;
}

static bool read_entry(const cJSON *item, struct cpuid_entry *entry)
{
    *entry = (struct cpuid_entry){0};
    if (cJSON_HasObjectItem(item, "flags") && !read_u32(item, "flags", &entry->flags))
        return false;
    return read_u32(item, "leaf", &entry->leaf) && read_u32(item, "subleaf", &entry->subleaf) &&
           read_u32(item, "eax", &entry->regs.eax) && read_u32(item, "ebx", &entry->regs.ebx) &&
           read_u32(item, "ecx", &entry->regs.ecx) && read_u32(item, "edx", &entry->regs.edx);
}

static bool read_table(const cJSON *root, const char *key, struct cpuid_table *table, char why[160])
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(root, key), *item;

    table->count = 0;
    if (!cJSON_IsArray(list)) {
        snprintf(why, 160, "\"%s\" is missing or not a list", key);
        return false;
    }
    cJSON_ArrayForEach(item, list)
    {
        if (table->count == CPUID_ENTRIES || !read_entry(item, &table->entries[table->count])) {
            snprintf(why, 160, "entry %u of \"%s\" is one too many or lacks a register", table->count, key);
            return false;
        }
        table->count++;
    }
    return true;
}

static bool read_extensions(const cJSON *root, struct cpuid_supported *host, char why[160])
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "check_extension"), *item;

    if (!cJSON_IsObject(object)) {
        snprintf(why, 160, "\"check_extension\" is missing");
        return false;
    }
    cJSON_ArrayForEach(item, object)
    {
        unsigned long number = item->string ? strtoul(item->string, NULL, 0) : SUPPORTED_EXTENSIONS;
        if (!cJSON_IsNumber(item) || number >= SUPPORTED_EXTENSIONS) {
            snprintf(why, 160, "\"check_extension\" must map numbers below %d to numbers",
                     SUPPORTED_EXTENSIONS);
            return false;
        }
        host->extensions[number] = item->valueint;
    }
    return true;
}

static bool read_feature_msrs(const cJSON *root, struct cpuid_supported *host, char why[160])
{
    const cJSON *object = cJSON_GetObjectItemCaseSensitive(root, "feature_msrs"), *item;

    cJSON_ArrayForEach(item, object)
    {
        uint32_t i = host->feature_msr_count;
        if (i == SUPPORTED_MSRS || !item->string ||
            !read_number(object, item->string, &host->feature_msrs[i].value)) {
            snprintf(why, 160, "\"feature_msrs\" must map up to %d numbers to hex strings", SUPPORTED_MSRS);
            return false;
        }
        host->feature_msrs[i].index = (uint32_t)strtoul(item->string, NULL, 0);
        host->feature_msr_count++;
    }
    return true;
}

bool supported_from_json(struct cpuid_supported *host, const char *text, size_t len, char why[160])
{
    cJSON *root = cJSON_ParseWithLength(text, len);
    bool valid;

    memset(host, 0, sizeof(*host));
    host->accel = ACCEL_KVM;
    if (!root) {
        snprintf(why, 160, "not JSON");
        return false;
    }
    valid = read_table(root, "supported_cpuid", &host->supported, why) &&
            read_table(root, "host_cpuid", &host->host, why) &&
            (!cJSON_HasObjectItem(root, "hyperv_cpuid") ||
             read_table(root, "hyperv_cpuid", &host->hyperv, why)) &&
            read_extensions(root, host, why) && read_feature_msrs(root, host, why);
    if (valid && !read_u32(root, "tsc_khz", &host->tsc_khz)) {
        snprintf(why, 160, "\"tsc_khz\" is missing");
        valid = false;
    }
    cJSON_Delete(root);
    return valid;
}

#define RECORD_BYTES_MAX (4u << 20)

static int read_record(const char *path, struct cpuid_supported *host, char why[240])
{
    char message[160] = "", reason[INPUT_WHY];
    size_t len;
    char *text = input_file_read(path, RECORD_BYTES_MAX, &len, reason);
    int status = EXIT_DONE;

    if (!text) {
        snprintf(why, 240, "cannot read '%.100s': %s; give soft, qemu-7.2-tcg or a host record", path,
                 reason);
        status = EXIT_MISSING;
    } else if (!supported_from_json(host, text, len, message)) {
        snprintf(why, 240, "'%.60s' is no host record: %.120s", path, message);
        status = EXIT_USAGE;
    }
    free(text);
    return status;
}

int supported_by_name(const char *name, const struct vmm_options *options, struct cpuid_supported *storage,
                      const struct cpuid_supported **host, char why[240])
{
    bool tcg = options->accel_given && options->accel == ACCEL_TCG;
    int status = EXIT_DONE;

    *host = tcg ? cpuid_supported_tcg() : cpuid_supported_soft();
    if (!name && options->accel_given && options->accel == ACCEL_KVM) {
        snprintf(why, 240, "-accel kvm needs to know the kernel: add --supported FILE, a host record");
        return EXIT_MISSING;
    }
    if (!name || !strcmp(name, "soft")) {
        status = name && tcg ? EXIT_USAGE : EXIT_DONE;
    } else if (!strcmp(name, "qemu-7.2-tcg")) {
        *host = cpuid_supported_tcg();
        status = options->accel_given && !tcg ? EXIT_USAGE : EXIT_DONE;
    } else {
        *host = storage;
        status = tcg ? EXIT_USAGE : read_record(name, storage, why);
        if (status != EXIT_USAGE || !tcg)
            return status;
    }
    if (status == EXIT_USAGE)
        snprintf(why, 240, "--supported %.100s and the chosen accelerator contradict each other", name);
    return status;
}
