/* What the host and the agent inside the box tell each other, as bytes. Both sides parse it as hostile input. */
#ifndef DIFF_MACHINE_JOB_H
#define DIFF_MACHINE_JOB_H

#include "diff/machine/machine.h"
#include "diff/program/wire.h"

enum job_message {
    /* agent -> host */
    JOB_HELLO = 1,   /* string: QEMU's version; string: the host record as JSON */
    JOB_RESULT = 2,  /* a run_result */
    JOB_OUTPUT = 3,  /* bytes that a command wrote */
    JOB_EXIT = 4,    /* u32: wait status of the command */
    JOB_PROBLEM = 5, /* string: why the agent cannot do it */
    /* host -> agent */
    JOB_RUN = 16, /* a run_item; answered by JOB_RESULT */
    /* string: path; u32: mode; u32: append to it; bytes. No answer unless JOB_PROBLEM at the next EXEC */
    JOB_FILE = 17,
    JOB_EXEC = 18, /* string: a shell command; answered by JOB_OUTPUT... JOB_EXIT */
};

#define JOB_PROGRAMS_MAX 65536u

/* The most bytes that the result of one program with so many actions can take. */
size_t job_result_bound(const struct program *program);

int job_item_encode(const struct run_item *item, struct wire_out *out);
/* Owns everything it points to; job_item_free() also after a failure. -EINVAL, -ENOMEM. */
struct job_item {
    struct run_item item;
    struct program *programs; /* item.programs */
    uint8_t *bytes;           /* copy of the message: the strings lie in it */
};
int job_item_decode(struct job_item *job, const uint8_t *data, size_t len);
void job_item_free(struct job_item *job);

int job_result_encode(const struct run_result *result, unsigned program_count, struct wire_out *out);
/* Into a result that machine_run() prepared for so many programs; on -EINVAL what was read so far stays. */
int job_result_decode(struct run_result *result, unsigned program_count, const uint8_t *data, size_t len);

#endif
