/* pv-vmm run: a virtual machine from QEMU's options, on the software vCPU. Decisions 24-26. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include "vmm/backend/soft.h"
#include "vmm/board/core_count.h"
#include "vmm/board/devices.h"
#include "vmm/board/kvmclock_device.h"
#include "vmm/board/memory_map.h"
#include "vmm/board/msi.h"
#include "vmm/board/reset.h"
#include "vmm/cmd.h"
#include "vmm/input_file.h"
#include "vmm/pv/hyperv.h"
#include "vmm/pv/lifecycle.h"

static const char help[] =
    "Usage: pv-vmm run [--deterministic] [--trace WHAT] [--limit N] [--supported NAME|FILE] QEMU-OPTIONS\n"
    "\n"
    "Runs a virtual machine on the software vCPU, with KVM's paravirtual interface.\n"
    "\n"
    "  --trace pv      PV MSRs, hypercalls and what the host writes for the guest, on standard error\n"
    "  --trace exit    every exit of the vCPU\n"
    "  --trace insn    every instruction\n"
    "  --limit N       stop after N instructions (exit status 0)\n"
    "  --deterministic time counts instructions: equal command lines run equally\n"
    "  --supported     as in 'pv-vmm cpuid'\n"
    "QEMU-OPTIONS: -cpu -machine/-M -accel soft -smp -m -bios -serial stdio|file:PATH|none -nographic -no-reboot\n"
    "  -device isa-debug-exit[,iobase=N,iosize=N] -device isa-debugcon[,iobase=N],chardev=ID\n"
    "  -chardev file,id=ID,path=PATH; -nodefaults and -display none are accepted and change nothing.\n"
    "\n"
    "Examples:\n"
    "  pv-vmm run -M microvm -accel soft -cpu qemu64,+kvm-pv-ipi -m 64M -bios firmware.bin -serial stdio\n"
    "  pv-vmm run --trace pv --limit 1000000 -M pc -smp 2 -bios firmware.bin -device isa-debug-exit\n"
    "\n"
    "Exit status: after a write to isa-debug-exit (value << 1) | 1, as QEMU's; else 0 the guest ended or the limit was\n"
    "reached, 1 the guest shut down by a triple fault under -no-reboot, 2 wrong usage, 3 something is missing here (also\n"
    "an instruction that our vCPU lacks, named), 4 our own fault.\n";

#define SLICE       1000000u /* instructions between looks at host work */
#define IDLE_NS     1000000
#define DEFAULT_KHZ 1000000u
#define IDLE_ROUNDS 200 /* of IDLE_NS without anything to run: nobody can wake the guest any more */

struct run {
    struct vmm_options options;
    struct cpuid_machine machine;
    const struct cpuid_supported *host;
    struct cpuid_supported *host_storage;
    struct vm vm;
    bool vm_created;
    struct soft *soft;
    struct kvmclock_device clock_device;
    struct serial serial;
    struct debugcon debugcon;
    struct debug_exit debug_exit;
    FILE *serial_out, *debug_out;
    bool deterministic;
    uint32_t tsc_khz;
    uint64_t skipped_ns; /* deterministic: what idle jumps added */
    unsigned trace;      /* enum soft_trace_what */
};

/* Says why and is the status to leave with. */
#define fail(status, ...) (say(__VA_ARGS__), (int)(status))

/* Deterministic time: one instruction takes one nanosecond. */
static uint64_t run_now_ns(void *ctx)
{
    const struct run *run = ctx;
    struct timespec t;

    if (run->deterministic)
        return (run->soft ? soft_instructions(run->soft) : 0) + run->skipped_ns;
    clock_gettime(CLOCK_MONOTONIC_RAW, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t run_tsc(void *ctx)
{
    const struct run *run = ctx;

    return (uint64_t)((unsigned __int128)run_now_ns(ctx) * run->tsc_khz / 1000000u);
}

static uint64_t run_realtime_ns(void *ctx)
{
    const struct run *run = ctx;
    struct timespec t;

    if (run->deterministic) /* 2020-01-01, so that equal runs are equal on every day */
        return 1577836800000000000ull + run_now_ns(ctx);
    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static uint64_t run_delay_ns(void *ctx, unsigned vcpu_id)
{
    (void)ctx, (void)vcpu_id;
    return 0;
}

static void put_byte(void *ctx, uint8_t byte)
{
    FILE *out = ctx;

    fputc(byte, out);
    if (byte == '\n')
        fflush(out);
}

/* -serial, or standard output with -nographic; NULL: bytes vanish. */
static int open_serial(struct run *run)
{
    const char *where = run->options.serial ? run->options.serial : run->options.nographic ? "stdio" : "none";

    if (!strcmp(where, "stdio") || !strcmp(where, "mon:stdio"))
        run->serial_out = stdout;
    else if (!strncmp(where, "file:", 5))
        run->serial_out = fopen(where + 5, "wb");
    else if (strcmp(where, "none") && strcmp(where, "null"))
        return fail(EXIT_USAGE, "-serial %s: stdio, file:PATH and none exist here", where);
    else
        return EXIT_DONE;
    return run->serial_out ? EXIT_DONE : fail(EXIT_USAGE, "cannot write %s: %s", where + 5, strerror(errno));
}

static int open_debugcon(struct run *run)
{
    const struct vmm_options *o = &run->options;

    if (!o->debugcon.present)
        return EXIT_DONE;
    if (!strcmp(o->debugcon.chardev, "stdio")) {
        run->debug_out = stdout;
        return EXIT_DONE;
    }
    for (unsigned n = 0; n < o->chardev_count; n++)
        if (!strcmp(o->chardevs[n].id, o->debugcon.chardev)) {
            run->debug_out = fopen(o->chardevs[n].path, "wb");
            return run->debug_out
                       ? EXIT_DONE
                       : fail(EXIT_USAGE, "cannot write %s: %s", o->chardevs[n].path, strerror(errno));
        }
    return fail(EXIT_USAGE, "-device isa-debugcon: no -chardev with id '%s'", o->debugcon.chardev);
}

/* The firmware file. *image is malloc'ed, NULL without -bios. */
static int read_bios(const char *path, uint8_t **image, size_t *len)
{
    char why[INPUT_WHY];

    *image = NULL;
    *len = 0;
    if (!path)
        return fail(EXIT_USAGE, "nothing to run: give -bios FILE (-kernel is not built yet)");
    *image = input_file_read(path, BOARD_ROM_MAX, len, why);
    if (!*image && errno != EFBIG)
        return fail(EXIT_USAGE, "cannot read %s: %s", path, why);
    if (!*image || !*len || *len % GPA_PAGE_SIZE)
        return fail(EXIT_USAGE, "%s: a firmware image is a multiple of 4096 bytes, at most 16 MiB", path);
    return EXIT_DONE;
}

static int add_devices(struct run *run)
{
    const struct vmm_options *o = &run->options;
    int err = board_interrupts_add(&run->vm);

    run->serial.sink = (struct byte_sink){run->serial_out ? put_byte : NULL, run->serial_out};
    run->debugcon.sink = (struct byte_sink){run->debug_out ? put_byte : NULL, run->debug_out};
    if (!err)
        err = serial_add(&run->serial, &run->vm, SERIAL_COM1);
    if (!err && o->debugcon.present)
        err = debugcon_add(&run->debugcon, &run->vm, o->debugcon.iobase);
    if (!err && o->debug_exit.present)
        err = debug_exit_add(&run->debug_exit, &run->vm, o->debug_exit.iobase, o->debug_exit.iosize);
    return err;
}

/* CPUID of every vCPU. The error is printed as QEMU would. */
static int build_tables(struct run *run, struct cpuid_table *tables, uint32_t *apic_ids,
                        struct cpuid_outcome *outcome)
{
    const char *cpu = run->options.cpu ? run->options.cpu : run->options.type.default_cpu;
    struct cpu_flags *flags = malloc(sizeof(*flags));
    int status = EXIT_DONE;

    if (!flags)
        return fail(EXIT_OUR_FAULT, "out of memory");
    cpu_flags_parse(flags, cpu, strlen(cpu));
    for (unsigned i = 0; i < run->machine.topology.cpus && status == EXIT_DONE; i++) {
        if (cpuid_build(flags, &run->machine, run->host, i, &tables[i], outcome))
            status = fail(EXIT_USAGE, "%s", outcome->error.text);
        for (uint32_t n = 0; n < messages_kept(&outcome->warnings); n++)
            say("warning: %s", outcome->warnings.list[n].text);
        apic_ids[i] = outcome->apic_id;
    }
    free(flags);
    return status;
}

static void request_stop(void *ctx, int code)
{
    soft_request_stop(((struct run *)ctx)->soft, code);
}

static int create_vm(struct run *run, const struct cpuid_table *tables, const uint32_t *apic_ids,
                     const struct cpuid_outcome *outcome, const uint8_t *image, size_t image_len)
{
    bool legacy = run->options.type.family != FAMILY_MICROVM;
    struct env env = {.tsc = run_tsc,
                      .now_ns = run_now_ns,
                      .realtime_ns = run_realtime_ns,
                      .run_delay_ns = run_delay_ns,
                      .ctx = run,
                      .tsc_khz = run->tsc_khz,
                      .clocksource_tsc = true};
    struct vm_config config = {.vcpus = (uint16_t)run->machine.topology.cpus,
                               .apic_ids = apic_ids,
                               .ids_32bit = outcome->ids_32bit,
                               .irqchip = outcome->irqchip,
                               .apic_off = !outcome->local_apic,
                               .native = HC_VMMCALL,
                               .fix_hypercall_quirk = true,
                               .sched_info = true,
                               .version = KVM_6_1,
                               .msr_exits = MSR_EXIT_FILTER};
    int err = vm_create(&run->vm, &config, &env);

    if (err)
        return err;
    run->vm_created = true;
    core_count_claim(&run->vm);
    run->debug_exit = (struct debug_exit){request_stop, run};
    err = board_memory(&run->vm, run->options.memory_bytes, legacy, image, image_len);
    if (!err)
        err = add_devices(run);
    for (unsigned i = 0; !err && i < config.vcpus; i++) {
        vcpu_set_enforce(&run->vm.vcpus[i], outcome->enforce_pv);
        vcpu_set_hv_enforce(&run->vm.vcpus[i], outcome->enforce_hv);
        err = vcpu_set_cpuid(&run->vm.vcpus[i], &tables[i]);
    }
    if (err)
        return err;
    vm_start(&run->vm);
    run->clock_device.missing = outcome->no_kvmclock_device;
    kvmclock_device_create(&run->clock_device, &run->vm);
    kvmclock_device_running(&run->clock_device, &run->vm);
    return soft_create(&run->soft, &run->vm);
}

static int build(struct run *run)
{
    unsigned vcpus = run->machine.topology.cpus;
    struct cpuid_table *tables = calloc(vcpus, sizeof(*tables));
    uint32_t *apic_ids = calloc(vcpus, sizeof(*apic_ids));
    struct cpuid_outcome *outcome = calloc(1, sizeof(*outcome));
    uint8_t *image = NULL;
    size_t image_len = 0;
    int status = EXIT_OUR_FAULT, err;

    if (tables && apic_ids && outcome)
        status = build_tables(run, tables, apic_ids, outcome);
    if (status == EXIT_DONE)
        status = open_serial(run);
    if (status == EXIT_DONE)
        status = open_debugcon(run);
    if (status == EXIT_DONE)
        status = read_bios(run->options.bios, &image, &image_len);
    if (status == EXIT_DONE) {
        run->tsc_khz = outcome->tsc_khz ? outcome->tsc_khz : DEFAULT_KHZ;
        err = create_vm(run, tables, apic_ids, outcome, image, image_len);
        if (err)
            status = fail(err == -ENOMEM ? EXIT_OUR_FAULT : EXIT_USAGE, "the machine cannot be built: %s",
                          strerror(-err));
    }
    free(image);
    free(outcome);
    free(apic_ids);
    free(tables);
    return status;
}

static void trace_line(void *ctx, const struct vcpu *vcpu, const char *text)
{
    (void)ctx;
    fprintf(stderr, "vcpu %d  %s\n", vcpu ? vcpu->id : -1, text);
}

/* Nothing can run before wake_ns: time passes, or where it is counted it jumps (decision 19). */
static void idle(struct run *run, uint64_t wake_ns)
{
    uint64_t now = run_now_ns(run), ns = IDLE_NS;
    char text[80];

    if (wake_ns != UINT64_MAX)
        ns = wake_ns > now ? wake_ns - now : 0;
    if (!run->deterministic) {
        nanosleep(&(struct timespec){(time_t)(ns / 1000000000), (long)(ns % 1000000000)}, NULL);
        return;
    }
    run->skipped_ns += ns;
    if (run->trace & SOFT_TRACE_EXIT) {
        snprintf(text, sizeof(text), "idle     time jumps by %" PRIu64 " ns to %" PRIu64, ns, now + ns);
        trace_line(run, NULL, text);
    }
}

/* Until the guest ends; the exit status. */
static int go_on(struct run *run, uint64_t limit)
{
    unsigned idle_rounds = 0;
    struct stop stop;

    while (soft_instructions(run->soft) < limit) {
        uint64_t left = limit - soft_instructions(run->soft);

        vm_host_events(&run->vm);
        soft_run(run->soft, left < SLICE ? left : SLICE, &stop);
        idle_rounds = stop.reason == STOP_IDLE ? idle_rounds + 1 : 0;
        switch (stop.reason) {
        case STOP_BUDGET:
        case STOP_HYPERCALL: /* never here: this machine does not ask to be asked (GPA-1) */
            break;
        case STOP_MSR: /* the filter holds that one register */
            core_count_answer(&run->vm.vcpus[stop.vcpu_id], run->machine.topology.cores,
                              run->machine.topology.threads);
            break;
        case STOP_IDLE:
            if (idle_rounds > IDLE_ROUNDS)
                return fail(EXIT_DONE, "every vCPU is halted and nothing can wake them");
            idle(run, stop.wake_ns);
            break;
        case STOP_SHUTDOWN:
            if (run->options.no_reboot)
                return fail(EXIT_FINDINGS, "vcpu %u shut down (triple fault) at rip %#" PRIx64, stop.vcpu_id,
                            stop.rip);
            board_system_reset(&run->vm);
            soft_flush(run->soft);
            break;
        case STOP_UNIMPLEMENTED:
            return fail(EXIT_MISSING, "vcpu %u: %s", stop.vcpu_id, stop.text);
        case STOP_REQUESTED:
            return stop.code & 0xff;
        }
    }
    return EXIT_DONE;
}

/* Standard output is asked at the end (finish_output.h). */
static int close_file(FILE *file, const char *option)
{
    bool lost = file && ferror(file);

    if (!file || file == stdout || (!fclose(file) && !lost))
        return EXIT_DONE;
    return fail(EXIT_MISSING, "the file of %s did not take all that the guest wrote: %s", option,
                strerror(errno));
}

/* The status to leave with where the guest's output is lost, else EXIT_DONE. */
static int destroy(struct run *run)
{
    int lost;

    soft_destroy(run->soft);
    if (run->vm_created)
        vm_destroy(&run->vm);
    lost = close_file(run->serial_out, "-serial");
    lost = close_file(run->debug_out, "-chardev") || lost ? EXIT_MISSING : EXIT_DONE;
    free(run->host_storage);
    free(run);
    return lost;
}

/* --trace: 0 without, -1 for an unknown word. */
static int trace_what(const char *word)
{
    static const struct {
        const char *word;
        enum soft_trace_what what;
    } words[] = {{"pv", SOFT_TRACE_PV}, {"exit", SOFT_TRACE_EXIT}, {"insn", SOFT_TRACE_INSN}};

    for (unsigned n = 0; word && n < sizeof(words) / sizeof(*words); n++)
        if (!strcmp(word, words[n].word))
            return (int)words[n].what;
    return word ? -1 : 0;
}

static bool parse_limit(const char *text, uint64_t *limit)
{
    char *end;

    *limit = UINT64_MAX;
    if (!text)
        return true;
    errno = 0;
    *limit = strtoull(text, &end, 0);
    return !errno && end != text && !*end && *text != '-';
}

#define ANSWERED (-1) /* the command line was a question: nothing is to be run */

static int prepare(struct run *run, int argc, char **argv, uint64_t *limit, int *what)
{
    const char *deterministic = NULL, *trace = NULL, *limit_text = NULL, *supported = NULL,
               *help_wanted = NULL;
    const struct own_option own[] = {{"deterministic", false, &deterministic},
                                     {"trace", true, &trace},
                                     {"limit", true, &limit_text},
                                     {"supported", true, &supported},
                                     {"help", false, &help_wanted}};
    char why[240] = "";
    int status;

    if (!vmm_options_parse(&run->options, argc, argv, own, sizeof(own) / sizeof(*own)))
        return fail(EXIT_USAGE, "%s", run->options.error.text);
    if (help_wanted)
        fputs(help, stdout);
    if (help_wanted || names_listed(&run->options))
        return ANSWERED;
    *what = trace_what(trace);
    if (*what < 0)
        return fail(EXIT_USAGE, "--trace takes pv, exit or insn, not '%s'", trace);
    if (!parse_limit(limit_text, limit))
        return fail(EXIT_USAGE, "--limit takes a number of instructions, not '%s'", limit_text);
    if (run->options.accel_given && run->options.accel != ACCEL_SOFT)
        return fail(EXIT_MISSING, "only -accel soft can run a machine here");
    run->deterministic = deterministic != NULL;
    status = supported_by_name(supported, &run->options, run->host_storage, &run->host, why);
    if (status != EXIT_DONE)
        return fail(status, "%s", why);
    if (!vmm_options_resolve(&run->options, run->host, &run->machine))
        return fail(EXIT_USAGE, "%s", run->options.error.text);
    for (uint32_t n = 0; n < messages_kept(&run->options.warnings); n++)
        say("warning: %s", run->options.warnings.list[n].text);
    return run->options.cpu || run->options.type.default_cpu ? EXIT_DONE
                                                             : fail(EXIT_USAGE, "this machine has no CPU");
}

int cmd_run(int argc, char **argv)
{
    struct run *run;
    uint64_t limit;
    int status, what, lost;

    run = calloc(1, sizeof(*run));
    if (run)
        run->host_storage = calloc(1, sizeof(*run->host_storage));
    if (!run || !run->host_storage) {
        free(run);
        return fail(EXIT_OUR_FAULT, "out of memory");
    }
    status = prepare(run, argc, argv, &limit, &what);
    if (status == EXIT_DONE)
        status = build(run);
    if (status == EXIT_DONE) {
        run->trace = (unsigned)what;
        soft_set_trace(run->soft, &(struct soft_trace){run->trace, what ? trace_line : NULL, NULL});
        status = go_on(run, limit);
    }
    lost = destroy(run);
    return lost ? lost : status == ANSWERED ? EXIT_DONE : status;
}
