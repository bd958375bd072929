/* Provenance of a machine in and out of JSON; the host record keeps its own form inside. */
#include "diff/report/machine_json.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Our own machine on a host without KVM has none. */
static bool has_host(const struct host_record *host)
{
    return host->supported.count || host->host.count;
}

static int add_host(cJSON *object, const struct host_record *host)
{
    char *text = NULL;
    int err = has_host(host) ? host_record_to_json(host, &text) : 0;

    if (!err && text)
        cJSON_AddItemToObject(object, "host", cJSON_CreateRaw(text));
    cJSON_AddBoolToObject(object, "tcg", host->tcg);
    cJSON_AddNumberToObject(object, "tsc_khz", host->tsc_khz);
    cJSON_AddStringToObject(object, "clocksource", host->clocksource);
    free(text);
    return err;
}

int machine_info_to_json(const struct machine_info *info, char **text)
{
    cJSON *object = cJSON_CreateObject();
    int err;

    *text = NULL;
    cJSON_AddStringToObject(object, "qemu_version", info->qemu_version);
    cJSON_AddStringToObject(object, "kernel_release", info->kernel_release);
    cJSON_AddStringToObject(object, "detail", info->detail);
    cJSON_AddNumberToObject(object, "needs", info->needs);
    cJSON_AddNumberToObject(object, "boots", info->boots);
    cJSON_AddNumberToObject(object, "boot_retries", info->boot_retries);
    err = add_host(object, &info->host);
    *text = err ? NULL : cJSON_PrintUnformatted(object);
    cJSON_Delete(object);
    return err ? err : *text ? 0 : -ENOMEM;
}

static void take_string(const cJSON *object, const char *name, char *to, size_t size)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));

    snprintf(to, size, "%s", value ? value : "");
}

static unsigned take_count(const cJSON *object, const char *name)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);

    return cJSON_IsNumber(number) && number->valuedouble >= 0 && number->valuedouble < 1e9
               ? (unsigned)number->valuedouble
               : 0;
}

static int take_host(const cJSON *object, struct host_record *host)
{
    const cJSON *member = cJSON_GetObjectItemCaseSensitive(object, "host");
    char *text = cJSON_PrintUnformatted(member), message[160];
    int err = text ? host_record_from_json(host, text, strlen(text), message) : member ? -ENOMEM : 0;

    if (!member) {
        host->tsc_khz = take_count(object, "tsc_khz");
        take_string(object, "clocksource", host->clocksource, sizeof(host->clocksource));
    }
    host->tcg = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(object, "tcg"));
    free(text);
    return err;
}

int machine_info_from_json(struct machine_info *info, const char *text)
{
    cJSON *object = cJSON_Parse(text);
    int err;

    memset(info, 0, sizeof(*info));
    if (!cJSON_IsObject(object)) {
        cJSON_Delete(object);
        return -EINVAL;
    }
    take_string(object, "qemu_version", info->qemu_version, sizeof(info->qemu_version));
    take_string(object, "kernel_release", info->kernel_release, sizeof(info->kernel_release));
    take_string(object, "detail", info->detail, sizeof(info->detail));
    info->needs = take_count(object, "needs");
    info->boots = take_count(object, "boots");
    info->boot_retries = take_count(object, "boot_retries");
    err = take_host(object, &info->host);
    cJSON_Delete(object);
    return err;
}
