/* Loads and dumps: records that the host writes are compared field by field, everything else byte by byte (DIF-2). */
#include "diff/judge/judge_parts.h"
#include "diff/judge/records.h"
#include "diff/judge/show.h"

#include <string.h>

/* What both machines read from the same place. */
struct reading {
    uint64_t gpa;
    uint8_t ours[64], theirs[64];
    unsigned count;
};

static unsigned load_size(enum action_op op)
{
    switch (op) {
    case OP_LOAD8:
        return 1;
    case OP_LOAD16:
        return 2;
    case OP_LOAD32:
        return 4;
    default:
        return 8;
    }
}

static void reading_take(const struct outcomes *o, struct reading *r)
{
    *r = (struct reading){.gpa = operand_address(&o->action->args[0])};
    if (o->action->op == OP_DUMP) {
        /* Unequal lengths cannot come from equal programs; the shorter one is what both can show. */
        r->count = o->ours->data_len < o->theirs->data_len ? o->ours->data_len : o->theirs->data_len;
        r->count = r->count < sizeof(r->ours) ? r->count : sizeof(r->ours);
        memcpy(r->ours, o->ours->data, r->count);
        memcpy(r->theirs, o->theirs->data, r->count);
    } else {
        r->count = load_size(o->action->op);
        memcpy(r->ours, &o->ours->regs[0], r->count);
        memcpy(r->theirs, &o->theirs->regs[0], r->count);
    }
}

static uint32_t word_at(const uint8_t *bytes)
{
    uint32_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

/* Whether a field that lies whole in the reading may differ as it does. */
static bool field_allows(struct judgement *j, const struct record_field *field, const uint8_t *ours,
                         const uint8_t *theirs)
{
    bool stable_expected = j->judged->ours.clocksource_tsc && j->judged->theirs.clocksource_tsc;

    switch ((enum field_rule)field->rule) {
    case FIELD_EXACT:
        return false;
    case FIELD_VOLATILE:
        return true;
    case FIELD_VERSION: /* one side written and the other never is no matter of counting */
        return !(word_at(ours) & 1) && !(word_at(theirs) & 1) && !word_at(ours) == !word_at(theirs);
    case FIELD_NSEC:
        return word_at(ours) < 1000000000u && word_at(theirs) < 1000000000u;
    case FIELD_TOKEN:
        return word_at(ours) + 1 > 1 && word_at(theirs) + 1 > 1; /* neither 0 nor ~0 */
    case FIELD_FLAGS:
        return !stable_expected && !((*ours ^ *theirs) & ~1u);
    }
    return false;
}

/* Compares from byte `at` to the end of its field; returns where the next one starts. */
static unsigned compare_field(struct judgement *j, uint32_t index, const struct reading *r, unsigned at,
                              const char **where, const char **forgiven)
{
    struct record_area area;
    const struct record_field *field;
    unsigned offset, start, end;

    if (!record_at(j->judged, index, r->gpa + at, &area)) {
        if (r->ours[at] != r->theirs[at] && !*where)
            *where = check_text(j->list, "byte +%u", at);
        return at + 1;
    }
    offset = (unsigned)(r->gpa + at - area.gpa);
    field = record_field(area.kind, offset);
    start = at - (offset - field->offset);
    end = at + (field->offset + field->size - offset);
    if (end > r->count || offset != field->offset) { /* a part of a field: its rule cannot be applied */
        end = end < r->count ? end : r->count;
        if (memcmp(r->ours + at, r->theirs + at, end - at) && field->rule == FIELD_EXACT && !*where)
            *where = check_text(j->list, "%s %s", record_name(area.kind), field->name);
        return end;
    }
    if (memcmp(r->ours + start, r->theirs + start, field->size)) {
        if (!field_allows(j, field, r->ours + start, r->theirs + start))
            *where = *where ? *where : check_text(j->list, "%s %s", record_name(area.kind), field->name);
        else
            *forgiven = **forgiven ? check_text(j->list, "%s; %s: %s", *forgiven, field->name, field->reason)
                                   : check_text(j->list, "may differ: %s: %s", field->name, field->reason);
    }
    return end;
}

static void judge_reading(struct judgement *j, const struct outcomes *o)
{
    struct check check = check_of_action(j, o->index);
    const char *where = NULL, *forgiven = "";
    struct reading r;

    reading_take(o, &r);
    for (unsigned at = 0; at < r.count;)
        at = compare_field(j, o->index, &r, at, &where, &forgiven);
    if (o->action->op == OP_DUMP && o->ours->data_len != o->theirs->data_len && !where)
        where = "length";
    check.verdict = where ? VERDICT_DIFFERENT : VERDICT_EQUAL;
    check.what = where ? where : "memory";
    check.rule = "DIF-2";
    check.reason = forgiven;
    check.ours = show_bytes(j->list, r.ours, r.count);
    check.theirs = show_bytes(j->list, r.theirs, r.count);
    check_add(j->list, &check);
}

void judge_memory(struct judgement *j, const struct outcomes *o)
{
    if (o->ours->status == OUTCOME_OK && o->theirs->status == OUTCOME_OK)
        judge_reading(j, o);
    else
        judge_outcome(j, o); /* a fault on either side */
}
