/* What became of one -cpu string on one side, in a form that two sides can be compared in. QEMU flags specification
 * sections 2.1 and 5: QEMU's texts, its order of warnings, how it ends. */
#ifndef DIFF_FLAGS_OUTCOME_H
#define DIFF_FLAGS_OUTCOME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/cpuid/message.h"
#include "vmm/cpuid/supported.h"

enum flags_fate {
    FATE_ACCEPTED, /* a machine with that CPU stands ready */
    FATE_HELP,     /* the string asks for the lists */
    FATE_REFUSED,
    FATE_ABORTED, /* QEMU died of a signal; ours: kind qemu-aborts */
    FATE_SILENT,  /* no answer in time, or an end that fits none of these; text says which */
    FATES,
};
const char *flags_fate_name(enum flags_fate fate); /* "accepted" and so on */

struct flags_outcome {
    enum flags_fate fate;
    struct message error;     /* refused, aborted: kind and text */
    struct messages warnings; /* texts without "warning: " */
};

/* By our parser and table builder, as for QEMU 7.2 with one vCPU on the given -machine. */
void flags_ours(struct flags_outcome *outcome, const char *cpu, const char *machine,
                const struct cpuid_supported *supported);

/* How a real QEMU ended. */
struct qemu_end {
    const char *text; /* stdout and stderr as written; NUL-terminated */
    int status;       /* as waitpid gives it */
    bool ready;       /* QMP told of a shutdown that was asked for there: the machine had been built */
    bool timed_out;
};
void flags_theirs(struct flags_outcome *outcome, const struct qemu_end *end);
/* The kind of a refusal by QEMU's words; CPU_ERROR_KINDS where they are none that we know. */
enum cpu_error_kind flags_refusal_kind(const char *text);

/* How two outcomes compare; of those that differ the gravest first. */
enum flags_difference {
    FLAGS_SAME,
    FLAGS_NOT_MODELLED,   /* our refusal says so itself: nothing was compared */
    FLAGS_OTHER_FATE,     /* accepted here, refused there, aborted there, ... */
    FLAGS_OTHER_REFUSAL,  /* both refuse, for another reason */
    FLAGS_OTHER_WORDS,    /* the same kind of refusal in other words */
    FLAGS_OTHER_WARNINGS, /* a warning more, fewer, or in another order */
    FLAGS_DIFFERENCES,
};
const char *flags_difference_name(
    enum flags_difference difference); /* "not-modelled", "fate", "refusal", "words", "warnings" */

/* what, if not NULL, says it in one line. Texts that one side had to cut count as equal as far as they go. */
enum flags_difference flags_compare(const struct flags_outcome *ours, const struct flags_outcome *theirs,
                                    char what[400]);

#endif
