/* -smp as text: which keys it sets, before a machine makes anything of them. QEMU flags specification T1. */
#ifndef VMM_CPUID_SMP_H
#define VMM_CPUID_SMP_H

#include <stdbool.h>
#include <stddef.h>
#include "vmm/cpuid/message.h"

enum smp_key { SMP_CLUSTERS, SMP_CORES, SMP_CPUS, SMP_DIES, SMP_MAXCPUS, SMP_SOCKETS, SMP_THREADS, SMP_KEYS };
/* In the order in which -smp help lists them. */
extern const char *const smp_keys[SMP_KEYS];

struct smp_words {
    struct smp_word {
        const char *text; /* inside what was read; NULL: not given. The last one counts. */
        size_t len;
        bool members; /* "cpus.x=1": a structure where a number belongs */
    } of[SMP_KEYS];
    struct smp_word unexpected; /* the first key that is none of them, up to a dot */
    bool help;                  /* "help" or "?" is among them: the keys are asked for */
};

/* False: *error is QEMU's. Values are not looked at yet. */
bool smp_read(struct smp_words *words, const char *text, size_t len, struct message *error);

#endif
