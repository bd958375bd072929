/* The soft machine: our VMM with its software vCPU runs the probe from the flags that QEMU gets.
 * Decisions 3, 4, 11. */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>
#include "diff/machine/child.h"
#include "diff/machine/driver.h"
#include "diff/machine/mailbox_run.h"
#include "diff/machine/msr_cleanup.h"
#include "diff/machine/qemu.h"
#include "diff/machine/soft_clock.h"
#include "diff/probe/rom.h"
#include "diff/program/host_act.h"
#include "vmm/backend/soft.h"
#include "vmm/board/core_count.h"
#include "vmm/board/kvmclock_device.h"
#include "vmm/board/migrate.h"
#include "vmm/board/msi.h"
#include "vmm/board/reset.h"
#include "vmm/cpuid/build.h"
#include "vmm/pv/hyperv.h"
#include "vmm/pv/lifecycle.h"
#include "vmm/pv/sched.h"

#define SLICE          1000u /* instructions between two looks at the mailbox */
#define URGENT_SLICE   200u  /* while a clock sample is awaited: about 5 us */
#define DEFAULT_MEMORY (64ull << 20)
#define DEFAULT_KHZ    2000000u

struct soft_machine {
    struct cpuid_supported supported;
    bool native_vmcall, clocksource_tsc;
    uint32_t tsc_khz;
};

struct soft_vm { /* of one run_item */
    struct vm vm;
    struct soft *soft;
    struct soft_clock clock;
    struct kvmclock_device clock_device;
    struct mailbox_host host;
    const struct machine *machine;
    bool paused, migration_blocked;
    uint32_t cores, threads;
    struct {
        uint64_t off_ns, on_ns; /* while the vCPU is descheduled */
    } turns[PROGRAM_VCPUS_MAX];
};

static unsigned scheduled_vcpus(const struct soft_vm *sv)
{
    return sv->vm.config.vcpus < PROGRAM_VCPUS_MAX ? sv->vm.config.vcpus : PROGRAM_VCPUS_MAX;
}

/* Those whose time off the CPU is over run again; at a reset all do. */
static void schedule_due(struct soft_vm *sv, bool all)
{
    uint64_t now_ns = soft_clock_ns(&sv->clock);

    for (unsigned i = 0; i < scheduled_vcpus(sv); i++)
        if (vcpu_descheduled(&sv->vm.vcpus[i]) && (all || now_ns >= sv->turns[i].on_ns))
            vcpu_schedule(&sv->vm.vcpus[i], now_ns - sv->turns[i].off_ns);
}

static int deschedule(struct soft_vm *sv, const struct action *action)
{
    uint64_t id = action->args[0].value, ns = action->args[1].value;

    if (id >= scheduled_vcpus(sv))
        return -EINVAL;
    if (ns > MAILBOX_ADVANCE_MAX_NS) /* as !advance: it is waited for */
        return -ENOTSUP;
    if (vcpu_descheduled(&sv->vm.vcpus[id]))
        return -EBUSY;
    vcpu_deschedule(&sv->vm.vcpus[id]);
    sv->turns[id].off_ns = soft_clock_ns(&sv->clock);
    sv->turns[id].on_ns = sv->turns[id].off_ns + ns;
    return 0;
}

/* One turn of the VM, as a host kernel gives it: due host work, then instructions. */
static bool pump(void *ctx, char why[240])
{
    struct soft_vm *sv = ctx;
    struct stop stop;

    if (sv->paused) {
        soft_clock_idle(&sv->clock, UINT64_MAX);
        return true;
    }
    vm_host_events(&sv->vm);
    schedule_due(sv, false);
    soft_run(sv->soft, sv->host.urgent ? URGENT_SLICE : SLICE, &stop);
    switch (stop.reason) {
    case STOP_IDLE:
        soft_clock_idle(&sv->clock, stop.wake_ns);
        return true;
    case STOP_MSR: /* the filter holds that one register */
        core_count_answer(&sv->vm.vcpus[stop.vcpu_id], sv->cores, sv->threads);
        return true;
    case STOP_SHUTDOWN: /* a triple fault resets a PC, and so does QEMU */
        board_system_reset(&sv->vm);
        soft_flush(sv->soft);
        return true;
    case STOP_UNIMPLEMENTED:
        snprintf(why, 240, "our vCPU cannot execute this: %s", stop.text);
        return false;
    default:
        return true;
    }
}

static int restart(void *ctx)
{
    struct soft_vm *sv = ctx;

    schedule_due(sv, true);
    board_system_reset(&sv->vm);
    soft_flush(sv->soft);
    return 0;
}

/* Only pages that were ever written need it. */
static void clear_ram(void *ctx)
{
    struct soft_vm *sv = ctx;
    struct slot *ram = memory_slot(&sv->vm.memory, 0);

    for (uint32_t i = 0; i < ram->touched_count; i++) {
        uint64_t at = ram->touched_list[i] * GPA_PAGE_SIZE;

        if (at < PROBE_SIPI_PAGE || at >= MAILBOX_GPA)
            memset(ram->host + at, 0, GPA_PAGE_SIZE);
    }
}

/* Into this very VM, made anew: nothing that the snapshot lacks can stay behind. */
static int save_restore(struct soft_vm *sv)
{
    char message[160];
    uint8_t *data;
    size_t len;
    int err = vm_save(&sv->vm, &data, &len);

    if (err)
        return err;
    vm_renew(&sv->vm);
    err = vm_restore(&sv->vm, data, len, message);
    free(data);
    soft_flush(sv->soft);
    sv->host.ram = memory_slot(&sv->vm.memory, 0)->host;
    return err ? -EIO : 0;
}

/* Into this very VM, made anew: to the guest it is another one. */
static int migrate(struct soft_vm *sv)
{
    struct migration *migration;
    char message[160];
    int err = sv->migration_blocked ? -EIO : board_migrate_save(&sv->vm, &sv->clock_device, &migration);

    if (err)
        return err;
    vm_renew(&sv->vm);
    err = board_migrate_load(migration, &sv->vm, &sv->clock_device, message);
    board_migrate_free(migration);
    soft_flush(sv->soft);
    sv->host.ram = memory_slot(&sv->vm.memory, 0)->host;
    if (!err && !sv->paused)
        kvmclock_device_running(&sv->clock_device, &sv->vm);
    return err ? -EIO : 0;
}

static int host_action(void *ctx, const struct action *action, struct outcome *outcome)
{
    struct soft_vm *sv = ctx;

    switch (action->op) {
    case OP_PAUSE_VM:
        sv->paused = true;
        kvmclock_device_stopped(&sv->clock_device, &sv->vm);
        return 0;
    case OP_RESUME_VM:
        kvmclock_device_running(&sv->clock_device, &sv->vm);
        sv->paused = false;
        return 0;
    case OP_SAVE_RESTORE:
        return save_restore(sv);
    case OP_MIGRATE:
        return migrate(sv);
    case OP_DESCHEDULE:
        return deschedule(sv, action);
    default:
        return host_act(&sv->vm, action, outcome);
    }
}

static uint64_t host_now_ns(void *ctx)
{
    struct soft_vm *sv = ctx;

    return soft_clock_ns(&sv->clock);
}

static bool is_cancelled(void *ctx)
{
    const struct soft_vm *sv = ctx;

    return machine_cancelled(sv->machine);
}

/* As pc has it: RAM, and the firmware up to 4 GiB. (Its copy below 1 MiB is RAM here: programs use RAM from
 * PROBE_RAM_BASE on.) */
static int add_memory(struct vm *vm, uint64_t ram_size)
{
    int err = memory_slot_add(&vm->memory, 0, ram_size, 0);

    if (!err)
        err = memory_slot_add(&vm->memory, PROBE_ROM_BASE, PROBE_ROM_SIZE, SLOT_READONLY);
    if (!err && !gpa_load(&vm->memory, PROBE_ROM_BASE, probe_rom, probe_rom_size))
        err = -ENOMEM;
    return err ? err : board_interrupts_add(vm);
}

/* CPUID of every vCPU, and what follows from it for the VM. False: our parser refused the flags. */
static bool configure(const struct soft_machine *sm, const struct flag_set *flags, struct cpuid_table *tables,
                      uint32_t *apic_ids, unsigned vcpus, struct cpuid_outcome *outcome)
{
    for (unsigned i = 0; i < vcpus; i++) {
        if (cpuid_for_flags(flags->cpu, flags->machine, flags->smp, &sm->supported, i, &tables[i], outcome))
            return false;
        apic_ids[i] = outcome->apic_id;
    }
    return true;
}

static int create(struct soft_vm *sv, struct soft_machine *sm, const struct run_item *item, uint64_t ram_size,
                  const struct cpuid_table *tables, const uint32_t *apic_ids,
                  const struct cpuid_outcome *outcome)
{
    struct env env = {.clocksource_tsc = sm->clocksource_tsc};
    const struct vm_config config = {.vcpus = (uint16_t)smp_vcpus(item->flags.smp),
                                     .apic_ids = apic_ids,
                                     .ids_32bit = outcome->ids_32bit,
                                     .irqchip = outcome->irqchip,
                                     .apic_off = !outcome->local_apic,
                                     .native = sm->native_vmcall ? HC_VMCALL : HC_VMMCALL,
                                     .fix_hypercall_quirk = true,
                                     .sched_info = true, /* CPU-2: every kernel that distributions build */
                                     .version = KVM_6_1,
                                     .msr_exits = MSR_EXIT_FILTER};
    int err;

    sv->clock = (struct soft_clock){.counted = item->counted_time, .tsc_khz = sm->tsc_khz};
    soft_clock_env(&sv->clock, &env);
    err = vm_create(&sv->vm, &config, &env);
    if (err)
        return err;
    core_count_claim(&sv->vm);
    sv->cores = outcome->cores;
    sv->threads = outcome->threads;
    err = add_memory(&sv->vm, ram_size);
    for (unsigned i = 0; !err && i < config.vcpus; i++) {
        vcpu_set_enforce(&sv->vm.vcpus[i], outcome->enforce_pv);
        vcpu_set_hv_enforce(&sv->vm.vcpus[i], outcome->enforce_hv);
        err = vcpu_set_cpuid(&sv->vm.vcpus[i], &tables[i]);
    }
    if (!err) {
        vm_start(&sv->vm);
        sv->clock_device.missing = outcome->no_kvmclock_device;
        sv->migration_blocked = outcome->migration_blocked;
        kvmclock_device_create(&sv->clock_device, &sv->vm);
        kvmclock_device_running(&sv->clock_device, &sv->vm);
        err = soft_create(&sv->soft, &sv->vm);
        sv->clock.soft = sv->soft;
    }
    if (err)
        vm_destroy(&sv->vm);
    return err;
}

static void run_programs(struct soft_vm *sv, const struct run_item *item, struct run_result *result)
{
    for (unsigned i = 0; i < item->program_count; i++) {
        const struct program *before = i ? &item->programs[i - 1] : NULL;
        int err = mailbox_run_behind(&sv->host, before, &item->programs[i], &result->transcripts[i]);

        if (err == -EINTR)
            break;
        if (err == -ESTALE)
            snprintf(result->error, sizeof(result->error),
                     "program %u did not run: the one before left the VM stuck", i);
        else if (err && err != -EIO)
            snprintf(result->error, sizeof(result->error), "program %u: %s", i, strerror(-err));
        machine_step(sv->machine, item->flags.name, i + 1, item->program_count);
    }
}

static char *describe(const struct flag_set *flags)
{
    const char *const options[][2] = {
        {"-cpu", flags->cpu}, {"-machine", flags->machine}, {"-smp", flags->smp}, {"-m", flags->memory}};
    struct args args = {0};
    char *line;

    args_add(&args, "pv-vmm");
    args_add(&args, "run");
    args_add(&args, "-accel");
    args_add(&args, "soft");
    for (unsigned i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        if (!options[i][1])
            continue;
        args_add(&args, options[i][0]);
        args_add(&args, options[i][1]);
    }
    line = args.failed ? NULL : args_quote(&args, 0, args.count);
    args_free(&args);
    return line;
}

static char *join_warnings(const struct messages *warnings)
{
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);

    if (!out)
        return NULL;
    for (uint32_t i = 0; i < messages_kept(warnings); i++)
        fprintf(out, "warning: %s\n", warnings->list[i].text);
    fclose(out);
    return text;
}

static void run_configured(struct soft_vm *sv, struct soft_machine *sm, const struct run_item *item,
                           struct run_result *result, struct cpuid_table *tables, uint32_t *apic_ids,
                           struct cpuid_outcome *outcome)
{
    unsigned vcpus = smp_vcpus(item->flags.smp);
    uint64_t ram_size = item->flags.memory ? qemu_memory_bytes(item->flags.memory) : DEFAULT_MEMORY;
    int err;

    if (!configure(sm, &item->flags, tables, apic_ids, vcpus, outcome)) {
        result->refused = true;
        snprintf(result->error, sizeof(result->error), "%.*s", (int)sizeof(result->error) - 1,
                 outcome->error.text);
        return;
    }
    result->warnings = join_warnings(&outcome->warnings);
    err = create(sv, sm, item, ram_size, tables, apic_ids, outcome);
    if (err) {
        snprintf(result->error, sizeof(result->error), "the VM could not be built: %s", strerror(-err));
        return;
    }
    sv->host = (struct mailbox_host){.ram = memory_slot(&sv->vm.memory, 0)->host,
                                     .ram_size = ram_size,
                                     .vcpus = vcpus,
                                     .native_vmcall = sm->native_vmcall,
                                     .cpuid_only = item->cpuid_only,
                                     .ctx = sv,
                                     .pump = pump,
                                     .raw_ns = host_now_ns,
                                     .restart = restart,
                                     .clear_ram = clear_ram,
                                     .clears_mailbox = true,
                                     .host_action = host_action,
                                     .cancelled = is_cancelled,
                                     .runs_in_pump = true};
    run_programs(sv, item, result);
    soft_destroy(sv->soft);
    vm_destroy(&sv->vm);
}

static int run_item(struct machine *machine, const struct run_item *item, struct run_result *result)
{
    unsigned vcpus = smp_vcpus(item->flags.smp);
    struct soft_vm *sv = calloc(1, sizeof(*sv));
    struct cpuid_table *tables = calloc(vcpus, sizeof(*tables));
    uint32_t *apic_ids = calloc(vcpus, sizeof(*apic_ids));
    struct cpuid_outcome *outcome = calloc(1, sizeof(*outcome));
    bool enough = sv && tables && apic_ids && outcome;

    if (enough) {
        sv->machine = machine;
        result->command_line = describe(&item->flags);
        run_configured(sv, machine->driver, item, result, tables, apic_ids, outcome);
    }
    free(outcome);
    free(apic_ids);
    free(tables);
    free(sv);
    return !enough ? -ENOMEM : machine_cancelled(machine) ? -EINTR : 0;
}

static int soft_machine_run(struct machine *machine, const struct run_item *items, unsigned count,
                            struct run_result *results)
{
    int err = 0;

    for (unsigned i = 0; !err && i < count; i++)
        err = run_item(machine, &items[i], &results[i]);
    return err;
}

/* Compared over the reference host's facts, or over our own vCPU's where there are none. */
static void take_record(struct soft_machine *sm, const struct host_record *host)
{
    struct cpuid_supported *s = &sm->supported;

    if (!host || !host->supported.count) {
        *s = host && host->tcg ? *cpuid_supported_tcg() : *cpuid_supported_soft();
        sm->clocksource_tsc = true;
    } else {
        host_record_supported(host, s);
        sm->native_vmcall = host->native_vmcall;
        sm->clocksource_tsc = !strcmp(host->clocksource, "tsc");
    }
    sm->tsc_khz = s->tsc_khz ? s->tsc_khz : DEFAULT_KHZ;
}

/* The host's CPU as it calls itself, with single blanks. */
static void cpu_brand(char brand[49])
{
    uint32_t regs[12] = {0};

    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002 + i, &regs[i * 4], &regs[i * 4 + 1], &regs[i * 4 + 2], &regs[i * 4 + 3]))
            regs[i * 4] = 0;
    memcpy(brand, regs, sizeof(regs));
    brand[sizeof(regs)] = 0;
    host_brand_squeeze(brand);
}

/* What it ran on, for the report: our machine needs nothing of it. */
static void describe_host(struct machine_info *info, uint32_t tsc_khz)
{
    struct utsname host;
    char brand[49];

    cpu_brand(brand);
    if (!uname(&host))
        snprintf(info->kernel_release, sizeof(info->kernel_release), "%s", host.release);
    snprintf(info->detail, sizeof(info->detail), "our VMM, software vCPU, real time, TSC %u kHz%s%s", tsc_khz,
             *brand ? ", on " : "", brand);
}

static int soft_open(struct machine *machine, uint32_t needs, const struct host_record *host, char why[240])
{
    struct soft_machine *sm = calloc(1, sizeof(*sm));

    (void)needs;
    (void)why;
    if (!sm)
        return -ENOMEM;
    take_record(sm, host);
    if (host)
        machine->info.host = *host;
    machine->info.needs = UINT32_MAX;
    describe_host(&machine->info, sm->tsc_khz);
    machine->driver = sm;
    return 0;
}

static void soft_close(struct machine *machine)
{
    free(machine->driver);
    machine->driver = NULL;
}

const struct machine_ops soft_ops = {
    .name = "soft", .open = soft_open, .run = soft_machine_run, .close = soft_close};
