/* Descriptors: reading them from the tables and loading segment registers. Intel SDM vol. 3 ch. 3 and 5. */
#ifndef VMM_CPU_SEGMENT_H
#define VMM_CPU_SEGMENT_H

#include "vmm/cpu/state.h"

#define SELECTOR_RPL(s)   ((s)&3u)
#define SELECTOR_TI       4u
#define SELECTOR_ERROR(s) ((s)&0xfffcu)
#define SEG_CONFORMING    0x0004 /* code */
#define SEG_READABLE      0x0002 /* code; writable in data */
#define SEG_TYPE(a)       ((a)&15u)

enum system_type {
    SYSTEM_TSS16 = 1,
    SYSTEM_LDT = 2,
    SYSTEM_TSS16_BUSY = 3,
    SYSTEM_GATE_CALL16 = 4,
    SYSTEM_GATE_TASK = 5,
    SYSTEM_GATE_INT16 = 6,
    SYSTEM_GATE_TRAP16 = 7,
    SYSTEM_TSS32 = 9,
    SYSTEM_TSS32_BUSY = 11,
    SYSTEM_GATE_CALL32 = 12,
    SYSTEM_GATE_INT32 = 14,
    SYSTEM_GATE_TRAP32 = 15
};

struct descriptor {
    struct segment seg; /* as a segment register would hold it */
    uint64_t low, high; /* raw; high only of 16-byte ones */
    uint64_t linear;    /* of the descriptor itself */
};

/* False: a page fault is raised, or *outside says that the table ends before it (the caller names the exception). */
bool descriptor_read(struct cpu *cpu, uint16_t selector, bool wide, struct descriptor *d, bool *outside);
/* The same; outside is raised as vector(selector). */
bool descriptor_load(struct cpu *cpu, uint16_t selector, enum vector vector, struct descriptor *d);
/* Sets the accessed bit in memory and in d. */
void descriptor_set_accessed(struct cpu *cpu, struct descriptor *d);
/* Loads DS ES FS GS or SS as MOV does. STEP_NEXT or STEP_TRAP. */
enum step segment_load(struct cpu *cpu, enum sreg sreg, uint16_t selector);
/* Checks selector as a stack segment for new_cpl and yields its contents; vector is #GP, or #TS in a stack switch.
 * A null selector passes where 64-bit code may have one. */
bool stack_segment(struct cpu *cpu, uint16_t selector, unsigned new_cpl, bool to_64bit, enum vector vector,
                   struct segment *out);
/* A real-mode register: base from the selector, the hidden rest stays. */
void segment_load_real(struct cpu *cpu, enum sreg sreg, uint16_t selector);

#endif
