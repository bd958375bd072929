/* Through the IDT: what exceptions, interrupts and INT n have in common. */
#ifndef VMM_CPU_DELIVER_H
#define VMM_CPU_DELIVER_H

#include "vmm/cpu/state.h"

enum delivery {
    DELIVER_EXCEPTION,
    DELIVER_EXTERNAL,
    DELIVER_SOFTWARE /* INT n, INT3, INTO: the gate's DPL counts */
};

struct delivery_event {
    uint8_t vector;
    enum delivery kind;
    bool has_error;
    uint32_t error;
    uint64_t rip; /* pushed */
};
/* One attempt. TRAP_NONE: done, cpu->rip is the handler's. Otherwise nothing changed and that trap follows. */
struct trap deliver(struct cpu *cpu, const struct delivery_event *event);
/* An exception at cpu->rip with the rules of double and triple faults. False: shutdown. */
bool deliver_exception(struct cpu *cpu, struct trap trap);

#endif
