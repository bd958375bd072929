/* What an AFL++ target needs of us: to end with its fuzzer. The fork server outlives an afl-fuzz that was killed while an
 * input ran, and leaves the stopped process of persistent mode behind, which nothing would ever wake. */
#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

static void end_with_parent(void)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Before the driver of the engine starts the fork server; a fork clears the wish. */
__attribute__((constructor)) static void follow_forks(void)
{
    end_with_parent();
    pthread_atfork(NULL, NULL, end_with_parent);
}
