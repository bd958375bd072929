/* Reads the output folders of libFuzzer and AFL++. */
#include "fuzz/engine_output.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "fuzz/catalog.h"

#define INPUT_MAX (1u << 24)

typedef bool visit_fn(void *ctx, const char *path); /* false: stop */

static bool begins(const char *name, const char *prefix)
{
    return !strncmp(name, prefix, strlen(prefix));
}

static bool is_artifact(const char *folder, const char *name)
{
    const char *last = strrchr(folder, '/');

    if (last && (!strcmp(last, "/crashes") || !strcmp(last, "/hangs")))
        return begins(name, "id");
    return begins(name, "crash-") || begins(name, "timeout-") || begins(name, "oom-") ||
           begins(name, "leak-");
}

/* Three levels: raw, raw/job-N, raw/job-N/crashes. */
static bool visit_artifacts(const char *folder, unsigned depth, visit_fn *visit, void *ctx)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;
    bool on = true;

    while (dir && on && (entry = readdir(dir))) {
        char path[PATH_MAX];

        if (entry->d_name[0] == '.' || !path_format(path, "%s/%s", folder, entry->d_name))
            continue;
        if (entry->d_type == DT_DIR && depth > 0)
            on = visit_artifacts(path, depth - 1, visit, ctx);
        else if (entry->d_type == DT_REG && is_artifact(folder, entry->d_name))
            on = visit(ctx, path);
    }
    if (dir)
        closedir(dir);
    return on;
}

static bool stop_at_first(void *ctx, const char *path)
{
    (void)path;
    *(bool *)ctx = true;
    return false;
}

bool engine_has_findings(const char *raw)
{
    bool found = false;

    visit_artifacts(raw, 2, stop_at_first, &found);
    return found;
}

static bool remove_artifact(void *ctx, const char *path)
{
    (void)ctx;
    unlink(path);
    return true;
}

void engine_forget(const char *raw)
{
    visit_artifacts(raw, 2, remove_artifact, NULL);
    for (unsigned job = 0; job < 64; job++) {
        char path[PATH_MAX];

        if (path_format(path, "%s/job-%u.log", raw, job))
            unlink(path);
    }
}

static uint8_t *read_file(const char *path, size_t *len)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = file ? malloc(INPUT_MAX) : NULL;

    *len = data ? fread(data, 1, INPUT_MAX, file) : 0;
    if (file)
        fclose(file);
    return data;
}

static uint64_t hash_bytes(const uint8_t *data, size_t len)
{
    uint64_t hash = 14695981039346656037ull; /* FNV-1a */

    for (size_t i = 0; i < len; i++)
        hash = (hash ^ data[i]) * 1099511628211ull;
    return hash;
}

struct collect {
    const char *findings, *target;
    struct found *found;
};

static bool is_kept(const struct found *found, const char *name)
{
    for (unsigned i = 0; i < found->count && i < FOUND_MAX; i++)
        if (!strcmp(found->names[i], name))
            return true;
    return false;
}

static bool write_file(const char *path, const uint8_t *data, size_t len)
{
    FILE *file = fopen(path, "wb");
    bool written = file && fwrite(data, 1, len, file) == len;

    return file && !fclose(file) && written;
}

static bool collect_one(void *ctx, const char *path)
{
    struct collect *collect = ctx;
    struct found *found = collect->found;
    char to[PATH_MAX], name[FOUND_NAME];
    size_t len;
    uint8_t *data = read_file(path, &len);

    if (!data)
        return true;
    snprintf(name, sizeof(name), "%.40s-%016" PRIx64, collect->target, hash_bytes(data, len));
    if (!is_kept(found, name) && path_format(to, "%s/%s", collect->findings, name) &&
        write_file(to, data, len)) {
        if (found->count < FOUND_MAX)
            strcpy(found->names[found->count], name);
        found->count++;
    }
    free(data);
    return true;
}

void engine_collect(const char *raw, const char *findings, const char *target, struct found *found)
{
    struct collect collect = {findings, target, found};

    found->count = 0;
    visit_artifacts(raw, 2, collect_one, &collect);
}

/* Sums the number after `key` over the lines of a file that begin with it. */
static uint64_t sum_after(const char *path, const char *key)
{
    FILE *file = fopen(path, "r");
    uint64_t sum = 0;
    char line[512];

    while (file && fgets(line, sizeof(line), file))
        if (begins(line, key))
            sum += strtoull(line + strlen(key) + strspn(line + strlen(key), " :"), NULL, 10);
    if (file)
        fclose(file);
    return sum;
}

uint64_t engine_runs(const char *raw)
{
    uint64_t runs = 0;

    for (unsigned job = 0; job < 64; job++) {
        char path[PATH_MAX];

        if (path_format(path, "%s/job-%u.log", raw, job))
            runs += sum_after(path, "stat::number_of_executed_units:");
        if (path_format(path, "%s/job-%u/fuzzer_stats", raw, job))
            runs += sum_after(path, "execs_done");
    }
    return runs;
}

void engine_last_line(const char *raw, char *line, size_t size)
{
    char path[PATH_MAX], buf[512];
    FILE *file;

    line[0] = 0;
    if (!path_format(path, "%s/job-0.log", raw) || !(file = fopen(path, "r")))
        return;
    if (fseek(file, -(long)sizeof(buf), SEEK_END))
        rewind(file);
    while (fgets(buf, sizeof(buf), file)) {
        buf[strcspn(buf, "\r\n")] = 0;
        if (buf[0])
            snprintf(line, size, "%.*s", (int)size - 1, buf + strspn(buf, " \t"));
    }
    fclose(file);
}
