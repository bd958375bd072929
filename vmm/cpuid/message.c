/* Messages as data: formatted once, bounded, never printed here. */
#include "vmm/cpuid/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[CPU_ERROR_KINDS] = {
    [CPU_OK] = "ok",
    [CPU_UNKNOWN_OPTION] = "unknown-option",
    [CPU_BAD_OPTION] = "bad-option",
    [CPU_BAD_MACHINE] = "bad-machine",
    [CPU_BAD_ACCEL] = "bad-accel",
    [CPU_BAD_TOPOLOGY] = "bad-topology",
    [CPU_UNKNOWN_MODEL] = "unknown-model",
    [CPU_UNKNOWN_PROPERTY] = "unknown-property",
    [CPU_BAD_VALUE] = "bad-value",
    [CPU_READ_ONLY] = "read-only",
    [CPU_UNSUPPORTED] = "unsupported-feature",
    [CPU_REFUSED] = "refused",
    [CPU_QEMU_ABORTS] = "qemu-aborts",
};

const char *cpu_error_kind_name(enum cpu_error_kind kind)
{
    return kind_names[kind];
}

static void format_text(char text[MESSAGE_TEXT], const char *format, va_list args)
{
    int len = vsnprintf(text, MESSAGE_TEXT, format, args);

    if (len < 0 || len >= MESSAGE_TEXT)
        memcpy(text + MESSAGE_TEXT - 4, "...", 4);
}

void message_set(struct message *message, enum cpu_error_kind kind, size_t at, const char *format, ...)
{
    va_list args;

    message->kind = kind;
    message->at = at;
    va_start(args, format);
    format_text(message->text, format, args);
    va_end(args);
}

void messages_add(struct messages *messages, size_t at, const char *format, ...)
{
    struct message *message;
    va_list args;

    if (messages->total++ >= MESSAGES_MAX)
        return;
    message = &messages->list[messages->total - 1];
    message->kind = CPU_OK;
    message->at = at;
    va_start(args, format);
    format_text(message->text, format, args);
    va_end(args);
}
