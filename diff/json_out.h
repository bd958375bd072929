/* What a command's --json FILE wants. */
#ifndef DIFF_JSON_OUT_H
#define DIFF_JSON_OUT_H

#include <cjson/cJSON.h>

/* path: "-" is stdout. root is freed; NULL counts as no memory. 0 or -errno. */
int json_write(const char *path, cJSON *root);

#endif
