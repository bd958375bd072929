/* The tables that differ: the window's pages, and one TSS per vCPU. Intel SDM vol. 3 ch. 4 and 7. */
#include "diff/probe/cpu.h"

struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));

#define TSS_AVAILABLE 0x89

extern uint64_t gdt[];

#define PAGE_ENTRIES  512
#define PAGE_SUBTABLE 7 /* US, RW, P: the last level decides */
#define WINDOW_SLOT   (PROBE_WINDOW >> 39)

static struct tss tss[PROBE_VCPUS];
extern uint64_t page_tables[], window_tables[3][PAGE_ENTRIES]; /* tables.S; boot.S: PROBE_PRIVATE */

/* An empty last-level table behind a PML4 entry of its own. */
void window_build(void)
{
    __builtin_memset(window_tables, 0, sizeof(window_tables));
    window_tables[1][0] = (uintptr_t)window_tables[2] | PAGE_SUBTABLE;
    window_tables[0][0] = (uintptr_t)window_tables[1] | PAGE_SUBTABLE;
    page_tables[WINDOW_SLOT] = (uintptr_t)window_tables[0] | PAGE_SUBTABLE;
}

bool window_map(uint64_t gva, uint64_t entry)
{
    uint64_t page = (gva - PROBE_WINDOW) >> 12;

    if (page >= PROBE_WINDOW_PAGES)
        return false;
    ((volatile uint64_t *)window_tables[2])[page] = entry & PROBE_PTE_BITS;
    return true;
}

void tables_load(struct cpu *cpu)
{
    struct tss *t = &tss[cpu->index];
    uint64_t base = (uintptr_t)t, top = (uintptr_t)cpu;
    unsigned selector = SEL_TSS + 16 * cpu->index;

    t->ist[IST_TRAP - 1] = top + CPU_FRAME64_END;
    t->ist[IST_NMI - 1] = top + CPU_NMI_END;
    /* In 32-bit modes the same TSS is read as a 32-bit one, where SS0 follows ESP0; long mode only uses the ISTs. */
    t->rsp[0] = (uint64_t)SEL_DATA << 32 | (top + CPU_FRAME32_END);
    t->io_map = sizeof(*t);
    /* Written anew each time: after INIT the descriptor is still marked busy, which LTR refuses. */
    gdt[selector / 8] = (sizeof(*t) - 1) | (base & 0xffffff) << 16 | (uint64_t)TSS_AVAILABLE << 40 |
                        (base >> 24 & 0xff) << 56;
    gdt[selector / 8 + 1] = base >> 32;
    __asm__ volatile("ltr %w0" ::"r"(selector) : "memory");
}
