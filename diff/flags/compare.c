/* Compares what two sides made of a -cpu string. QEMU flags specification sections 2.1, 4.1 and 5. */
#include <stdio.h>
#include <string.h>
#include "diff/flags/outcome.h"

const char *flags_difference_name(enum flags_difference difference)
{
    static const char *const names[FLAGS_DIFFERENCES] = {"same",    "not-modelled", "fate",
                                                         "refusal", "words",        "warnings"};

    return names[difference];
}

/* Equal as far as both were kept. message.h cuts the ends of long texts, values inside them may be cut earlier. */
static bool same_text(const char *ours, const char *theirs)
{
    size_t len = strlen(ours);
    bool cut = len == MESSAGE_TEXT - 1 || strlen(theirs) == MESSAGE_TEXT - 1;

    return cut ? !strncmp(ours, theirs, MESSAGE_TEXT - 4) : !strcmp(ours, theirs);
}

static enum flags_difference compare_warnings(const struct messages *ours, const struct messages *theirs,
                                              char what[400])
{
    uint32_t kept = messages_kept(ours) < messages_kept(theirs) ? messages_kept(ours) : messages_kept(theirs);

    for (uint32_t i = 0; i < kept; i++) {
        if (same_text(ours->list[i].text, theirs->list[i].text))
            continue;
        snprintf(what, 400, "warning %u: ours \"%.170s\", QEMU's \"%.170s\"", i + 1, ours->list[i].text,
                 theirs->list[i].text);
        return FLAGS_OTHER_WARNINGS;
    }
    if (ours->total == theirs->total)
        return FLAGS_SAME;
    if (ours->total < theirs->total)
        snprintf(what, 400, "%u warnings, QEMU has %u; the first more: \"%.250s\"", ours->total,
                 theirs->total, kept < MESSAGES_MAX ? theirs->list[kept].text : "");
    else
        snprintf(what, 400, "%u warnings, QEMU has %u; the first too many: \"%.250s\"", ours->total,
                 theirs->total, kept < MESSAGES_MAX ? ours->list[kept].text : "");
    return FLAGS_OTHER_WARNINGS;
}

static const char *kind_name(const struct flags_outcome *outcome)
{
    return outcome->error.kind < CPU_ERROR_KINDS ? cpu_error_kind_name(outcome->error.kind)
                                                 : "of no known kind";
}

static enum flags_difference compare_errors(const struct flags_outcome *ours,
                                            const struct flags_outcome *theirs, char what[400])
{
    if (ours->fate != FATE_REFUSED ||
        (ours->error.kind == theirs->error.kind && same_text(ours->error.text, theirs->error.text)))
        return FLAGS_SAME;
    snprintf(what, 400, "refused: ours \"%.150s\" (%s), QEMU's \"%.150s\" (%s)", ours->error.text,
             kind_name(ours), theirs->error.text, kind_name(theirs));
    return ours->error.kind == theirs->error.kind ? FLAGS_OTHER_WORDS : FLAGS_OTHER_REFUSAL;
}

static bool not_modelled(const struct flags_outcome *ours)
{
    return ours->fate == FATE_REFUSED && strstr(ours->error.text, " is not modelled");
}

enum flags_difference flags_compare(const struct flags_outcome *ours, const struct flags_outcome *theirs,
                                    char what[400])
{
    char unused[400];
    enum flags_difference difference;

    if (!what)
        what = unused;
    *what = 0;
    if (not_modelled(ours) && theirs->fate != FATE_SILENT) {
        snprintf(what, 400, "%.390s", ours->error.text);
        return FLAGS_NOT_MODELLED;
    }
    if (ours->fate != theirs->fate || theirs->fate == FATE_SILENT) {
        snprintf(what, 400, "ours %s%s%.150s, QEMU %s%s%.150s", flags_fate_name(ours->fate),
                 ours->error.text[0] ? ": " : "", ours->error.text, flags_fate_name(theirs->fate),
                 theirs->error.text[0] ? ": " : "", theirs->error.text);
        return FLAGS_OTHER_FATE;
    }
    difference = compare_errors(ours, theirs, what);
    return difference ? difference : compare_warnings(&ours->warnings, &theirs->warnings, what);
}
