/* Holds a run of ours against what a vector recorded. QEMU flags specification section 18. For tests only. */
#ifndef TESTS_VECTOR_COMPARE_H
#define TESTS_VECTOR_COMPARE_H

#include <cjson/cJSON.h>
#include "tests/vector_run.h"

/* A part of some vectors that is not compared, and why. */
struct not_compared {
    const char *lines; /* the vectors: "24-27 54", lines of the file counted from 0 */
    const char *part;  /* "property min-level", "leaf 40000010.0", ... */
    const char *reason;
};
extern const struct not_compared not_compared[];
extern const unsigned not_compared_count;
#define NOT_COMPARED_MAX 16 /* not_compared_count is not above it */

/* "24-27 54": is the line among them? */
bool lines_have(const char *lines, unsigned line);

/* What came of one vector. */
struct check {
    unsigned line;
    const char *name; /* of the vector, for people */
    unsigned failures;
    bool excused[NOT_COMPARED_MAX]; /* differs at this part */
};

/* Everything that the vector records: each part is equal, or an entry of not_compared says why it is not. An entry that
 * names a vector which is equal there is a failure too, and so is a part of the notes that nothing here can read. Says
 * on stderr what differs. */
void vector_compare(struct check *check, const cJSON *vector, const struct run *run);

#endif
