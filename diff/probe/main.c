/* The probe's main loop: runs the program that lies in the mailbox and goes on with it after a reset. mailbox.h */
#include "diff/probe/cpu.h"

#define PIC1_MASK 0x21
#define PIC2_MASK 0xa1

static void host_action(uint16_t op)
{
    struct mailbox *m = mailbox();
    uint32_t seq = m->host_seq + 1;

    m->host_seq = seq;
    barrier();
    m->state = PROBE_HOST_ACTION;
    while (m->host_ack != seq)
        pause();
    m->state = PROBE_RUNNING;
    if (op != OP_DESCHEDULE) /* a vCPU without a CPU answers nobody */
        smp_settle();
}

static void run_actions(void)
{
    struct mailbox *m = mailbox();
    uint32_t i;

    m->state = PROBE_RUNNING;
    while ((i = m->next) < m->count && i < MAILBOX_ACTIONS) {
        m->current = i;
        if (action_is_host(&m->actions[i])) {
            host_action(m->actions[i].op);
            continue;
        }
        m->next = i + 1;
        smp_run(i);
    }
    m->state = PROBE_DONE;
}

static _Noreturn void serve(struct cpu *bsp)
{
    struct mailbox *m = mailbox();

    /* QEMU without a BIOS leaves the PICs open, and their timer would come as vector 0. */
    outb(PIC1_MASK, 0xff);
    outb(PIC2_MASK, 0xff);
    m->state = PROBE_BOOTING;
    m->boots++;
    while (*(volatile uint32_t *)&m->magic != MAILBOX_MAGIC)
        pause();
    smp_start(bsp);
    for (;;) {
        uint32_t seq = m->command_seq;

        if (seq == m->done_seq) {
            pause();
            continue;
        }
        run_actions();
        m->done_seq = seq;
    }
}

void cpu_main(struct cpu *cpu);
void cpu_main(struct cpu *cpu)
{
    bool bsp = cpu->index == 0;

    if (bsp)
        window_build();
    tables_load(cpu);
    if (bsp)
        serve(cpu);
    smp_work(cpu);
}
