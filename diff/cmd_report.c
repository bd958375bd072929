/* pv-diff report: a stored run again, the same bytes every time (decision 7). */
#include <argp.h>
#include "diff/command.h"
#include "diff/present.h"

struct options {
    const char *run, *store;
    struct presentation show;
};

enum { KEY_JSON = 0x100, KEY_STORE, KEY_STRICT };

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    struct options *options = state->input;

    switch (key) {
    case 'o':
        options->show.folder = arg;
        break;
    case KEY_JSON:
        options->show.json = true;
        break;
    case KEY_STRICT:
        options->show.strict = true;
        break;
    case KEY_STORE:
        options->store = arg;
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
    static const struct argp_option argp_options[] = {
        {NULL, 'o', "DIR", 0, "write report.html, .json, .junit.xml and .sarif here", 0},
        {"json", KEY_JSON, NULL, 0, "print report.json instead of the table", 0},
        {"strict", KEY_STRICT, NULL, 0, "a stale known difference is a finding", 0},
        {"store", KEY_STORE, "FILE", 0, "run store ($XDG_DATA_HOME/paravane/runs.db)", 0},
        {0},
    };
    static const struct argp argp = {
        .options = argp_options,
        .parser = parse_option,
        .args_doc = "RUN",
        .doc =
            "Shows a stored run again: the same bytes every time.\v"
            "Examples:\n  pv-diff report last\n  pv-diff report 3 -o out\n\n"
            "Exit status: 0 nothing unexpected; 1 an unexplained difference; 2 wrong usage; 3 no such run, or parts of "
            "it could not be compared; 4 our own fault.",
    };
    struct options options = {0};

    argp_parse(&argp, argc, argv, 0, NULL, &options);
    return present_stored_run(options.run, options.store, &options.show);
}
