/* QEMU as a book of CPU models, over QMP. docs/interop/qmp-spec.txt; qapi/machine-target.json. */
#include "tests/qemu_query.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define LAUNCH_MS 30000u
#define ANSWER_MS 10000u

static void arguments(struct args *args, const char *machine, const char *accel, int fd)
{
    static const char *const fixed[] = {"qemu-system-x86_64", "-nodefaults", "-no-user-config",
                                        "-display",           "none",        "-S"};

    for (unsigned i = 0; i < sizeof(fixed) / sizeof(fixed[0]); i++)
        args_add(args, fixed[i]);
    args_add(args, "-machine");
    args_add(args, machine);
    args_add(args, "-accel");
    args_add(args, accel);
    args_add(args, "-chardev");
    args_addf(args, "socket,id=qmp,fd=%d", fd);
    args_add(args, "-mon");
    args_add(args, "chardev=qmp,mode=control");
}

int qemu_query_open(struct qemu_query *query, const char *machine, const char *accel, char why[QMP_ERROR])
{
    struct args args = {0};
    int fds[2], err;

    memset(query, 0, sizeof(*query));
    query->child.out_fd = -1;
    query->qmp.fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0) {
        snprintf(why, QMP_ERROR, "socketpair: %s", strerror(errno));
        return -errno;
    }
    arguments(&args, machine, accel, fds[1]);
    err = child_start(&query->child, &args, &fds[1], 1, true);
    close(fds[1]);
    args_free(&args);
    if (err) {
        close(fds[0]);
        snprintf(why, QMP_ERROR, "qemu-system-x86_64: %s", strerror(-err));
        return err;
    }
    err = qmp_open(&query->qmp, fds[0], LAUNCH_MS, why);
    if (err)
        qemu_query_close(query);
    return err;
}

void qemu_query_close(struct qemu_query *query)
{
    qmp_close(&query->qmp);
    child_kill(&query->child);
}

cJSON *qemu_query_models(struct qemu_query *query, char why[QMP_ERROR])
{
    cJSON *answer = NULL;

    qmp_execute(&query->qmp, "query-cpu-definitions", NULL, ANSWER_MS, &answer, why);
    return answer;
}

cJSON *qemu_query_model(struct qemu_query *query, const char *model, cJSON *changes, char why[QMP_ERROR])
{
    cJSON *arguments_object = cJSON_CreateObject(), *answer = NULL, *props;
    cJSON *asked = cJSON_AddObjectToObject(arguments_object, "model");

    cJSON_AddStringToObject(arguments_object, "type", "full");
    cJSON_AddStringToObject(asked, "name", model);
    if (changes)
        cJSON_AddItemToObject(asked, "props", changes);
    if (qmp_execute(&query->qmp, "query-cpu-model-expansion", arguments_object, ANSWER_MS, &answer, why))
        return NULL;
    props = cJSON_DetachItemFromObject(cJSON_GetObjectItem(answer, "model"), "props");
    cJSON_Delete(answer);
    if (!props)
        snprintf(why, QMP_ERROR, "an expansion without properties");
    return props;
}
