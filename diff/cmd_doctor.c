/* pv-diff doctor: what works on this host, what does not, and how to mend it. */
#include <argp.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <cjson/cJSON.h>
#include "diff/command.h"
#include "diff/machine/doctor.h"
#include "diff/machine/qualify.h"

static error_t parse_option(int key, char *arg, struct argp_state *state)
{
    bool *json = state->input;

    if (key == 'j')
        *json = true;
    else if (key == ARGP_KEY_ARG)
        argp_error(state, "doctor takes no argument: %s", arg);
    else
        return ARGP_ERR_UNKNOWN;
    return 0;
}

static const struct {
    const char *word, *colour;
} states[] = {[DOCTOR_NO] = {"no", "\033[31m"},
              [DOCTOR_PARTLY] = {"partly", "\033[33m"},
              [DOCTOR_YES] = {"yes", "\033[32m"}};

static void print_table(const struct diagnosis rows[MACHINE_KINDS])
{
    bool colour = terminal_colour(STDOUT_FILENO);

    printf("%-9s  %-6s  %s\n", "machine", "works", "for what, and what to know");
    for (unsigned i = 0; i < MACHINE_KINDS; i++) {
        const struct diagnosis *row = &rows[i];
        enum doctor_state state = doctor_state(row);
        char names[NEEDS_TEXT];

        printf("%-9s  %s%-6s%s  ", machine_name(row->kind), colour ? states[state].colour : "",
               states[state].word, colour ? "\033[0m" : "");
        if (row->works && row->needs)
            printf("%s%s", needs_text(row->needs, names, sizeof(names)),
                   row->note[0] ? "\n                   " : "\n");
        if (row->note[0])
            printf("%s\n", row->note);
        if (row->info.qemu_version[0])
            printf("                   QEMU %s, %u ms\n", row->info.qemu_version, row->ms);
    }
}

static cJSON *row_json(const struct diagnosis *row)
{
    cJSON *object = cJSON_CreateObject();
    char names[NEEDS_TEXT];

    cJSON_AddStringToObject(object, "machine", machine_name(row->kind));
    cJSON_AddStringToObject(object, "works", states[doctor_state(row)].word);
    cJSON_AddStringToObject(object, "serves", row->needs ? needs_text(row->needs, names, sizeof(names)) : "");
    cJSON_AddStringToObject(object, "note", row->note);
    cJSON_AddStringToObject(object, "qemu_version", row->info.qemu_version);
    cJSON_AddStringToObject(object, "kernel_release", row->info.kernel_release);
    cJSON_AddStringToObject(object, "kvm_flavour", row->info.host.flavour);
    cJSON_AddNumberToObject(object, "boots", row->info.boots);
    cJSON_AddNumberToObject(object, "boot_retries", row->info.boot_retries);
    cJSON_AddNumberToObject(object, "ms", row->ms);
    return object;
}

static void print_json(const struct diagnosis rows[MACHINE_KINDS])
{
    cJSON *root = cJSON_CreateObject();
    cJSON *list = cJSON_AddArrayToObject(root, "machines");
    char *text;

    cJSON_AddBoolToObject(root, "has_reference", doctor_has_reference(rows));
    for (unsigned i = 0; i < MACHINE_KINDS; i++)
        cJSON_AddItemToArray(list, row_json(&rows[i]));
    text = cJSON_Print(root);
    puts(text ? text : "{}");
    cJSON_free(text);
    cJSON_Delete(root);
}

int cmd_doctor(int argc, char **argv)
{
    static const struct argp_option options[] = {{"json", 'j', NULL, 0, "Machine-readable, on stdout", 0},
                                                 {0}};
    static const struct argp argp = {
        options,
        parse_option,
        "",
        "Says which machines work on this host, and how to mend the others.\v"
        "Examples:\n  pv-diff doctor\n  pv-diff doctor --json\n\n"
        "Exit status: 0 a real KVM answers, here or in the box; 2 wrong usage; 3 none does, and it says how to get "
        "one; 4 our own fault; 130 interrupted.",
        0,
        0,
        0};
    struct diagnosis *rows = calloc(MACHINE_KINDS, sizeof(*rows));
    struct progress progress = terminal_progress();
    bool json = false, found;
    int err;

    argp_parse(&argp, argc, argv, 0, NULL, &json);
    if (!rows)
        return EXIT_OUR_FAULT;
    err = doctor_examine(rows, &progress);
    terminal_clear();
    if (err) {
        fprintf(stderr, "pv-diff: interrupted\n");
        free(rows);
        return EXIT_INTERRUPTED;
    }
    json ? print_json(rows) : print_table(rows);
    found = doctor_has_reference(rows);
    if (!found && !json)
        printf(
            "\nNo reference serves everything here: compare with a recording, or mend qemu-box as said above.\n");
    free(rows);
    return found ? EXIT_DONE : EXIT_MISSING;
}
