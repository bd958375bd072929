/* Walks a program's actions beside both transcripts and hands each pair of outcomes to its family's rules. */
#include "diff/judge/judge_parts.h"

#include <string.h>
#include "diff/judge/show.h"
#include "diff/machine/mailbox_run.h"

/* What judges an action. NULL: plumbing (a pause, a fill) that shows in what comes after it. */
static const struct family {
    uint8_t kind; /* enum check_kind */
    void (*judge)(struct judgement *j, const struct outcomes *o);
} families[OP_COUNT] = {
    [OP_CPUID] = {CHECK_CPUID, judge_cpuid},
    [OP_RDMSR] = {CHECK_MSR, judge_outcome},
    [OP_WRMSR] = {CHECK_MSR, judge_outcome},
    [OP_VMCALL] = {CHECK_HYPERCALL, judge_outcome},
    [OP_VMMCALL] = {CHECK_HYPERCALL, judge_outcome},
    [OP_LOAD8] = {CHECK_RECORD, judge_memory},
    [OP_LOAD16] = {CHECK_RECORD, judge_memory},
    [OP_LOAD32] = {CHECK_RECORD, judge_memory},
    [OP_LOAD64] = {CHECK_RECORD, judge_memory},
    [OP_STORE8] = {CHECK_RECORD, judge_outcome},
    [OP_STORE16] = {CHECK_RECORD, judge_outcome},
    [OP_STORE32] = {CHECK_RECORD, judge_outcome},
    [OP_STORE64] = {CHECK_RECORD, judge_outcome},
    [OP_DUMP] = {CHECK_RECORD, judge_memory},
    [OP_FILL] = {CHECK_RECORD, NULL},
    [OP_RDTSC] = {CHECK_CLOCK, judge_outcome},
    [OP_HLT] = {CHECK_INTERRUPT, judge_outcome},
    [OP_PAUSE] = {CHECK_INTERRUPT, judge_outcome},
    [OP_STI] = {CHECK_INTERRUPT, judge_outcome},
    [OP_CLI] = {CHECK_INTERRUPT, judge_outcome},
    [OP_APIC_READ] = {CHECK_INTERRUPT, judge_outcome},
    [OP_APIC_WRITE] = {CHECK_INTERRUPT, judge_outcome},
    [OP_IPI] = {CHECK_INTERRUPT, judge_outcome},
    [OP_EOI] = {CHECK_INTERRUPT, judge_outcome},
    [OP_CLOCK] = {CHECK_CLOCK, NULL}, /* judge_clock looks at all of them together */
    [OP_ADVANCE] = {CHECK_CLOCK, NULL},
    [OP_PAUSE_VM] = {CHECK_CLOCK, NULL},
    [OP_RESUME_VM] = {CHECK_CLOCK, NULL},
    [OP_RESET] = {CHECK_MSR, NULL},
    [OP_SAVE_RESTORE] = {CHECK_RECORD, NULL}, /* ours alone: decision 11 */
    [OP_IN8] = {CHECK_INTERRUPT, judge_outcome},
    [OP_IN16] = {CHECK_INTERRUPT, judge_outcome},
    [OP_IN32] = {CHECK_INTERRUPT, judge_outcome},
    [OP_OUT8] = {CHECK_INTERRUPT, judge_outcome},
    [OP_OUT16] = {CHECK_INTERRUPT, judge_outcome},
    [OP_OUT32] = {CHECK_INTERRUPT, judge_outcome},
    [OP_RDTSCP] = {CHECK_CLOCK, judge_outcome},
    [OP_LOCK_CMPXCHG8] = {CHECK_RECORD, judge_outcome},
    [OP_TEST_CLEAR] = {CHECK_RECORD, judge_outcome},
    [OP_INVLPG] = {CHECK_RECORD, judge_outcome},
    [OP_MAP] = {CHECK_RECORD, NULL},
    [OP_X2APIC] = {CHECK_INTERRUPT, judge_outcome},
    [OP_WINDOW] = {CHECK_INTERRUPT, judge_outcome},
    [OP_ON_INTERRUPT] = {CHECK_INTERRUPT, NULL},
    [OP_DESCHEDULE] = {CHECK_RECORD, NULL},
    [OP_PAGE_OUT] = {CHECK_RECORD, NULL},
    [OP_PAGE_IN] = {CHECK_RECORD, NULL},
    [OP_HOST_INIT] = {CHECK_INTERRUPT, NULL},
    [OP_HOST_SIPI] = {CHECK_INTERRUPT, NULL},
    [OP_MSI] = {CHECK_INTERRUPT, NULL},
    [OP_SLOT_ADD] = {CHECK_RECORD, NULL},
    [OP_SLOT_REMOVE] = {CHECK_RECORD, NULL},
    [OP_SLOT_MOVE] = {CHECK_RECORD, NULL},
    [OP_SET_CPUID] = {CHECK_CPUID, NULL},
    [OP_ENFORCE] = {CHECK_CPUID, NULL},
    [OP_SET_CLOCK] = {CHECK_CLOCK, NULL},
    [OP_KVMCLOCK_CTRL] = {CHECK_CLOCK, NULL},
    [OP_DIRTY_CLEAR] = {CHECK_RECORD, NULL},
    [OP_DIRTY_READ] = {CHECK_RECORD, NULL},
    [OP_MIGRATE] = {CHECK_RECORD, NULL},
};

enum check_kind judge_kind(enum action_op op)
{
    return op < OP_COUNT ? families[op].kind : CHECK_CPUID;
}

/* What a program is about: clocks if it samples one, else what it does first. */
static enum check_kind program_kind(const struct program *program)
{
    enum check_kind kind = CHECK_KINDS;

    for (uint32_t i = 0; i < program->count; i++) {
        const struct action *action = &program->actions[i];

        if (action->op == OP_CLOCK)
            return CHECK_CLOCK;
        if (kind == CHECK_KINDS && action->op > OP_NOTE && action->op < OP_COUNT)
            kind = judge_kind(action->op);
    }
    return kind == CHECK_KINDS ? CHECK_CPUID : kind;
}

static struct check check_of_case(const struct judge_case *judged)
{
    return (struct check){
        .item = judged->item,
        .program = judged->program_index,
        .action = ACTION_WHOLE_PROGRAM,
        .flags = judged->flags->name,
        .scenario = judged->scenario,
    };
}

struct check check_of_action(struct judgement *j, uint32_t index)
{
    const struct program *program = j->judged->program;
    struct check check = check_of_case(j->judged);
    char text[200];

    action_print(program, &program->actions[index], text, sizeof(text));
    check.action = index;
    check.kind = (uint8_t)judge_kind(program->actions[index].op);
    check.text = check_text(j->list, "%s", text);
    return check;
}

uint64_t operand_address(const struct operand *operand)
{
    return mailbox_resolve(operand, PROBE_RAM_SIZE);
}

static const struct outcome *outcome_at(const struct transcript *transcript, uint32_t index)
{
    static const struct outcome never = {.status = OUTCOME_NONE};

    return index < transcript->count ? &transcript->outcomes[index] : &never;
}

static void not_compared_because(struct judgement *j, uint32_t index, const char *reason)
{
    struct check check = check_of_action(j, index);

    check.verdict = VERDICT_NOT_COMPARED;
    check.what = "outcome";
    check.reason = reason;
    check_add(j->list, &check);
}

static void not_compared(struct judgement *j, uint32_t index, const char *ours, const char *theirs)
{
    struct check check = check_of_action(j, index);

    check.verdict = VERDICT_NOT_COMPARED;
    check.what = "outcome";
    check.ours = ours ? ours : "ran";
    check.theirs = theirs ? theirs : "ran";
    check.reason = ours && theirs ? check_text(j->list, "neither machine: %s", theirs)
                   : ours         ? check_text(j->list, "ours: %s", ours)
                                  : check_text(j->list, "reference: %s", theirs);
    check_add(j->list, &check);
}

/* A halt that nothing ended looks like a hang; here it is the answer itself. */
static bool halts_in_both(const struct outcomes *o)
{
    return o->action->op == OP_HLT && o->ours->status != OUTCOME_NONE && o->theirs->status != OUTCOME_NONE &&
           o->ours->status != OUTCOME_UNSUPPORTED && o->theirs->status != OUTCOME_UNSUPPORTED;
}

/* A host action that one machine alone did: from here on they are two different machines. */
static bool parts(const struct outcomes *o)
{
    const uint32_t needs = NEEDS_OF_OURS | NEED_MIGRATE;

    return op_info(o->action->op)->needs & needs && o->ours->status != o->theirs->status &&
           (o->ours->status == OUTCOME_HOST || o->theirs->status == OUTCOME_HOST);
}

static void judge_action(struct judgement *j, uint32_t index)
{
    const struct judge_case *judged = j->judged;
    struct outcomes o = {
        .index = index,
        .action = &judged->program->actions[index],
        .ours = outcome_at(judged->ours.transcript, index),
        .theirs = outcome_at(judged->theirs.transcript, index),
    };
    const struct family *family = &families[o.action->op < OP_COUNT ? o.action->op : OP_NOP];
    const char *ours = show_unusable(j->list, o.ours, judged->ours.transcript->stopped);
    const char *theirs = show_unusable(j->list, o.theirs, judged->theirs.transcript->stopped);

    if (o.action->op <= OP_NOTE || o.action->op >= OP_COUNT)
        return;
    if (j->parted) {
        if (family->judge)
            not_compared_because(j, index, j->parted);
        return;
    }
    if (parts(&o))
        j->parted = check_text(j->list, "only one machine did !%s before it", op_info(o.action->op)->word);
    if ((ours || theirs) && !halts_in_both(&o)) {
        /* Plumbing that failed is said once; what depended on it is judged, or not, where it shows. */
        not_compared(j, index, ours, theirs);
        return;
    }
    if (family->judge)
        family->judge(j, &o);
}

void judge_skipped(const struct judge_case *judged, const char *reason, struct check_list *list)
{
    struct check check = check_of_case(judged);

    check.kind = (uint8_t)program_kind(judged->program);
    check.verdict = VERDICT_NOT_COMPARED;
    check.what = "program";
    check.reason = reason;
    check_add(list, &check);
}

void judge_refusal(const struct judge_case *judged, const char *ours, const char *theirs,
                   struct check_list *list)
{
    struct check check = check_of_case(judged);

    check.kind = CHECK_CPUID;
    check.scenario = "";
    check.verdict = !ours == !theirs ? VERDICT_EQUAL : VERDICT_DIFFERENT;
    check.what = "flags accepted";
    check.rule = "qemu-cpu-flags 1";
    check.ours = ours ? check_text(list, "refused: %s", ours) : "accepted";
    check.theirs = theirs ? check_text(list, "refused: %s", theirs) : "accepted";
    check_add(list, &check);
}

void judge_program(const struct judge_case *judged, struct check_list *list)
{
    struct judgement j = {.judged = judged, .list = list};

    if (!judged->ours.transcript || !judged->theirs.transcript) {
        judge_skipped(judged,
                      judged->theirs.transcript ? check_text(list, "ours: %s", judged->ours.why)
                                                : check_text(list, "reference: %s", judged->theirs.why),
                      list);
        return;
    }
    for (uint32_t i = 0; i < judged->program->count; i++)
        judge_action(&j, i);
    judge_events(&j);
    if (!j.parted)
        judge_clock(&j);
}
