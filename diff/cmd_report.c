/* pv-diff report: a stored run again, the same bytes every time (decision 7). */
#include <argp.h>
#include "diff/command.h"
#include "diff/present.h"

struct options {
    const char *run;
    struct presentation show;
};

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case ARGP_KEY_INIT:
        state->child_inputs[0] = &options->show;
        break;
    case ARGP_KEY_ARG:
        if (state->arg_num)
            argp_error(state, "one run at a time: %s", arg);
        options->run = arg;
        break;
    case ARGP_KEY_NO_ARGS:
        argp_error(state, "name a run: its number, or last");
        break;
    default:
        return ARGP_ERR_UNKNOWN;
    }
    return 0;
}

int cmd_report(int argc, char **argv)
{
    static const struct argp_child children[] = {{&present_argp, 0, NULL, 0}, {0}};
    static const struct argp argp = {
        .parser = parse_option,
        .children = children,
        .args_doc = "RUN",
        .doc =
            "Shows a stored run again: the same bytes every time.\v"
            "Examples:\n  pv-diff report last\n  pv-diff report 3 -o out\n\n"
            "Exit status: 0 nothing unexpected; 1 an unexplained difference; 2 wrong usage; 3 no such run, or parts of "
            "it could not be compared; 4 our own fault.",
    };
    struct options options = {0};

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    return present_stored_run(options.run, &options.show);
}
