/* More than one vCPU: INIT and SIPI, numbers, handing actions over, and settling after an interrupt was sent.
 * Intel SDM vol. 3 ch. 9.4; the order that a program prescribes: decision 10. */
#include "diff/probe/cpu.h"

#define ICR_INIT_OTHERS 0xc4500u
#define ICR_SIPI_OTHERS (0xc4600u | PROBE_SIPI_PAGE >> 12)
#define APIC_ICR        0x300

/* TSC cycles, about twice the nanoseconds: generous where a nested machine needs 0.1 ms for an exit, and where a busy
 * host leaves a vCPU waiting for a CPU. */
#define SIPI_CYCLES 1000000u    /* until it is said again */
#define RUN_CYCLES  2000000000u /* an AP's action; until it is free for the next */
#define WAKE_CYCLES 100000000u  /* a halted AP that was woken */
#define HALT_CYCLES 400000u     /* from a frame being entered to HLT */

#define NOT_NUMBERED UINT32_MAX

static uint32_t arrived;
static struct cpu *by_vcpu[PROBE_VCPUS];

extern const uint8_t sipi_entry[], sipi_entry_end[];

static uint32_t initial_apic_id(void)
{
    uint32_t eax = 1, ebx, ecx = 0, edx;

    __asm__ volatile("cpuid" : "+a"(eax), "=b"(ebx), "+c"(ecx), "=d"(edx));
    return ebx >> 24;
}

/* Called by boot.S under its lock. A vCPU that comes again after INIT finds its slot; NULL: more vCPUs than slots. */
struct cpu *cpu_find(void);
struct cpu *cpu_find(void)
{
    uint32_t apic_id = initial_apic_id();
    struct cpu *cpu;

    for (unsigned i = 0; i < arrived; i++)
        if (cpu_at(i)->apic_id == apic_id)
            return cpu_at(i);
    if (arrived == PROBE_VCPUS)
        return NULL;
    cpu = cpu_at(arrived);
    cpu->index = arrived++;
    cpu->apic_id = apic_id;
    cpu->vcpu = NOT_NUMBERED;
    return cpu;
}

static void spin(uint32_t cycles)
{
    uint64_t start = rdtsc();

    while (rdtsc() - start < cycles)
        pause();
}

static bool wait_for(const volatile uint32_t *word, uint32_t value, uint32_t cycles)
{
    uint64_t start = rdtsc();

    while (*word != value) {
        if (rdtsc() - start > cycles)
            return false;
        pause();
    }
    return true;
}

static bool is_free(const struct cpu *cpu)
{
    struct mailbox *m = mailbox();

    return m->ap_go[cpu->vcpu] == m->ap_done[cpu->vcpu];
}

static bool wait_free(const struct cpu *cpu, uint32_t cycles)
{
    struct mailbox *m = mailbox();

    return wait_for(&m->ap_done[cpu->vcpu], m->ap_go[cpu->vcpu], cycles);
}

static bool all_present(unsigned vcpus)
{
    for (unsigned i = 1; i < vcpus; i++)
        if (!cpu_at(i)->present)
            return false;
    return true;
}

/* No pause between INIT and SIPI: every VMM keeps the one until it has done the other, and the probe boots for every
 * program. However long it takes on a busy host: without one of them its actions would mean nothing. The agent gives
 * up. */
static void start_others(const struct cpu *bsp, unsigned vcpus)
{
    for (unsigned i = 0; i < (unsigned)(sipi_entry_end - sipi_entry); i++)
        ((volatile uint8_t *)(uintptr_t)PROBE_SIPI_PAGE)[i] = sipi_entry[i];
    apic_write(bsp, APIC_ICR, ICR_INIT_OTHERS);
    do {
        uint64_t start = rdtsc();

        apic_write(bsp, APIC_ICR, ICR_SIPI_OTHERS);
        while (!all_present(vcpus) && rdtsc() - start < SIPI_CYCLES)
            pause();
    } while (!all_present(vcpus));
}

/* Rank by APIC id: the order of arrival differs from boot to boot. */
static void number_all(void)
{
    struct mailbox *m = mailbox();
    uint32_t online = 0;

    for (unsigned i = 0; i < PROBE_VCPUS; i++) {
        struct cpu *cpu = cpu_at(i);
        uint32_t rank = 0;

        if (!cpu->present)
            continue;
        for (unsigned j = 0; j < PROBE_VCPUS; j++)
            if (cpu_at(j)->present && cpu_at(j)->apic_id < cpu->apic_id)
                rank++;
        by_vcpu[rank] = cpu;
        m->ap_go[rank] = m->ap_done[rank] = 0;
        barrier();
        cpu->vcpu = rank;
        online |= 1u << rank;
    }
    m->online = online;
}

void smp_start(struct cpu *bsp)
{
    unsigned vcpus = mailbox()->vcpus;

    bsp->present = 1;
    bsp->x2apic = is_x2apic(rdmsr(MSR_APIC_BASE)); /* INIT keeps it */
    if (vcpus > 1)
        start_others(bsp, vcpus < PROBE_VCPUS ? vcpus : PROBE_VCPUS);
    number_all();
}

static void settle_other(struct cpu *cpu)
{
    bool answers;

    if (!is_free(cpu)) { /* it halts: has it been woken? */
        wait_free(cpu, WAKE_CYCLES);
        return;
    }
    answers = cpu->pong == cpu->ping; /* one that INIT stopped did not, and costs no second long wait */
    cpu->ping++;
    wait_for(&cpu->pong, cpu->ping, answers ? RUN_CYCLES : WAKE_CYCLES);
}

void smp_settle(void)
{
    cpu_settle(by_vcpu[0]);
    for (unsigned i = 1; i < PROBE_VCPUS; i++)
        if (by_vcpu[i])
            settle_other(by_vcpu[i]);
}

/* A HLT ends when something later wakes it: the program goes on once it is surely halted. */
static bool hand_over(struct cpu *cpu, uint32_t index)
{
    struct mailbox *m = mailbox();

    if (!wait_free(cpu, RUN_CYCLES))
        return false;
    m->outcomes[index] = (struct outcome){.status = OUTCOME_TIMEOUT};
    barrier();
    m->ap_go[cpu->vcpu] = index + 1;
    if (m->actions[index].op == OP_CLOCK) /* as long as the agent asks for samples */
        while (!is_free(cpu))
            pause();
    if (m->actions[index].op != OP_HLT)
        return wait_free(cpu, RUN_CYCLES);
    while (!cpu->entered && !is_free(cpu))
        pause();
    spin(HALT_CYCLES);
    return true;
}

void smp_run(uint32_t index)
{
    struct mailbox *m = mailbox();
    const struct probe_action *action = &m->actions[index];
    struct cpu *cpu = action->vcpu < PROBE_VCPUS ? by_vcpu[action->vcpu] : NULL;

    if (!cpu)
        m->outcomes[index] = (struct outcome){.status = OUTCOME_UNSUPPORTED};
    else if (action->vcpu == 0)
        action_run(cpu, index);
    else if (!hand_over(cpu, index))
        m->outcomes[index] = (struct outcome){.status = OUTCOME_TIMEOUT};
    if (action_may_wake(action))
        smp_settle();
}

void smp_work(struct cpu *cpu)
{
    struct mailbox *m = mailbox();
    uint32_t vcpu;

    cpu->program_if = false;
    cpu->watches = false;
    cpu->x2apic = is_x2apic(rdmsr(MSR_APIC_BASE));
    cpu->entered = 0;
    cpu->present = 1;
    if (cpu->vcpu != NOT_NUMBERED) /* here again: what it did when the INIT came is over */
        m->ap_done[cpu->vcpu] = m->ap_go[cpu->vcpu];
    while ((vcpu = cpu->vcpu) == NOT_NUMBERED)
        pause();
    for (;;) {
        uint32_t go = m->ap_go[vcpu];

        if (go != m->ap_done[vcpu]) {
            action_run(cpu, go - 1);
            cpu_settle(cpu);
            m->ap_done[vcpu] = go;
        }
        if (cpu->ping != cpu->pong) {
            cpu_settle(cpu);
            cpu->pong = cpu->ping;
        }
        pause();
    }
}
