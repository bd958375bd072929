/* Reading both sides' answers: our messages as data, QEMU's from its stderr. QEMU flags specification 2.1. */
#include "diff/flags/outcome.h"

#include <fnmatch.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include "vmm/cpuid/build.h"

const char *flags_fate_name(enum flags_fate fate)
{
    static const char *const names[FATES] = {"accepted", "help", "refused", "aborted", "silent"};

    return names[fate];
}

static void outcome_init(struct flags_outcome *outcome, enum flags_fate fate)
{
    outcome->fate = fate;
    outcome->error.kind = CPU_OK;
    outcome->error.text[0] = 0;
    outcome->warnings.total = 0;
}

void flags_ours(struct flags_outcome *outcome, const char *cpu, const char *machine,
                const struct cpuid_supported *supported)
{
    struct cpuid_outcome built;
    struct cpuid_table table;
    struct cpu_flags flags;

    cpu_flags_parse(&flags, cpu, strlen(cpu));
    outcome_init(outcome, FATE_HELP);
    if (flags.help)
        return;
    cpuid_for_flags(cpu, machine, NULL, supported, 0, &table, &built);
    outcome->fate = built.error.kind == CPU_OK            ? FATE_ACCEPTED
                    : built.error.kind == CPU_QEMU_ABORTS ? FATE_ABORTED
                                                          : FATE_REFUSED;
    outcome->warnings = built.warnings;
    if (built.error.kind)
        outcome->error = built.error;
}

/* QEMU's words for each kind of refusal; the first pattern that fits counts. */
static const struct {
    const char *pattern; /* fnmatch(3) */
    enum cpu_error_kind kind;
} refusals[] = {
    {"unable to find CPU model '*", CPU_UNKNOWN_MODEL},
    {"-cpu option cannot be empty", CPU_UNKNOWN_MODEL},
    {"bad numerical value *", CPU_BAD_VALUE},
    {"*Property '*' not found", CPU_UNKNOWN_PROPERTY},
    {"*Property '*' is not writable", CPU_READ_ONLY},
    {"*Parameter '*' expects *", CPU_BAD_VALUE},
    {"*Parameter '*' does not accept value '*", CPU_BAD_VALUE},
    {"*Invalid parameter type for '*", CPU_BAD_VALUE},
    {"*Property *.* doesn't take value *", CPU_BAD_VALUE},
    {"*Property value for '*' has bits outside mask '*", CPU_BAD_VALUE},
    {"*Device '*' not found", CPU_BAD_VALUE},
    {"*CPU *-id is not set", CPU_BAD_VALUE},
    {"TCG doesn't support requested features", CPU_UNSUPPORTED},
    {"Host doesn't support requested features", CPU_UNSUPPORTED},
    {"CPU model '*' requires KVM or HVF", CPU_REFUSED},
    {"CPU model '*' doesn't support legacy-cache=off", CPU_REFUSED},
    {"phys-bits *", CPU_REFUSED},
    {"property *-id: * doesn't match set apic-id: *", CPU_REFUSED},
    {"invalid node-id, must be 0", CPU_REFUSED},
    {"kernel doesn't allow setting HyperV VP_INDEX", CPU_REFUSED},
};

enum cpu_error_kind flags_refusal_kind(const char *text)
{
    for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++)
        if (!fnmatch(refusals[i].pattern, text, FNM_NOESCAPE))
            return refusals[i].kind;
    return CPU_ERROR_KINDS;
}

#define PREFIX      "qemu-system-x86_64: "
#define WARNING     "warning: "
#define PREFIX_LEN  (sizeof(PREFIX) - 1)
#define WARNING_LEN (sizeof(WARNING) - 1)

/* The next line that starts a message of QEMU's; NULL: none. Values may hold line feeds, so other lines go on. */
static const char *next_message(const char *from)
{
    const char *at = from;

    while (at && strncmp(at, PREFIX, PREFIX_LEN)) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    return at;
}

static void read_messages(struct flags_outcome *outcome, const char *text)
{
    for (const char *at = next_message(text); at;) {
        const char *next = next_message(at + PREFIX_LEN);
        size_t len;

        at += PREFIX_LEN;
        len = next ? (size_t)(next - at) : strlen(at);
        if (len && at[len - 1] == '\n')
            len--;
        if (!strncmp(at, WARNING, WARNING_LEN))
            messages_add(&outcome->warnings, 0, "%.*s", (int)(len - WARNING_LEN), at + WARNING_LEN);
        else
            message_set(&outcome->error, CPU_OK, 0, "%.*s", (int)len, at);
        at = next;
    }
}

static void set_silent(struct flags_outcome *outcome, const struct qemu_end *end)
{
    outcome->fate = FATE_SILENT;
    if (end->timed_out)
        message_set(&outcome->error, CPU_ERROR_KINDS, 0, "no answer in time");
    else
        message_set(&outcome->error, CPU_ERROR_KINDS, 0, "exit status %d: %.200s", WEXITSTATUS(end->status),
                    end->text);
}

void flags_theirs(struct flags_outcome *outcome, const struct qemu_end *end)
{
    const char *signal;

    outcome_init(outcome, FATE_SILENT);
    read_messages(outcome, end->text);
    if (end->timed_out) {
        set_silent(outcome, end);
    } else if (WIFSIGNALED(end->status)) {
        outcome->fate = FATE_ABORTED;
        signal = sigabbrev_np(WTERMSIG(end->status));
        message_set(&outcome->error, CPU_QEMU_ABORTS, 0, "killed by SIG%s", signal ? signal : "?");
    } else if (WEXITSTATUS(end->status) == 0 && !outcome->error.text[0]) {
        outcome->fate = end->ready ? FATE_ACCEPTED : FATE_HELP;
    } else if (WEXITSTATUS(end->status) == 1 && outcome->error.text[0]) {
        outcome->fate = FATE_REFUSED;
        outcome->error.kind = flags_refusal_kind(outcome->error.text);
    } else {
        set_silent(outcome, end);
    }
}
