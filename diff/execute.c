/* Opens machines, gives each every flag set, and takes their transcripts into the run. Decisions 2 and 3. */
#include "diff/execute.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "diff/report/store.h"

static uint32_t run_needs(const struct run *run)
{
    uint32_t needs = 0;

    for (unsigned set = 0; set < run->set_count; set++)
        for (unsigned s = 0; s < run->scenario_count; s++) {
            char buf[160];

            if (run_wants(run, set, s) && !run_skip_reason(run, set, s, buf, sizeof(buf)))
                needs |= program_needs(&run->scenarios[s].program);
        }
    return needs;
}

/* What a machine gets: for each set those scenarios that run under it, and which they are. */
struct batch {
    struct run_item *items;
    struct run_result *results;
    struct program *programs; /* shallow copies, item after item */
    unsigned *scenarios;      /* index of each */
};

static void batch_free(struct batch *batch)
{
    free(batch->items);
    free(batch->results);
    free(batch->programs);
    free(batch->scenarios);
}

static int batch_fill(struct batch *batch, const struct run *run)
{
    size_t all = (size_t)run->set_count * run->scenario_count, at = 0;

    batch->items = calloc(run->set_count, sizeof(*batch->items));
    batch->results = calloc(run->set_count, sizeof(*batch->results));
    batch->programs = calloc(all, sizeof(*batch->programs));
    batch->scenarios = calloc(all, sizeof(*batch->scenarios));
    if (!batch->items || !batch->results || !batch->programs || !batch->scenarios)
        return -ENOMEM;
    for (unsigned set = 0; set < run->set_count; set++) {
        batch->items[set] =
            (struct run_item){.flags = run_flags(&run->sets[set]), .programs = &batch->programs[at]};
        for (unsigned s = 0; s < run->scenario_count; s++) {
            char buf[160];

            if (!run_wants(run, set, s) || run_skip_reason(run, set, s, buf, sizeof(buf)))
                continue;
            batch->scenarios[at] = s;
            batch->programs[at++] = run->scenarios[s].program;
            batch->items[set].program_count++;
        }
    }
    return 0;
}

static void take_text(char **to, char **from)
{
    if (!*from)
        return;
    free(*to);
    *to = *from;
    *from = NULL;
}

/* The set's results become the run's; what the machine never came to says so. */
static void take_result(struct run_side *side, struct run_result *result, const struct run_item *item,
                        const unsigned *scenarios, int err)
{
    snprintf(side->error, sizeof(side->error), "%s", result->error);
    if (err && !*side->error && !result->command_line)
        snprintf(side->error, sizeof(side->error), "the machine was lost before it came to these flags: %s",
                 strerror(-err));
    side->refused = result->refused;
    side->tsc_khz = result->tsc_khz;
    take_text(&side->command_line, &result->command_line);
    take_text(&side->warnings, &result->warnings);
    for (unsigned p = 0; result->transcripts && p < item->program_count; p++) {
        side->ran[scenarios[p]] = !*side->error;
        side->transcripts[scenarios[p]] = result->transcripts[p];
        transcript_init(&result->transcripts[p]);
    }
    run_result_free(result, result->transcripts ? item->program_count : 0);
}

/* Negative only when nothing of it can be used. */
static int run_machine(struct run *run, struct machine *machine, bool theirs)
{
    struct batch batch = {0};
    int err = batch_fill(&batch, run);
    bool filled = !err;

    if (filled)
        err = machine_run(machine, batch.items, run->set_count, batch.results);
    for (unsigned set = 0; filled && set < run->set_count; set++) {
        struct run_side *side = theirs ? &run->sets[set].theirs : &run->sets[set].ours;

        take_result(side, &batch.results[set], &batch.items[set],
                    batch.scenarios + (batch.items[set].programs - batch.programs), err);
    }
    batch_free(&batch);
    return err == -EINTR || err == -ENOMEM ? err : 0;
}

/* Decision 2: this host's own KVM runs reviewed scenarios only; what else there is goes into the box. */
static int check_origin(const struct run *run, enum machine_kind kind, char why[240])
{
    for (unsigned s = 0; kind == MACHINE_QEMU_KVM && s < run->scenario_count; s++)
        if (*run->scenarios[s].file) {
            snprintf(why, 240, "%.100s is not of corpora/diff: this host's KVM runs only those, use qemu-box",
                     run->scenarios[s].file);
            return -ENOTSUP;
        }
    return 0;
}

static int use_reference(struct run *run, enum machine_kind kind, const struct progress *progress,
                         char why[240])
{
    struct machine *machine;
    bool tcg = kind == MACHINE_QEMU_TCG; /* never refused: what it cannot do is not compared */
    int err = check_origin(run, kind, why);

    if (!err)
        err = machine_open(&machine, kind, tcg ? 0 : run_needs(run), NULL, progress, why);
    if (err)
        return err;
    run->theirs.host.tcg = tcg; /* decides what is skipped */
    err = run_machine(run, machine, true);
    run->theirs = *machine_info(machine); /* after the run: boots are counted */
    run->theirs.host.tcg = tcg;
    machine_close(machine);
    free(run->reference);
    run->reference = strdup(machine_name(kind));
    return err ? err : run->reference ? 0 : -ENOMEM;
}

/* Never TCG: it has no KVM interface to compare with. */
static int use_best_reference(struct run *run, const struct progress *progress, char why[512])
{
    static const enum machine_kind order[] = {MACHINE_QEMU_KVM, MACHINE_QEMU_BOX};
    size_t used = 0;
    int err = -ENOENT;

    for (unsigned i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
        char reason[240] = "";

        err = use_reference(run, order[i], progress, reason);
        if (err != -ENOENT && err != -ENOTSUP) {
            snprintf(why, 512, "%s", reason);
            return err;
        }
        used += (size_t)snprintf(why + used, 512 - used, "%s%s: %s", used ? "; " : "", machine_name(order[i]),
                                 reason);
        used = used < 511 ? used : 511;
    }
    return err;
}

static bool same_flags(const struct run_set *a, const struct run_set *b)
{
    return !strcmp(a->cpu, b->cpu) && !strcmp(a->machine, b->machine) && !strcmp(a->smp, b->smp) &&
           !strcmp(a->memory, b->memory);
}

static int copy_transcript(struct transcript *to, const struct transcript *from)
{
    uint8_t *bytes = NULL;
    size_t length;
    int err = transcript_encode(from, &bytes, &length);

    if (!err)
        err = transcript_decode(to, bytes, length);
    free(bytes);
    return err;
}

static int take_recorded_side(struct run *run, unsigned set, const struct run *recorded,
                              const struct run_side *from)
{
    struct run_side *side = &run->sets[set].theirs;

    free(side->command_line);
    free(side->warnings);
    side->command_line = strdup(from->command_line);
    side->warnings = strdup(from->warnings);
    side->refused = from->refused;
    snprintf(side->error, sizeof(side->error), "%s", from->error);
    if (!side->command_line || !side->warnings)
        return -ENOMEM;
    for (unsigned s = 0; s < run->scenario_count; s++)
        for (unsigned r = 0; r < recorded->scenario_count; r++) {
            int err;

            if (side->ran[s] || !from->ran[r] || strcmp(run->scenarios[s].text, recorded->scenarios[r].text))
                continue;
            err = copy_transcript(&side->transcripts[s], &from->transcripts[r]);
            if (err)
                return err;
            side->ran[s] = true;
        }
    return 0;
}

static int take_recorded(struct run *run, const struct run *recorded)
{
    int err = 0;

    for (unsigned set = 0; !err && set < run->set_count; set++) {
        const struct run_set *from = NULL;

        for (unsigned r = 0; r < recorded->set_count; r++)
            if (same_flags(&run->sets[set], &recorded->sets[r]))
                from = &recorded->sets[r];
        if (from)
            err = take_recorded_side(run, set, recorded, &from->theirs);
        else
            snprintf(run->sets[set].theirs.error, sizeof(run->sets[set].theirs.error),
                     "the recording does not hold these flags");
    }
    return err;
}

static int use_recording(struct run *run, const char *name, const char *file, char why[240])
{
    struct store *store;
    struct run recorded;
    char which[400];
    int err = store_open(&store, file, false, why);

    if (err)
        return err;
    err = store_load_recording(store, &recorded, why);
    store_close(store);
    if (err)
        return err;
    err = take_recorded(run, &recorded);
    run->theirs = recorded.theirs;
    snprintf(which, sizeof(which), "run %llu against %s of %s", (unsigned long long)recorded.id,
             recorded.reference, recorded.created);
    free(run->reference);
    free(run->recording);
    run->reference = strdup(name);
    run->recording = strdup(which);
    run_free(&recorded);
    return err ? err : run->reference && run->recording ? 0 : -ENOMEM;
}

static int reference_by_name(struct run *run, const char *name, const struct progress *progress,
                             char why[512])
{
    static const enum machine_kind kinds[] = {MACHINE_QEMU_KVM, MACHINE_QEMU_BOX, MACHINE_QEMU_TCG};

    if (!strcmp(name, "auto"))
        return use_best_reference(run, progress, why);
    if (!strcmp(name, "recording"))
        return use_recording(run, name, NULL, why);
    if (!strncmp(name, "recording:", 10))
        return use_recording(run, name, name + 10, why);
    for (unsigned i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (!strcmp(name, machine_name(kinds[i])))
            return use_reference(run, kinds[i], progress, why);
    snprintf(why, 512,
             "no reference '%.60s': write auto, qemu-kvm, qemu-box, qemu-tcg, recording or recording:FILE",
             name);
    return -EINVAL;
}

static int run_ours(struct run *run, const struct progress *progress, char why[240])
{
    struct machine *machine;
    int err = machine_open(&machine, MACHINE_SOFT, run_needs(run), &run->theirs.host, progress, why);

    if (err) /* our own machine is never "missing" */
        return err == -EINTR || err == -ENOMEM ? err : -EIO;
    err = run_machine(run, machine, false);
    run->ours = *machine_info(machine);
    machine_close(machine);
    return err;
}

int execute_run(struct run *run, const char *reference, const struct progress *progress, char why[512])
{
    int err;

    why[0] = 0;
    err = reference_by_name(run, reference, progress, why);
    return err ? err : run_ours(run, progress, why);
}
