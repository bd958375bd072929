/* pv-vmm cpuid: the table a guest would get, and what became of each flag. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cjson/cJSON.h>
#include "vmm/cmd.h"
#include "vmm/show_table.h"

static const char help[] =
    "Usage: pv-vmm cpuid [--format text|json|cpuid] [--supported NAME|FILE] QEMU-OPTIONS\n"
    "\n"
    "Shows, for each vCPU, the CPUID table that QEMU 7.2 would hand to KVM for these options, and which of the\n"
    "requested features were granted or dropped. Nothing is run.\n"
    "\n"
    "  --format text       readable (default)\n"
    "  --format json       one object: asked, granted, dropped, warnings, errors, vcpus\n"
    "  --format cpuid      what Debian's 'cpuid -f FILE' decodes\n"
    "  --supported soft          the host is our own vCPU (default)\n"
    "  --supported qemu-7.2-tcg  the host is QEMU 7.2 without KVM\n"
    "  --supported FILE          a recorded KVM_GET_SUPPORTED_CPUID (host record, JSON)\n"
    "QEMU-OPTIONS: -cpu -machine/-M -accel -smp -m -global -enable-kvm and the others that 'pv-vmm run' takes.\n"
    "'-cpu help' lists models and flag names, '-M help' machine types, '-smp help' its keys.\n"
    "\n"
    "Examples:\n"
    "  pv-vmm cpuid -cpu qemu64,+kvm-pv-ipi\n"
    "  pv-vmm cpuid --format json -M pc,kernel-irqchip=split -smp 4 -cpu kvm64,-kvmclock\n"
    "  pv-vmm cpuid --format cpuid -cpu qemu64 > table && cpuid -f table\n"
    "\n"
    "Exit status: 0 the table was shown; 2 wrong usage, or QEMU would refuse these options; 3 something is missing\n"
    "here; 4 our own fault.\n";

enum format { FORMAT_TEXT, FORMAT_JSON, FORMAT_CPUID, FORMATS };
static const char *const format_names[FORMATS] = {"text", "json", "cpuid"};

/* Everything one command line gives. */
struct answer {
    struct messages warnings;
    struct message error;
    struct cpuid_outcome first; /* of vCPU 0; its bits are those of all */
    unsigned vcpus;
    uint32_t *apic_ids;
    struct cpuid_table *tables;
};

static void add_warnings(struct messages *to, const struct messages *from)
{
    for (uint32_t i = 0; i < messages_kept(from); i++)
        messages_add(to, from->list[i].at, "%s", from->list[i].text);
    to->total += from->total - messages_kept(from);
}

static int build_all(struct answer *answer, struct vmm_options *options, const struct cpuid_supported *host)
{
    struct cpuid_machine machine;
    struct cpuid_outcome outcome;
    struct cpu_flags flags;
    const char *cpu = options->cpu ? options->cpu : options->type.default_cpu;
    bool valid = vmm_options_resolve(options, host, &machine);

    add_warnings(&answer->warnings, &options->warnings);
    answer->error = options->error;
    if (!valid || !cpu)
        return EXIT_DONE;
    answer->tables = calloc(machine.topology.cpus, sizeof(*answer->tables));
    answer->apic_ids = calloc(machine.topology.cpus, sizeof(*answer->apic_ids));
    if (!answer->tables || !answer->apic_ids)
        return EXIT_OUR_FAULT;
    cpu_flags_parse(&flags, cpu, strlen(cpu));
    for (unsigned i = 0; i < machine.topology.cpus && !answer->error.kind; i++) {
        cpuid_build(&flags, &machine, host, i, &answer->tables[i], &outcome);
        add_warnings(&answer->warnings, &outcome.warnings);
        answer->error = outcome.error;
        answer->apic_ids[i] = outcome.apic_id;
        if (i == 0)
            answer->first = outcome;
    }
    answer->vcpus = answer->error.kind ? 0 : machine.topology.cpus;
    return EXIT_DONE;
}

/* Calls visit for each name once. */
static void each_name(const uint64_t words[FEATURE_WORDS],
                      void (*visit)(const char *name, const char *why, void *ctx), const char *why, void *ctx)
{
    for (unsigned w = 0; w < FEATURE_WORDS; w++)
        for (unsigned bit = 0; bit < 64; bit++) {
            const char *name = feature_set_name(w, words[w], bit);
            if (name)
                visit(name, why, ctx);
        }
}

static void each_granted(const struct cpuid_outcome *outcome,
                         void (*visit)(const char *name, const char *why, void *ctx), void *ctx)
{
    uint64_t words[FEATURE_WORDS];

    for (unsigned w = 0; w < FEATURE_WORDS; w++)
        words[w] = outcome->asked[w] & outcome->granted[w];
    each_name(words, visit, NULL, ctx);
}

static void each_dropped(const struct cpuid_outcome *outcome, const struct cpuid_supported *host,
                         void (*visit)(const char *name, const char *why, void *ctx), void *ctx)
{
    bool kvm = accel_is_kvm(host->accel);

    each_name(outcome->unsupported, visit, kvm ? "the host does not support it" : "TCG does not support it",
              ctx);
    each_name(outcome->dependent, visit, "a feature that it depends on is off", ctx);
    each_name(outcome->hidden, visit,
              kvm ? "kvm=off hides the KVM leaves" : "there is no KVM leaf without KVM", ctx);
}

/* Names and reasons under a heading, or "none" beside it. */
struct list {
    const char *heading;
    unsigned shown;
};

static void print_name(const char *name, const char *why, void *ctx)
{
    struct list *list = ctx;

    if (list->shown++ == 0)
        printf("%s:", list->heading);
    if (why)
        printf("\n  %s: %s", name, why);
    else
        printf(" %s", name);
}

static void end_list(const struct list *list)
{
    if (list->shown)
        putchar('\n');
    else
        printf("%s: none\n", list->heading);
}

static void print_text(const struct answer *answer, const struct cpuid_supported *host)
{
    struct list asked = {"asked", 0}, granted = {"granted", 0}, dropped = {"dropped", 0};

    if (answer->vcpus) {
        each_name(answer->first.asked, print_name, NULL, &asked);
        end_list(&asked);
        each_granted(&answer->first, print_name, &granted);
        end_list(&granted);
        each_dropped(&answer->first, host, print_name, &dropped);
        end_list(&dropped);
    }
    for (unsigned i = 0; i < answer->vcpus; i++) {
        printf("vcpu %u, APIC id %" PRIu32 "\n", i, answer->apic_ids[i]);
        show_table(&answer->tables[i], i == 0);
    }
}

static void print_line(uint32_t leaf, uint32_t subleaf, struct cpuid_regs regs)
{
    printf("   0x%08" PRIx32 " 0x%02" PRIx32 ": eax=0x%08" PRIx32 " ebx=0x%08" PRIx32 " ecx=0x%08" PRIx32
           " edx=0x%08" PRIx32 "\n",
           leaf, subleaf, regs.eax, regs.ebx, regs.ecx, regs.edx);
}

#define GAP_MAX 0x100u /* a level may be any number */

/* Leaves without an entry are zeros to a guest, and stand in a dump: cpuid(1) shows the brand when it comes to the last
 * of its leaves, whatever that holds. */
static void print_gap(const struct cpuid_table *table, uint32_t after, const struct cpuid_entry *next)
{
    uint32_t limit = supported_regs(table, after & 0x80000000, 0).eax;

    if ((after & 0x40000000) ||
        (next && next->leaf == after)) /* hypervisors' and Centaur's; more subleaves */
        return;
    if (next && next->leaf > after && next->leaf <= limit)
        limit = next->leaf - 1;
    for (uint32_t leaf = after + 1; leaf <= limit && leaf - after < GAP_MAX; leaf++)
        print_line(leaf, 0, (struct cpuid_regs){0});
}

/* The format of "cpuid -r". */
static void print_cpuid(const struct answer *answer)
{
    for (unsigned i = 0; i < answer->vcpus; i++) {
        const struct cpuid_table *table = &answer->tables[i];

        printf("CPU %u:\n", i);
        for (uint32_t n = 0; n < table->count; n++) {
            const struct cpuid_entry *e = &table->entries[n];

            print_line(e->leaf, e->subleaf, e->regs);
            print_gap(table, e->leaf, n + 1 < table->count ? e + 1 : NULL);
        }
    }
}

/* Texts quote the command line, whose bytes need not be UTF-8; JSON must be. */
static cJSON *json_text(const char *text)
{
    char clean[MESSAGE_TEXT];
    size_t i;

    for (i = 0; text[i] && i < sizeof(clean) - 1; i++)
        clean[i] = text[i] & 0x80 ? '?' : text[i];
    clean[i] = 0;
    return cJSON_CreateString(clean);
}

static void json_name(const char *name, const char *why, void *ctx)
{
    cJSON *item = why ? cJSON_CreateObject() : cJSON_CreateString(name);

    if (why) {
        cJSON_AddStringToObject(item, "name", name);
        cJSON_AddStringToObject(item, "why", why);
    }
    cJSON_AddItemToArray(ctx, item);
}

static void json_hex(cJSON *object, const char *key, uint32_t value, const char *format)
{
    char text[16];

    snprintf(text, sizeof(text), format, value);
    cJSON_AddStringToObject(object, key, text);
}

static cJSON *json_vcpu(uint32_t apic_id, const struct cpuid_table *table)
{
    cJSON *vcpu = cJSON_CreateObject(), *leaves;

    cJSON_AddNumberToObject(vcpu, "apic_id", apic_id);
    leaves = cJSON_AddArrayToObject(vcpu, "leaves");
    for (uint32_t i = 0; i < table->count; i++) {
        const struct cpuid_entry *e = &table->entries[i];
        cJSON *leaf = cJSON_CreateObject();
        json_hex(leaf, "leaf", e->leaf, "0x%" PRIx32);
        json_hex(leaf, "subleaf", e->subleaf, "0x%" PRIx32);
        json_hex(leaf, "eax", e->regs.eax, "0x%08" PRIx32);
        json_hex(leaf, "ebx", e->regs.ebx, "0x%08" PRIx32);
        json_hex(leaf, "ecx", e->regs.ecx, "0x%08" PRIx32);
        json_hex(leaf, "edx", e->regs.edx, "0x%08" PRIx32);
        cJSON_AddItemToArray(leaves, leaf);
    }
    return vcpu;
}

static void json_error(cJSON *errors, const struct message *error)
{
    cJSON *item;

    if (!error->kind)
        return;
    item = cJSON_CreateObject();
    cJSON_AddStringToObject(item, "kind", cpu_error_kind_name(error->kind));
    cJSON_AddNumberToObject(item, "at", error->at);
    cJSON_AddItemToObject(item, "text", json_text(error->text));
    cJSON_AddItemToArray(errors, item);
}

static int print_json(const struct answer *answer, const struct cpuid_supported *host)
{
    cJSON *root = cJSON_CreateObject();
    cJSON *asked = cJSON_AddArrayToObject(root, "asked"), *granted = cJSON_AddArrayToObject(root, "granted");
    cJSON *dropped = cJSON_AddArrayToObject(root, "dropped"),
          *warnings = cJSON_AddArrayToObject(root, "warnings");
    cJSON *errors = cJSON_AddArrayToObject(root, "errors"), *vcpus = cJSON_AddArrayToObject(root, "vcpus");
    char *text;

    each_name(answer->first.asked, json_name, NULL, asked);
    each_granted(&answer->first, json_name, granted);
    each_dropped(&answer->first, host, json_name, dropped);
    for (uint32_t i = 0; i < messages_kept(&answer->warnings); i++)
        cJSON_AddItemToArray(warnings, json_text(answer->warnings.list[i].text));
    if (answer->first.not_modelled)
        cJSON_AddStringToObject(root, "not_modelled", answer->first.not_modelled);
    json_error(errors, &answer->error);
    for (unsigned i = 0; i < answer->vcpus; i++)
        cJSON_AddItemToArray(vcpus, json_vcpu(answer->apic_ids[i], &answer->tables[i]));
    text = cJSON_PrintUnformatted(root);
    cJSON_Delete(root);
    if (!text)
        return EXIT_OUR_FAULT;
    puts(text);
    free(text);
    return EXIT_DONE;
}

/* For people: as QEMU prints them. */
static void print_messages(const struct answer *answer)
{
    for (uint32_t i = 0; i < messages_kept(&answer->warnings); i++)
        say("warning: %s", answer->warnings.list[i].text);
    if (answer->warnings.total > MESSAGES_MAX)
        say("%" PRIu32 " more warnings", answer->warnings.total - MESSAGES_MAX);
    if (answer->first.not_modelled)
        say("note: %s", answer->first.not_modelled);
    if (answer->error.kind)
        say("%s", answer->error.text);
}

static int show(const struct answer *answer, const struct cpuid_supported *host, enum format format)
{
    int status = EXIT_DONE;

    if (format == FORMAT_JSON)
        status = print_json(answer, host);
    else
        print_messages(answer);
    if (format == FORMAT_TEXT)
        print_text(answer, host);
    else if (format == FORMAT_CPUID)
        print_cpuid(answer);
    return status ? status : answer->error.kind ? EXIT_USAGE : EXIT_DONE;
}

static bool format_find(const char *name, enum format *format)
{
    *format = FORMAT_TEXT;
    for (unsigned i = 0; i < FORMATS; i++)
        if (name && !strcmp(name, format_names[i]))
            *format = i;
    return !name || !strcmp(name, format_names[*format]);
}

/* The machine says no before a CPU is looked at. */
static int show_option_error(const struct vmm_options *options, enum format format)
{
    struct answer answer = {.warnings = options->warnings, .error = options->error};

    return show(&answer, cpuid_supported_soft(), format);
}

int cmd_cpuid(int argc, char **argv)
{
    const char *format_name = NULL, *supported = NULL, *help_wanted = NULL;
    const struct own_option own[] = {
        {"format", true, &format_name}, {"supported", true, &supported}, {"help", false, &help_wanted}};
    struct cpuid_supported storage;
    const struct cpuid_supported *host;
    struct answer answer = {0};
    struct vmm_options options;
    enum format format;
    char why[240];
    int status;
    bool valid = vmm_options_parse(&options, argc, argv, own, sizeof(own) / sizeof(own[0]));

    if (help_wanted) {
        fputs(help, stdout);
        return EXIT_DONE;
    }
    if (!format_find(format_name, &format)) {
        say("--format is text, json or cpuid, not '%s'", format_name);
        return EXIT_USAGE;
    }
    if (!valid)
        return show_option_error(&options, format);
    if (names_listed(&options))
        return EXIT_DONE;
    status = supported_by_name(supported, &options, &storage, &host, why);
    if (status) {
        say("%s", why);
        return status;
    }
    status = build_all(&answer, &options, host);
    if (!status)
        status = show(&answer, host, format);
    free(answer.tables);
    free(answer.apic_ids);
    return status;
}
