/* pv-fuzz show: programs from text or binary into canonical text, or into binary. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "diff/program/program.h"
#include "fuzz/cmd.h"
#include "vmm/input_file.h"

enum { INPUT_MAX = 16 << 20 }; /* no program is near it; /dev/zero must not fill our memory */

struct show {
    const char *input, *output;
    bool binary, raw, actions;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct show *show = state->input;

    switch (key) {
    case 'b':
        show->binary = true;
        return 0;
    case 'o':
        show->output = arg;
        return 0;
    case 'r':
        show->raw = true;
        return 0;
    case 'a':
        show->actions = true;
        return 0;
    case ARGP_KEY_ARG:
        if (show->input)
            argp_error(state, "one FILE only");
        show->input = arg;
        return 0;
    case ARGP_KEY_END:
        if (!show->input && !show->actions)
            argp_error(state, "name a FILE, or - for standard input");
        if (show->binary && !show->output)
            argp_error(state, "--binary needs -o FILE");
        return 0;
    default:
        return ARGP_ERR_UNKNOWN;
    }
}

static const struct argp_option options[] = {
    {"binary", 'b', 0, 0, "Write the binary form; needs -o", 0},
    {"output", 'o', "FILE", 0, "Write there instead of to standard output", 0},
    {"raw", 'r', 0, 0, "Read FILE as the fuzz targets do: any bytes, no errors", 0},
    {"actions", 'a', 0, 0, "List the actions of the language and their operands", 0},
    {0},
};
static const struct argp argp = {
    options,
    parse_option,
    "FILE",
    "Print a program, in text or binary form, as canonical text.\v"
    "Examples:\n"
    "  pv-fuzz show corpora/msr/seed-vec-all-registers.pv\n"
    "  pv-fuzz show crash-1f3870be\n"
    "  pv-fuzz show --binary -o seed.bin seed.pv\n"
    "  pv-fuzz show - < seed.bin\n\n"
    "Exit status: 0 done, 2 wrong usage or not a program, 3 the output cannot be written.",
    NULL,
    NULL,
    NULL,
};

static void list_actions(FILE *out)
{
    for (unsigned i = 0; i < OP_COUNT; i++) {
        const struct op_info *op = op_info(i);

        if (i != OP_NOTE)
            fprintf(out, "%s%s%s%s\n", op->host ? "!" : "", op->word, op->args ? " " : "", op_usage(op).text);
    }
    fputs("\nBefore a guest action: @VCPU and a mode, as in '@1 cpl3 { rdtsc }'. Modes:", out);
    for (unsigned i = MODE_64 + 1; i < MODE_COUNT; i++)
        fprintf(out, " %s", mode_word(i));
    fputc('\n', out);
}

static uint8_t *read_input(const char *name, size_t *len)
{
    char why[INPUT_WHY];
    uint8_t *data = strcmp(name, "-") ? input_file_read(name, INPUT_MAX, len, why)
                                      : input_descriptor_read(STDIN_FILENO, INPUT_MAX, len, why);

    if (!data)
        fprintf(stderr, "pv-fuzz show: %s: %s\n", name, why);
    return data;
}

static int write_output(const char *name, const void *data, size_t len)
{
    FILE *out = name ? fopen(name, "wb") : stdout;
    bool good = out && fwrite(data, 1, len, out) == len;

    if (!name) /* finish_output.h */
        return EXIT_DONE;
    if (out && fclose(out))
        good = false;
    if (!good)
        fprintf(stderr, "pv-fuzz show: %s: %s\n", name, strerror(errno));
    return good ? EXIT_DONE : EXIT_MISSING;
}

static int load(const struct show *show, struct program *program)
{
    struct program_error error;
    size_t len;
    uint8_t *data = read_input(show->input, &len);
    int err = 0;

    if (!data)
        return -EIO;
    if (show->raw)
        program_decode_total(program, data, len);
    else
        err = program_load(program, data, len, &error);
    free(data);
    if (err && error.line)
        fprintf(stderr, "%s:%u:%u: %s\n", show->input, error.line, error.column, error.message);
    else if (err)
        fprintf(stderr, "%s: %s; --raw reads it as the fuzz targets do\n", show->input, error.message);
    return err;
}

static int convert(const struct show *show, const struct program *program)
{
    size_t len;
    void *bytes;
    int err, status;

    if (show->binary) {
        err = program_encode(program, (uint8_t **)&bytes, &len);
    } else {
        err = program_print(program, (char **)&bytes, &len);
    }
    if (err) {
        fprintf(stderr, "pv-fuzz show: %s\n", strerror(-err));
        return EXIT_OUR_FAULT;
    }
    status = write_output(show->output, bytes, len);
    free(bytes);
    return status;
}

int cmd_show(int argc, char **argv)
{
    struct show show = {0};
    struct program program;
    int status;

    argp_err_exit_status = EXIT_USAGE;
    if (argp_parse(&argp, argc, argv, 0, NULL, &show))
        return EXIT_USAGE;
    if (show.actions) {
        list_actions(stdout);
        return EXIT_DONE;
    }
    program_init(&program);
    status = load(&show, &program) ? EXIT_USAGE : convert(&show, &program);
    program_free(&program);
    return status;
}
