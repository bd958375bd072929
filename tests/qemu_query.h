/* Asks a real QEMU what a CPU model is, without a guest: QMP's query-cpu-definitions and query-cpu-model-expansion. */
#ifndef TESTS_QEMU_QUERY_H
#define TESTS_QEMU_QUERY_H

#include <stdbool.h>
#include <cjson/cJSON.h>
#include "diff/machine/child.h"
#include "diff/machine/qmp.h"

struct qemu_query {
    struct child child;
    struct qmp qmp; /* version names the QEMU */
};

/* Starts QEMU stopped: machine as -machine takes it, accel "tcg" or "kvm". -errno and one line in why. */
int qemu_query_open(struct qemu_query *query, const char *machine, const char *accel, char why[QMP_ERROR]);
void qemu_query_close(struct qemu_query *query);
/* All models that -cpu takes, as an array of CpuDefinitionInfo; NULL and why. To be deleted. */
cJSON *qemu_query_models(struct qemu_query *query, char why[QMP_ERROR]);
/* The properties of a model as its definition, the accelerator's defaults and the machine's compatibility leave them:
 * no filter has seen them. changes (may be NULL) is consumed. NULL and why. To be deleted. */
cJSON *qemu_query_model(struct qemu_query *query, const char *model, cJSON *changes, char why[QMP_ERROR]);

#endif
