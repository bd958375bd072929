/* QEMU's command line as far as pv-vmm speaks it: one table of options. Decision 24. */
#include "vmm/cpuid/machine_options.h"

#include <stdio.h>
#include <string.h>
#include "vmm/cpuid/keyval.h"
#include "vmm/cpuid/options_private.h"
#include "vmm/cpuid/smp.h"

/* What the scan of argv needs beside the result. */
struct scan {
    struct vmm_options *options;
    bool by_accel, by_machine; /* who chose the accelerator: mixing is an error */
    bool accel_irqchip_given;  /* -accel kvm,kernel-irqchip= beats -machine's in any order (K10) */
    enum irqchip accel_irqchip;
    const char *accel; /* the first -accel */
};

static bool fail(struct scan *scan, enum cpu_error_kind kind, const char *format, const char *option,
                 const char *value)
{
    message_set(&scan->options->error, kind, 0, format, option, value);
    return false;
}

static bool take_cpu(struct scan *scan, const char *value)
{
    scan->options->cpu = value;
    return true;
}

static bool take_smp(struct scan *scan, const char *value)
{
    struct smp_words words;

    scan->options->smp = value;
    if (!smp_read(&words, value, strlen(value), &scan->options->error))
        return false;
    scan->options->smp_help = words.help;
    return true;
}

static bool take_machine(struct scan *scan, const char *value)
{
    bool before = scan->options->accel_given, valid;

    if (!strcmp(value, "help") || !strcmp(value, "?"))
        return scan->options->machine_help = true;

    scan->options->accel_given = false;
    valid = vmm_options_machine(scan->options, value);
    scan->by_machine |= scan->options->accel_given;
    scan->options->accel_given |= before;
    return valid;
}

static bool take_enable_kvm(struct scan *scan, const char *value)
{
    (void)value;
    return take_machine(scan, "accel=kvm");
}

/* Properties of the accelerators that change nothing here. */
static const char *const idle_accel_keys[] = {"thread",          "tb-size",        "split-wx",
                                              "one-insn-per-tb", "kvm-shadow-mem", "dirty-ring-size",
                                              "notify-vmexit",   "notify-window"};

static bool accel_key(struct scan *scan, const char *value, const struct keyval *kv,
                      const struct keyval *name)
{
    if (key_is(kv, "kernel-irqchip") && scan->options->accel != ACCEL_TCG) {
        if (irqchip_find(kv->value ? kv->value : "", kv->value_len, &scan->accel_irqchip)) {
            scan->accel_irqchip_given = true;
            return true;
        }
        message_set(&scan->options->error, CPU_BAD_ACCEL, 0,
                    "-accel %s: Parameter 'kernel-irqchip' does not accept value '%.*s'", value,
                    SPAN(kv->value ? kv->value : "", kv->value_len));
        return false;
    }
    for (size_t i = 0; i < sizeof(idle_accel_keys) / sizeof(idle_accel_keys[0]); i++)
        if (key_is(kv, idle_accel_keys[i]))
            return true;
    message_set(&scan->options->error, CPU_BAD_ACCEL, 0, "-accel %s: Property '%.*s-accel.%.*s' not found",
                value, SPAN(name->key, name->key_len), SPAN(kv->key, kv->key_len));
    return false;
}

static bool take_accel(struct scan *scan, const char *value)
{
    const char *rest = value;
    struct keyval name = {0}, kv;
    enum cpuid_accel accel;

    if (scan->accel) /* the first one that works is used */
        return true;
    if (!keyval_next(&rest, &name) || !accel_find(name.key, name.key_len, &accel)) {
        message_set(&scan->options->error, CPU_BAD_ACCEL, 0, "-accel %s: invalid accelerator %.*s", value,
                    SPAN(name.key, name.key_len));
        return false;
    }
    scan->accel = value;
    scan->by_accel = true;
    scan->options->accel = accel;
    scan->options->accel_given = true;
    while (keyval_next(&rest, &kv))
        if (!accel_key(scan, value, &kv, &name))
            return false;
    return true;
}

static bool take_memory(struct scan *scan, const char *value)
{
    static const char suffixes[] = "KMGTPE";
    const char *rest = value;
    struct keyval kv = {.key = "", .value = NULL};
    const char *text, *suffix = NULL;
    size_t len;
    uint64_t number;
    unsigned shift = 20; /* plain numbers are MiB */

    keyval_next(&rest, &kv);
    text = kv.value && key_is(&kv, "size") ? kv.value : kv.key;
    len = text == kv.value ? kv.value_len : kv.key_len;
    if (len && !(text[len - 1] >= '0' && text[len - 1] <= '9')) {
        suffix = strchr(suffixes, text[len - 1] & ~0x20);
        shift = suffix ? 10 * (unsigned)(suffix - suffixes + 1) : 64;
        len--;
    }
    if (shift >= 64 || !value_u64(text, len, &number) || number > UINT64_MAX >> shift || text[0] == '-')
        return fail(scan, CPU_BAD_OPTION,
                    "-m %s%s: Parameter 'size' expects a non-negative number below 2^64\n"
                    "Optional suffix k, M, G, T, P or E means kilo-, mega-, giga-, tera-, peta-\n"
                    "and exabytes, respectively.",
                    value, "");
    if (number)
        scan->options->memory_bytes = number << shift;
    return true;
}

#define TAKE_PATH(name)                                                                                      \
    static bool take_##name(struct scan *scan, const char *value)                                            \
    {                                                                                                        \
        scan->options->name = value;                                                                         \
        return true;                                                                                         \
    }
TAKE_PATH(kernel)
TAKE_PATH(initrd)
TAKE_PATH(append)
TAKE_PATH(bios)
TAKE_PATH(serial)

static bool take_nographic(struct scan *scan, const char *value)
{
    (void)value;
    scan->options->nographic = true;
    return true;
}

static bool take_no_reboot(struct scan *scan, const char *value)
{
    (void)value;
    scan->options->no_reboot = true;
    return true;
}

/* Plumbing that a line for QEMU may carry and that means nothing here. */
static bool take_nothing(struct scan *scan, const char *value)
{
    (void)scan;
    (void)value;
    return true;
}

static void copy_text(char *to, size_t size, const char *from, size_t len)
{
    snprintf(to, size, "%.*s", (int)(len < size ? len : size - 1), from);
}

static bool read_port(const struct keyval *kv, uint16_t *port)
{
    uint64_t number;

    if (!kv->value || !value_u64(kv->value, kv->value_len, &number) || number > UINT16_MAX)
        return false;
    *port = (uint16_t)number;
    return true;
}

static bool take_debug_exit(struct scan *scan, const char *value, const char *rest)
{
    struct option_debug_exit *device = &scan->options->debug_exit;
    struct keyval kv;

    *device = (struct option_debug_exit){.present = true, .iobase = 0x501, .iosize = 2};
    while (keyval_next(&rest, &kv)) {
        uint16_t *port = key_is(&kv, "iobase")   ? &device->iobase
                         : key_is(&kv, "iosize") ? &device->iosize
                                                 : NULL;
        if (!key_is(&kv, "id") && (!port || !read_port(&kv, port)))
            return fail(scan, CPU_BAD_OPTION, "-device %s: %s", value,
                        "isa-debug-exit takes iobase=N and iosize=N");
    }
    return true;
}

static bool take_debugcon(struct scan *scan, const char *value, const char *rest)
{
    struct option_debugcon *device = &scan->options->debugcon;
    struct keyval kv;

    *device = (struct option_debugcon){.present = true, .iobase = 0xe9};
    while (keyval_next(&rest, &kv)) {
        if (key_is(&kv, "chardev") && kv.value)
            copy_text(device->chardev, sizeof(device->chardev), kv.value, kv.value_len);
        else if (!key_is(&kv, "id") && (!key_is(&kv, "iobase") || !read_port(&kv, &device->iobase)))
            return fail(scan, CPU_BAD_OPTION, "-device %s: %s", value,
                        "isa-debugcon takes iobase=N and chardev=ID");
    }
    return true;
}

static bool take_device(struct scan *scan, const char *value)
{
    const char *rest = value;
    struct keyval driver;

    if (!keyval_next(&rest, &driver))
        return fail(scan, CPU_BAD_OPTION, "-device %s: %s", value, "a driver name is missing");
    if (key_is(&driver, "isa-debug-exit"))
        return take_debug_exit(scan, value, rest);
    if (key_is(&driver, "isa-debugcon"))
        return take_debugcon(scan, value, rest);
    scan->options->pc_testdev |= key_is(&driver, "pc-testdev");
    scan->options->pci_testdev |= key_is(&driver, "pci-testdev");
    if (key_is(&driver, "pc-testdev") || key_is(&driver, "pci-testdev"))
        return true;
    return fail(scan, CPU_UNKNOWN_OPTION, "-device %s: %s", value,
                "only isa-debug-exit, isa-debugcon, pc-testdev and pci-testdev exist here");
}

static bool take_chardev(struct scan *scan, const char *value)
{
    struct vmm_options *options = scan->options;
    const char *rest = value;
    struct option_chardev *chardev = &options->chardevs[options->chardev_count];
    struct keyval kv;
    bool backend = keyval_next(&rest, &kv) && !kv.value && key_is(&kv, "file");

    if (!backend || options->chardev_count == OPTION_CHARDEVS)
        return fail(scan, CPU_BAD_OPTION, "-chardev %s: %s", value,
                    "up to 8 of file,id=ID,path=PATH are supported");
    memset(chardev, 0, sizeof(*chardev));
    while (keyval_next(&rest, &kv)) {
        if (key_is(&kv, "id") && kv.value && kv.value_len < sizeof(chardev->id))
            copy_text(chardev->id, sizeof(chardev->id), kv.value, kv.value_len);
        else if (key_is(&kv, "path") && kv.value && kv.value_len < sizeof(chardev->path))
            copy_text(chardev->path, sizeof(chardev->path), kv.value, kv.value_len);
    }
    if (!chardev->id[0] || !chardev->path[0])
        return fail(scan, CPU_BAD_OPTION, "-chardev %s: %s", value,
                    "id (31 bytes) and path (255 bytes) are needed");
    options->chardev_count++;
    return true;
}

/* "driver=D,property=P,value=V" */
static void global_long(const char *rest, struct cpu_global *global)
{
    struct keyval kv;

    while (keyval_next(&rest, &kv)) {
        if (key_is(&kv, "driver")) {
            global->driver = kv.value;
            global->driver_len = (uint32_t)kv.value_len;
        } else if (key_is(&kv, "property")) {
            global->name = kv.value;
            global->name_len = (uint32_t)kv.value_len;
        } else if (key_is(&kv, "value")) {
            global->value = kv.value;
            global->value_len = (uint32_t)kv.value_len;
        }
    }
}

/* "driver.property=value" */
static void global_short(const char *value, struct cpu_global *global)
{
    const char *dot = strchr(value, '.'), *equals = dot ? strchr(dot, '=') : NULL;

    if (!equals)
        return;
    *global = (struct cpu_global){value,
                                  dot + 1,
                                  equals + 1,
                                  (uint32_t)(dot - value),
                                  (uint32_t)(equals - dot - 1),
                                  (uint32_t)strlen(equals + 1)};
}

static bool take_global(struct scan *scan, const char *value)
{
    struct vmm_options *options = scan->options;
    struct cpu_global global = {0};

    if (!strncmp(value, "driver=", 7) || !strncmp(value, "property=", 9) || !strncmp(value, "value=", 6))
        global_long(value, &global);
    else
        global_short(value, &global);
    if (!global.driver || !global.name || !global.value || options->global_count == OPTION_GLOBALS)
        return fail(scan, CPU_BAD_OPTION, "-global %s: %s", value,
                    "driver.property=value is needed, at most 32 times");
    options->globals[options->global_count++] = global;
    return true;
}

static const struct option {
    const char *name;
    bool takes_value;
    bool (*take)(struct scan *scan, const char *value);
} options_table[] = {
    {"cpu", true, take_cpu},
    {"smp", true, take_smp},
    {"machine", true, take_machine},
    {"M", true, take_machine},
    {"accel", true, take_accel},
    {"enable-kvm", false, take_enable_kvm},
    {"m", true, take_memory},
    {"kernel", true, take_kernel},
    {"initrd", true, take_initrd},
    {"append", true, take_append},
    {"bios", true, take_bios},
    {"serial", true, take_serial},
    {"device", true, take_device},
    {"chardev", true, take_chardev},
    {"global", true, take_global},
    {"nographic", false, take_nographic},
    {"no-reboot", false, take_no_reboot},
    {"nodefaults", false, take_nothing},
    {"no-user-config", false, take_nothing},
    {"display", true, take_nothing},
    {"vga", true, take_nothing},
    {"monitor", true, take_nothing},
    {"qmp", true, take_nothing},
    {"net", true, take_nothing},
    {"nic", true, take_nothing},
    {"overcommit", true, take_nothing},
    {"object", true, take_nothing},
    {"name", true, take_nothing},
    {"rtc", true, take_nothing},
    {"S", false, take_nothing},
};

/* "--name", and "--name=VALUE" where it takes one: then *value is its place. */
static const struct own_option *find_own(const char *argument, const struct own_option *own,
                                         unsigned own_count, const char **value)
{
    const char *equals = strchr(argument, '=');
    size_t len = equals ? (size_t)(equals - argument) : strlen(argument);

    for (unsigned i = 0; i < own_count; i++)
        if (len >= 2 && !strncmp(argument, "--", 2) && !name_compare(argument + 2, len - 2, own[i].name) &&
            (!equals || own[i].takes_value)) {
            *value = equals ? equals + 1 : NULL;
            return &own[i];
        }
    return NULL;
}

static const struct option *find_option(const char *argument)
{
    const char *name = argument + (argument[0] == '-') + (argument[0] == '-' && argument[1] == '-');

    for (size_t i = 0; i < sizeof(options_table) / sizeof(options_table[0]) && name != argument; i++)
        if (!strcmp(name, options_table[i].name))
            return &options_table[i];
    return NULL;
}

/* Handles argv[*i] and moves *i past what it took. */
static bool scan_argument(struct scan *scan, int argc, char *const *argv, int *i,
                          const struct own_option *own, unsigned own_count)
{
    const char *argument = argv[(*i)++];
    const char *value = NULL; /* of --name=VALUE */
    const struct own_option *mine = find_own(argument, own, own_count, &value);
    const struct option *option = mine ? NULL : find_option(argument);
    bool takes_value = !value && (mine ? mine->takes_value : option && option->takes_value);

    if (!mine && !option)
        return fail(scan, CPU_UNKNOWN_OPTION, "%s: %s", argument,
                    argument[0] == '-' ? "invalid option" : "no disk images or other operands here");
    if (takes_value && *i >= argc)
        return fail(scan, CPU_BAD_OPTION, "%s: %s", argument, "requires an argument");
    if (takes_value)
        value = argv[(*i)++];
    if (!mine)
        return option->take(scan, value ? value : "");
    *mine->value = value ? value : "";
    return true;
}

bool vmm_options_parse(struct vmm_options *options, int argc, char *const *argv, const struct own_option *own,
                       unsigned own_count)
{
    struct scan scan = {.options = options};

    vmm_options_init(options);
    for (int i = 0; i < argc;) {
        if (!scan_argument(&scan, argc, argv, &i, own, own_count))
            return false;
        if (options->machine_help || options->smp_help) /* QEMU prints and ends here */
            return true;
    }
    if (scan.by_accel && scan.by_machine)
        return fail(&scan, CPU_BAD_ACCEL, "The -accel and \"-machine accel=\" options are incompatible%s%s",
                    "", "");
    if (scan.accel_irqchip_given) {
        options->irqchip_given = true;
        options->irqchip = scan.accel_irqchip;
    }
    return true;
}
