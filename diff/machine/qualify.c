/* Finds out what a KVM serves, by a tiny program per capability under a deadline. */
#include "diff/machine/qualify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/abi/kvm_para.h"

#define ANY_OUTCOME (-1) /* for a row's reg: that the action ended is enough */

/* The last action decides; all before it must end without fault. */
static const struct capability {
    const char *name;
    uint32_t needs;
    const char *program[2]; /* with vmmcall, with vmcall as the native instruction */
    int reg;                /* of the last outcome, or ANY_OUTCOME */
    uint64_t value;
} capabilities[QUALIFY_COUNT] = {
#define BOTH(text)                                                                                           \
    {                                                                                                        \
        "paravane 1\n" text, "paravane 1\n" text                                                             \
    }
    [QUALIFY_LONG_MODE] = {"long mode", NEED_LONG_MODE, BOTH("rdtsc\n"), ANY_OUTCOME, 0},
    [QUALIFY_CPUID] = {"cpuid", NEED_CPUID, BOTH("cpuid 0x40000000\n"), 1, KVM_SIGNATURE_EBX},
    [QUALIFY_MSR] = {"msr", NEED_MSR,
                     BOTH("wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+0x1001\nrdmsr MSR_KVM_SYSTEM_TIME_NEW\n"),
                     ANY_OUTCOME, 0},
    [QUALIFY_HYPERCALL] = {"hypercall",
                           NEED_HYPERCALL,
                           {"paravane 1\nvmmcall KVM_HC_VAPIC_POLL_IRQ\n",
                            "paravane 1\nvmcall KVM_HC_VAPIC_POLL_IRQ\n"},
                           0,
                           0},
    [QUALIFY_SMP] = {"smp", NEED_SMP | NEED_IPI, BOTH("vcpus 2\n@1 cpuid 0x40000000\n"), 1,
                     KVM_SIGNATURE_EBX},
    [QUALIFY_CLOCK] = {"clock", NEED_CLOCK,
                       BOTH("wrmsr MSR_KVM_SYSTEM_TIME_NEW ram+0x1001\nclock ram+0x1000 4\n"), ANY_OUTCOME,
                       0},
#undef BOTH
};

/* What QEMU itself serves once anything runs at all. */
#define NEEDS_OF_QEMU (NEED_RESET | NEED_PAUSE | NEED_ADVANCE | NEED_MIGRATE)

static const struct {
    uint32_t need;
    const char *name;
} need_names[] = {
    {NEED_CPUID, "cpuid"},
    {NEED_MSR, "msr"},
    {NEED_HYPERCALL, "hypercall"},
    {NEED_LONG_MODE, "long mode"},
    {NEED_SMP, "smp"},
    {NEED_CLOCK, "clock"},
    {NEED_IPI, "ipi"},
    {NEED_RESET, "reset"},
    {NEED_PAUSE, "pause"},
    {NEED_SAVE_RESTORE, "save-restore"},
    {NEED_ADVANCE, "advance"},
    {NEED_SCHEDULE, "deschedule"},
    {NEED_PAGING, "paging of the host"},
    {NEED_INJECT, "init, sipi and msi of the host"},
    {NEED_SLOTS, "memory slots"},
    {NEED_RECONFIGURE, "cpuid and clock set anew"},
    {NEED_DIRTY_LOG, "dirty log"},
    {NEED_MIGRATE, "migrate"},
};

const char *needs_text(uint32_t needs, char *buf, size_t size)
{
    size_t used = 0;

    snprintf(buf, size, "nothing");
    for (unsigned i = 0; i < sizeof(need_names) / sizeof(need_names[0]); i++)
        if (needs & need_names[i].need && used < size)
            used += (size_t)snprintf(buf + used, size - used, used ? ", %s" : "%s", need_names[i].name);
    return buf;
}

const char *qualification_missing(const struct qualification *q, uint32_t needs, char *buf, size_t size)
{
    char names[NEEDS_TEXT];

    buf[0] = '\0';
    if (!(needs & ~q->needs))
        return buf;
    for (unsigned i = 0; i < QUALIFY_COUNT; i++)
        if (!q->rows[i].ok && capabilities[i].needs & needs) {
            snprintf(buf, size, "%s: %s", q->rows[i].name, q->rows[i].why);
            return buf;
        }
    snprintf(buf, size, "%s", needs_text(needs & ~q->needs, names, sizeof(names)));
    return buf;
}

static bool judge_outcome(const struct outcome *outcome, const struct action *action,
                          const struct program *program, char *why, size_t size)
{
    char text[80];

    if (outcome->status == OUTCOME_OK)
        return true;
    action_print(program, action, text, sizeof(text));
    switch (outcome->status) {
    case OUTCOME_FAULT:
        snprintf(why, size, "`%s` raised exception %u", text, outcome->vector);
        break;
    case OUTCOME_TIMEOUT:
        snprintf(why, size, "`%s` hangs", text);
        break;
    case OUTCOME_UNSUPPORTED:
        snprintf(why, size, "`%s` cannot be done", text);
        break;
    default:
        snprintf(why, size, "`%s` ended oddly", text);
    }
    return false;
}

static bool judge(const struct capability *c, const struct program *program, const struct run_result *result,
                  char *why, size_t size)
{
    const struct transcript *t = &result->transcripts[0];

    if (result->error[0]) {
        snprintf(why, size, "%.150s", result->error);
        return false;
    }
    for (uint32_t i = 0; i < t->count && i < program->count; i++)
        if (t->outcomes[i].status != OUTCOME_NONE &&
            !judge_outcome(&t->outcomes[i], &program->actions[i], program, why, size))
            return false;
    if (t->stopped[0] || t->count != program->count || t->outcomes[t->count - 1].status != OUTCOME_OK) {
        snprintf(why, size, "%.150s", t->stopped[0] ? t->stopped : "the guest never started");
        return false;
    }
    if (c->reg != ANY_OUTCOME && (uint32_t)t->outcomes[t->count - 1].regs[c->reg] != (uint32_t)c->value) {
        snprintf(why, size, "register %d is 0x%llx, not 0x%llx", c->reg,
                 (unsigned long long)t->outcomes[t->count - 1].regs[c->reg], (unsigned long long)c->value);
        return false;
    }
    return true;
}

static int try_capability(struct qualification *q, unsigned row, const struct program *program,
                          int (*run)(void *ctx, const struct run_item *item, struct run_result *result),
                          void *ctx)
{
    const struct run_item item = {
        .flags =
            {.name = capabilities[row].name, .cpu = "host", .machine = "pc", .smp = "2", .memory = "64M"},
        .programs = program,
        .program_count = 1,
    };
    struct run_result result;
    int err = run_result_init(&result, 1);

    if (err)
        return err;
    err = run(ctx, &item, &result);
    if (err && err != -EINTR && !result.error[0])
        snprintf(result.error, sizeof(result.error), "%s", strerror(-err));
    q->rows[row].ok = judge(&capabilities[row], program, &result, q->rows[row].why, sizeof(q->rows[row].why));
    if (q->rows[row].ok)
        q->needs |= capabilities[row].needs;
    run_result_free(&result, 1);
    return err == -EINTR ? err : 0;
}

int qualify(struct qualification *q, bool native_vmcall,
            int (*run)(void *ctx, const struct run_item *item, struct run_result *result), void *ctx)
{
    int err = 0;

    *q = (struct qualification){0};
    for (unsigned i = 0; i < QUALIFY_COUNT && !err; i++) {
        const char *text = capabilities[i].program[native_vmcall];
        struct program_error error;
        struct program program;

        q->rows[i].name = capabilities[i].name;
        if (i != QUALIFY_LONG_MODE && !q->rows[QUALIFY_LONG_MODE].ok) {
            snprintf(q->rows[i].why, sizeof(q->rows[i].why), "not tried: long mode failed");
            continue;
        }
        program_init(&program);
        err = program_parse(&program, text, strlen(text), &error);
        if (!err)
            err = try_capability(q, i, &program, run, ctx);
        program_free(&program);
    }
    if (q->needs)
        q->needs |= NEEDS_OF_QEMU;
    return err;
}
