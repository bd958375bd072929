/* -machine and -accel, and the machine they make. QEMU flags specification P3, K10-K13, M1, section 13. */
#include "vmm/cpuid/machine_options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "vmm/cpuid/keyval.h"
#include "vmm/cpuid/options_private.h"

#define DEFAULT_MEMORY (128ull << 20)

void vmm_options_init(struct vmm_options *options)
{
    memset(options, 0, offsetof(struct vmm_options, warnings));
    options->warnings.total = 0;
    options->error.kind = CPU_OK;
    options->memory_bytes = DEFAULT_MEMORY;
    machine_type_find("pc", 2, &options->type);
}

bool accel_find(const char *name, size_t len, enum cpuid_accel *accel)
{
    static const struct {
        const char *name;
        enum cpuid_accel accel;
    } accels[] = {{"soft", ACCEL_SOFT}, {"kvm", ACCEL_KVM}, {"tcg", ACCEL_TCG}};

    for (size_t i = 0; i < sizeof(accels) / sizeof(accels[0]); i++)
        if (name_compare(name, len, accels[i].name) == 0) {
            *accel = accels[i].accel;
            return true;
        }
    return false;
}

bool irqchip_find(const char *name, size_t len, enum irqchip *irqchip)
{
    static const struct {
        const char *name;
        enum irqchip irqchip;
    } modes[] = {{"on", IRQCHIP_KERNEL}, {"off", IRQCHIP_NONE}, {"split", IRQCHIP_SPLIT}};

    for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
        if (name_compare(name, len, modes[i].name) == 0) {
            *irqchip = modes[i].irqchip;
            return true;
        }
    return false;
}

/* "kvm:tcg": the first that exists; the ones before are complained about (P3). */
static bool machine_accel(struct vmm_options *options, const char *list, size_t len)
{
    bool complained = false;

    for (size_t pos = 0; pos <= len;) {
        const char *colon = memchr(list + pos, ':', len - pos);
        size_t part = colon ? (size_t)(colon - list) - pos : len - pos;

        if (accel_find(list + pos, part, &options->accel)) {
            if (complained)
                messages_add(&options->warnings, 0, "falling back to %.*s", SPAN(list + pos, part));
            options->accel_given = true;
            return true;
        }
        complained = true;
        if (colon)
            messages_add(&options->warnings, 0, "invalid accelerator %.*s", SPAN(list + pos, part));
        else
            message_set(&options->error, CPU_BAD_ACCEL, pos, "invalid accelerator %.*s",
                        SPAN(list + pos, part));
        pos += part + 1;
    }
    return false;
}

/* Only KVM looks at it; what TCG does not use may be anything. */
static void machine_irqchip(struct vmm_options *options, const char *value, size_t len)
{
    options->irqchip_given = irqchip_find(value, len, &options->irqchip);
    options->bad_irqchip = options->irqchip_given ? NULL : value;
    options->bad_irqchip_len = len;
}

static bool machine_type(struct vmm_options *options, const char *name, size_t len)
{
    if (machine_type_find(name, len, &options->type))
        return true;
    message_set(&options->error, CPU_BAD_MACHINE, 0,
                "unsupported machine type\nUse -machine help to list supported machines");
    return false;
}

/* Machine properties of QEMU's that change nothing here. */
static const char *const idle_keys[] = {
    "acpi",          "dump-guest-core",
    "graphics",      "hpet",
    "i8042",         "ioapic2",
    "isa-serial",    "max-ram-below-4g",
    "mem-merge",     "memory-backend",
    "option-roms",   "pcie",
    "pic",           "pit",
    "rtc",           "sata",
    "smbus",         "smm",
    "usb",           "vmport",
    "x-option-roms", "auto-kernel-cmdline",
};

static bool machine_key(struct vmm_options *options, const struct keyval *kv, size_t at)
{
    char key[32];
    size_t len = kv->key_len < sizeof(key) ? kv->key_len : sizeof(key) - 1;

    for (size_t i = 0; i < len; i++)
        key[i] = kv->key[i] == '_' ? '-' : kv->key[i];
    key[len] = 0;
    if (!strcmp(key, "type"))
        return machine_type(options, kv->value, kv->value_len);
    if (!strcmp(key, "kernel-irqchip")) {
        machine_irqchip(options, kv->value, kv->value_len);
        return true;
    }
    if (!strcmp(key, "accel"))
        return machine_accel(options, kv->value, kv->value_len);
    for (size_t i = 0; i < sizeof(idle_keys) / sizeof(idle_keys[0]); i++)
        if (!strcmp(key, idle_keys[i]))
            return true;
    message_set(&options->error, CPU_BAD_MACHINE, at, "Property '%s-machine.%.*s' not found",
                options->type.name, SPAN(kv->key, kv->key_len));
    return false;
}

bool vmm_options_machine(struct vmm_options *options, const char *value)
{
    const char *rest = value;
    struct keyval kv;
    bool first = true;

    for (; keyval_next(&rest, &kv); first = false) {
        size_t at = (size_t)(kv.key - value);

        if (kv.value ? !machine_key(options, &kv, at) : first && !machine_type(options, kv.key, kv.key_len))
            return false;
        if (!kv.value && !first) {
            message_set(&options->error, CPU_BAD_MACHINE, at, "Expected '=' after parameter '%.*s'",
                        SPAN(kv.key, kv.key_len));
            return false;
        }
    }
    return true;
}

/* Where the interrupt controllers live, or why they cannot (K10, K12, K13). */
static bool resolve_irqchip(struct vmm_options *options, const struct cpuid_supported *host,
                            enum irqchip *irqchip)
{
    *irqchip = options->irqchip_given ? options->irqchip : options->type.irqchip;
    if (accel_is_kvm(host->accel) && options->bad_irqchip) {
        message_set(&options->error, CPU_BAD_MACHINE, 0,
                    "-accel kvm: can't apply global kvm-accel.kernel-irqchip=%.*s: "
                    "Parameter 'kernel-irqchip' does not accept value '%.*s'",
                    SPAN(options->bad_irqchip, options->bad_irqchip_len),
                    SPAN(options->bad_irqchip, options->bad_irqchip_len));
        return false;
    }
    if (!accel_is_kvm(host->accel) || !host->extensions[EXT_IRQCHIP])
        *irqchip = IRQCHIP_NONE;
    if (*irqchip != IRQCHIP_SPLIT || host->extensions[EXT_SPLIT_IRQCHIP])
        return true;
    message_set(&options->error, CPU_REFUSED, 0,
                "-accel kvm: Could not enable split irqchip mode: Invalid argument");
    return false;
}

bool vmm_options_resolve(struct vmm_options *options, const struct cpuid_supported *host,
                         struct cpuid_machine *machine)
{
    *machine = (struct cpuid_machine){
        .type = options->type, .globals = options->globals, .global_count = options->global_count};
    if (options->type.deprecated)
        messages_add(&options->warnings, 0,
                     "Machine type '%s' is deprecated: old and unattended - use a newer version instead",
                     options->type.name);
    return topology_parse(&machine->topology, options->smp, options->smp ? strlen(options->smp) : 0,
                          &options->type, &options->warnings, &options->error) &&
           resolve_irqchip(options, host, &machine->irqchip);
}

static int refused(struct cpuid_outcome *outcome, const struct vmm_options *options)
{
    memset(outcome, 0, sizeof(*outcome));
    outcome->warnings = options->warnings;
    outcome->error = options->error;
    return -EINVAL;
}

int cpuid_for_flags(const char *cpu, const char *machine, const char *smp, const struct cpuid_supported *host,
                    unsigned vcpu, struct cpuid_table *out, struct cpuid_outcome *outcome)
{
    struct cpuid_machine resolved;
    struct vmm_options options;
    struct cpu_flags flags;

    out->count = 0;
    vmm_options_init(&options);
    options.smp = smp;
    if ((machine && !vmm_options_machine(&options, machine)) ||
        !vmm_options_resolve(&options, host, &resolved))
        return refused(outcome, &options);
    if (!cpu)
        cpu = options.type.default_cpu ? options.type.default_cpu : "";
    cpu_flags_parse(&flags, cpu, strlen(cpu));
    return cpuid_build(&flags, &resolved, host, vcpu, out, outcome);
}
