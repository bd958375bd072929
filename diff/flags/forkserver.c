/* Preloaded into qemu-system-x86_64: waits where main() would begin, and forks a QEMU for every -cpu string it is sent.
 * Nothing else of the program is touched. ld.so(8) LD_PRELOAD; the entry is glibc's __libc_start_main. */
#include <dlfcn.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "diff/flags/forkserver.h"
#include "diff/flags/grammar.h"

typedef int (*main_function)(int argc, char **argv, char **envp);
typedef int (*start_function)(main_function main, int argc, char **argv, void (*init)(void),
                              void (*fini)(void), void (*rtld_fini)(void), void *stack_end);
int __libc_start_main(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end);

static main_function program_main; /* glibc hands it over in one call and calls us back from another */

static void send_status(int control, int status)
{
    if (send(control, &status, sizeof(status), MSG_NOSIGNAL) != sizeof(status))
        _exit(0); /* nobody listens any more */
}

/* In the child. Returns to run the program with the string in its place. */
static void become(char **argv, char *cpu, int control, int text_fd, pid_t server)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != server)
        _exit(127);
    close(control);
    dup2(text_fd, STDOUT_FILENO);
    dup2(text_fd, STDERR_FILENO);
    close(text_fd);
    for (; *argv; argv++)
        if (!strcmp(*argv, FORKSERVER_CPU))
            *argv = cpu;
}

static int serve(int argc, char **argv, char **envp)
{
    static char cpu[FLAGS_TEXT_MAX];
    const char *fds = getenv(FORKSERVER_CONTROL);
    pid_t self = getpid();
    int control, text_fd;

    if (!fds || sscanf(fds, "%d %d", &control, &text_fd) != 2)
        return program_main(argc, argv, envp);
    unsetenv("LD_PRELOAD");
    unsetenv(FORKSERVER_CONTROL);
    send_status(control, FORKSERVER_READY);
    for (;;) {
        ssize_t len = recv(control, cpu, sizeof(cpu) - 1, 0);
        int status = 127 << 8;
        pid_t pid;

        if (len <= 0)
            _exit(0);
        cpu[len] = 0; /* sent with its NUL, so that the empty string is a message too */
        pid = fork();
        if (pid == 0) {
            become(argv, cpu, control, text_fd, self);
            return program_main(argc, argv, envp);
        }
        if (pid > 0)
            waitpid(pid, &status, 0);
        send_status(control, status);
    }
}

int __libc_start_main(main_function main, int argc, char **argv, void (*init)(void), void (*fini)(void),
                      void (*rtld_fini)(void), void *stack_end)
{
    start_function start = (start_function)dlsym(RTLD_NEXT, "__libc_start_main");

    program_main = main;
    return start(serve, argc, argv, init, fini, rtld_fini, stack_end);
}
