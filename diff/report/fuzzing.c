/* Reads fuzzing results, line by line, as hostile input: bounded, and nothing is taken on trust. */
#include "diff/report/fuzzing.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SCHEMA       "paravane-fuzz-run-1"
#define WORD_MAX     64
#define PATH_LONGEST 4200 /* the command around it: twice that */

struct reader {
    unsigned line;
    char *message; /* [200] */
};

static int refuse(const struct reader *reader, const char *what)
{
    snprintf(reader->message, 200, "line %u: %s", reader->line, what);
    return -EINVAL;
}

static int take_text(const struct reader *reader, const cJSON *object, const char *name, size_t longest,
                     char **to)
{
    const char *value = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, name));
    char what[100];

    if (!value || !*value || strlen(value) > longest) {
        snprintf(what, sizeof(what), "\"%s\" is to be a text of 1 to %zu bytes", name, longest);
        return refuse(reader, what);
    }
    *to = strdup(value);
    return *to ? 0 : -ENOMEM;
}

/* most: at most 2^53, so that a double holds every whole number up to it. */
static int take_number(const struct reader *reader, const cJSON *object, const char *name, double most,
                       double *to)
{
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(object, name);
    char what[100];

    /* A value that is no number fails both comparisons. */
    if (!cJSON_IsNumber(number) || !(number->valuedouble >= 0 && number->valuedouble <= most)) {
        snprintf(what, sizeof(what), "\"%s\" is to be a number from 0 to %.0f", name, most);
        return refuse(reader, what);
    }
    *to = number->valuedouble;
    return 0;
}

static int take_findings(const struct reader *reader, const cJSON *object, struct fuzz_result *result)
{
    const cJSON *list = cJSON_GetObjectItemCaseSensitive(object, "findings_list"), *item;
    int err = 0;

    if (!list)
        return 0;
    if (!cJSON_IsArray(list) || (uint32_t)cJSON_GetArraySize(list) > result->findings ||
        cJSON_GetArraySize(list) > FUZZING_FINDINGS_MAX)
        return refuse(reader, "\"findings_list\" is to be a list of at most \"findings\" entries");
    result->list = calloc((size_t)cJSON_GetArraySize(list) + 1, sizeof(*result->list));
    if (!result->list)
        return -ENOMEM;
    cJSON_ArrayForEach(item, list)
    {
        struct fuzz_finding *finding = &result->list[result->list_count++];

        err = take_text(reader, item, "file", PATH_LONGEST, &finding->file);
        if (!err)
            err = take_text(reader, item, "replay", 2 * PATH_LONGEST, &finding->replay);
        if (err)
            break;
    }
    return err;
}

static int take_result(const struct reader *reader, const cJSON *object, struct fuzz_result *result)
{
    const char *schema = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(object, "schema"));
    double jobs = 0, runs = 0, findings = 0;
    int err;

    if (!cJSON_IsObject(object) || !schema || strcmp(schema, SCHEMA))
        return refuse(reader, "not a result of pv-fuzz run --json (schema " SCHEMA ")");
    if ((err = take_text(reader, object, "target", WORD_MAX, &result->target)) ||
        (err = take_text(reader, object, "engine", WORD_MAX, &result->engine)) ||
        (err = take_number(reader, object, "seconds", 1e9, &result->seconds)) ||
        (err = take_number(reader, object, "jobs", 1e6, &jobs)) ||
        (err = take_number(reader, object, "runs", 0x1p53, &runs)) ||
        (err = take_number(reader, object, "findings", 1e6, &findings)))
        return err;
    result->jobs = (uint32_t)jobs;
    result->runs = (uint64_t)runs;
    result->findings = (uint32_t)findings;
    return take_findings(reader, object, result);
}

static int take_line(const struct reader *reader, const char *line, size_t length, struct fuzzing *fuzzing)
{
    cJSON *object = NULL;
    const char *end = NULL;
    int err;

    if (memchr(line, 0, length))
        return refuse(reader, "a zero byte: this is no text");
    if (fuzzing->count >= FUZZING_MAX)
        return refuse(reader, "too many results");
    object = cJSON_ParseWithLengthOpts(line, length, &end, false);
    if (!object || (size_t)(end - line) + strspn(end, " \t\r") < length) {
        cJSON_Delete(object);
        return refuse(reader, "not one JSON object");
    }
    err = take_result(reader, object, &fuzzing->results[fuzzing->count]);
    fuzzing->findings += fuzzing->results[fuzzing->count++].findings;
    cJSON_Delete(object);
    return err;
}

int fuzzing_parse(struct fuzzing *fuzzing, const char *text, size_t length, char message[200])
{
    struct reader reader = {.message = message};
    int err;

    *fuzzing = (struct fuzzing){.results = calloc(FUZZING_MAX, sizeof(*fuzzing->results))};
    err = fuzzing->results ? 0 : -ENOMEM;
    for (size_t at = 0; !err && at < length;) {
        const char *line = text + at, *newline = memchr(line, '\n', length - at);
        size_t size = newline ? (size_t)(newline - line) : length - at;
        bool blank = strspn(line, " \t\r") >= size;

        reader.line++;
        at += size + 1;
        if (!blank)
            err = take_line(&reader, line, size, fuzzing);
    }
    return err;
}

void fuzzing_free(struct fuzzing *fuzzing)
{
    for (uint32_t i = 0; i < fuzzing->count; i++) {
        struct fuzz_result *result = &fuzzing->results[i];

        for (uint32_t f = 0; f < result->list_count; f++) {
            free(result->list[f].file);
            free(result->list[f].replay);
        }
        free(result->list);
        free(result->target);
        free(result->engine);
    }
    free(fuzzing->results);
    *fuzzing = (struct fuzzing){0};
}

double fuzz_runs_per_second(const struct fuzz_result *result)
{
    return result->seconds > 0 ? (double)result->runs / result->seconds : 0;
}
