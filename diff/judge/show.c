/* Puts outcomes into words. Exception names follow the Intel SDM, volume 3, table 6-1. */
#include "diff/judge/show.h"

#include <stdio.h>
#include <string.h>
#include "vmm/core/vcpu.h"

static const char *const exceptions[32] = {
    [0] = "#DE",  [1] = "#DB",  [2] = "NMI",  [3] = "#BP",  [4] = "#OF",  [5] = "#BR",  [6] = "#UD",
    [7] = "#NM",  [8] = "#DF",  [10] = "#TS", [11] = "#NP", [12] = "#SS", [13] = "#GP", [14] = "#PF",
    [16] = "#MF", [17] = "#AC", [18] = "#MC", [19] = "#XM", [21] = "#CP",
};

#define HAS_ERROR_CODE                                                                                       \
    ((1u << 8) | (1u << 10) | (1u << 11) | (1u << 12) | (1u << 13) | (1u << 14) | (1u << 17) | (1u << 21))

const char *show_fault(struct check_list *list, const struct outcome *outcome)
{
    const char *name = outcome->vector < 32 ? exceptions[outcome->vector] : NULL;

    if (!name)
        return check_text(list, "vector %u", outcome->vector);
    if (outcome->vector == 14)
        return check_text(list, "#PF(0x%x) at 0x%llx", outcome->error, (unsigned long long)outcome->cr2);
    if (HAS_ERROR_CODE >> outcome->vector & 1)
        return check_text(list, outcome->error ? "%s(0x%x)" : "%s(%x)", name, outcome->error);
    return name;
}

const char *show_unusable(struct check_list *list, const struct outcome *outcome, const char *stopped)
{
    switch (outcome->status) {
    case OUTCOME_OK:
    case OUTCOME_FAULT:
    case OUTCOME_HOST:
        return NULL;
    case OUTCOME_NONE:
        return *stopped ? check_text(list, "never ran: %s", stopped) : "never ran";
    case OUTCOME_UNSUPPORTED:
        return "the machine cannot do this action";
    case OUTCOME_TIMEOUT:
        return "no answer before the deadline";
    default:
        return check_text(list, "status %u means nothing", outcome->status);
    }
}

const char *show_registers(struct check_list *list, uint32_t mask)
{
    /* enum gpr: the order of instruction encodings */
    static const char *const names[16] = {"rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
                                          "r8",  "r9",  "r10", "r11", "r12", "r13", "r14", "r15"};
    char text[128] = "";
    size_t used = 0;

    for (unsigned i = 0; i < 16; i++)
        if (mask >> i & 1)
            used += (size_t)snprintf(text + used, sizeof(text) - used, used ? " %s" : "%s", names[i]);
    if (mask >> 16)
        snprintf(text + used, sizeof(text) - used, used ? " bits 0x%x" : "bits 0x%x", mask >> 16 << 16);
    return check_text(list, "%s", text);
}

const char *show_bytes(struct check_list *list, const uint8_t *bytes, size_t count)
{
    char text[2 * 64 + 1];

    if (count > 64)
        count = 64;
    for (size_t i = 0; i < count; i++)
        snprintf(text + 2 * i, 3, "%02x", bytes[i]);
    text[2 * count] = 0;
    return check_text(list, "%s", text);
}
