/* What an option parser or the table builder has to say: warnings and the error that stopped it, as data.
 * Texts are QEMU's own (specification section 2.1), without the program name. */
#ifndef VMM_CPUID_MESSAGE_H
#define VMM_CPUID_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum cpu_error_kind {
    CPU_OK,
    CPU_UNKNOWN_OPTION,   /* not an option of ours, or an unknown key in one */
    CPU_BAD_OPTION,       /* an option's value */
    CPU_BAD_MACHINE,      /* -machine */
    CPU_BAD_ACCEL,        /* -accel */
    CPU_BAD_TOPOLOGY,     /* -smp */
    CPU_UNKNOWN_MODEL,    /* model name of -cpu */
    CPU_UNKNOWN_PROPERTY, /* name in -cpu or -global */
    CPU_BAD_VALUE,        /* value in -cpu or -global */
    CPU_READ_ONLY,        /* a property that cannot be set */
    CPU_UNSUPPORTED,      /* enforce, and something had to be filtered */
    CPU_REFUSED,          /* a combination that QEMU or the kernel refuses */
    CPU_QEMU_ABORTS,      /* QEMU dies with SIGABRT here */
    CPU_ERROR_KINDS,
};
/* "unknown-property" and so on, for reports. */
const char *cpu_error_kind_name(enum cpu_error_kind kind);

#define MESSAGE_TEXT 320 /* longer texts are cut and end in "..." */
struct message {
    uint8_t kind; /* enum cpu_error_kind; warnings have CPU_OK */
    uint32_t at;  /* byte position inside the option's value that is to blame */
    char text[MESSAGE_TEXT];
};

#define MESSAGES_MAX 128
struct messages {
    uint32_t total; /* warnings ever; the first MESSAGES_MAX are in list */
    struct message list[MESSAGES_MAX];
};

/* Fills *message; bytes of an option go in as "%.*s" and may be anything but NUL. */
void message_set(struct message *message, enum cpu_error_kind kind, size_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void messages_add(struct messages *messages, size_t at, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* How many of them list holds. */
static inline uint32_t messages_kept(const struct messages *messages)
{
    return messages->total < MESSAGES_MAX ? messages->total : MESSAGES_MAX;
}

#endif
