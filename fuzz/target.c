/* What every fuzz binary shares: where it is, and how it stops. */
#include "fuzz/target.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct fuzz_run fuzz_run = {.action = FUZZ_NO_ACTION};

void fuzz_fail(const char *rule, const char *format, ...)
{
    va_list ap;

    snprintf(fuzz_run.rule, sizeof(fuzz_run.rule), "%s", rule);
    va_start(ap, format);
    vsnprintf(fuzz_run.text, sizeof(fuzz_run.text), format, ap);
    va_end(ap);
    fprintf(stderr, "invariant %s: %s\n", fuzz_run.rule, fuzz_run.text);
    abort();
}
