/* What pv-vmm says on standard error: one line each time, and nothing in it steers the terminal. */
#include <stdarg.h>
#include <stdio.h>
#include "vmm/cmd.h"

void say(const char *format, ...)
{
    char text[MESSAGE_TEXT + 80];
    bool first = true;
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fputs("pv-vmm: ", stderr);
    for (const char *c = text; *c; c++) {
        if (*c == '\n') { /* QEMU's hints have lines of their own */
            fputs(first ? " - " : " ", stderr);
            first = false;
        } else {
            fputc((unsigned char)*c < 0x20 || *c == 0x7f ? '?' : *c, stderr);
        }
    }
    fputc('\n', stderr);
}
