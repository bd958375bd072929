/* Migration of a QEMU to a file and into another QEMU, as libvirt's save and restore do it. QEMU docs/devel/migration. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "diff/machine/deadline.h"
#include "diff/machine/qemu_parts.h"

#define MIGRATE_MS 20000u

/* Both QEMUs map the same RAM, so that it need not travel. */
static int ignore_shared_ram(struct qemu *q)
{
    cJSON *arguments =
        cJSON_Parse("{\"capabilities\":[{\"capability\":\"x-ignore-shared\",\"state\":true}]}");

    return arguments
               ? qmp_execute(&q->qmp, "migrate-set-capabilities", arguments, QEMU_COMMAND_MS, NULL, q->error)
               : -ENOMEM;
}

static int command_with_uri(struct qemu *q, const char *command, const char *uri)
{
    cJSON *arguments = cJSON_CreateObject();

    if (!arguments || !cJSON_AddStringToObject(arguments, "uri", uri)) {
        cJSON_Delete(arguments);
        return -ENOMEM;
    }
    return qmp_execute(&q->qmp, command, arguments, QEMU_COMMAND_MS, NULL, q->error);
}

/* 1: completed; 0: not yet. */
static int look_at_migration(struct qemu *q)
{
    cJSON *answer = NULL;
    const char *status;
    int err = qmp_execute(&q->qmp, "query-migrate", NULL, QEMU_COMMAND_MS, &answer, q->error);

    if (err)
        return err;
    status = cJSON_GetStringValue(cJSON_GetObjectItem(answer, "status"));
    if (status && !strcmp(status, "completed"))
        err = 1;
    else if (status && (!strcmp(status, "failed") || !strcmp(status, "cancelled")))
        err = -EIO;
    cJSON_Delete(answer);
    return err;
}

static int wait_for_migration(struct qemu *q)
{
    uint64_t deadline = deadline_in_ms(MIGRATE_MS);
    int state;

    while (!(state = look_at_migration(q))) {
        if (deadline_passed(deadline))
            return -ETIMEDOUT;
        if (qemu_cancelled(q))
            return -EINTR;
        pause_us(1000);
    }
    return state < 0 ? state : 0;
}

static int send_to(struct qemu *q, const char *path)
{
    char uri[80];
    int err = ignore_shared_ram(q);

    q->paused = true; /* the guest stops at the end, and that is no fault */
    snprintf(uri, sizeof(uri), "exec:cat > %s", path);
    if (!err)
        err = command_with_uri(q, "migrate", uri);
    return err ? err : wait_for_migration(q);
}

static int receive_from(struct qemu *q, const char *path)
{
    char uri[80], why[240];
    bool refused;
    int err = qemu_launch(q, "defer", &refused, why);

    snprintf(uri, sizeof(uri), "exec:cat %s", path);
    if (!err)
        err = ignore_shared_ram(q);
    if (!err)
        err = command_with_uri(q, "migrate-incoming", uri);
    if (!err)
        err = wait_for_migration(q);
    q->fresh = false; /* it goes on: a reset is a reset */
    return err;
}

int qemu_migrate(struct qemu *q)
{
    bool running = !q->paused;
    char path[48];
    int fd = memfd_create("paravane-migration", MFD_CLOEXEC);
    int err;

    if (fd < 0)
        return -EIO;
    snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), fd);
    err = send_to(q, path);
    if (!err) {
        qemu_stop(q);
        err = receive_from(q, path);
    }
    if (!err && running)
        err = qemu_set_paused(q, false);
    close(fd);
    return err ? -EIO : 0;
}
