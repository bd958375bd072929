/* Makes a -cpu string shorter as long as it keeps showing what it shows. Delta debugging over items, then over bytes. */
#ifndef DIFF_FLAGS_SHRINK_H
#define DIFF_FLAGS_SHRINK_H

#include <stdbool.h>
#include <stddef.h>
#include "diff/flags/grammar.h"

struct flags_oracle {
    /* Does this string still show it? May take a while: a QEMU is started. */
    bool (*shows)(void *ctx, const char *text);
    void *ctx;
    unsigned budget; /* questions left; at 0 the shrinking ends with what it has */
};

/* text becomes a string that shows it and that loses it with any one item less (within the budget). */
void flags_shrink(char text[FLAGS_TEXT_MAX], struct flags_oracle *oracle);

#endif
