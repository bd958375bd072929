/* Starts and awaits child processes that cannot outlive us. */
#include "fuzz/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "vmm/exit_status.h"

static void child(pid_t parent, const char *const *argv, const char *const *env, const char *log)
{
    sigset_t none;
    int fd = log ? open(log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666) : -1;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent) /* it died before prctl could arm */
        _exit(EXIT_OUR_FAULT);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGINT, SIG_DFL); /* by which engines are stopped; a shell's background job inherits it ignored */
    if (log && (fd < 0 || dup2(fd, STDOUT_FILENO) < 0 || dup2(fd, STDERR_FILENO) < 0))
        _exit(EXIT_OUR_FAULT);
    for (; env && *env; env++)
        if (putenv((char *)*env))
            _exit(EXIT_OUR_FAULT);
    execv(argv[0], (char *const *)argv);
    _exit(EXIT_OUR_FAULT);
}

pid_t process_start(const char *const *argv, const char *const *env, const char *log)
{
    pid_t parent = getpid(), pid = fork();

    if (pid == 0)
        child(parent, argv, env, log);
    return pid < 0 ? -errno : pid;
}

int process_wait(pid_t pid)
{
    int status;

    if (pid < 0 || waitpid(pid, &status, 0) != pid)
        return EXIT_OUR_FAULT;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
