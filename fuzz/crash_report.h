/* From a crash in a child process to a report in its parent. The child only walks its stack and writes one record to a
 * pipe (a signal handler may do no more); the parent, forked from the same image, has the same addresses and names them. */
#ifndef FUZZ_CRASH_REPORT_H
#define FUZZ_CRASH_REPORT_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define CRASH_FRAMES 48

/* One write(2) of less than PIPE_BUF bytes, so it arrives whole or not at all. */
struct crash_record {
    uint32_t magic;   /* CRASH_MAGIC */
    int32_t signal;   /* 0: a sanitizer ended the process */
    uint64_t address; /* si_addr of a fault */
    uint32_t action;  /* index of the action being done, or FUZZ_NO_ACTION */
    uint32_t frames;
    uint64_t ip[CRASH_FRAMES]; /* innermost first; return addresses but for the first */
    char rule[24], text[232];  /* of fuzz_fail(), else empty */
};
#define CRASH_MAGIC 0x31525043u /* "CPR1" */

/* In the child: report to fd whatever ends the process. */
void crash_report_install(int fd);
/* In the parent. "invariant CLK-8: ...", "SIGSEGV at 0x10", "hang: no end after 10 s", "sanitizer report (above)". */
void crash_report_kind(const struct crash_record *record, char *buf, size_t size);
/* One line a frame: "#0 steal_publish vmm/pv/steal.c:41"; frames of the sanitizer, libc and this file are left out. */
void crash_report_stack(const struct crash_record *record, FILE *out);

#endif
