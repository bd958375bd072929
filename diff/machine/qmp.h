/* A client of QEMU's machine protocol (docs/interop/qmp-spec.txt): one command at a time, every wait bounded. */
#ifndef DIFF_MACHINE_QMP_H
#define DIFF_MACHINE_QMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cjson/cJSON.h>

#define QMP_LINE_MAX (256u << 10) /* one message; a longer one is an error */
#define QMP_ERROR    200

/* All calls answer 0 or: -ETIMEDOUT, -EPIPE (the other side is gone), -EPROTO (it talks nonsense), -EREMOTEIO (it
 * refused the command), -ENOMEM; error then holds one line. After -ETIMEDOUT, -EPIPE and -EPROTO only qmp_close(). */
struct qmp {
    int fd; /* connected stream socket, owned; -1: closed */
    uint64_t last_id;
    char *line; /* QMP_LINE_MAX bytes that arrived and are not yet a whole message */
    size_t used;
    char version[64];                           /* "7.2.22 (Debian ...)", from the greeting */
    void (*event)(void *ctx, const char *name); /* may be NULL; called between answers, must not call back */
    void *ctx;
};

/* Greeting and qmp_capabilities. Owns fd from here on, on failure too. */
int qmp_open(struct qmp *qmp, int fd, unsigned timeout_ms, char error[QMP_ERROR]);
/* arguments (may be NULL) is consumed. *answer (may be NULL to drop it) is the "return" member, to be deleted. */
int qmp_execute(struct qmp *qmp, const char *command, cJSON *arguments, unsigned timeout_ms, cJSON **answer,
                char error[QMP_ERROR]);
/* Handles the events that have arrived, without waiting. */
int qmp_poll(struct qmp *qmp, char error[QMP_ERROR]);
void qmp_close(struct qmp *qmp);

#endif
