/* machine_info as JSON, for the store. */
#ifndef DIFF_REPORT_MACHINE_JSON_H
#define DIFF_REPORT_MACHINE_JSON_H

#include "diff/machine/machine.h"

int machine_info_to_json(const struct machine_info *info, char **text);
int machine_info_from_json(struct machine_info *info, const char *text);

#endif
