/* What the interpreter's files share: the decoded instruction, the block, and a vCPU's working state. */
#ifndef VMM_CPU_STATE_H
#define VMM_CPU_STATE_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/memory.h"
#include "vmm/core/vcpu.h"
#include "vmm/core/vm.h"
#include "vmm/cpu/cpu.h"

#define INLINE static inline __attribute__((always_inline))

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "byte registers are addressed inside 64-bit ones");

/* How an instruction ended. */
enum step {
    STEP_NEXT,   /* completed, the block goes on */
    STEP_END,    /* completed, but what follows must be looked up again: code or mode may have changed */
    STEP_BRANCH, /* completed, cpu->rip is the new RIP */
    STEP_TRAP,   /* not completed: cpu->trap is to be delivered */
    STEP_EXIT,   /* not completed: cpu->exit says what the owner must do */
};

struct cpu;
struct insn;
typedef enum step exec_fn(struct cpu *cpu, const struct insn *i);

enum operand_kind { KIND_NONE, KIND_REG, KIND_MEM, KIND_IMM, KIND_SREG, KIND_CR, KIND_DR, KIND_PTR };

/* Slots behind the general registers, so that an address is always disp + base + (index << scale). */
enum { SLOT_ZERO = GPRS, SLOT_BLOCK, REG_SLOTS };
#define SEG_FLAT SREGS /* no base, no limit: 64-bit mode, or flat data segments */

/* One decoded instruction, 48 bytes. */
struct insn {
    exec_fn *exec;
    uint64_t imm;   /* immediate, sign-extended; near branch: target relative to this instruction */
    int64_t disp;   /* RIP-relative: relative to the block's start, base is SLOT_BLOCK */
    uint16_t start; /* offset from the block's start */
    uint16_t extra; /* far pointer's selector, condition, or what the picker noted */
    uint8_t length;
    uint8_t size;               /* operand size in bytes */
    uint8_t asize;              /* address size in bytes: 2, 4, 8 */
    uint8_t reg[3];             /* KIND_REG: byte offset into cpu->gpr; other registers: their number */
    uint8_t kind[3];            /* enum operand_kind */
    uint8_t base, index, scale; /* memory operand: slots of cpu->gpr */
    uint8_t seg;                /* enum sreg or SEG_FLAT */
    uint8_t rep;                /* enum rep */
    uint8_t src_size;           /* bytes, where the second operand differs in size */
};
enum rep { REP_NONE, REP_E, REP_NE }; /* REP counts as REP_E: only scans and compares look at ZF */

#define BLOCK_INSNS 32
struct block {
    struct block *next; /* hash chain */
    struct block *next_in_page;
    uint64_t gpa;
    uint8_t mode; /* MODE_* it was decoded for */
    uint8_t count;
    bool doubted; /* somebody may have written there: bytes are to be compared before it runs again */
    uint16_t length;
    const uint8_t *bytes; /* length of them, as they were decoded */
    struct insn *insns;
};

/* What decoding depends on, and what makes a linear address mean another block. */
#define MODE_16   0u
#define MODE_32   1u
#define MODE_64   2u
#define MODE_SIZE 3u
#define MODE_SS32 4u  /* the stack pointer is ESP */
#define MODE_FLAT 8u  /* DS, ES, SS: base 0, whole 4 GiB, writable */
#define MODE_USER 16u /* CPL 3 */

#define TLB_BITS    9
#define TLB_ENTRIES (1u << TLB_BITS)
#define TLB_NONE    1ull /* no page address */
#define PAGE_MASK   (~0xfffull)
struct tlb_entry { /* tags are page addresses, TLB_NONE where that access needs the slow path */
    uint64_t read, write, exec;
    uint64_t addend; /* host address = linear address + addend */
};

#define JUMP_ENTRIES 1024u
struct jump_entry { /* where a linear address's block is, unless that is doubted */
    uint64_t linear;
    struct block *block;
    uint8_t mode;
};

/* Result and carries of the last arithmetic instruction; each flag is derived when asked for (flags.h). */
struct lazy_flags {
    uint64_t res;
    uint32_t aux;
};

#define STRADDLERS 16u
struct straddler { /* an instruction that crosses a page is kept apart: its halves can be remapped alone */
    uint64_t linear;
    uint8_t mode, length;
    uint8_t bytes[15];
    struct block block;
    struct insn insn;
};

struct cpu {
    uint64_t gpr[REG_SLOTS]; /* working copy of vcpu->regs.gpr while running */
    struct lazy_flags flags; /* working copy of the arithmetic flags of vcpu->regs.rflags */
    uint64_t rip;            /* working copy; while a block runs only branches write it */
    uint8_t mode;            /* MODE_* */
    bool user;               /* CPL 3 */
    bool leave;              /* end cpu_run after this instruction: CPU_EXIT_EVENT or _PAUSE */
    bool large_pages;        /* the TLB holds a part of one: INVLPG must flush all */
    bool nmi_blocked;        /* between NMI delivery and IRET */
    /* an access to a page that is out waits for it: no instruction of the guest to repeat */
    bool pages_at_once;
    enum cpu_exit_reason leave_reason;
    struct trap trap;
    struct cpu_exit *exit;
    struct vcpu *vcpu;
    struct cpu_regs *regs; /* &vcpu->regs */
    struct memory *mem;
    struct code_cache *cache;
    struct cpu *next;                             /* in the cache's list */
    uint32_t mem_generation;                      /* of the TLB's content */
    uint8_t phys_bits;                            /* MAXPHYADDR */
    uint32_t tlb_flushes;                         /* of vcpu->tlb_flushes that were followed */
    uint64_t tlb_cr0, tlb_cr3, tlb_cr4, tlb_efer; /* the TLB was filled under these */
    struct tlb_entry tlb[2][TLB_ENTRIES];         /* supervisor, user */
    uint64_t tlb_gpa[2][TLB_ENTRIES]; /* of their pages; apart, because only misses and tlb_protect() ask */
    struct jump_entry jumps[JUMP_ENTRIES];
    struct straddler straddlers[STRADDLERS];
};

/* CR, EFER and RFLAGS bits that only the interpreter needs by name. */
#define CR0_MP       (1ull << 1)
#define CR0_EM       (1ull << 2)
#define CR0_TS       (1ull << 3)
#define CR0_ET       (1ull << 4)
#define CR0_NE       (1ull << 5)
#define CR0_AM       (1ull << 18)
#define CR0_NW       (1ull << 29)
#define CR0_CD       (1ull << 30)
#define CR4_TSD      (1ull << 2)
#define CR4_DE       (1ull << 3)
#define CR4_PSE      (1ull << 4)
#define CR4_PGE      (1ull << 7)
#define CR4_UMIP     (1ull << 11)
#define CR4_LA57     (1ull << 12)
#define CR4_FSGSBASE (1ull << 16)
#define CR4_PCIDE    (1ull << 17)
#define CR4_SMEP     (1ull << 20)
#define CR4_SMAP     (1ull << 21)
#define RFLAGS_CF    (1ull << 0)
#define RFLAGS_ONE   (1ull << 1)
#define RFLAGS_PF    (1ull << 2)
#define RFLAGS_AF    (1ull << 4)
#define RFLAGS_ZF    (1ull << 6)
#define RFLAGS_SF    (1ull << 7)
#define RFLAGS_DF    (1ull << 10)
#define RFLAGS_OF    (1ull << 11)
#define RFLAGS_IOPL  (3ull << 12)
#define RFLAGS_NT    (1ull << 14)
#define RFLAGS_RF    (1ull << 16)
#define RFLAGS_AC    (1ull << 18)
#define RFLAGS_VIF   (1ull << 19)
#define RFLAGS_VIP   (1ull << 20)
#define RFLAGS_ID    (1ull << 21)
#define RFLAGS_ARITH (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_OF)

INLINE bool is_64bit(const struct cpu *cpu)
{
    return (cpu->mode & MODE_SIZE) == MODE_64;
}
INLINE bool is_protected(const struct cpu *cpu)
{
    return cpu->regs->cr0 & CR0_PE;
}
INLINE bool is_long(const struct cpu *cpu)
{
    return cpu->regs->efer & EFER_LMA;
}
INLINE unsigned cpl(const struct cpu *cpu)
{
    return vcpu_cpl(cpu->vcpu);
}
INLINE uint64_t insn_rip(const struct cpu *cpu, const struct insn *i)
{
    return cpu->gpr[SLOT_BLOCK] + i->start;
}
INLINE uint64_t insn_next(const struct cpu *cpu, const struct insn *i)
{
    uint64_t next = cpu->gpr[SLOT_BLOCK] + i->start + i->length;

    return is_64bit(cpu) ? next : next & 0xffffffff;
}
INLINE uint64_t size_mask(unsigned size)
{
    return size == 8 ? ~0ull : (1ull << (8 * size)) - 1;
}

/* A linear address that 4-level paging can hold. */
INLINE bool canonical(uint64_t va)
{
    return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

static inline enum step raise_trap(struct cpu *cpu, struct trap trap)
{
    cpu->trap = trap;
    return STEP_TRAP;
}
static inline enum step raise_error(struct cpu *cpu, enum vector vector, uint32_t error)
{
    return raise_trap(cpu, (struct trap){.vector = (uint8_t)vector, .has_error = true, .error = error});
}
static inline enum step raise_gp(struct cpu *cpu, uint32_t error)
{
    return raise_error(cpu, TRAP_GP, error);
}
static inline enum step raise_ud(struct cpu *cpu)
{
    return raise_trap(cpu, UD);
}
/* The instruction is the owner's to do. */
static inline enum step leave_to_owner(struct cpu *cpu, const struct insn *i, enum cpu_exit_reason reason)
{
    cpu->exit->reason = reason;
    cpu->exit->length = i->length;
    return STEP_EXIT;
}
/* After this instruction the owner looks at interrupts. */
static inline enum step end_and_leave(struct cpu *cpu)
{
    cpu->leave = true;
    return STEP_END;
}
/* Guest state that this interpreter cannot follow: stops the machine and says what (never silently wrong). */
enum step not_implemented(struct cpu *cpu, const struct insn *i, const char *what);

/* mode.c: recomputes cpu->mode and cpu->user after CS, SS, DS, ES, CR0 or EFER changed. */
void mode_update(struct cpu *cpu);

#endif
