/* Interrupt tables for the three kinds of mode, and one TSS per vCPU. Intel SDM vol. 3 ch. 6 and 7. */
#include "diff/probe/cpu.h"

struct gate64 {
    uint16_t offset0, selector;
    uint8_t ist, type;
    uint16_t offset1;
    uint32_t offset2, reserved;
};
struct gate32 {
    uint16_t offset0, selector;
    uint8_t reserved, type;
    uint16_t offset1;
};
struct tss {
    uint32_t reserved0;
    uint64_t rsp[3], reserved1, ist[7], reserved2;
    uint16_t reserved3, io_map;
} __attribute__((packed));

#define GATE_INTERRUPT 0x8e
#define GATE_USER      0x60 /* int3 ends actions in ring 3 */
#define VECTOR_NMI     2
#define VECTOR_BP      3
#define IST_TRAP       1
#define IST_NMI        2
#define TSS_AVAILABLE  0x89

extern struct gate64 idt64[256];
extern struct gate32 idt32[256];
extern uint64_t gdt[];
extern const char stubs_64[], stubs_32[], stubs_16[], stub_nmi[];

#define PAGE_ENTRIES  512
#define PAGE_SUBTABLE 7 /* US, RW, P: the last level decides */
#define WINDOW_SLOT   (PROBE_WINDOW >> 39)

static struct tss tss[PROBE_VCPUS];
extern uint64_t page_tables[], window_tables[3][PAGE_ENTRIES]; /* boot.S: PROBE_PRIVATE */

/* An empty last-level table behind a PML4 entry of its own. */
static void window_build(void)
{
    for (unsigned level = 0; level < 3; level++)
        for (unsigned i = 0; i < PAGE_ENTRIES; i++)
            ((volatile uint64_t *)window_tables[level])[i] = 0;
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

void tables_build(void)
{
    uint32_t *ivt = (uint32_t *)(uintptr_t)REAL_IVT;

    window_build();

    for (unsigned i = 0; i < 256; i++) {
        uint32_t at64 = (uint32_t)(uintptr_t)(i == VECTOR_NMI ? stub_nmi : stubs_64 + 16 * i);
        uint32_t at32 = (uint32_t)(uintptr_t)stubs_32 + 16 * i;
        uint8_t type = GATE_INTERRUPT | (i == VECTOR_BP ? GATE_USER : 0);

        idt64[i] = (struct gate64){(uint16_t)at64,
                                   SEL_CODE64,
                                   i == VECTOR_NMI ? IST_NMI : IST_TRAP,
                                   type,
                                   (uint16_t)(at64 >> 16),
                                   0,
                                   0};
        idt32[i] = (struct gate32){(uint16_t)at32, SEL_CODE32, 0, type, (uint16_t)(at32 >> 16)};
        ivt[i] = (uint32_t)LOAD_SEG << 16 | ((uint32_t)(uintptr_t)stubs_16 + 8 * i - LOAD_BASE);
    }
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
