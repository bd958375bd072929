/* What a fuzz target offers and what it tells about itself while it runs. One source per target serves libFuzzer,
 * AFL++ (its libFuzzer driver) and the replay binary (replay_main.c). */
#ifndef FUZZ_TARGET_H
#define FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One input. Returns 0; a broken rule ends in fuzz_fail(). */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* For people: an input in the form that is reviewed (program text, or the flag string). malloc'ed; NULL: no memory. */
char *fuzz_input_text(const uint8_t *data, size_t size);
/* A seed in its reviewed form becomes what engines feed: *out is malloc'ed. -EINVAL with *message, -ENOMEM. */
int fuzz_input_load(const uint8_t *data, size_t size, uint8_t **out, size_t *out_size, char message[200]);

/* When a program runs again with a save and restore in the middle (decision 28). */
enum save_judge {
    SAVE_ONE_IN_64,   /* of the inputs, at one point drawn from the input */
    SAVE_EVERY_POINT, /* corpus replay */
    SAVE_NEVER,       /* measuring */
};

#define FUZZ_NO_ACTION 0xffffffffu
/* The only writable data of a fuzz binary besides its machines: where it is, for the crash handler. */
struct fuzz_run {
    enum save_judge save_judge;
    bool verbose;             /* replay -v: say what each action did, on stdout */
    volatile uint32_t action; /* index of the action being done, or FUZZ_NO_ACTION */
    char rule[24];            /* fuzz_fail(): the broken rule and one line about it */
    char text[232];
};
extern struct fuzz_run fuzz_run;

/* The code under test broke `rule`: prints "RULE: text" on stderr and aborts. */
_Noreturn void fuzz_fail(const char *rule, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
