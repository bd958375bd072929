/* Which bytes of guest memory a program handed to the host, and how each field of such a record compares.
 * Layouts: spec 0.2; what may differ: DIF-1, DIF-2. */
#ifndef DIFF_JUDGE_RECORDS_H
#define DIFF_JUDGE_RECORDS_H

#include "diff/judge/judge.h"

enum record_kind {
    RECORD_CLOCK,
    RECORD_WALL_CLOCK,
    RECORD_APF,
    RECORD_STEAL,
    RECORD_EOI,
    RECORD_PAIRING,
    RECORD_KINDS
};

enum field_rule {
    FIELD_EXACT,
    FIELD_VOLATILE, /* never compared */
    FIELD_VERSION,  /* even at rest on both sides; the number itself counts updates (DIF-5) */
    FIELD_NSEC,     /* below one second on both sides */
    FIELD_TOKEN,    /* 0 and 0xffffffff exactly; between them any token */
    FIELD_FLAGS,    /* exact, but the stable bit where a clocksource is not the TSC (DIF-4) */
};

struct record_field {
    uint8_t record; /* enum record_kind */
    uint8_t offset, size;
    uint8_t rule; /* enum field_rule */
    const char *name;
    const char *reason; /* why it may differ */
};

struct record_area {
    uint8_t kind; /* enum record_kind */
    uint8_t vcpu;
    uint32_t action; /* that registered it */
    uint64_t gpa;
};

/* The area that covers gpa when action `before` starts, the newest first; false: ordinary memory. */
bool record_at(const struct judge_case *judged, uint32_t before, uint64_t gpa, struct record_area *area);
/* The area that this action registers, if it is such an action. */
bool record_of_action(const struct judge_case *judged, uint32_t index, struct record_area *area);
/* The field at an offset of a record; NULL: past its end. */
const struct record_field *record_field(enum record_kind kind, uint64_t offset);
const char *record_name(enum record_kind kind);
unsigned record_size(enum record_kind kind);

#endif
