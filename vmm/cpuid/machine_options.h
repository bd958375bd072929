/* The command line of pv-vmm in QEMU's own spelling, as data; and the machine that follows from it.
 * Decision 24; QEMU flags specification P1-P3, K10, K12, K13, T4. No I/O, no heap; strings stay the caller's. */
#ifndef VMM_CPUID_MACHINE_OPTIONS_H
#define VMM_CPUID_MACHINE_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/cpuid/build.h"

#define OPTION_GLOBALS  32
#define OPTION_CHARDEVS 8

struct option_chardev { /* -chardev file,id=ID,path=PATH */
    char id[32], path[256];
};
struct option_debug_exit { /* -device isa-debug-exit */
    bool present;
    uint16_t iobase, iosize;
};
struct option_debugcon { /* -device isa-debugcon,chardev=ID */
    bool present;
    uint16_t iobase;
    char chardev[32];
};

struct vmm_options {
    const char *cpu; /* NULL: the machine's default; the last -cpu counts (P1) */
    const char *smp; /* NULL: one CPU */
    struct machine_type type;
    bool machine_help; /* -machine help: its names are wanted, nothing after it counts */
    bool smp_help;     /* the same of -smp help and its keys */
    bool accel_given;
    enum cpuid_accel accel; /* ACCEL_SOFT unless chosen */
    bool irqchip_given;
    enum irqchip irqchip;
    const char *bad_irqchip; /* -machine's spelling where it is none: an error on KVM, nothing to TCG (K10) */
    size_t bad_irqchip_len;
    uint64_t memory_bytes;                                /* 128 MiB unless chosen */
    const char *kernel, *initrd, *append, *bios, *serial; /* NULL: not given */
    bool nographic, no_reboot;
    bool pc_testdev, pci_testdev;
    struct option_debug_exit debug_exit;
    struct option_debugcon debugcon;
    struct option_chardev chardevs[OPTION_CHARDEVS];
    unsigned chardev_count;
    struct cpu_global globals[OPTION_GLOBALS];
    unsigned global_count;
    struct messages warnings;
    struct message error; /* kind CPU_OK: valid */
};

/* A program's own options, "--name", "--name VALUE" or "--name=VALUE": filled in as they are met. */
struct own_option {
    const char *name; /* without dashes */
    bool takes_value;
    const char **value; /* set to the value, or to "" where there is none */
};

/* argv without program and command names. False: options->error says why; text is QEMU's where QEMU has one. */
bool vmm_options_parse(struct vmm_options *options, int argc, char *const *argv, const struct own_option *own,
                       unsigned own_count);
/* One -machine, or -accel, value; later ones override. Used by vmm_options_parse and cpuid_for_flags. */
void vmm_options_init(struct vmm_options *options);
bool vmm_options_machine(struct vmm_options *options, const char *value);

/* The machine on a given host: topology, interrupt controller. Appends to options->warnings. False: options->error. */
bool vmm_options_resolve(struct vmm_options *options, const struct cpuid_supported *host,
                         struct cpuid_machine *machine);

#endif
