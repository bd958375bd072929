/* The direct machine: made and renewed, its virtual time, and what happens between actions. See direct.h. */
#include "diff/program/direct.h"
#include <errno.h>
#include <string.h>
#include "diff/program/direct_guest.h"
#include "vmm/apic/lapic.h"
#include "vmm/board/core_count.h"
#include "vmm/board/msi.h"
#include "vmm/pv/intercept.h"
#include "vmm/pv/msr.h"
#include "vmm/pv/sched.h"

static uint64_t env_tsc(void *ctx)
{
    const struct direct_machine *m = ctx;
    uint64_t ms = m->now_ns / 1000000, rest_ns = m->now_ns % 1000000;

    return ms * DIRECT_TSC_KHZ + rest_ns * DIRECT_TSC_KHZ / 1000000;
}
static_assert(DIRECT_END_NS / 1000000 < UINT64_MAX / DIRECT_TSC_KHZ, "no time overflows the TSC");

static uint64_t env_now_ns(void *ctx)
{
    const struct direct_machine *m = ctx;

    return m->now_ns;
}

static uint64_t env_realtime_ns(void *ctx)
{
    const struct direct_machine *m = ctx;

    return DIRECT_REALTIME_NS + m->now_ns;
}

static uint64_t env_run_delay_ns(void *ctx, unsigned vcpu_id)
{
    (void)ctx, (void)vcpu_id;
    return 0; /* the wait that !deschedule makes is told to the VMM by vcpu_schedule() */
}

static void program_start(struct direct_machine *m)
{
    direct_shell_start(m);
    m->index = UINT32_MAX; /* the first step makes it 0 */
    m->hangs = 0;
    m->paused = m->reshaped = m->reconfigured = m->guest_ran = false;
    m->clock_device = (struct kvmclock_device){.valid = false};
    m->wake_count = 0;
    memset(m->event_count, 0, sizeof(m->event_count));
}

static void set_cpuid(struct direct_machine *m)
{
    direct_cpuid_table(&m->cpuid, &m->config);
    for (unsigned i = 0; i < m->config.vcpus; i++) {
        struct vcpu *vcpu = &m->vm.vcpus[i];

        direct_cpuid_identity(&m->cpuid, i);
        vcpu_set_cpuid(vcpu, &m->cpuid);
        if (vcpu->enforce != m->config.enforce)
            vcpu_set_enforce(vcpu, m->config.enforce);
    }
}

/* Low memory and the program's RAM are one slot, as on a PC; ROM ends at 4 GiB. */
static int add_memory(struct direct_machine *m)
{
    uint64_t ram_size = PROBE_RAM_BASE + m->config.ram_pages * GPA_PAGE_SIZE;
    int err = memory_slot_add(&m->vm.memory, 0, ram_size, 0);

    if (!err)
        err = memory_slot_add(&m->vm.memory, PROBE_ROM_BASE, PROBE_ROM_SIZE, SLOT_READONLY);
    m->bases[BASE_NONE] = 0;
    m->bases[BASE_RAM] = PROBE_RAM_BASE;
    m->bases[BASE_RAM_END] = ram_size;
    m->bases[BASE_HOLE] = PROBE_HOLE;
    m->bases[BASE_ROM] = PROBE_ROM_BASE;
    m->bases[BASE_MMIO] = PROBE_MMIO_BASE;
    return err;
}

/* What programs have added goes, and nothing is logged: cheaper than a machine built anew. */
static void restore_memory(struct direct_machine *m)
{
    struct memory *mem = &m->vm.memory;

    for (unsigned i = mem->count; i-- > 0;) {
        uint64_t gpa = mem->slots[i].gpa;

        if (gpa == 0 || gpa == PROBE_ROM_BASE)
            memory_dirty_log(mem, gpa, false);
        else
            memory_slot_remove(mem, gpa);
    }
}

static struct vm_config vm_config_of(const struct program_config *config)
{
    static const enum irqchip irqchips[] = {
        [PROGRAM_IRQCHIP_KERNEL] = IRQCHIP_KERNEL,
        [PROGRAM_IRQCHIP_SPLIT] = IRQCHIP_SPLIT,
        [PROGRAM_IRQCHIP_NONE] = IRQCHIP_NONE,
    };

    return (struct vm_config){
        .vcpus = config->vcpus,
        .irqchip = irqchips[config->irqchip],
        .native = config->vmcall_native ? HC_VMCALL : HC_VMMCALL,
        .fix_hypercall_quirk = true,
        .sched_info = true,
        .msr_exits = MSR_EXIT_FILTER,
    };
}

static bool config_valid(const struct program_config *config)
{
    return config->vcpus >= 1 && config->vcpus <= PROGRAM_VCPUS_MAX &&
           config->irqchip <= PROGRAM_IRQCHIP_NONE && config->ram_pages >= 1 &&
           config->ram_pages <= PROGRAM_RAM_MAX;
}

int direct_machine_create(struct direct_machine *m, const struct program_config *config)
{
    const struct env env = {.tsc = env_tsc,
                            .now_ns = env_now_ns,
                            .realtime_ns = env_realtime_ns,
                            .run_delay_ns = env_run_delay_ns,
                            .ctx = m,
                            .tsc_khz = DIRECT_TSC_KHZ,
                            .clocksource_tsc = true};
    struct vm_config vm_config;
    int err;

    if (!config_valid(config))
        return -EINVAL;
    vm_config = vm_config_of(config);
    m->config = *config;
    m->now_ns = DIRECT_START_NS;
    m->window_used = true; /* whatever the memory of *m held before */
    err = vm_create(&m->vm, &vm_config, &env);
    if (err)
        return err;
    err = add_memory(m);
    if (!err)
        err = board_interrupts_add(&m->vm);
    if (err) {
        vm_destroy(&m->vm);
        return err;
    }
    core_count_claim(&m->vm);
    set_cpuid(m);
    vm_start(&m->vm);
    program_start(m);
    return 0;
}

void direct_machine_destroy(struct direct_machine *m)
{
    vm_destroy(&m->vm);
}

static bool same_shape(const struct program_config *a, const struct program_config *b)
{
    return a->vcpus == b->vcpus && a->irqchip == b->irqchip && a->ram_pages == b->ram_pages;
}

static bool same_cpuid(const struct program_config *a, const struct program_config *b)
{
    return a->features == b->features && a->hints == b->hints && a->enforce == b->enforce &&
           a->vmcall_native == b->vmcall_native && a->hyperv == b->hyperv;
}

bool direct_machine_renew(struct direct_machine *m, const struct program_config *config)
{
    bool keep_cpuid = same_cpuid(&m->config, config) && !m->reconfigured;

    if (!same_shape(&m->config, config)) {
        direct_machine_destroy(m);
        return direct_machine_create(m, config) == 0;
    }
    m->config = *config;
    m->now_ns = DIRECT_START_NS;
    m->vm.config.native = config->vmcall_native ? HC_VMCALL : HC_VMMCALL;
    if (m->reshaped)
        restore_memory(m);
    vm_renew(&m->vm);
    if (!keep_cpuid)
        set_cpuid(m);
    program_start(m);
    return true;
}

/* Between actions. */

/* The byte that OP_ON_INTERRUPT watches, as the handler reads it. */
static uint8_t watched_byte(struct direct_machine *m, struct vcpu *vcpu)
{
    const struct direct_vcpu *shell = &m->vcpus[vcpu->id];
    uint8_t byte;

    if (shell->watch_how & ON_INTERRUPT_EXIT)
        vcpu_exit(vcpu);
    direct_read_physical(m, vcpu, shell->watch_at, &byte, 1);
    return byte;
}

static void log_event(struct direct_machine *m, struct vcpu *vcpu, uint8_t vector)
{
    bool watched = m->vcpus[vcpu->id].watches;
    uint8_t byte = watched ? watched_byte(m, vcpu) : 0;
    uint32_t n = m->event_count[vcpu->id]++;

    if (n < MAILBOX_EVENTS)
        m->events[vcpu->id][n] =
            (struct probe_event){.after = m->index, .vector = vector, .watched = watched, .byte = byte};
}

/* The guest's side of PV EOI (EOI-12), for OP_ON_INTERRUPT. */
static void end_interrupt(struct direct_machine *m, struct vcpu *vcpu)
{
    const struct direct_vcpu *shell = &m->vcpus[vcpu->id];
    uint32_t word, eoi = 0;

    if (!shell->watches || !(shell->watch_how & ON_INTERRUPT_EOI))
        return;
    direct_read_physical(m, vcpu, shell->watch_at, &word, sizeof(word));
    if (word & 1) {
        word &= ~1u;
        direct_write_physical(m, vcpu, shell->watch_at, &word, sizeof(word));
    } else if (lapic_x2apic(vcpu)) {
        vcpu_wrmsr(vcpu, MSR_X2APIC_BASE + APIC_EOI / 16, 0, ORIGIN_GUEST);
    } else {
        direct_write_physical(m, vcpu, PROBE_MMIO_BASE + APIC_EOI, &eoi, sizeof(eoi));
    }
}

/* The probe's handler logs and returns; EOI is an action of the program. The first vector, or 0. */
uint8_t direct_take_interrupts(struct direct_machine *m, struct vcpu *vcpu)
{
    const struct direct_vcpu *shell = &m->vcpus[vcpu->id];
    uint8_t first = 0;

    if (vcpu->apic.nmi_pending) {
        vcpu->apic.nmi_pending = false;
        first = TRAP_NMI;
        log_event(m, vcpu, TRAP_NMI);
    }
    while (shell->interrupts) {
        int vector = vcpu_take_interrupt(vcpu);

        if (vector < 0)
            break;
        if (!first)
            first = (uint8_t)vector;
        log_event(m, vcpu, (uint8_t)vector);
        end_interrupt(m, vcpu);
    }
    return first;
}

/* INIT and SIPI end whatever the probe did on that vCPU; it comes back only where its own trampoline lies. */
static void note_restart(struct direct_vcpu *shell, const struct vcpu *vcpu)
{
    *shell = (struct direct_vcpu){
        .restarted = true,
        .lost = vcpu->mp_state == MP_RUNNABLE && vcpu->id && vcpu->regs.seg[SREG_CS].base != PROBE_SIPI_PAGE,
    };
}

static void add_wake(struct direct_machine *m, struct vcpu *vcpu, const struct outcome *outcome)
{
    m->wakes[m->wake_count++] =
        (struct direct_wake){.action = m->vcpus[vcpu->id].asleep_action, .outcome = *outcome};
}

static void wake_from_halt(struct direct_machine *m, struct vcpu *vcpu, uint8_t vector)
{
    const struct outcome outcome = {.status = OUTCOME_OK,
                                    .flags = m->vcpus[vcpu->id].interrupts ? OUTCOME_F_IF : 0,
                                    .regs = {vector, m->index},
                                    .rip_delta = op_info(OP_HLT)->length};

    add_wake(m, vcpu, &outcome);
}

static void resolve_operands(struct step *step)
{
    const struct action *action = step->action;
    const struct direct_machine *m = step->m;
    unsigned args = op_info(action->op)->args;

    for (unsigned i = 0; i < args; i++) {
        const struct operand *arg = &action->args[i];

        step->args[i] = m->bases[arg->base] + arg->value;
    }
}

/* The access that met a missing page is made again, from the beginning of its action. */
static void act_again(struct direct_machine *m, struct vcpu *vcpu)
{
    struct direct_vcpu *shell = &m->vcpus[vcpu->id];
    const struct action action = shell->waiting;
    struct outcome outcome = {.status = OUTCOME_NONE};
    struct step step = {.m = m, .vcpu = vcpu, .shell = shell, .action = &action, .outcome = &outcome};
    uint32_t index = shell->asleep_action;

    shell->waits = false;
    resolve_operands(&step);
    direct_act(&step);
    shell->asleep_action = index; /* should it wait once more */
    if (!shell->waits)
        add_wake(m, vcpu, &outcome);
}

static bool sleeps(const struct vcpu *vcpu)
{
    return vcpu->mp_state == MP_HALTED || vcpu->hold & HOLD_HLT;
}

static void settle_vcpu(struct direct_machine *m, struct vcpu *vcpu)
{
    struct direct_vcpu *shell = &m->vcpus[vcpu->id];
    bool init = vcpu->apic.init_pending, waited = vcpu->mp_state == MP_WAIT_SIPI;
    bool halted = sleeps(vcpu) && !init;
    bool runs = vcpu_enter(vcpu);
    uint8_t vector = 0;

    if (init || (waited && runs))
        note_restart(shell, vcpu);
    if (!runs || shell->lost)
        return;
    if (shell->interrupts || vcpu->apic.nmi_pending)
        vector = direct_take_interrupts(m, vcpu);
    if (halted)
        wake_from_halt(m, vcpu, vector);
    else if (shell->waits)
        act_again(m, vcpu);
    if (vcpu->requests)
        vcpu_enter(vcpu);
}

/* Only the vCPU that acted can have changed what it accepts; others are told by a request. */
static inline void settle_each(struct direct_machine *m, const struct vcpu *acting)
{
    for (struct vcpu *vcpu = m->vm.vcpus, *end = vcpu + m->config.vcpus; vcpu < end; vcpu++)
        if ((vcpu->requests || vcpu == acting) && !vcpu_descheduled(vcpu))
            settle_vcpu(m, vcpu);
}

static void settle(struct direct_machine *m, const struct vcpu *acting)
{
    settle_each(m, acting);
    settle_each(m, NULL); /* a later one may have left work to an earlier one (STB-4) */
}

/* Guest actions. */

static void fall_asleep(struct step *step)
{
    step->shell->asleep_action = step->m->index;
    step->outcome->status = OUTCOME_TIMEOUT; /* unless settle() finds a reason to wake */
}

void direct_halt(struct step *step)
{
    fall_asleep(step);
    vcpu_halt(step->vcpu);
}

void direct_wait(struct step *step)
{
    fall_asleep(step);
    step->shell->waits = true;
    step->shell->waiting = *step->action;
}

/* After these the probe leaves to the host on every vCPU (smp_settle), and on another than the first after all. */
static bool probe_settles(const struct action *action)
{
    switch (action->op) {
    case OP_WRMSR:
    case OP_VMCALL:
    case OP_VMMCALL:
    case OP_STI:
    case OP_APIC_WRITE:
    case OP_IPI:
    case OP_EOI:
    case OP_X2APIC:
    case OP_WINDOW:
        return true;
    default:
        return op_info(action->op)->host;
    }
}

static void leave_to_host(struct direct_machine *m, const struct action *action)
{
    if (!probe_settles(action)) {
        if (action->vcpu)
            vcpu_exit(&m->vm.vcpus[action->vcpu]);
        return;
    }
    for (struct vcpu *vcpu = m->vm.vcpus, *end = vcpu + m->config.vcpus; vcpu < end; vcpu++)
        vcpu_exit(vcpu);
}

/* One that waits for a page counts even while something else wakes it now and then: it cannot go on (APF-17). */
static inline bool is_held(const struct vcpu *vcpu, const struct direct_vcpu *shell)
{
    return vcpu->hold || shell->waits;
}

static bool is_stuck(const struct vcpu *vcpu, const struct direct_vcpu *shell)
{
    return vcpu->mp_state == MP_HALTED || is_held(vcpu, shell);
}

/* vCPU 0 runs the program: but for a timer that is due soon, nobody is left to wake it. */
static void get_over_stuck(struct direct_machine *m)
{
    const struct vcpu *vcpu = &m->vm.vcpus[0];
    const struct direct_vcpu *shell = &m->vcpus[0];
    uint64_t deadline = direct_ns_from_now(m, DIRECT_HLT_NS), next;

    while (is_stuck(vcpu, shell) && (next = lapic_next_deadline_ns(&m->vm)) <= deadline) {
        direct_advance_to(m, next > m->now_ns ? next : m->now_ns + 1);
        settle(m, vcpu);
    }
    if (!is_stuck(vcpu, shell))
        return;
    m->hangs++;
    direct_reset(m);
    settle(m, vcpu); /* no vCPU runs on with work left to do (GEN-10) */
}

static void step_clock(const struct step *step)
{
    step->outcome->status = step->args[0] > DIRECT_MAPPED - 32 ? OUTCOME_UNSUPPORTED : OUTCOME_OK;
}

static bool can_act(const struct step *step)
{
    const struct vcpu *vcpu = step->vcpu;

    return !step->m->paused && vcpu->mp_state == MP_RUNNABLE && !is_held(vcpu, step->shell) &&
           !step->shell->lost;
}

/* A halt or a wait for a page that ended in the step that began it. */
static void take_own_wake(struct direct_machine *m, struct outcome *outcome)
{
    for (unsigned i = 0; i < m->wake_count; i++)
        if (m->wakes[i].action == m->index)
            *outcome = m->wakes[i].outcome;
}

static void step_guest(struct step *step)
{
    struct direct_machine *m = step->m;
    const struct action *action = step->action;
    struct direct_vcpu *shell = step->shell;

    if (!m->paused && vcpu_descheduled(step->vcpu)) { /* the program waits for it */
        direct_advance_to(m, shell->on_cpu_ns);
        settle(m, step->vcpu);
    }
    if (!can_act(step)) {
        step->outcome->status = OUTCOME_TIMEOUT;
        return;
    }
    shell->restarted = false;
    m->guest_ran = true;
    resolve_operands(step);
    if (action->op == OP_CLOCK)
        step_clock(step);
    else
        direct_act(step);
    settle(m, step->vcpu);
    if (action->vcpu == 0 && is_stuck(step->vcpu, shell))
        get_over_stuck(m);
    take_own_wake(m, step->outcome);
    if (shell->restarted) /* by its own IPI: nobody is left to report */
        *step->outcome = (struct outcome){.status = OUTCOME_TIMEOUT};
    leave_to_host(m, action);
}

void direct_machine_step(struct direct_machine *m, const struct action *action, struct outcome *outcome)
{
    struct step step; /* its operands come in step_guest() */

    *outcome = (struct outcome){.status = OUTCOME_NONE};
    m->index++;
    m->wake_count = 0;
    if (action->op == OP_NOTE)
        return;
    if (op_info(action->op)->host) {
        direct_host_action(m, action, outcome);
        settle(m, &m->vm.vcpus[0]);
        leave_to_host(m, action);
    } else if (action->vcpu >= m->config.vcpus) {
        outcome->status = OUTCOME_UNSUPPORTED;
    } else {
        step.m = m;
        step.vcpu = &m->vm.vcpus[action->vcpu];
        step.shell = &m->vcpus[action->vcpu];
        step.action = action;
        step.outcome = outcome;
        step_guest(&step);
    }
}
