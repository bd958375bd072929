/* JSON to a file or to stdout; a disk that is full is an error of this run, not a shorter file (stdout: finish_output.h). */
#include "diff/json_out.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int json_write(const char *path, cJSON *root)
{
    bool to_stdout = !strcmp(path, "-");
    char *text = root ? cJSON_Print(root) : NULL;
    FILE *out = !text ? NULL : to_stdout ? stdout : fopen(path, "w");
    int err = !text ? -ENOMEM : !out ? -errno : 0;

    if (!err && fprintf(out, "%s\n", text) < 0 && !to_stdout)
        err = -errno;
    if (out && !to_stdout && fclose(out) && !err)
        err = -errno;
    free(text);
    cJSON_Delete(root);
    return err;
}
