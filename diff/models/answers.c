/* The file of answers: a header, host records, answers. Read as hostile input. */
#include "diff/models/answers.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "diff/machine/machine.h"
#include "vmm/input_file.h"

#define SCHEMA      "paravane-models-1"
#define FIRST_BYTES "{\"schema\":\"" SCHEMA "\""
#define FILE_MAX    (256u << 20)
#define HOSTS_MAX   1000
#define ANSWERS_MAX (MODELS_MAX * VARIANTS_MAX)

static const char *text_of(const cJSON *object, const char *name)
{
    const char *text = cJSON_GetStringValue(cJSON_GetObjectItem(object, name));

    return text ? text : "";
}

/* False: there is none, or it is no number below the limit. */
static bool number_of(const cJSON *object, const char *name, unsigned limit, unsigned *number)
{
    const cJSON *item = cJSON_GetObjectItem(object, name);

    if (!cJSON_IsNumber(item) || !(item->valuedouble >= 0 && item->valuedouble < limit))
        return false;
    *number = (unsigned)item->valuedouble;
    return true;
}

/* What is read here is shown on terminals. */
static bool is_text(const char *text)
{
    while (*text == '\n' || *text == '\t' || ((unsigned char)*text >= ' ' && *text != 0x7f))
        text++;
    return !*text;
}

static bool copy_text(char *to, size_t size, const cJSON *object, const char *name)
{
    return snprintf(to, size, "%s", text_of(object, name)) < (int)size && is_text(to);
}

static void read_name(const struct cpuid_read *read, char name[24])
{
    snprintf(name, 24, "0x%x.%x", read->leaf, read->subleaf);
}

/* The leaves that these answers hold: an older file may have fewer than are read today. */
static bool take_reads(struct answers *answers, const cJSON *list)
{
    const cJSON *item = cJSON_IsArray(list) ? list->child : NULL;

    answers->read_count = 0;
    for (; item && answers->read_count < READS_MAX; item = item->next) {
        struct cpuid_read *read = &answers->reads[answers->read_count++];

        if (!cJSON_IsString(item) || sscanf(item->valuestring, "0x%8x.%8x", &read->leaf, &read->subleaf) != 2)
            return false;
    }
    return answers->read_count && !item;
}

static cJSON *reads_json(const struct answers *answers)
{
    cJSON *list = cJSON_CreateArray();
    char name[24];

    for (unsigned i = 0; i < answers->read_count; i++) {
        read_name(&answers->reads[i], name);
        cJSON_AddItemToArray(list, cJSON_CreateString(name));
    }
    return list;
}

/* Zeros are left out: most leaves of most models are. */
static cJSON *vcpu_json(const struct answers *answers, const struct cpuid_regs *regs)
{
    cJSON *object = cJSON_CreateObject();
    char name[24], value[40];

    for (unsigned i = 0; i < answers->read_count; i++, regs++) {
        if (!(regs->eax | regs->ebx | regs->ecx | regs->edx))
            continue;
        read_name(&answers->reads[i], name);
        snprintf(value, sizeof(value), "%08x %08x %08x %08x", regs->eax, regs->ebx, regs->ecx, regs->edx);
        cJSON_AddStringToObject(object, name, value);
    }
    return object;
}

static bool vcpu_from_json(const struct answers *answers, const cJSON *object, struct cpuid_regs *regs)
{
    unsigned found = 0;
    int size = cJSON_GetArraySize(object);
    char name[24];

    if (size > (int)answers->read_count) /* before it is searched for each */
        return false;
    for (unsigned i = 0; i < answers->read_count; i++) {
        const char *value;

        read_name(&answers->reads[i], name);
        value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
        regs[i] = (struct cpuid_regs){0};
        if (!value)
            continue;
        if (sscanf(value, "%8x %8x %8x %8x", &regs[i].eax, &regs[i].ebx, &regs[i].ecx, &regs[i].edx) != 4)
            return false;
        found++;
    }
    return found == (unsigned)size; /* nothing that we do not know */
}

/* After a line that could not be written whole none is: it would be taken for the rest of that one. */
static int write_line(struct answers *answers, cJSON *object)
{
    char *text = cJSON_PrintUnformatted(object);
    int err = !text ? -ENOMEM : ferror(answers->file) ? -EIO : 0;

    errno = EIO;
    if (!err && (fprintf(answers->file, "%s\n", text) < 0 || fflush(answers->file)))
        err = -errno;
    free(text);
    cJSON_Delete(object);
    return err;
}

static void answer_free(struct answer *answer)
{
    free(answer->messages);
    free(answer->regs);
}

static int append(struct answers *answers, const struct answer *answer)
{
    if (answers->count == ANSWERS_MAX)
        return -EINVAL; /* more than there are combinations: some are there twice */
    if (answers->count == answers->capacity) {
        unsigned capacity = answers->capacity ? 2 * answers->capacity : 64;
        struct answer *list = realloc(answers->list, capacity * sizeof(*list));

        if (!list)
            return -ENOMEM;
        answers->list = list;
        answers->capacity = capacity;
    }
    answers->list[answers->count++] = *answer;
    return 0;
}

static int append_host(struct answers *answers, const struct host_record *host)
{
    struct host_record *hosts = realloc(answers->hosts, (answers->host_count + 1) * sizeof(*hosts));

    if (!hosts)
        return -ENOMEM;
    answers->hosts = hosts;
    answers->hosts[answers->host_count++] = *host;
    return 0;
}

static int take_header(struct answers *answers, const cJSON *line)
{
    struct answers_origin *origin = &answers->origin;
    bool right = !strcmp(text_of(line, "schema"), SCHEMA) &&
                 take_reads(answers, cJSON_GetObjectItem(line, "reads")) &&
                 copy_text(origin->reference, sizeof(origin->reference), line, "reference") &&
                 copy_text(origin->machine, sizeof(origin->machine), line, "machine") &&
                 copy_text(origin->qemu, sizeof(origin->qemu), line, "qemu") &&
                 copy_text(origin->kernel, sizeof(origin->kernel), line, "kernel");

    answers->started = right;
    return right ? 0 : -EINVAL;
}

static int take_host(struct answers *answers, const cJSON *record)
{
    char message[160], *text = cJSON_PrintUnformatted(record);
    struct host_record *host = calloc(1, sizeof(*host));
    int err = text && host ? 0 : -ENOMEM;

    if (!err && answers->host_count == HOSTS_MAX)
        err = -EINVAL;
    if (!err)
        err = host_record_from_json(host, text, strlen(text), message);
    if (!err)
        err = append_host(answers, host);
    free(host);
    free(text);
    return err;
}

static int take_vcpus(const struct answers *answers, const cJSON *list, struct answer *answer)
{
    int count = cJSON_GetArraySize(list);
    unsigned v = 0;

    if (count != (answer->refused ? 0 : (int)smp_vcpus(answer->variant->smp)))
        return -EINVAL;
    answer->regs = calloc((size_t)count * answers->read_count + 1, sizeof(*answer->regs));
    if (!answer->regs)
        return -ENOMEM;
    for (const cJSON *vcpu = count ? list->child : NULL; vcpu; vcpu = vcpu->next, v++)
        if (!cJSON_IsObject(vcpu) ||
            !vcpu_from_json(answers, vcpu, answer->regs + (size_t)v * answers->read_count))
            return -EINVAL;
    answer->vcpus = v;
    return 0;
}

static int take_answer(struct answers *answers, const cJSON *line)
{
    struct answer answer = {.variant = variant_find(text_of(line, "variant")),
                            .refused = cJSON_IsTrue(cJSON_GetObjectItem(line, "refused")),
                            .aborted = cJSON_IsTrue(cJSON_GetObjectItem(line, "aborted"))};
    bool kernel = answers->origin.kernel[0];
    int err = -EINVAL;

    if (!answer.variant) /* of another version of ours: not what is compared today */
        return 0;
    if (!copy_text(answer.model, sizeof(answer.model), line, "model") || !answer.model[0] ||
        (kernel && !number_of(line, "host", answers->host_count, &answer.host)))
        return -EINVAL;
    answer.messages = strdup(text_of(line, "messages"));
    if (!answer.messages)
        err = -ENOMEM;
    else if (is_text(answer.messages))
        err = take_vcpus(answers, cJSON_GetObjectItem(line, "vcpus"), &answer);
    if (!err)
        err = append(answers, &answer);
    if (err)
        answer_free(&answer);
    return err;
}

static int take_line(struct answers *answers, const char *text, size_t len)
{
    cJSON *line = cJSON_ParseWithLength(text, len);
    const cJSON *host = cJSON_GetObjectItem(line, "host");
    int err = -EINVAL;

    if (line && !answers->started)
        err = take_header(answers, line);
    else if (line && cJSON_IsObject(host))
        err = take_host(answers, host);
    else if (line)
        err = take_answer(answers, line);
    cJSON_Delete(line);
    return err;
}

/* Ours, or the beginning of ours: a run may have ended while it wrote the first line. */
static bool begins_as_ours(const char *text, size_t size)
{
    size_t len = strlen(FIRST_BYTES);

    return !memcmp(text, FIRST_BYTES, size < len ? size : len);
}

/* Whole lines only: what follows the last one was being written when a run ended. *end is where it begins. */
static int take_lines(struct answers *answers, const char *text, size_t size, size_t *end, char why[240])
{
    unsigned number = 1;

    *end = 0;
    if (!begins_as_ours(text, size)) {
        snprintf(why, 240, "these are not answers that this version keeps");
        return -EINVAL;
    }
    for (; *end < size; number++) {
        const char *line = text + *end, *newline = memchr(line, '\n', size - *end);
        int err;

        if (!newline)
            break;
        err = take_line(answers, line, (size_t)(newline - line));
        if (err == -EINVAL)
            snprintf(why, 240, "line %u is damaged", number);
        if (err)
            return err;
        *end = (size_t)(newline - text) + 1;
    }
    return 0;
}

/* *end: of its last whole line. */
static int read_file(struct answers *answers, off_t *end, char why[240])
{
    struct stat st;
    size_t used = 0;
    char *text;
    int err = fstat(fileno(answers->file), &st) ? -errno : st.st_size > FILE_MAX ? -EFBIG : 0;

    if (err) {
        snprintf(why, 240, "%s", strerror(-err));
        return err;
    }
    text = malloc((size_t)st.st_size + 1);
    if (!text)
        return -ENOMEM;
    if (fread(text, 1, (size_t)st.st_size, answers->file) != (size_t)st.st_size) {
        snprintf(why, 240, "it cannot be read");
        err = -EIO;
    }
    if (!err)
        err = take_lines(answers, text, (size_t)st.st_size, &used, why);
    *end = (off_t)used;
    free(text);
    return err;
}

int answers_open(struct answers *answers, const char *path, enum answers_mode mode, char why[240])
{
    char reason[240] = "";
    const bool writes = mode != ANSWERS_READ;
    off_t end = 0;
    int err, fd;

    memset(answers, 0, sizeof(*answers));
    answers->read_count = reads_list(answers->reads);
    fd = input_file_open(path, writes ? O_RDWR | O_APPEND | O_CREAT : O_RDONLY, reason);
    if (fd < 0) {
        err = -errno;
        snprintf(why, 240, "%.150s: %.80s", path, reason);
        return err;
    }
    answers->file = fdopen(fd, writes ? "a+" : "r");
    if (!answers->file) {
        close(fd);
        return -ENOMEM;
    }
    if (writes && flock(fileno(answers->file), LOCK_EX | LOCK_NB)) {
        snprintf(why, 240, "%.150s: another run writes to it", path);
        answers_close(answers);
        return -EBUSY;
    }
    rewind(answers->file);
    err = mode == ANSWERS_FRESH && ftruncate(fileno(answers->file), 0) ? -errno
                                                                       : read_file(answers, &end, reason);
    if (!err && writes && ftruncate(fileno(answers->file), end))
        err = -errno;
    if (err) {
        snprintf(why, 240, "%.120s: %.60s; --fresh begins anew", path, *reason ? reason : strerror(-err));
        answers_close(answers);
    }
    return err;
}

static void forget(struct answers *answers)
{
    for (unsigned i = 0; i < answers->count; i++)
        answer_free(&answers->list[i]);
    free(answers->list);
    free(answers->hosts);
    answers->list = NULL;
    answers->hosts = NULL;
    answers->count = answers->capacity = answers->host_count = 0;
    answers->started = false;
}

int answers_add_host(struct answers *answers, const struct answers_origin *origin,
                     const struct host_record *host, unsigned *index, char why[240])
{
    cJSON *line, *record;
    char *text = NULL;
    int err = 0;

    if (answers->started && memcmp(&answers->origin, origin, sizeof(*origin))) {
        snprintf(why, 240,
                 "what is kept is of %.20s, %.36s %.30s, this is %.20s, %.36s %.30s: --fresh begins anew",
                 answers->origin.machine, answers->origin.qemu, answers->origin.kernel, origin->machine,
                 origin->qemu, origin->kernel);
        return -EINVAL;
    }
    if (!answers->started) {
        line = cJSON_CreateObject();
        cJSON_AddStringToObject(line, "schema", SCHEMA);
        cJSON_AddStringToObject(line, "reference", origin->reference);
        cJSON_AddStringToObject(line, "machine", origin->machine);
        cJSON_AddStringToObject(line, "qemu", origin->qemu);
        cJSON_AddStringToObject(line, "kernel", origin->kernel);
        cJSON_AddItemToObject(line, "reads", reads_json(answers));
        err = write_line(answers, line);
        answers->origin = *origin;
        answers->started = !err;
    }
    if (err || !host)
        return err;
    *index = answers->host_count;
    err = host_record_to_json(host, &text);
    record = err ? NULL : cJSON_Parse(text);
    free(text);
    line = cJSON_CreateObject();
    cJSON_AddItemToObject(line, "host", record);
    if (!err)
        err = append_host(answers, host);
    return err ? (cJSON_Delete(line), err) : write_line(answers, line);
}

int answers_add(struct answers *answers, const struct answer *answer)
{
    cJSON *line = cJSON_CreateObject(), *vcpus;
    int err;

    cJSON_AddStringToObject(line, "model", answer->model);
    cJSON_AddStringToObject(line, "variant", answer->variant->name);
    if (answers->origin.kernel[0])
        cJSON_AddNumberToObject(line, "host", answer->host);
    if (answer->refused)
        cJSON_AddTrueToObject(line, "refused");
    if (answer->aborted)
        cJSON_AddTrueToObject(line, "aborted");
    if (answer->messages && *answer->messages)
        cJSON_AddStringToObject(line, "messages", answer->messages);
    vcpus = cJSON_AddArrayToObject(line, "vcpus");
    for (unsigned v = 0; v < answer->vcpus; v++)
        cJSON_AddItemToArray(vcpus, vcpu_json(answers, answer->regs + (size_t)v * answers->read_count));
    err = write_line(answers, line);
    return err ? err : append(answers, answer);
}

const struct answer *answers_find(const struct answers *answers, const char *model,
                                  const struct variant *variant)
{
    for (unsigned i = 0; i < answers->count; i++)
        if (answers->list[i].variant == variant && !strcmp(answers->list[i].model, model))
            return &answers->list[i];
    return NULL;
}

int answers_models(const struct answers *answers, char (**models)[MODEL_NAME], unsigned *count)
{
    *count = 0;
    *models = calloc(MODELS_MAX, sizeof(**models));
    for (unsigned i = 0; *models && i < answers->count; i++) {
        unsigned m = 0;

        while (m < *count && strcmp((*models)[m], answers->list[i].model))
            m++;
        if (m == *count && m < MODELS_MAX)
            memcpy((*models)[(*count)++], answers->list[i].model, MODEL_NAME);
    }
    return *models ? 0 : -ENOMEM;
}

void answers_close(struct answers *answers)
{
    forget(answers);
    if (answers->file)
        fclose(answers->file);
    answers->file = NULL;
}
