/* Writes the -cpu strings of recorded QEMU runs (QEMU flags specification section 18) as seeds of fuzz_flags. */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* 0, or 1 with a message. */
static int write_seed(const char *folder, unsigned line, const char *cpu)
{
    char path[4096];
    FILE *file = snprintf(path, sizeof(path), "%s/vector-%u", folder, line) < (int)sizeof(path)
                     ? fopen(path, "wb")
                     : NULL;
    int err = !file || fputs(cpu, file) < 0;

    if (file && fclose(file))
        err = 1;
    if (err)
        perror(path);
    return err;
}

/* Where a run has several, the last one counts (P1) and is the seed. */
static int write_seeds(const char *folder, unsigned line, const cJSON *args)
{
    const cJSON *arg;

    cJSON_ArrayForEach(arg, args)
    {
        const char *option = cJSON_GetStringValue(arg), *cpu = cJSON_GetStringValue(arg->next);

        if (option && cpu && !strcmp(option, "-cpu") && write_seed(folder, line, cpu))
            return 1;
    }
    return 0;
}

int main(int argc, char **argv)
{
    char *text = NULL;
    size_t size = 0;
    ssize_t len;
    int err = 0;
    FILE *vectors = argc == 3 ? fopen(argv[1], "r") : NULL;

    if (!vectors) {
        fprintf(stderr, "usage: gen_flags_seeds VECTORS.jsonl FOLDER\n");
        return 1;
    }
    for (unsigned line = 0; !err && (len = getline(&text, &size, vectors)) > 0; line++) {
        cJSON *vector = cJSON_ParseWithLength(text, (size_t)len);

        err = write_seeds(argv[2], line, cJSON_GetObjectItem(vector, "args"));
        cJSON_Delete(vector);
    }
    free(text);
    fclose(vectors);
    return err;
}
