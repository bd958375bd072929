/* The QMP client against servers that misbehave in every way a stream allows. docs/interop/qmp-spec.txt of QEMU. */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "diff/machine/qmp.h"

#define GREETING                                                                                             \
    "{\"QMP\":{\"version\":{\"qemu\":{\"micro\":22,\"minor\":2,\"major\":7},\"package\":\"Debian\"}}}\r\n"
#define READY   GREETING "{\"return\":{},\"id\":\"1\"}\r\n"
#define EVENT   "{\"event\":\"STOP\",\"timestamp\":{\"seconds\":1,\"microseconds\":2}}\r\n"
#define SOON_MS 50u    /* where the answer never comes */
#define LONG_MS 20000u /* where it is there already */

struct talk {
    int server;
    struct qmp qmp;
    char error[QMP_ERROR];
    unsigned events;
};

static void count_event(void *ctx, const char *name)
{
    struct talk *t = ctx;

    t->events += !strcmp(name, "STOP");
}

static void say(struct talk *t, const char *text)
{
    cr_assert(eq(sz, (size_t)write(t->server, text, strlen(text)), strlen(text)));
}

/* What the server says is written beforehand: ids count from 1, so it can be known. */
static int talk_open(struct talk *t, const char *script, unsigned timeout_ms)
{
    int fds[2];

    *t = (struct talk){0};
    cr_assert(eq(int, socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0));
    t->server = fds[1];
    t->qmp.event = count_event;
    t->qmp.ctx = t;
    say(t, script);
    return qmp_open(&t->qmp, fds[0], timeout_ms, t->error);
}

static void talk_close(struct talk *t)
{
    qmp_close(&t->qmp);
    close(t->server);
}

Test(qmp, greeting_and_capabilities)
{
    struct talk t;

    cr_assert(eq(int, talk_open(&t, READY, LONG_MS), 0), "%s", t.error);
    cr_assert(eq(str, t.qmp.version, "7.2.22 (Debian)"));
    talk_close(&t);
}

Test(qmp, an_answer_with_events_before_it)
{
    struct talk t;
    cJSON *answer = NULL;

    cr_assert(eq(int,
                 talk_open(&t, READY EVENT EVENT "{\"return\":{\"running\":true},\"id\":\"2\"}\r\n", LONG_MS),
                 0));
    cr_assert(eq(int, qmp_execute(&t.qmp, "query-status", NULL, LONG_MS, &answer, t.error), 0), "%s",
              t.error);
    cr_assert(cJSON_IsTrue(cJSON_GetObjectItem(answer, "running")));
    cr_assert(eq(uint, t.events, 2));
    cJSON_Delete(answer);
    talk_close(&t);
}

Test(qmp, a_refusal_carries_its_words)
{
    struct talk t;

    talk_open(&t, READY "{\"error\":{\"class\":\"GenericError\",\"desc\":\"no such disk\"},\"id\":\"2\"}\n",
              LONG_MS);
    cr_assert(eq(int, qmp_execute(&t.qmp, "eject", NULL, LONG_MS, NULL, t.error), -EREMOTEIO));
    cr_assert(eq(str, t.error, "QMP: eject: no such disk"));
    talk_close(&t);
}

Test(qmp, events_are_handled_between_commands)
{
    struct talk t;

    talk_open(&t, READY EVENT, LONG_MS);
    cr_assert(eq(int, qmp_poll(&t.qmp, t.error), 0));
    cr_assert(eq(uint, t.events, 1));
    talk_close(&t);
}

/* One Test per row: parameterised cases would share a name. */
#define REFUSED_OPEN(name, script, timeout, expected, words)                                                 \
    Test(qmp, name)                                                                                          \
    {                                                                                                        \
        struct talk t;                                                                                       \
        cr_assert(eq(int, talk_open(&t, script, timeout), expected), "%s", t.error);                         \
        cr_assert(strstr(t.error, words) != NULL, "%s", t.error);                                            \
        talk_close(&t);                                                                                      \
    }
REFUSED_OPEN(a_server_that_never_speaks, "", SOON_MS, -ETIMEDOUT, "no answer in time")
REFUSED_OPEN(a_greeting_that_never_ends, "{\"QMP\":", SOON_MS, -ETIMEDOUT, "no answer in time")
REFUSED_OPEN(nonsense_for_a_greeting, "SSH-2.0-\x01OpenSSH\n", LONG_MS, -EPROTO,
             "not a message: SSH-2.0-.OpenSSH")
REFUSED_OPEN(an_empty_line, "\n", LONG_MS, -EPROTO, "not a message")
REFUSED_OPEN(a_list_for_a_greeting, "[1]\n", LONG_MS, -EPROTO, "not a message")
REFUSED_OPEN(something_else_first, "{\"return\":{}}\n", LONG_MS, -EPROTO, "no greeting")
REFUSED_OPEN(a_greeting_with_hostile_version, "{\"QMP\":{\"version\":{\"qemu\":[],\"package\":7}}}\n",
             SOON_MS, -ETIMEDOUT, "no answer")

#define REFUSED_ANSWER(name, script, timeout, expected, words)                                               \
    Test(qmp, name)                                                                                          \
    {                                                                                                        \
        struct talk t;                                                                                       \
        cr_assert(eq(int, talk_open(&t, READY script, LONG_MS), 0));                                         \
        cr_assert(eq(int, qmp_execute(&t.qmp, "stop", NULL, timeout, NULL, t.error), expected), "%s",        \
                  t.error);                                                                                  \
        cr_assert(strstr(t.error, words) != NULL, "%s", t.error);                                            \
        talk_close(&t);                                                                                      \
    }
REFUSED_ANSWER(a_wrong_id, "{\"return\":{},\"id\":\"77\"}\n", LONG_MS, -EPROTO, "for id 77, not 2")
REFUSED_ANSWER(a_number_for_an_id, "{\"return\":{},\"id\":2}\n", LONG_MS, -EPROTO, "for id (none)")
REFUSED_ANSWER(no_id, "{\"return\":{}}\n", LONG_MS, -EPROTO, "for id (none)")
REFUSED_ANSWER(neither_return_nor_error, "{\"id\":\"2\"}\n", LONG_MS, -EPROTO, "neither")
REFUSED_ANSWER(an_error_without_words, "{\"error\":3}\n", LONG_MS, -EREMOTEIO, "stop: refused")
REFUSED_ANSWER(silence, "", SOON_MS, -ETIMEDOUT, "no answer in time")

Test(qmp, an_answer_that_nobody_asked_for)
{
    struct talk t;

    talk_open(&t, READY "{\"return\":{},\"id\":\"1\"}\n", LONG_MS);
    cr_assert(eq(int, qmp_poll(&t.qmp, t.error), -EPROTO));
    talk_close(&t);
}

Test(qmp, a_closed_connection)
{
    struct talk t;

    talk_open(&t, READY, LONG_MS);
    close(t.server);
    cr_assert(eq(int, qmp_execute(&t.qmp, "stop", NULL, LONG_MS, NULL, t.error), -EPIPE));
    cr_assert(eq(int, qmp_poll(&t.qmp, t.error), -EPIPE));
    qmp_close(&t.qmp);
}

/* A server in a process of its own that repeats one text until nobody listens. */
static pid_t repeat(struct talk *t, const char *text)
{
    pid_t pid = fork();

    cr_assert(pid >= 0);
    if (pid)
        return pid;
    signal(SIGPIPE, SIG_DFL);
    close(t->qmp.fd); /* the other end, which would keep the pair open */
    for (;;)
        if (write(t->server, text, strlen(text)) < 0)
            _exit(0);
}

static void expect_from_repeat(const char *text, unsigned timeout_ms, int expected, const char *words)
{
    struct talk t;
    pid_t pid;

    cr_assert(eq(int, talk_open(&t, READY, LONG_MS), 0));
    pid = repeat(&t, text);
    cr_assert(eq(int, qmp_execute(&t.qmp, "stop", NULL, timeout_ms, NULL, t.error), expected), "%s", t.error);
    cr_assert(strstr(t.error, words) != NULL, "%s", t.error);
    talk_close(&t);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

Test(qmp, an_event_storm_does_not_move_the_deadline)
{
    expect_from_repeat(EVENT, SOON_MS, -ETIMEDOUT, "no answer in time");
}

Test(qmp, a_line_without_end_is_refused_when_it_is_too_long)
{
    expect_from_repeat("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", LONG_MS,
                       -EPROTO, "more than");
}
