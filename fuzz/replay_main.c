/* The standalone engine: replays the files and folders it is given, each under the eye of a parent process that turns a
 * crash into a report. Needs no fuzzer. */
#include <argp.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "diff/shell.h"
#include "fuzz/crash_report.h"
#include "fuzz/target.h"
#include "vmm/exit_status.h"
#include "vmm/input_file.h"

#define INPUT_SIZE_MAX (16u << 20)

struct inputs {
    char **paths;
    size_t count;
};

struct options {
    bool in_process; /* no parent: for debuggers */
    bool text;       /* print inputs in their reviewed form and run nothing */
    bool verbose;
    unsigned limit_s;
    struct inputs inputs;
};

/* An undefined-behaviour report goes through abort(), so that the handler sees the stack. */
const char *__ubsan_default_options(void);
const char *__ubsan_default_options(void)
{
    return "abort_on_error=1:print_stacktrace=0";
}

static bool inputs_add(struct inputs *inputs, const char *path)
{
    char **paths = realloc(inputs->paths, (inputs->count + 1) * sizeof(*paths));

    if (!paths)
        return false;
    inputs->paths = paths;
    paths[inputs->count] = strdup(path);
    return paths[inputs->count++] != NULL;
}

static int visible(const struct dirent *entry)
{
    return entry->d_name[0] != '.';
}

/* A folder stands for the files below it, in the order of their names. 0 or -errno. */
static int inputs_collect(struct inputs *inputs, const char *path)
{
    struct dirent **entries;
    struct stat st;
    int count, err = 0;

    if (stat(path, &st))
        return -errno;
    if (!S_ISDIR(st.st_mode))
        return inputs_add(inputs, path) ? 0 : -ENOMEM;
    count = scandir(path, &entries, visible, alphasort);
    if (count < 0)
        return -errno;
    for (int i = 0; i < count; i++) {
        char *below = NULL;

        if (!err && asprintf(&below, "%s/%s", path, entries[i]->d_name) < 0)
            err = -ENOMEM;
        else if (!err)
            err = inputs_collect(inputs, below);
        free(below);
        free(entries[i]);
    }
    free(entries);
    return err;
}

/* The exact bytes in a block of their own, so that ASan sees a read beyond them. */
static uint8_t *read_input(const char *path, size_t *size)
{
    uint8_t *data = NULL, *exact = NULL;
    char message[200], why[INPUT_WHY];
    size_t raw_size;
    uint8_t *raw = input_file_read(path, INPUT_SIZE_MAX, &raw_size, why);

    if (!raw) {
        fprintf(stderr, "%s: cannot be read as an input: %s\n", path, why);
        return NULL;
    }
    if (fuzz_input_load(raw, raw_size, &data, size, message)) {
        fprintf(stderr, "%s: %s\n", path, message);
        goto out;
    }
    exact = malloc(*size ? *size : 1);
    if (exact)
        memcpy(exact, data, *size);
out:
    free(raw);
    free(data);
    return exact;
}

static bool replay_one(const char *path, unsigned limit_s)
{
    size_t size;
    uint8_t *data = read_input(path, &size);

    if (!data)
        return false;
    fuzz_run.action = FUZZ_NO_ACTION;
    alarm(limit_s);
    LLVMFuzzerTestOneInput(data, size);
    alarm(0);
    free(data);
    return true;
}

/* What the pipe carries: one input_done after each input, or a crash_record. */
struct input_done {
    uint32_t magic, readable;
};
#define DONE_MAGIC 0x31454e44u

static void child_main(const struct options *options, size_t first, int fd)
{
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    crash_report_install(fd);
    for (size_t i = first; i < options->inputs.count; i++) {
        struct input_done done = {.magic = DONE_MAGIC};

        done.readable = replay_one(options->inputs.paths[i], options->limit_s);
        fflush(stdout);
        if (write(fd, &done, sizeof(done)) != sizeof(done))
            break;
    }
    _exit(0);
}

static bool print_input(const char *path, const char *indent)
{
    size_t size;
    uint8_t *data = read_input(path, &size);
    char *text = data ? fuzz_input_text(data, size) : NULL;

    for (char *line = text, *next; line && *line; line = next) {
        next = strchrnul(line, '\n');
        printf("%s%.*s\n", indent, (int)(next - line), line);
        next += *next == '\n';
    }
    free(text);
    free(data);
    return text != NULL;
}

static void print_command(const char *program, const char *path)
{
    char *words[] = {shell_quote(program), shell_quote(path)};

    printf("replay: %s %s\n", words[0] ? words[0] : program, words[1] ? words[1] : path);
    free(words[0]);
    free(words[1]);
}

static void print_report(const char *program, const char *path, const struct crash_record *record)
{
    char kind[320];

    crash_report_kind(record, kind, sizeof(kind));
    printf("\n== crash: %s\n", kind);
    printf("input:\n");
    print_input(path, "    ");
    if (record->action != FUZZ_NO_ACTION)
        printf("stopped in action %u (from 0)\n", record->action);
    printf("stack:\n");
    crash_report_stack(record, stdout);
    print_command(program, path);
    fflush(stdout);
}

/* Runs one child from input `first` on. Returns the index after the last input dealt with. */
static size_t supervise(const struct options *options, const char *program, size_t first, unsigned *crashes,
                        unsigned *unreadable)
{
    union {
        uint32_t magic;
        struct input_done done;
        struct crash_record record;
    } message = {0};
    bool crashed = false;
    size_t at = first;
    ssize_t got;
    int fds[2];
    pid_t child;

    if (pipe(fds)) {
        perror("pipe");
        exit(EXIT_OUR_FAULT);
    }
    fflush(stdout);
    child = fork();
    if (child == 0) {
        close(fds[0]);
        child_main(options, first, fds[1]);
    }
    close(fds[1]);
    /* Records differ in length: the first 8 bytes tell which one it is. */
    while (!crashed &&
           (got = read(fds[0], &message, sizeof(struct input_done))) == sizeof(struct input_done)) {
        if (message.magic == CRASH_MAGIC) {
            crashed = read(fds[0], (char *)&message + got, sizeof(message.record) - (size_t)got) > 0;
        } else {
            *unreadable += !message.done.readable;
            at++;
        }
    }
    close(fds[0]);
    waitpid(child, NULL, 0);
    if (at == options->inputs.count)
        return at; /* the child got through, or died of nothing that an input did */
    if (!crashed)
        message.record = (struct crash_record){.action = FUZZ_NO_ACTION, .text = "", .rule = ""};
    (*crashes)++;
    print_report(program, options->inputs.paths[at], &message.record);
    return at + 1;
}

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;
    int err;

    switch (key) {
    case 'v':
        options->verbose = true;
        return 0;
    case 'd':
        options->in_process = true;
        return 0;
    case 'p':
        options->text = true;
        return 0;
    case 't':
        options->limit_s = (unsigned)strtoul(arg, NULL, 10);
        return 0;
    case ARGP_KEY_ARG:
        err = inputs_collect(&options->inputs, arg);
        if (err)
            argp_failure(state, EXIT_USAGE, -err, "%s", arg);
        return 0;
    case ARGP_KEY_NO_ARGS:
        argp_usage(state);
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

int main(int argc, char **argv)
{
    static const struct argp_option table[] = {
        {"verbose", 'v', 0, 0, "say what each action did", 0},
        {"debug", 'd', 0, 0, "run in this process, for a debugger: no report", 0},
        {"print", 'p', 0, 0, "print the inputs as text and run nothing", 0},
        {"time-limit", 't', "SECONDS", 0, "per input (default 60)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = table,
        .parser = parse_option,
        .args_doc = "FILE|DIR...",
        .doc =
            "Replays fuzz inputs, in binary or in text form.\v"
            "Exit status: 0 every input passed, 1 a crash or a broken rule, 2 wrong usage or an unreadable input.",
    };
    struct options options = {.limit_s = 60};
    unsigned crashes = 0, unreadable = 0;

    argp_err_exit_status = EXIT_USAGE;
    argp_parse(&argp, argc, argv, 0, NULL, &options);
    fuzz_run.save_judge = SAVE_EVERY_POINT;
    fuzz_run.verbose = options.verbose;
    for (size_t i = 0; i < options.inputs.count;) {
        if (options.text)
            unreadable += !print_input(options.inputs.paths[i++], "");
        else if (options.in_process)
            unreadable += !replay_one(options.inputs.paths[i++], options.limit_s);
        else
            i = supervise(&options, argv[0], i, &crashes, &unreadable);
    }
    if (!options.text)
        printf("%zu inputs, %u crashes\n", options.inputs.count, crashes);
    for (size_t i = 0; i < options.inputs.count; i++)
        free(options.inputs.paths[i]);
    free(options.inputs.paths);
    return crashes ? EXIT_FINDINGS : unreadable ? EXIT_USAGE : EXIT_DONE;
}
