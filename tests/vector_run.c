/* The vector's command line, and all vCPUs that it makes, as QEMU goes about it. */
#include "tests/vector_run.h"

#include <stdio.h>
#include <string.h>

static void add_line(struct run *run, const char *prefix, const char *text)
{
    size_t len;

    while (run->line_count < LINES_MAX) {
        len = strcspn(text, "\n");
        snprintf(run->lines[run->line_count++], LINE_LEN, "%s%.*s", prefix, (int)len, text);
        if (!text[len])
            return;
        text += len + 1;
        prefix = ""; /* QEMU prefixes only the first line of a message */
    }
}

static void add_warnings(struct run *run, const struct messages *warnings)
{
    for (uint32_t i = 0; i < messages_kept(warnings); i++) {
        const char *text = warnings->list[i].text;
        bool accel = strstr(text, "accelerator ") || !strncmp(text, "falling back", 12);
        if (!strstr(text, "CPUID.01H:ECX.pni")) /* noise of that host, not in the vectors */
            add_line(run, accel ? "" : "warning: ", text);
    }
}

static void fail(struct run *run, const struct message *error)
{
    run->exit_code = error->kind == CPU_QEMU_ABORTS ? -6 : 1;
    add_line(run, "", error->text);
}

/* All vCPUs, as QEMU creates them. */
static void run_cpus(struct run *run, const struct cpuid_supported *host)
{
    const char *cpu = run->options.cpu ? run->options.cpu : run->options.type.default_cpu;

    if (!cpu)
        return;
    cpu_flags_parse(&run->flags, cpu, strlen(cpu));
    if (run->flags.help)
        return;
    for (unsigned i = 0; i < run->machine.topology.cpus; i++) {
        int error =
            cpuid_build(&run->flags, &run->machine, host, i, i ? &run->last : &run->first, &run->outcome);
        add_warnings(run, &run->outcome.warnings);
        if (error) {
            fail(run, &run->outcome.error);
            return;
        }
    }
    if (run->machine.topology.cpus == 1)
        run->last = run->first;
}

void run_line(struct run *run, int argc, char **argv, const char *accel, const struct cpuid_supported *kvm)
{
    const struct cpuid_supported *host;

    memset(run, 0, sizeof(*run));
    if (!vmm_options_parse(&run->options, argc, argv, NULL, 0)) {
        add_warnings(run, &run->options.warnings);
        fail(run, &run->options.error);
        return;
    }
    if (!strcmp(accel, "explicit"))
        host = run->options.accel_given && run->options.accel == ACCEL_KVM ? kvm : cpuid_supported_tcg();
    else
        host = !strcmp(accel, "kvm") ? kvm : cpuid_supported_tcg();
    bool valid = vmm_options_resolve(&run->options, host, &run->machine);
    add_warnings(run, &run->options.warnings);
    if (!valid)
        fail(run, &run->options.error);
    else
        run_cpus(run, host);
}

/* One of them. */
static bool apply_override(struct cpuid_supported *host, const char *text)
{
    uint32_t leaf, subleaf, mask, bits, number, value;
    char reg[4];

    if (sscanf(text, "supported CPUID %x.%x.%3s := (host & %x) | %x", &leaf, &subleaf, reg, &mask, &bits) ==
        5) {
        for (uint32_t i = 0; i < host->supported.count; i++) {
            struct cpuid_entry *entry = &host->supported.entries[i];
            uint32_t *regs[] = {&entry->regs.eax, &entry->regs.ebx, &entry->regs.ecx, &entry->regs.edx};
            uint32_t *which = regs[reg[1] - 'a'];
            if (entry->leaf == leaf && entry->subleaf == subleaf)
                *which = (*which & mask) | bits;
        }
        return true;
    }
    if (sscanf(text, "CHECK_EXTENSION(%u) := %u", &number, &value) == 2) {
        host->extensions[number] = (int32_t)value;
        return true;
    }
    if (sscanf(text, "ENABLE_CAP(%u) fails", &number) == 1) {
        host->extensions[number] = 0;
        return true;
    }
    if (!strncmp(text, "all Hyper-V", 11)) {
        host->extensions[EXT_HYPERV] = 1;
        return true;
    }
    return !strncmp(text, "SET_TSC_KHZ", 11); /* follows from CHECK_EXTENSION(60) */
}

bool apply_overrides(struct cpuid_supported *host, const char *notes)
{
    const char *at = strstr(notes, "[kernel-override: "), *end;

    if (!at)
        return true;
    at += strlen("[kernel-override: ");
    end = strchr(at, ']');
    while (at < end) {
        if (!apply_override(host, at))
            return false;
        at = strstr(at, " , ");
        if (!at || at > end)
            return true;
        at += 3;
    }
    return true;
}
