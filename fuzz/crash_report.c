/* The crash handler of replay binaries (libunwind, write) and the naming of its addresses (libdw), which happens in the
 * supervising process. In ASan builds the sanitizer owns SIGSEGV and the walk starts from its death callback. */
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
#ifdef PARAVANE_LIBDW
#include <elfutils/libdwfl.h>
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

#ifdef PARAVANE_LIBDW
static bool project_frame(const char *module, const char *function)
{
    static const char *const foreign[] = {"__asan", "__ubsan", "__sanitizer", "__interceptor", "_Unwind",
                                          "__libc", "raise",   "abort",       "gsignal",       "__pthread"};

    if (!function || strstr(module, ".so") || strstr(module, "[vdso]"))
        return false;
    for (size_t i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
        if (!strncmp(function, foreign[i], strlen(foreign[i])))
            return false;
    return true;
}

static const char *below_project(const char *path)
{
    size_t len = strlen(PARAVANE_SOURCE_DIR);

    return !strncmp(path, PARAVANE_SOURCE_DIR, len) && path[len] == '/' ? path + len + 1 : path;
}

void crash_report_stack(const struct crash_record *rec, FILE *out)
{
    static const Dwfl_Callbacks callbacks = {.find_elf = dwfl_linux_proc_find_elf,
                                             .find_debuginfo = dwfl_standard_find_debuginfo};
    Dwfl *dwfl = dwfl_begin(&callbacks);
    unsigned shown = 0;

    if (!dwfl || dwfl_linux_proc_report(dwfl, getpid()) || dwfl_report_end(dwfl, NULL, NULL)) {
        fprintf(out, "    (libdw: %s)\n", dwfl_errmsg(-1));
        dwfl_end(dwfl);
        return;
    }
    for (unsigned i = 0; i < rec->frames && i < CRASH_FRAMES; i++) {
        Dwarf_Addr at = rec->ip[i] - (i > 0); /* a return address may belong to the next line */
        Dwfl_Module *module = dwfl_addrmodule(dwfl, at);
        const char *name = module ? dwfl_module_info(module, NULL, NULL, NULL, NULL, NULL, NULL, NULL) : "";
        const char *function = module ? dwfl_module_addrname(module, at) : NULL;
        Dwfl_Line *line = module ? dwfl_module_getsrc(module, at) : NULL;
        const char *file;
        int number = 0;

        file = line ? dwfl_lineinfo(line, NULL, &number, NULL, NULL, NULL) : NULL;
        if (!project_frame(name, function) || (file && strstr(file, "crash_report.c")))
            continue;
        if (file)
            fprintf(out, "    #%u %s %s:%d\n", shown++, function, below_project(file), number);
        else
            fprintf(out, "    #%u %s\n", shown++, function);
        if (!strcmp(function, "main"))
            break;
    }
    if (!shown)
        fprintf(out, "    (no frame of this project)\n");
    dwfl_end(dwfl);
}
#else
void crash_report_stack(const struct crash_record *rec, FILE *out)
{
    for (unsigned i = 0; i < rec->frames && i < CRASH_FRAMES; i++)
        fprintf(out, "    #%u 0x%llx\n", i, (unsigned long long)rec->ip[i]);
    fprintf(out, "    (built without libdw: no names)\n");
}
#endif
