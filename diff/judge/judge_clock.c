/* Clocks are not compared by value: each machine is held against the rules by its own host's time, and the two
 * verdicts are compared (decision 4). */
#include "diff/judge/clock_rules.h"
#include "diff/judge/judge_parts.h"

static const char *show_finding(struct judgement *j, const struct clock_finding *finding)
{
    static const char *const words[] = {[CLOCK_NOT_SEEN] = "not seen",
                                        [CLOCK_UNDECIDED] = "undecided",
                                        [CLOCK_HOLDS] = "holds",
                                        [CLOCK_BROKEN] = "broken"};

    return check_text(j->list, *finding->text ? "%s: %s" : "%s", words[finding->verdict], finding->text);
}

static const char *class_name(unsigned class)
{
    static const char *const names[] = {"exact", "banded", "invariant"};

    return names[class];
}

static void judge_rule(struct judgement *j, unsigned rule, const struct clock_finding *ours,
                       const struct clock_finding *theirs)
{
    const struct clock_rule_info *info = &clock_rules[rule];
    bool decided = ours->verdict >= CLOCK_HOLDS && theirs->verdict >= CLOCK_HOLDS;
    struct check check = {
        .kind = CHECK_CLOCK,
        .item = j->judged->item,
        .program = j->judged->program_index,
        .action = ACTION_WHOLE_PROGRAM,
        .flags = j->judged->flags->name,
        .scenario = j->judged->scenario,
        .what = info->name,
        .rule = info->rule,
        .ours = show_finding(j, ours),
        .theirs = show_finding(j, theirs),
    };

    if (ours->verdict == CLOCK_NOT_SEEN && theirs->verdict == CLOCK_NOT_SEEN)
        return; /* not what this program is about */
    if (!decided)
        check.verdict = VERDICT_NOT_COMPARED;
    else
        check.verdict = ours->verdict == theirs->verdict ? VERDICT_EQUAL : VERDICT_DIFFERENT;
    check.reason = decided ? check_text(j->list, "%s: %s", class_name(info->class), info->holds)
                           : check_text(j->list, "ours %s; reference %s", check.ours, check.theirs);
    check_add(j->list, &check);
}

/* The stable bit needs the TSC as the clocksource of the kernel that runs the VM (DIF-4). */
static bool stable_expected(const struct judgement *j)
{
    return j->judged->ours.clocksource_tsc && j->judged->theirs.clocksource_tsc;
}

void judge_clock(struct judgement *j)
{
    const struct judge_case *judged = j->judged;
    struct clock_finding ours[CLOCK_RULES], theirs[CLOCK_RULES];

    clock_rules_check(judged->program, judged->ours.transcript, judged->ours.tsc_khz, ours);
    clock_rules_check(judged->program, judged->theirs.transcript, judged->theirs.tsc_khz, theirs);
    if (!stable_expected(j) && theirs[CLOCK_STABLE].verdict == CLOCK_BROKEN)
        theirs[CLOCK_STABLE].verdict = CLOCK_UNDECIDED;
    for (unsigned rule = 0; rule < CLOCK_RULES; rule++)
        judge_rule(j, rule, &ours[rule], &theirs[rule]);
}
