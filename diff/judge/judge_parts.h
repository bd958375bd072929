/* What the files of the judge share: the case at hand, and one function per family of actions. */
#ifndef DIFF_JUDGE_JUDGE_PARTS_H
#define DIFF_JUDGE_JUDGE_PARTS_H

#include "diff/judge/judge.h"

struct judgement {
    const struct judge_case *judged;
    struct check_list *list;
    const char *parted; /* why nothing from here on is comparable; NULL: it is */
};

/* Both outcomes of one action; both ran, neither timed out. */
struct outcomes {
    uint32_t index;
    const struct action *action;
    const struct outcome *ours, *theirs;
};

/* Fills in what every check of an action has. */
struct check check_of_action(struct judgement *j, uint32_t index);

void judge_cpuid(struct judgement *j, const struct outcomes *o);
void judge_outcome(struct judgement *j,
                   const struct outcomes *o); /* MSRs, hypercalls, and what gives one value */
void judge_memory(struct judgement *j,
                  const struct outcomes *o); /* loads and dumps: records field by field */
void judge_events(struct judgement *j);
void judge_clock(struct judgement *j);

#endif
