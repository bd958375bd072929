/* Outcomes in a few words, for people: "#GP(0)", "0x2001", "rax 0x0". */
#ifndef DIFF_JUDGE_SHOW_H
#define DIFF_JUDGE_SHOW_H

#include "diff/judge/check.h"
#include "diff/program/transcript.h"

/* "#GP(0)", "#PF(0x2) at 0x1000", "vector 200". */
const char *show_fault(struct check_list *list, const struct outcome *outcome);
/* Why an outcome cannot be compared, or NULL when it can. `stopped`: the transcript's. */
const char *show_unusable(struct check_list *list, const struct outcome *outcome, const char *stopped);
/* "rbx rsi", for enum gpr bits; "" for 0. */
const char *show_registers(struct check_list *list, uint32_t mask);
const char *show_bytes(struct check_list *list, const uint8_t *bytes, size_t count);

#endif
