/* The host under a reference in words: its CPU, its microcode, and whether its KVM is nested. Provenance: apart from
 * every verdict, the same in every run on the same host. */
#ifndef DIFF_REPORT_HOST_FACTS_H
#define DIFF_REPORT_HOST_FACTS_H

#include "diff/machine/host_record.h"
#include "diff/report/text.h"

enum host_nesting {
    NESTING_UNKNOWN, /* no record of the host */
    NESTING_NO_KVM,
    NESTING_NONE, /* KVM has the hardware */
    NESTING_NESTED,
};

/* "Intel(R) Xeon(R) CPU, GenuineIntel family 6 model 85 stepping 7"; nothing without a record. */
void host_cpu(const struct host_record *host, struct text *out);
/* As that host's /proc/cpuinfo has it, or "not known"; nothing without a record. */
void host_microcode(const struct host_record *host, struct text *out);
enum host_nesting host_nesting(const struct host_record *host);
/* One sentence; nothing where it is not known. */
void host_nesting_words(const struct host_record *host, struct text *out);

#endif
