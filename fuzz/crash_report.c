/* The crash handler of replay binaries (libunwind, write), and the kind of crash that it saw. In ASan builds the
 * sanitizer owns SIGSEGV and the walk starts from its death callback. */
#include "fuzz/crash_report.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "fuzz/target.h"

#ifdef PARAVANE_LIBUNWIND
#define UNW_LOCAL_ONLY
#include <libunwind.h>
#endif

#if defined(__SANITIZE_ADDRESS__)
#define WITH_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WITH_ASAN 1
#endif
#endif

/* Reached from signal handlers, hence not on the stack of anyone. */
static int report_fd = -1;
static struct crash_record record;

static void walk(void *context)
{
#ifdef PARAVANE_LIBUNWIND
    unw_context_t here;
    unw_cursor_t cursor;
    unw_word_t ip;
    int err;

    if (context) {
        err = unw_init_local2(&cursor, context, UNW_INIT_SIGNAL_FRAME);
    } else {
        unw_getcontext(&here);
        err = unw_init_local(&cursor, &here);
    }
    for (record.frames = 0; !err && record.frames < CRASH_FRAMES; record.frames++) {
        unw_get_reg(&cursor, UNW_REG_IP, &ip);
        record.ip[record.frames] = ip;
        if (unw_step(&cursor) <= 0) {
            record.frames++;
            break;
        }
    }
#else
    (void)context;
#endif
}

static void send_record(int signal, uint64_t address, void *context)
{
    int fd = report_fd;

    if (fd < 0)
        return;
    report_fd = -1; /* a sanitizer that aborts would report twice */
    record.magic = CRASH_MAGIC;
    record.signal = signal;
    record.address = address;
    record.action = fuzz_run.action;
    memcpy(record.rule, fuzz_run.rule, sizeof(record.rule));
    memcpy(record.text, fuzz_run.text, sizeof(record.text));
    walk(context);
    if (write(fd, &record, sizeof(record)) < 0)
        _exit(1);
}

static void on_signal(int signal, siginfo_t *info, void *context)
{
    bool fault = signal == SIGSEGV || signal == SIGBUS || signal == SIGFPE || signal == SIGILL;

    send_record(signal, fault ? (uintptr_t)info->si_addr : 0, context);
    _exit(1);
}

#ifdef WITH_ASAN
void __sanitizer_set_death_callback(void (*callback)(void));

static void on_death(void)
{
    send_record(0, 0, NULL);
}
#endif

void crash_report_install(int fd)
{
#ifdef WITH_ASAN
    static const int signals[] = {SIGABRT, SIGALRM};
#else
    static const int signals[] = {SIGABRT, SIGALRM, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP};
#endif
    struct sigaction action = {.sa_sigaction = on_signal, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    stack_t stack = {.ss_size = 1 << 16}; /* a stack overflow leaves no room on the old one */

    report_fd = fd;
    stack.ss_sp = malloc(stack.ss_size);
    if (stack.ss_sp)
        sigaltstack(&stack, NULL);
    for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
        sigaction(signals[i], &action, NULL);
#ifdef WITH_ASAN
    __sanitizer_set_death_callback(on_death);
#endif
}

void crash_report_kind(const struct crash_record *rec, char *buf, size_t size)
{
    if (rec->rule[0])
        snprintf(buf, size, "invariant %.*s: %.*s", (int)sizeof(rec->rule), rec->rule, (int)sizeof(rec->text),
                 rec->text);
    else if (rec->signal == SIGALRM)
        snprintf(buf, size, "hang: no end within the time limit");
    else if (rec->signal == SIGABRT)
        snprintf(buf, size, "SIGABRT: an assertion or a sanitizer (see above)");
    else if (rec->signal)
        snprintf(buf, size, "SIG%s at 0x%llx", sigabbrev_np(rec->signal), (unsigned long long)rec->address);
    else
        snprintf(buf, size, "sanitizer report (see above)");
}
