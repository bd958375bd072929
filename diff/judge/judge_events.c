/* Interrupts: the ordered list of what each vCPU's handler saw is one check (decision 5). */
#include "diff/judge/judge_parts.h"

#include <stdio.h>
#include <string.h>

/* With one vCPU the program forces the place of each interrupt too; across vCPUs only the order is forced. */
static const char *show_events(struct judgement *j, const struct transcript *transcript, unsigned vcpu,
                               bool places)
{
    char text[480] = "";
    size_t used = 0;

    for (uint32_t i = 0; i < transcript->event_count[vcpu]; i++) {
        const struct probe_event *event = &transcript->events[vcpu][i];

        if (used > sizeof(text) - 32) { /* a digest of the rest keeps the comparison whole */
            uint64_t hash = 1469598103934665603ull;

            for (; i < transcript->event_count[vcpu]; i++) {
                hash = (hash ^ transcript->events[vcpu][i].vector) * 1099511628211ull;
                hash = transcript->events[vcpu][i].watched
                           ? (hash ^ transcript->events[vcpu][i].byte) * 1099511628211ull
                           : hash;
                hash = places ? (hash ^ transcript->events[vcpu][i].after) * 1099511628211ull : hash;
            }
            snprintf(text + used, sizeof(text) - used, " ... %08x", (uint32_t)(hash ^ hash >> 32));
            break;
        }
        used += (size_t)snprintf(text + used, sizeof(text) - used, places ? "%s0x%x@%u" : "%s0x%x",
                                 used ? " " : "", event->vector, event->after);
        if (event->watched) /* what OP_ON_INTERRUPT's byte held: PV EOI's offer (EOI-19) */
            used += (size_t)snprintf(text + used, sizeof(text) - used, "(%u)", event->byte);
    }
    return check_text(j->list, "%s", *text ? text : "none");
}

#define ANY_VECTOR (-1)

static bool offered_elsewhere(const struct transcript *transcript, unsigned vcpu, int vector)
{
    for (uint32_t i = 0; i < transcript->event_count[vcpu]; i++) {
        const struct probe_event *event = &transcript->events[vcpu][i];

        if ((vector == ANY_VECTOR || event->vector == vector) && event->byte & 1)
            return true;
    }
    return false;
}

/* Any exit takes a PV EOI offer back, and a busy host makes its guests exit at any time (DIF-3): an offer may be missing
 * there that the same vector, or with any_vector another one, was given another time. */
static bool same_but_withdrawn(const struct judgement *j, unsigned vcpu, bool places, bool any_vector)
{
    const struct transcript *ours = j->judged->ours.transcript, *theirs = j->judged->theirs.transcript;

    if (ours->event_count[vcpu] != theirs->event_count[vcpu])
        return false;
    for (uint32_t i = 0; i < ours->event_count[vcpu]; i++) {
        const struct probe_event *a = &ours->events[vcpu][i], *b = &theirs->events[vcpu][i];

        if (a->vector != b->vector || a->watched != b->watched || (places && a->after != b->after))
            return false;
        if (a->byte != b->byte && (a->byte != (b->byte | 1) ||
                                   !offered_elsewhere(theirs, vcpu, any_vector ? ANY_VECTOR : b->vector)))
            return false;
    }
    return true;
}

static bool stopped_short(const struct judgement *j)
{
    return *j->judged->ours.transcript->stopped || *j->judged->theirs.transcript->stopped;
}

void judge_events(struct judgement *j)
{
    const struct transcript *ours = j->judged->ours.transcript, *theirs = j->judged->theirs.transcript;
    unsigned vcpus = j->judged->program->config.vcpus;

    for (unsigned vcpu = 0; vcpu < PROBE_VCPUS; vcpu++) {
        struct check check = {0};

        if (!ours->event_count[vcpu] && !theirs->event_count[vcpu])
            continue;
        check.item = j->judged->item;
        check.program = j->judged->program_index;
        check.action = ACTION_WHOLE_PROGRAM;
        check.flags = j->judged->flags->name;
        check.scenario = j->judged->scenario;
        check.kind = CHECK_INTERRUPT;
        check.what = check_text(j->list, "interrupts on vcpu %u", vcpu);
        check.rule = "DIF-2";
        check.ours = show_events(j, ours, vcpu, vcpus <= 1);
        check.theirs = show_events(j, theirs, vcpu, vcpus <= 1);
        check.verdict = strcmp(check.ours, check.theirs) ? VERDICT_DIFFERENT : VERDICT_EQUAL;
        if (check.verdict == VERDICT_DIFFERENT && same_but_withdrawn(j, vcpu, vcpus <= 1, false)) {
            check.verdict = VERDICT_EQUAL;
            check.reason = "may differ: an offer may be withdrawn at any exit (DIF-3)";
        } else if (check.verdict == VERDICT_DIFFERENT && same_but_withdrawn(j, vcpu, vcpus <= 1, true)) {
            check.verdict = VERDICT_NOT_COMPARED;
            check.reason = "the only offer of a vector is missing there: perhaps an exit withdrew it (DIF-3)";
        }
        if (stopped_short(j)) {
            check.verdict = VERDICT_NOT_COMPARED;
            check.reason = "a machine stopped before the end of the program";
        }
        if (j->parted) {
            check.verdict = VERDICT_NOT_COMPARED;
            check.reason = j->parted;
        }
        check_add(j->list, &check);
    }
}
