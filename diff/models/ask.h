/* Asks a real QEMU: launches it once for every model and variant that is not kept yet, several at a time. */
#ifndef DIFF_MODELS_ASK_H
#define DIFF_MODELS_ASK_H

#include "diff/machine/machine.h"
#include "diff/models/answers.h"

#define JOBS_MAX 16

/* What is to be compared: every model in every variant. */
struct plan {
    char (*models)[MODEL_NAME]; /* owned by whoever filled it */
    unsigned model_count;
    const struct variant *variants[VARIANTS_MAX];
    unsigned variant_count;
};

/* One that gave no answer: neither kept nor compared. */
struct unanswered {
    unsigned model, variant; /* of the plan */
    char why[240];
};

struct asking {
    enum machine_kind reference;
    const char *machine; /* -machine */
    unsigned jobs;       /* machines at once, 1 to JOBS_MAX */
    const struct progress *progress;
    /* Found. */
    unsigned kept; /* answered before */
    unsigned launched;
    double seconds;
    struct unanswered *unanswered; /* owned */
    unsigned unanswered_count;
};

/* The models that the QEMU on the PATH lists; *models is malloc'ed. -ENOENT, -EIO with the fix in why. */
int ask_models(char (**models)[MODEL_NAME], unsigned *count, char why[240]);
/* 0: all that could be answered is in answers. -EINTR: stopped in between; -ENOENT, -ENOTSUP: the reference is missing;
 * -EIO: it was lost. Each time what was answered is kept. why: one line. */
int ask_all(struct asking *asking, const struct plan *plan, struct answers *answers, char why[240]);
void asking_free(struct asking *asking);

#endif
