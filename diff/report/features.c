/* How often each question of the feature matrix was answered yes, over all flag sets: for the page and the terminal. */
#include "diff/report/report.h"

struct feature_tally feature_tally(const struct report *report, unsigned feature, enum feature_level level)
{
    struct feature_tally tally = {.other = ANSWER_NOT_APPLIES};

    for (unsigned set = 0; set < report->run->set_count; set++) {
        bool enforced = run_set_enforced(&report->run->sets[set]);
        enum feature_answer ours = feature_answer(&report->ours[set], feature, level, enforced);
        enum feature_answer theirs = feature_answer(&report->theirs[set], feature, level, enforced);

        tally.yes[0] += ours == ANSWER_YES;
        tally.no[0] += ours == ANSWER_NO;
        tally.yes[1] += theirs == ANSWER_YES;
        tally.no[1] += theirs == ANSWER_NO;
        tally.differ += feature_decided(ours) && feature_decided(theirs) && ours != theirs;
        if (!feature_decided(theirs) && tally.other != ANSWER_NOT_TRIED)
            tally.other = theirs;
    }
    return tally;
}
