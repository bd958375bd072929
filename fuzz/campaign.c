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
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include "fuzz/cmd.h"
#include "fuzz/engine_output.h"
#include "fuzz/process.h"

#define JOBS_MAX 64

const char *const engine_names[ENGINES] = {"libfuzzer", "afl++"};
static const char *const presets[ENGINES] = {"fuzz", "afl"};

struct paths {
    char binary[PATH_MAX], seeds[PATH_MAX], dict[PATH_MAX];
    char corpus[PATH_MAX], raw[PATH_MAX], findings[PATH_MAX];
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
    return STATUS_MISSING;
}

static int find_paths(const struct campaign *campaign, struct paths *paths)
{
    const char *preset = presets[campaign->engine];
    char root[PATH_MAX];
    int err;

    if (!catalog_root(root) || !catalog_binary(preset, campaign->target, paths->binary))
        return missing(campaign, "the fuzzer");
    if (!path_format(paths->seeds, "%s/build/%s/corpora/%s", root, preset, campaign->target) ||
        !path_format(paths->dict, "%s/build/%s/corpora/%s.dict", root, preset, campaign->target) ||
        !path_format(paths->corpus, "%s/corpus", campaign->out) ||
        !path_format(paths->raw, "%s/%s", campaign->out, preset) ||
        !path_format(paths->findings, "%s/findings", campaign->out)) {
        fprintf(stderr, "pv-fuzz run: the path is too long: %s\n", campaign->out);
        return STATUS_USAGE;
    }
    if (access(paths->seeds, R_OK) || access(paths->dict, R_OK))
        return missing(campaign, "the seed corpus");
    if ((err = make_folder(paths->corpus)) || (err = make_folder(paths->raw)) ||
        (err = make_folder(paths->findings))) {
        fprintf(stderr, "pv-fuzz run: cannot write to %s: %s\n", campaign->out, strerror(-err));
        return STATUS_MISSING;
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
    static const char *const env[] = {"AFL_NO_UI=1",
                                      "AFL_SKIP_CPUFREQ=1",
                                      "AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1",
                                      "AFL_BENCH_UNTIL_CRASH=1",
                                      "AFL_NO_AFFINITY=1",
                                      NULL};
    char seconds[16], name[16], log[PATH_MAX + 32];

    snprintf(seconds, sizeof(seconds), "%u", campaign->seconds);
    snprintf(name, sizeof(name), "job-%u", job);
    snprintf(log, sizeof(log), "%s/job-%u.log", paths->raw, job);
    return process_start((const char *[]){"/usr/bin/afl-fuzz", "-i", paths->seeds, "-o", paths->raw, "-V",
                                          seconds, "-x", paths->dict, job ? "-S" : "-M", name, "-t", "10000",
                                          "--", paths->binary, NULL},
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

/* Waits until all jobs ended; after the first finding, or well after the time is over, ends the others. */
static int watch(const struct campaign *campaign, const struct paths *paths, pid_t *jobs, double start)
{
    unsigned left = campaign->jobs;
    int worst = 0;
    bool stopping = false;

    while (left > 0) {
        double elapsed = now_s() - start;

        for (unsigned i = 0; i < campaign->jobs; i++) {
            int status;

            if (jobs[i] <= 0 || waitpid(jobs[i], &status, WNOHANG) != jobs[i])
                continue;
            jobs[i] = 0;
            left--;
            if (WIFEXITED(status) && WEXITSTATUS(status) > worst)
                worst = WEXITSTATUS(status);
        }
        if (left > 0 && !stopping &&
            (engine_has_findings(paths->raw) || elapsed > campaign->seconds + 30.0)) {
            stopping = true;
            for (unsigned i = 0; i < campaign->jobs; i++)
                if (jobs[i] > 0)
                    kill(jobs[i], SIGINT);
        }
        if (left > 0 && elapsed > campaign->seconds + 60.0) /* deaf to SIGINT */
            for (unsigned i = 0; i < campaign->jobs; i++)
                if (jobs[i] > 0)
                    kill(jobs[i], SIGKILL);
        show_progress(campaign, paths, elapsed);
        if (left > 0)
            nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    if (isatty(STDERR_FILENO))
        fprintf(stderr, "\r\033[K");
    return worst;
}

int campaign_run(struct campaign *campaign)
{
    struct paths paths;
    pid_t jobs[JOBS_MAX];
    double start = now_s();
    int status = find_paths(campaign, &paths);

    if (status)
        return status;
    if (campaign->engine == ENGINE_AFL && access("/usr/bin/afl-fuzz", X_OK)) {
        fprintf(stderr, "pv-fuzz run: afl-fuzz is missing - run ci/setup\n");
        return STATUS_MISSING;
    }
    if (campaign->jobs > JOBS_MAX)
        campaign->jobs = JOBS_MAX;
    engine_forget(paths.raw);
    for (unsigned i = 0; i < campaign->jobs; i++) {
        jobs[i] = campaign->engine == ENGINE_AFL ? start_afl(campaign, &paths, i)
                                                 : start_libfuzzer(campaign, &paths, i);
        if (jobs[i] < 0) {
            fprintf(stderr, "pv-fuzz run: cannot start the engine: %s\n", strerror((int)-jobs[i]));
            campaign->jobs = i;
            break;
        }
    }
    status = watch(campaign, &paths, jobs, start);
    campaign->elapsed_s = now_s() - start;
    campaign->runs = engine_runs(paths.raw);
    engine_collect(paths.raw, paths.findings, campaign->target, &campaign->found);
    campaign->first[0] = 0;
    if (campaign->found.count)
        path_format(campaign->first, "%s/%s", paths.findings, campaign->found.names[0]);
    if (campaign->found.count == 0 && (campaign->jobs == 0 || status != 0 || campaign->runs == 0)) {
        fprintf(
            stderr,
            "pv-fuzz run: the engine ended with status %d and no finding; its words are in %s/job-0.log\n",
            status, paths.raw);
        return STATUS_INTERNAL;
    }
    return STATUS_OK;
}
