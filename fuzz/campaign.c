/* Starts N jobs of libFuzzer or AFL++ on one target, shows progress, stops at the first finding, and brings engine exit
 * codes and folders to one form: findings are files, whatever an engine's status says (libFuzzer 77, AFL++ 0). */
#include "fuzz/campaign.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "diff/shell.h"
#include "fuzz/cmd.h"
#include "fuzz/engine_output.h"
#include "fuzz/process.h"

#define JOBS_MAX 64

const char *const engine_names[ENGINES] = {"libfuzzer", "afl++"};
static const char *const presets[ENGINES] = {"fuzz", "afl"};

struct paths {
    char binary[PATH_MAX], seeds[PATH_MAX], dict[PATH_MAX];
    char corpus[PATH_MAX], raw[PATH_MAX], findings[PATH_MAX];
    char afl[PATH_MAX]; /* afl-fuzz */
};

struct jobs {
    pid_t pid[JOBS_MAX]; /* 0: it ended */
    unsigned count;
    int worst; /* highest exit status of those that ended */
};

static double now_s(void)
{
    struct timespec ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* mkdir -p */
static int make_folder(const char *path)
{
    char part[PATH_MAX];
    size_t len = strlen(path);

    if (len == 0 || len >= sizeof(part))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != 0)
            continue;
        memcpy(part, path, i);
        part[i] = 0;
        if (mkdir(part, 0777) && errno != EEXIST)
            return -errno;
    }
    return 0;
}

static int missing(const struct campaign *campaign, const char *what)
{
    const char *preset = presets[campaign->engine];

    fprintf(stderr, "pv-fuzz run: %s for %s is missing - cmake --preset %s && cmake --build --preset %s\n",
            what, campaign->target, preset, preset);
    return EXIT_MISSING;
}

static int find_paths(struct campaign *campaign, struct paths *paths)
{
    const char *preset = presets[campaign->engine];
    char root[PATH_MAX];
    int err;

    if (!catalog_root(root) || !catalog_fuzzer(preset, campaign->target, paths->binary) ||
        !catalog_explainer(preset, campaign->target, campaign->explainer))
        return missing(campaign, "the fuzzer");
    if (!path_format(paths->seeds, "%s/build/%s/corpora/%s", root, preset, campaign->target) ||
        !path_format(paths->dict, "%s/build/%s/corpora/%s.dict", root, preset, campaign->target) ||
        !path_format(paths->corpus, "%s/corpus", campaign->out) ||
        !path_format(paths->raw, "%s/%s", campaign->out, preset) ||
        !path_format(paths->findings, "%s/findings", campaign->out)) {
        fprintf(stderr, "pv-fuzz run: the path is too long: %s\n", campaign->out);
        return EXIT_USAGE;
    }
    if (access(paths->seeds, R_OK) || access(paths->dict, R_OK))
        return missing(campaign, "the seed corpus");
    if ((err = make_folder(paths->corpus)) || (err = make_folder(paths->raw)) ||
        (err = make_folder(paths->findings))) {
        fprintf(stderr, "pv-fuzz run: cannot write to %s: %s\n", campaign->out, strerror(-err));
        return EXIT_MISSING;
    }
    return 0;
}

static pid_t start_libfuzzer(const struct campaign *campaign, const struct paths *paths, unsigned job)
{
    char time_arg[64], artifacts[PATH_MAX + 32], dict[PATH_MAX + 16], log[PATH_MAX + 32];

    snprintf(time_arg, sizeof(time_arg), "-max_total_time=%u", campaign->seconds);
    snprintf(artifacts, sizeof(artifacts), "-artifact_prefix=%s/", paths->raw);
    snprintf(dict, sizeof(dict), "-dict=%s", paths->dict);
    snprintf(log, sizeof(log), "%s/job-%u.log", paths->raw, job);
    return process_start((const char *[]){paths->binary, time_arg, artifacts, dict, "-print_final_stats=1",
                                          "-timeout=10", "-rss_limit_mb=2048", "-reload=1", "-max_len=1024",
                                          paths->corpus, paths->seeds, NULL},
                         NULL, log);
}

static pid_t start_afl(const struct campaign *campaign, const struct paths *paths, unsigned job)
{
    /* The engine must not ask about the host's governor and core pattern, nor draw its screen into our log. */
    static const char *const env[] = {
        "AFL_NO_UI=1",
        "AFL_SKIP_CPUFREQ=1",
        "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1",
        "AFL_BENCH_UNTIL_CRASH=1",
        "AFL_NO_AFFINITY=1",
        "AFL_AUTORESUME=1", /* else it refuses a folder with 25 minutes of work */
        NULL};
    char seconds[16], name[16], log[PATH_MAX + 32];

    snprintf(seconds, sizeof(seconds), "%u", campaign->seconds);
    snprintf(name, sizeof(name), "job-%u", job);
    snprintf(log, sizeof(log), "%s/job-%u.log", paths->raw, job);
    return process_start((const char *[]){paths->afl, "-i", paths->seeds, "-o", paths->raw, "-V", seconds,
                                          "-x", paths->dict, job ? "-S" : "-M", name, "-t", "10000", "--",
                                          paths->binary, NULL},
                         env, log);
}

static void show_progress(const struct campaign *campaign, const struct paths *paths, double elapsed)
{
    char line[100];

    if (!isatty(STDERR_FILENO))
        return;
    engine_last_line(paths->raw, line, sizeof(line));
    fprintf(stderr, "\r\033[K%s %s %.0f/%u s  %s", campaign->target, engine_names[campaign->engine], elapsed,
            campaign->seconds, line);
}

static void send_signal(const struct jobs *jobs, int signal)
{
    for (unsigned i = 0; i < jobs->count; i++)
        if (jobs->pid[i] > 0)
            kill(jobs->pid[i], signal);
}

/* Takes note of jobs that ended. True: none is left. */
static bool reap(struct jobs *jobs)
{
    unsigned left = 0;

    for (unsigned i = 0; i < jobs->count; i++) {
        int status;

        if (jobs->pid[i] > 0 && waitpid(jobs->pid[i], &status, WNOHANG) == jobs->pid[i]) {
            jobs->pid[i] = 0;
            if (WIFEXITED(status) && WEXITSTATUS(status) > jobs->worst)
                jobs->worst = WEXITSTATUS(status);
        }
        left += jobs->pid[i] > 0;
    }
    return left == 0;
}

/* Waits until all jobs ended. After the first finding, an interrupt, or well after the time is over they are asked to
 * end; those that are deaf to it are killed. True: interrupted. */
static bool watch(const struct campaign *campaign, const struct paths *paths, struct jobs *jobs,
                  const sigset_t *interrupts, double start)
{
    double stopping = 0; /* since when */
    bool interrupted = false;

    while (!reap(jobs)) {
        double elapsed = now_s() - start;

        if (!stopping &&
            (interrupted || engine_has_findings(paths->raw) || elapsed > campaign->seconds + 30.0)) {
            stopping = now_s();
            send_signal(jobs, SIGINT);
        }
        if (stopping && now_s() > stopping + 10.0)
            send_signal(jobs, SIGKILL);
        show_progress(campaign, paths, elapsed);
        if (sigtimedwait(interrupts, NULL, &(struct timespec){.tv_nsec = 100000000}) > 0)
            interrupted = true;
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    return interrupted;
}

static void start_jobs(struct campaign *campaign, const struct paths *paths, struct jobs *jobs)
{
    for (unsigned i = 0; i < campaign->jobs; i++) {
        jobs->pid[i] = campaign->engine == ENGINE_AFL ? start_afl(campaign, paths, i)
                                                      : start_libfuzzer(campaign, paths, i);
        if (jobs->pid[i] < 0) {
            fprintf(stderr, "pv-fuzz run: cannot start the engine: %s\n", strerror((int)-jobs->pid[i]));
            campaign->jobs = i;
        }
    }
    jobs->count = campaign->jobs;
}

/* Runs the engine. Meanwhile what would end us is waited for instead, so that no job is left behind. */
static bool run_jobs(struct campaign *campaign, const struct paths *paths, struct jobs *jobs)
{
    sigset_t interrupts, before;
    struct sigaction hangup;
    double start = now_s();
    bool interrupted;

    sigemptyset(&interrupts);
    sigaddset(&interrupts, SIGINT);
    sigaddset(&interrupts, SIGTERM);
    if (!sigaction(SIGHUP, NULL, &hangup) && hangup.sa_handler != SIG_IGN) /* nohup ignores it */
        sigaddset(&interrupts, SIGHUP);
    sigprocmask(SIG_BLOCK, &interrupts, &before);
    start_jobs(campaign, paths, jobs);
    interrupted = watch(campaign, paths, jobs, &interrupts, start);
    campaign->elapsed_s = now_s() - start;
    sigprocmask(SIG_SETMASK, &before, NULL);
    return interrupted;
}

/* Engines go on without their corpus and their logs, or give up without a word. */
static bool disk_is_full(const char *folder)
{
    struct statvfs disk;

    return !statvfs(folder, &disk) && disk.f_blocks && disk.f_bavail == 0;
}

int campaign_run(struct campaign *campaign)
{
    struct paths paths;
    struct jobs jobs = {0};
    uint64_t before;
    bool interrupted;
    int status = find_paths(campaign, &paths);

    if (status)
        return status;
    if (campaign->engine == ENGINE_AFL && !shell_which("afl-fuzz", paths.afl, sizeof(paths.afl))) {
        fprintf(stderr, "pv-fuzz run: afl-fuzz is missing - run ci/setup\n");
        return EXIT_MISSING;
    }
    if (campaign->jobs > JOBS_MAX)
        campaign->jobs = JOBS_MAX;
    engine_forget(paths.raw);
    before = engine_runs(paths.raw); /* AFL++ goes on counting where it resumes */
    interrupted = run_jobs(campaign, &paths, &jobs);
    campaign->runs = engine_runs(paths.raw);
    campaign->runs -= campaign->runs >= before ? before : 0;
    engine_collect(paths.raw, paths.findings, campaign->target, &campaign->found);
    campaign->first[0] = 0;
    if (campaign->found.count)
        path_format(campaign->first, "%s/%s", paths.findings, campaign->found.names[0]);
    if (interrupted) {
        fprintf(stderr, "pv-fuzz run: interrupted after %.0f s, %u findings in %s\n", campaign->elapsed_s,
                campaign->found.count, paths.findings);
        return EXIT_INTERRUPTED;
    }
    if (campaign->found.count == 0 && disk_is_full(campaign->out)) {
        fprintf(stderr, "pv-fuzz run: no space left in %s: free some, or give another folder with -o\n",
                campaign->out);
        return EXIT_MISSING;
    }
    if (campaign->found.count == 0 && (campaign->jobs == 0 || jobs.worst != 0 || campaign->runs == 0)) {
        fprintf(
            stderr,
            "pv-fuzz run: the engine ended with status %d and no finding; its words are in %s/job-0.log\n",
            jobs.worst, paths.raw);
        return EXIT_OUR_FAULT;
    }
    return EXIT_DONE;
}
