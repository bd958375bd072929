/* The stored run: ownership, and which scenario runs under which flag set. */
#include "diff/report/run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/cpuid/build.h"

#define NEEDS_KVM (NEED_MSR | NEED_HYPERCALL | NEED_CLOCK)

void run_init(struct run *run)
{
    memset(run, 0, sizeof(*run));
}

static void side_free(struct run_side *side, unsigned scenarios)
{
    for (unsigned i = 0; side->transcripts && i < scenarios; i++)
        transcript_free(&side->transcripts[i]);
    free(side->transcripts);
    free(side->ran);
    free(side->command_line);
    free(side->warnings);
}

static void set_free(struct run_set *set, unsigned scenarios)
{
    side_free(&set->ours, scenarios);
    side_free(&set->theirs, scenarios);
    free(set->name);
    free(set->cpu);
    free(set->machine);
    free(set->smp);
    free(set->memory);
    free(set->only);
}

void run_free(struct run *run)
{
    for (unsigned i = 0; i < run->set_count; i++)
        set_free(&run->sets[i], run->scenario_count);
    for (unsigned i = 0; i < run->scenario_count; i++) {
        free(run->scenarios[i].name);
        free(run->scenarios[i].file);
        free(run->scenarios[i].text);
        program_free(&run->scenarios[i].program);
    }
    free(run->sets);
    free(run->scenarios);
    free(run->created);
    free(run->version);
    free(run->reference);
    free(run->recording);
    free(run->known);
    free(run->fuzz);
    run_init(run);
}

int run_add_scenario(struct run *run, const char *name, const char *file, const char *text, size_t len,
                     struct program_error *error)
{
    struct run_scenario *scenarios,
        scenario = {.name = strdup(name), .file = strdup(file), .text = strndup(text, len)};
    int err = -ENOMEM;

    program_init(&scenario.program);
    scenarios = realloc(run->scenarios, (run->scenario_count + 1) * sizeof(*scenarios));
    if (scenarios)
        run->scenarios = scenarios;
    if (scenarios && scenario.name && scenario.file && scenario.text)
        err = program_parse(&scenario.program, text, len, error);
    if (err) {
        program_free(&scenario.program);
        free(scenario.name);
        free(scenario.file);
        free(scenario.text);
        return err;
    }
    run->scenarios[run->scenario_count++] = scenario;
    return 0;
}

static bool side_init(struct run_side *side, unsigned scenarios)
{
    side->command_line = strdup("");
    side->warnings = strdup("");
    side->ran = calloc(scenarios ? scenarios : 1, sizeof(*side->ran));
    side->transcripts = calloc(scenarios ? scenarios : 1, sizeof(*side->transcripts));
    for (unsigned i = 0; side->transcripts && i < scenarios; i++)
        transcript_init(&side->transcripts[i]);
    return side->command_line && side->warnings && side->ran && side->transcripts;
}

int run_add_set(struct run *run, const struct flag_set *flags, const char *only)
{
    struct run_set *sets = realloc(run->sets, (run->set_count + 1) * sizeof(*sets)), *set;

    if (!sets)
        return -ENOMEM;
    run->sets = sets;
    set = &sets[run->set_count];
    *set = (struct run_set){
        .name = strdup(flags->name),
        .cpu = strdup(flags->cpu),
        .machine = strdup(flags->machine),
        .smp = strdup(flags->smp),
        .memory = strdup(flags->memory),
        .only = strdup(only ? only : ""),
    };
    if (!side_init(&set->ours, run->scenario_count) || !side_init(&set->theirs, run->scenario_count) ||
        !set->name || !set->cpu || !set->machine || !set->smp || !set->memory || !set->only) {
        set_free(set, run->scenario_count);
        return -ENOMEM;
    }
    run->set_count++;
    return 0;
}

struct flag_set run_flags(const struct run_set *set)
{
    return (struct flag_set){
        .name = set->name, .cpu = set->cpu, .machine = set->machine, .smp = set->smp, .memory = set->memory};
}

static bool has_word(const char *words, const char *word)
{
    size_t len = strlen(word);

    for (const char *at = words; (at = strstr(at, word)); at += len)
        if ((at == words || at[-1] == ' ') && (at[len] == ' ' || !at[len]))
            return true;
    return false;
}

bool run_wants(const struct run *run, unsigned set, unsigned scenario)
{
    return !*run->sets[set].only || has_word(run->sets[set].only, run->scenarios[scenario].name);
}

/* Under enforcement only what is advertised works (ENF-3): a program whose header names features needs them. */
static bool closes_features(const struct run_set *set, uint32_t features)
{
    struct cpuid_outcome outcome;
    struct cpuid_table table;

    if (!features ||
        cpuid_for_flags(set->cpu, set->machine, set->smp, cpuid_supported_soft(), 0, &table, &outcome))
        return false;
    return outcome.enforce_pv && features & ~outcome.granted[FW_KVM];
}

const char *run_skip_reason(const struct run *run, unsigned set, unsigned scenario, char *buf, size_t size)
{
    unsigned vcpus = smp_vcpus(run->sets[set].smp), needed = run->scenarios[scenario].program.config.vcpus;

    /* Before anything else: the flags could be changed, this cannot. */
    if (run->theirs.host.tcg && program_needs(&run->scenarios[scenario].program) & NEEDS_KVM)
        return "TCG has no KVM interface";
    if (needed > vcpus)
        snprintf(buf, size, "it needs %u vCPUs, these flags give %u", needed, vcpus);
    else if (closes_features(&run->sets[set], run->scenarios[scenario].program.config.features))
        snprintf(buf, size, "it needs features that these flags close");
    else
        return NULL;
    return buf;
}

bool run_set_enforced(const struct run_set *set)
{
    static const char word[] = "kvm-pv-enforce-cpuid";
    bool enforced = false;

    for (const char *at = set->cpu; (at = strstr(at, word)); at += sizeof(word) - 1) {
        const char *value = at + sizeof(word) - 1;

        if (at > set->cpu && at[-1] == '-')
            return false; /* -flag is applied after everything else */
        enforced = *value != '=' || !strncmp(value, "=on", 3) || !strncmp(value, "=true", 5) ||
                   !strncmp(value, "=yes", 4);
    }
    return enforced;
}

const struct transcript *run_transcript(const struct run_side *side, unsigned scenario)
{
    return !*side->error && side->ran[scenario] ? &side->transcripts[scenario] : NULL;
}
