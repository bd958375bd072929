/* Speaks QMP over a stream socket; what comes back is hostile input. docs/interop/qmp-spec.txt of QEMU. */
#include "diff/machine/qmp.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "diff/machine/deadline.h"

#define POLL_MESSAGES_MAX 64 /* handled per qmp_poll(): a storm must not keep the caller */

__attribute__((format(printf, 3, 4))) static int fail(char error[QMP_ERROR], int err, const char *format, ...)
{
    va_list ap;

    va_start(ap, format);
    vsnprintf(error, QMP_ERROR, format, ap);
    va_end(ap);
    return err;
}

static int wait_for(struct qmp *qmp, short events, uint64_t deadline, char error[QMP_ERROR])
{
    struct pollfd pfd = {.fd = qmp->fd, .events = events};

    for (;;) {
        int left = deadline_left_ms(deadline);
        int ready = left ? poll(&pfd, 1, left) : 0;

        if (ready > 0)
            return 0;
        if (ready == 0)
            return fail(error, -ETIMEDOUT, "QMP: no answer in time");
        if (errno != EINTR)
            return fail(error, -EPIPE, "QMP: poll: %s", strerror(errno));
    }
}

static int send_all(struct qmp *qmp, const char *text, size_t len, uint64_t deadline, char error[QMP_ERROR])
{
    while (len) {
        ssize_t sent = send(qmp->fd, text, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent > 0) {
            text += sent;
            len -= (size_t)sent;
            continue;
        }
        if (errno != EAGAIN && errno != EINTR)
            return fail(error, -EPIPE, "QMP: the connection is closed: %s", strerror(errno));
        int err = wait_for(qmp, POLLOUT, deadline, error);
        if (err)
            return err;
    }
    return 0;
}

/* The next message if a whole line is there, else NULL in *message. */
static int take_line(struct qmp *qmp, cJSON **message, char error[QMP_ERROR])
{
    char *end = memchr(qmp->line, '\n', qmp->used);
    size_t len;

    *message = NULL;
    if (!end)
        return qmp->used < QMP_LINE_MAX
                   ? 0
                   : fail(error, -EPROTO, "QMP: a message of more than %u bytes", QMP_LINE_MAX);
    len = (size_t)(end - qmp->line) + 1;
    *message = cJSON_ParseWithLength(qmp->line, len);
    if (!cJSON_IsObject(*message)) {
        int shown = len > 40 ? 40 : (int)len - 1;

        cJSON_Delete(*message);
        *message = NULL;
        for (int i = 0; i < shown; i++)
            if (qmp->line[i] < ' ' || qmp->line[i] > '~')
                qmp->line[i] = '.';
        return fail(error, -EPROTO, "QMP: not a message: %.*s", shown, qmp->line);
    }
    qmp->used -= len;
    memmove(qmp->line, qmp->line + len, qmp->used);
    return 0;
}

/* What has arrived, without waiting. 0 also when nothing had. */
static int receive(struct qmp *qmp, char error[QMP_ERROR])
{
    ssize_t got = recv(qmp->fd, qmp->line + qmp->used, QMP_LINE_MAX - qmp->used, MSG_DONTWAIT);

    if (got > 0) {
        qmp->used += (size_t)got;
        return 0;
    }
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return fail(error, -EPIPE, "QMP: QEMU closed the connection");
}

static int next_message(struct qmp *qmp, uint64_t deadline, cJSON **message, char error[QMP_ERROR])
{
    for (;;) {
        int err = take_line(qmp, message, error);

        if (err || *message)
            return err;
        err = wait_for(qmp, POLLIN, deadline, error);
        if (!err)
            err = receive(qmp, error);
        if (err)
            return err;
    }
}

static bool handle_event(struct qmp *qmp, const cJSON *message)
{
    const char *name = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "event"));

    if (name && qmp->event)
        qmp->event(qmp->ctx, name);
    return name;
}

/* Events come at any time; the first message that is none must carry our id. The deadline is for all of them. */
static int next_answer(struct qmp *qmp, uint64_t deadline, cJSON **message, char error[QMP_ERROR])
{
    for (;;) {
        int err = next_message(qmp, deadline, message, error);

        if (err || !handle_event(qmp, *message))
            return err;
        cJSON_Delete(*message);
        *message = NULL;
        if (deadline_passed(deadline))
            return fail(error, -ETIMEDOUT, "QMP: events, but no answer in time");
    }
}

static void version_text(struct qmp *qmp, const cJSON *greeting)
{
    const cJSON *version = cJSON_GetObjectItemCaseSensitive(greeting, "version");
    const cJSON *number = cJSON_GetObjectItemCaseSensitive(version, "qemu");
    const char *package = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(version, "package"));
    int part[3];
    static const char *const names[3] = {"major", "minor", "micro"};

    for (int i = 0; i < 3; i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(number, names[i]);

        part[i] = cJSON_IsNumber(item) ? item->valueint : 0;
    }
    snprintf(qmp->version, sizeof(qmp->version), package && *package ? "%d.%d.%d (%s)" : "%d.%d.%d", part[0],
             part[1], part[2], package);
}

int qmp_open(struct qmp *qmp, int fd, unsigned timeout_ms, char error[QMP_ERROR])
{
    void (*event)(void *, const char *) = qmp->event;
    cJSON *message = NULL;
    const cJSON *greeting;
    int err;

    *qmp = (struct qmp){.fd = fd, .event = event, .ctx = qmp->ctx, .line = malloc(QMP_LINE_MAX)};
    if (!qmp->line) {
        close(fd);
        return fail(error, -ENOMEM, "QMP: out of memory");
    }
    err = next_message(qmp, deadline_in_ms(timeout_ms), &message, error);
    if (err)
        return err;
    greeting = cJSON_GetObjectItemCaseSensitive(message, "QMP");
    if (cJSON_IsObject(greeting))
        version_text(qmp, greeting);
    else
        err = fail(error, -EPROTO, "QMP: no greeting came first");
    cJSON_Delete(message);
    return err ? err : qmp_execute(qmp, "qmp_capabilities", NULL, timeout_ms, NULL, error);
}

static int send_command(struct qmp *qmp, const char *command, cJSON *arguments, uint64_t deadline,
                        char error[QMP_ERROR])
{
    cJSON *message = cJSON_CreateObject();
    char id[24];
    char *text;
    int err;

    snprintf(id, sizeof(id), "%" PRIu64, ++qmp->last_id); /* a string: cJSON's numbers are doubles */
    cJSON_AddStringToObject(message, "execute", command);
    cJSON_AddStringToObject(message, "id", id);
    if (arguments)
        cJSON_AddItemToObject(message, "arguments", arguments);
    text = cJSON_PrintUnformatted(message);
    cJSON_Delete(message);
    if (!text)
        return fail(error, -ENOMEM, "QMP: out of memory");
    err = send_all(qmp, text, strlen(text), deadline, error);
    if (!err)
        err = send_all(qmp, "\n", 1, deadline, error);
    cJSON_free(text);
    return err;
}

static int judge_answer(struct qmp *qmp, const char *command, cJSON *message, cJSON **answer,
                        char error[QMP_ERROR])
{
    const char *id = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(message, "id"));
    const cJSON *refusal = cJSON_GetObjectItemCaseSensitive(message, "error");
    char expected[24];

    snprintf(expected, sizeof(expected), "%" PRIu64, qmp->last_id);
    if (refusal) { /* has no id when QEMU could not read the command */
        const char *why = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(refusal, "desc"));

        return fail(error, -EREMOTEIO, "QMP: %s: %.120s", command, why ? why : "refused");
    }
    if (!id || strcmp(id, expected))
        return fail(error, -EPROTO, "QMP: %s: the answer is for id %.20s, not %s", command,
                    id ? id : "(none)", expected);
    if (!cJSON_HasObjectItem(message, "return"))
        return fail(error, -EPROTO, "QMP: %s: an answer that says neither return nor error", command);
    if (answer)
        *answer = cJSON_DetachItemFromObjectCaseSensitive(message, "return");
    return 0;
}

int qmp_execute(struct qmp *qmp, const char *command, cJSON *arguments, unsigned timeout_ms, cJSON **answer,
                char error[QMP_ERROR])
{
    uint64_t deadline = deadline_in_ms(timeout_ms);
    cJSON *message = NULL;
    int err = send_command(qmp, command, arguments, deadline, error);

    if (!err)
        err = next_answer(qmp, deadline, &message, error);
    if (!err)
        err = judge_answer(qmp, command, message, answer, error);
    cJSON_Delete(message);
    return err;
}

int qmp_poll(struct qmp *qmp, char error[QMP_ERROR])
{
    struct pollfd pfd = {.fd = qmp->fd, .events = POLLIN};

    if (poll(&pfd, 1, 0) > 0) {
        int err = receive(qmp, error);

        if (err)
            return err;
    }
    for (int i = 0; i < POLL_MESSAGES_MAX; i++) {
        cJSON *message = NULL;
        int err = take_line(qmp, &message, error);

        if (err || !message)
            return err;
        if (!handle_event(qmp, message))
            err = fail(error, -EPROTO, "QMP: an answer that nobody asked for");
        cJSON_Delete(message);
        if (err)
            return err;
    }
    return 0;
}

void qmp_close(struct qmp *qmp)
{
    if (qmp->line && qmp->fd >= 0) /* a zeroed struct was never opened */
        close(qmp->fd);
    free(qmp->line);
    qmp->line = NULL;
    qmp->fd = -1;
    qmp->used = 0;
}
