/* QEMU 7.2's x86 machine types: what of them reaches CPUID. QEMU flags specification K10, T2, T4, section 15. */
#ifndef VMM_CPUID_MACHINE_TYPE_H
#define VMM_CPUID_MACHINE_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/core/vm.h"

enum machine_family { FAMILY_I440FX, FAMILY_Q35, FAMILY_MICROVM, FAMILY_ISAPC, FAMILY_NONE };

#define MACHINE_NAME_LEN                     32
#define MACHINE_VERSION(major, minor, patch) ((major)*1000u + (minor)*10u + (patch))
#define MACHINE_LATEST                       MACHINE_VERSION(7u, 2u, 0u)
struct machine_type {
    enum machine_family family;
    char name[MACHINE_NAME_LEN]; /* as QEMU spells it out: "pc-i440fx-7.2" */
    uint32_t version;            /* MACHINE_VERSION; unversioned types are the latest */
    uint32_t max_cpus;
    enum irqchip irqchip; /* under KVM, unless chosen (K10) */
    bool prefer_sockets;  /* -smp remainder (T2) */
    bool dies;            /* -smp dies= accepted */
    bool deprecated;
    const char *default_cpu; /* NULL: no CPU (M1) */
};

/* False: no such type. "pc" and "q35" are the latest of theirs. */
bool machine_type_find(const char *name, size_t len, struct machine_type *type);

/* The names of all types, n from 0; false past the last. */
bool machine_type_nth(unsigned n, char name[MACHINE_NAME_LEN]);

/* A property value that an old machine type imposes on every CPU, or on one model (section 15). */
struct machine_compat {
    uint32_t last_version; /* machines up to this one */
    const char *models;    /* separated by blanks; NULL: all */
    const char *name, *value;
};
extern const struct machine_compat machine_compats[];
extern const unsigned machine_compat_count;

#endif
