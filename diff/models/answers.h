/* What real QEMUs answered, kept in a file from one run to the next: one line of JSON each, so that a run that is cut
 * short loses nothing that was answered, and that the comparison can be made again without QEMU. */
#ifndef DIFF_MODELS_ANSWERS_H
#define DIFF_MODELS_ANSWERS_H

#include <stdio.h>
#include "diff/machine/host_record.h"
#include "diff/models/variant.h"

#define MODELS_MAX 512
#define MODEL_NAME 64

/* Whose answers these are. All of one file are of one origin. */
struct answers_origin {
    char reference[16]; /* "qemu-tcg", ... */
    char machine[120];  /* -machine */
    char qemu[64];      /* its version */
    char kernel[96];    /* under it; empty without KVM */
};

struct answer {
    char model[MODEL_NAME];
    const struct variant *variant;
    unsigned host;           /* index into answers.hosts, where there is a kernel under QEMU */
    bool refused;            /* QEMU ended instead of running the guest; messages say why */
    bool aborted;            /* of a signal */
    char *messages;          /* its stderr; owned */
    unsigned vcpus;          /* 0 when refused */
    struct cpuid_regs *regs; /* of vCPU v and read i: [v * read_count + i]; owned */
};

struct answers {
    struct answers_origin origin;
    struct cpuid_read reads[READS_MAX];
    unsigned read_count;
    struct host_record *hosts; /* of each machine that was opened */
    unsigned host_count;
    struct answer *list;
    unsigned count, capacity;
    FILE *file;   /* locked while open for more */
    bool started; /* the file names its origin */
};

enum answers_mode {
    ANSWERS_READ,
    ANSWERS_ADD,   /* creates the file where there is none */
    ANSWERS_FRESH, /* and forgets what it holds */
};
/* Opens the file and reads what it holds; a last line that was cut short does not count. -errno with one line in why:
 * -EBUSY another run writes to it, -EINVAL it holds something else. */
int answers_open(struct answers *answers, const char *path, enum answers_mode mode, char why[240]);
/* The first call of a file writes the origin; a later one with another origin gives -EINVAL and says so. host: of the
 * machine that answers, NULL without a kernel; *index is what answer.host wants. */
int answers_add_host(struct answers *answers, const struct answers_origin *origin,
                     const struct host_record *host, unsigned *index, char why[240]);
/* Writes the line at once, and takes over messages and regs; on -errno they stay the caller's. */
int answers_add(struct answers *answers, const struct answer *answer);
const struct answer *answers_find(const struct answers *answers, const char *model,
                                  const struct variant *variant);
/* The models that there is any answer about; *models is malloc'ed. -ENOMEM. */
int answers_models(const struct answers *answers, char (**models)[MODEL_NAME], unsigned *count);
void answers_close(struct answers *answers);

#endif
