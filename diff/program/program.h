/* A program: what a guest and the host around it do, as data. Text and binary forms convert without loss. */
#ifndef DIFF_PROGRAM_PROGRAM_H
#define DIFF_PROGRAM_PROGRAM_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PROGRAM_VERSION     1
#define PROGRAM_ACTIONS_MAX 4096
#define PROGRAM_ARGS        5
#define PROGRAM_VCPUS_MAX   16    /* version 1 of the binary form */
#define PROGRAM_RAM_MAX     65536 /* pages */
#define PROGRAM_NOTE_MAX    1000  /* bytes of one comment */
#define PROGRAM_HEADER_SIZE 16    /* of the binary form */

/* How the CPU runs when it does an action. Names in the text form: m16, m32, compat, cpl3 ... (op table). */
enum action_mode {
    MODE_64,      /* default: long mode, CPL 0 */
    MODE_64_CPL3, /* cpl3 */
    MODE_COMPAT,  /* compat: long mode, CS.L clear, CPL 0 */
    MODE_COMPAT_CPL3,
    MODE_32, /* m32: protected mode, paging off, CPL 0 */
    MODE_32_CPL3,
    MODE_16, /* m16: real mode */
    MODE_COUNT,
};

/* The numbers are the opcodes of the binary form: append only (test_program_binary pins them). */
enum action_op {
    OP_NOP,
    OP_NOTE, /* a comment or an empty line, kept so that text -> binary -> text is the identity; machines skip it */
    /* guest */
    OP_CPUID,
    OP_RDMSR,
    OP_WRMSR,
    OP_VMCALL,
    OP_VMMCALL,
    OP_LOAD8,
    OP_LOAD16,
    OP_LOAD32,
    OP_LOAD64,
    OP_STORE8,
    OP_STORE16,
    OP_STORE32,
    OP_STORE64,
    OP_DUMP, /* copy of up to 64 bytes of guest memory */
    OP_FILL, /* byte pattern over guest memory, up to 4096 bytes */
    OP_RDTSC,
    OP_HLT,
    OP_PAUSE,
    OP_STI,
    OP_CLI,
    OP_APIC_READ,
    OP_APIC_WRITE, /* a register by its xAPIC offset */
    OP_IPI,        /* destination APIC id, ICR low word */
    OP_EOI,
    OP_CLOCK, /* read a kvmclock record as a guest does (CLK-23), sampled n times beside the host's clock */
    /* host */
    OP_ADVANCE,
    OP_PAUSE_VM,
    OP_RESUME_VM,
    OP_RESET,
    OP_SAVE_RESTORE,
    /* guest, second part */
    OP_IN8,
    OP_IN16,
    OP_IN32,
    OP_OUT8,
    OP_OUT16,
    OP_OUT32,
    OP_RDTSCP,
    OP_LOCK_CMPXCHG8, /* address, expected, new: how a guest asks another vCPU for a TLB flush (TLB-1) */
    OP_TEST_CLEAR,    /* bit 0 of a 32-bit word, in one instruction: the guest's side of PV EOI (EOI-12) */
    OP_INVLPG,
    OP_MAP,    /* page of the probe's window, its page table entry: P, RW, US and a 4 KiB frame below 4 GiB */
    OP_X2APIC, /* this vCPU's local APIC goes into x2APIC mode: actions on it use the MSRs from here on */
    OP_WINDOW, /* sti; nop; cli: whatever is pending comes in now */
    OP_ON_INTERRUPT, /* byte address, enum on_interrupt: what the handler of this vCPU does before it returns */
    /* host, second part */
    OP_DESCHEDULE, /* the host takes the CPU away from a vCPU for a time, which is run delay (STL-*) */
    OP_PAGE_OUT,
    OP_PAGE_IN,
    OP_HOST_INIT, /* INIT and SIPI that no guest sent */
    OP_HOST_SIPI,
    OP_MSI,
    OP_SLOT_ADD,
    OP_SLOT_REMOVE,
    OP_SLOT_MOVE,
    OP_SET_CPUID, /* KVM's feature word, and where the leaves begin */
    OP_ENFORCE,
    OP_SET_CLOCK,
    OP_KVMCLOCK_CTRL,
    OP_DIRTY_CLEAR, /* the dirty log of all RAM begins anew */
    OP_DIRTY_READ,  /* outcome: a bit per page */
    OP_MIGRATE,     /* to a file and back, as QEMU does it with KVM (decision 11) */
    OP_COUNT,
};

/* OP_ON_INTERRUPT: each interrupt's event then holds the byte as its handler first saw it (probe_event.byte). */
enum on_interrupt {
    ON_INTERRUPT_LOOK = 0,
    ON_INTERRUPT_EXIT = 1 << 0, /* leave to the host first */
    /* end the interrupt: test and clear bit 0, where it was clear write APIC EOI (EOI-12) */
    ON_INTERRUPT_EOI = 1 << 1,
};

/* Where an address counts from; the machine resolves it (decision 9). */
enum addr_base { BASE_NONE, BASE_RAM, BASE_RAM_END, BASE_HOLE, BASE_ROM, BASE_MMIO, BASE_COUNT };

struct operand {
    uint8_t base;   /* enum addr_base */
    uint64_t value; /* added to the base, modulo 2^64 */
};

struct action {
    uint8_t op;   /* enum action_op */
    uint8_t mode; /* enum action_mode */
    uint8_t vcpu;
    struct operand args[PROGRAM_ARGS];
    /* OP_NOTE: offset into program.notes of a NUL-terminated line: "" is an empty line, "#..." a comment, " #..." a comment
     * at the end of the line before it */
    uint32_t note;
};

enum program_irqchip { PROGRAM_IRQCHIP_KERNEL, PROGRAM_IRQCHIP_SPLIT, PROGRAM_IRQCHIP_NONE };

/* Header: the machine that the program wants. A runner that got -cpu flags takes the feature words from those. */
struct program_config {
    uint8_t vcpus;      /* 1 .. PROGRAM_VCPUS_MAX */
    uint8_t irqchip;    /* enum program_irqchip */
    bool enforce;       /* kvm-pv-enforce-cpuid */
    bool vmcall_native; /* Intel-like host */
    bool hyperv;        /* hv-relaxed,hv-vapic,hv-vpindex: Hyper-V's leaves, and KVM's behind them */
    uint32_t ram_pages; /* 4 KiB pages at BASE_RAM, 1 .. 65536 */
    uint32_t features;  /* KVM leaf EAX */
    uint32_t hints;     /* KVM leaf EDX */
};

struct program {
    struct program_config config;
    uint32_t count;
    struct action *actions; /* count of them; owned, capacity grows */
    uint32_t capacity;
    char *notes;
    uint32_t notes_size, notes_capacity;
};

struct program_error {
    unsigned line, column; /* from 1; 0, 0: not in a text */
    char message[160];     /* what is wrong and what to write instead; one line */
};

/* What a program needs of a machine, derived from its actions and header: qualification compares it. */
enum program_need {
    NEED_CPUID = 1 << 0,
    NEED_MSR = 1 << 1,
    NEED_HYPERCALL = 1 << 2,
    NEED_LONG_MODE = 1 << 3,
    NEED_SMP = 1 << 4,
    NEED_CLOCK = 1 << 5,
    NEED_IPI = 1 << 6,
    NEED_RESET = 1 << 7,
    NEED_PAUSE = 1 << 8,
    NEED_SAVE_RESTORE = 1 << 9,
    NEED_ADVANCE = 1 << 10,
    NEED_SCHEDULE = 1 << 11,
    NEED_PAGING = 1 << 12,
    NEED_INJECT = 1 << 13, /* INIT, SIPI and MSI from the host */
    NEED_SLOTS = 1 << 14,
    NEED_RECONFIGURE = 1 << 15, /* CPUID, enforcement and clock set anew */
    NEED_DIRTY_LOG = 1 << 16,
    NEED_MIGRATE = 1 << 17,
};
/* What QEMU has no command for: its machines run such programs and report those actions as not compared. */
#define NEEDS_OF_OURS                                                                                        \
    (NEED_SCHEDULE | NEED_PAGING | NEED_INJECT | NEED_SLOTS | NEED_RECONFIGURE | NEED_DIRTY_LOG)

/* One row per op: its word, its operands, how its outcome is shown. Codec, parser, printer, probe, docs, fuzz walk it. */
enum operand_kind {
    ARG_NONE,
    ARG_U64,
    ARG_ADDR,
    ARG_MSR,
    ARG_LEAF,
    ARG_HYPERCALL,
    ARG_APIC_REG,
    ARG_BYTES,
    ARG_COUNT,
    ARG_NS,
    ARG_VCPU, /* a vCPU of the program that a host action is about */
};
struct op_info {
    const char *word;
    bool host;                   /* written with a leading ! */
    uint8_t args;                /* how many operands */
    uint8_t required;            /* how many of them must be written in text; the others default to 0 */
    uint8_t kinds[PROGRAM_ARGS]; /* enum operand_kind */
    uint32_t needs;              /* enum program_need */
    uint16_t limit;              /* largest ARG_BYTES or ARG_COUNT operand */
    uint8_t length; /* bytes of the instruction under test, prefixes that its mode needs apart; 0: none */
};
extern const struct op_info op_table[OP_COUNT];
static inline const struct op_info *op_info(enum action_op op)
{
    assert(op < OP_COUNT);
    return &op_table[op];
}
/* The op's operands as they are written, e.g. "MSR value", the optional ones in brackets. */
struct op_usage {
    char text[80];
};
struct op_usage op_usage(const struct op_info *op);
const char *mode_word(enum action_mode mode); /* "" for MODE_64 */
const char *base_word(enum addr_base base);   /* "" for BASE_NONE */
const char *irqchip_word(enum program_irqchip irqchip);
bool op_on_vcpu(enum action_op op); /* a guest action: has a vCPU and a mode */

/* Names for operand values. A row's place is its number in the binary form: append only. name NULL: shown as a number. */
struct symbol {
    const char *name;
    uint64_t value;
};
struct symbol_table {
    const struct symbol *rows;
    unsigned count; /* at most 128 */
};
/* MSRs, hypercalls, CPUID leaves, APIC registers; NULL for other kinds. The fuzz dictionary walks them. */
const struct symbol_table *operand_symbols(enum operand_kind kind);
/* Bits of the KVM leaf by QEMU's -cpu names, for `features` and `hints`. */
extern const struct symbol_table feature_symbols, hint_symbols;

/* Empty, with the default machine: 1 vCPU, 64 pages, in-kernel irqchip, no features, vmmcall native. */
void program_init(struct program *program);
void program_free(struct program *program);
/* Appends; false when PROGRAM_ACTIONS_MAX is reached or memory is short. */
bool program_add(struct program *program, const struct action *action);
/* Appends OP_NOTE. The line is made plain: ASCII, no trailing blanks, beginning with # (or " #" after an action). */
bool program_add_note(struct program *program, const char *line, size_t len);
uint32_t program_needs(const struct program *program);

/* Text form. -EINVAL with *error filled; -ENOMEM. */
int program_parse(struct program *program, const char *text, size_t len, struct program_error *error);
/* Canonical text; *out is malloc'ed and NUL-terminated. 0 or -ENOMEM. */
int program_print(const struct program *program, char **out, size_t *len);
/* One action in canonical text, without newline; for reports. Returns as snprintf does. */
int action_print(const struct program *program, const struct action *action, char *buf, size_t size);

/* Binary form. Strict header: -EINVAL with *error. Body: every byte string is a program; unknown opcode = nop. */
int program_decode(struct program *program, const uint8_t *data, size_t len, struct program_error *error);
/* Total, for fuzzing: header fields are reduced into range, missing bytes read as zero, no allocation per action
 * beyond program->actions, which is reused between calls. */
void program_decode_total(struct program *program, const uint8_t *data, size_t len);
/* *out is malloc'ed. 0 or -ENOMEM. */
int program_encode(const struct program *program, uint8_t **out, size_t *len);
/* Either form: the magic bytes mean binary. Bytes that are neither that nor text are read as a fuzz target reads its
 * input (program_decode_total), so a crash file loads even when the engine has hit the header. */
int program_load(struct program *program, const uint8_t *data, size_t len, struct program_error *error);

#endif
