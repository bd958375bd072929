/* The op table: one row per action. Parser, printer, codec, machines and documents walk it. */
#include <assert.h>
#include "diff/program/program.h"

#define HYPERCALL_ARGS                                                                                       \
    {                                                                                                        \
        ARG_HYPERCALL, ARG_U64, ARG_U64, ARG_U64, ARG_U64                                                    \
    }

const struct op_info op_table[OP_COUNT] = {
    /* word, host, operands, of which required, their kinds, needs */
    [OP_NOP] = {.word = "nop", .length = 1},
    [OP_NOTE] = {.word = "#"},

    [OP_CPUID] = {"cpuid", false, 2, 1, {ARG_LEAF, ARG_U64}, NEED_CPUID, .length = 2},
    [OP_RDMSR] = {"rdmsr", false, 1, 1, {ARG_MSR}, NEED_MSR, .length = 2},
    [OP_WRMSR] = {"wrmsr", false, 2, 2, {ARG_MSR, ARG_U64}, NEED_MSR, .length = 2},
    [OP_VMCALL] = {"vmcall", false, 5, 1, HYPERCALL_ARGS, NEED_HYPERCALL, .length = 3},
    [OP_VMMCALL] = {"vmmcall", false, 5, 1, HYPERCALL_ARGS, NEED_HYPERCALL, .length = 3},
    [OP_LOAD8] = {"load8", false, 1, 1, {ARG_ADDR}, .length = 2},
    [OP_LOAD16] = {"load16", false, 1, 1, {ARG_ADDR}, .length = 2},
    [OP_LOAD32] = {"load32", false, 1, 1, {ARG_ADDR}, .length = 2},
    [OP_LOAD64] = {"load64", false, 1, 1, {ARG_ADDR}, .length = 2},
    [OP_STORE8] = {"store8", false, 2, 2, {ARG_ADDR, ARG_U64}, .length = 2},
    [OP_STORE16] = {"store16", false, 2, 2, {ARG_ADDR, ARG_U64}, .length = 2},
    [OP_STORE32] = {"store32", false, 2, 2, {ARG_ADDR, ARG_U64}, .length = 2},
    [OP_STORE64] = {"store64", false, 2, 2, {ARG_ADDR, ARG_U64}, .length = 2},
    [OP_DUMP] = {"dump", false, 2, 2, {ARG_ADDR, ARG_BYTES}, .limit = 64, .length = 2},
    [OP_FILL] = {"fill", false, 3, 2, {ARG_ADDR, ARG_BYTES, ARG_U64}, .limit = 4096, .length = 2},
    [OP_RDTSC] = {"rdtsc", .length = 2},
    [OP_HLT] = {"hlt", .length = 1},
    [OP_PAUSE] = {"pause", .length = 2},
    [OP_STI] = {"sti", .length = 1},
    [OP_CLI] = {"cli", .length = 1},
    [OP_APIC_READ] = {"apic-read", false, 1, 1, {ARG_APIC_REG}, .length = 2},
    [OP_APIC_WRITE] = {"apic-write", false, 2, 2, {ARG_APIC_REG, ARG_U64}, .length = 2},
    [OP_IPI] = {"ipi", false, 2, 2, {ARG_U64, ARG_U64}, NEED_IPI, .length = 6},
    [OP_EOI] = {"eoi", .length = 2},
    [OP_CLOCK] = {"clock", false, 2, 2, {ARG_ADDR, ARG_COUNT}, NEED_CLOCK, .limit = 1024},

    [OP_ADVANCE] = {"advance", true, 1, 1, {ARG_NS}, NEED_ADVANCE},
    [OP_PAUSE_VM] = {"pause", true, .needs = NEED_PAUSE},
    [OP_RESUME_VM] = {"resume", true, .needs = NEED_PAUSE},
    [OP_RESET] = {"reset", true, .needs = NEED_RESET},
    [OP_SAVE_RESTORE] = {"save-restore", true, .needs = NEED_SAVE_RESTORE},

    [OP_IN8] = {"in8", false, 1, 1, {ARG_U64}, .length = 1},
    [OP_IN16] = {"in16", false, 1, 1, {ARG_U64}, .length = 1},
    [OP_IN32] = {"in32", false, 1, 1, {ARG_U64}, .length = 1},
    [OP_OUT8] = {"out8", false, 2, 2, {ARG_U64, ARG_U64}, .length = 1},
    [OP_OUT16] = {"out16", false, 2, 2, {ARG_U64, ARG_U64}, .length = 1},
    [OP_OUT32] = {"out32", false, 2, 2, {ARG_U64, ARG_U64}, .length = 1},
    [OP_RDTSCP] = {"rdtscp", .length = 3},
    [OP_LOCK_CMPXCHG8] = {"lock-cmpxchg8", false, 3, 3, {ARG_ADDR, ARG_U64, ARG_U64}, .length = 4},
    [OP_TEST_CLEAR] = {"test-clear", false, 1, 1, {ARG_ADDR}, .length = 4},
    [OP_INVLPG] = {"invlpg", false, 1, 1, {ARG_ADDR}, .length = 3},
    [OP_MAP] = {"map", false, 2, 1, {ARG_ADDR, ARG_U64}, NEED_LONG_MODE},
    [OP_X2APIC] = {"x2apic", .length = 2},
    [OP_WINDOW] = {"window", .length = 3},
    [OP_ON_INTERRUPT] = {"on-interrupt", false, 2, 1, {ARG_ADDR, ARG_U64}},

    [OP_DESCHEDULE] = {"deschedule", true, 2, 2, {ARG_VCPU, ARG_NS}, NEED_SCHEDULE},
    [OP_PAGE_OUT] = {"page-out", true, 1, 1, {ARG_ADDR}, NEED_PAGING},
    [OP_PAGE_IN] = {"page-in", true, 1, 1, {ARG_ADDR}, NEED_PAGING},
    [OP_HOST_INIT] = {"init", true, 1, 1, {ARG_VCPU}, NEED_INJECT},
    [OP_HOST_SIPI] = {"sipi", true, 2, 2, {ARG_VCPU, ARG_U64}, NEED_INJECT},
    [OP_MSI] = {"msi", true, 2, 2, {ARG_U64, ARG_U64}, NEED_INJECT},
    [OP_SLOT_ADD] = {"slot-add", true, 3, 2, {ARG_ADDR, ARG_U64, ARG_U64}, NEED_SLOTS},
    [OP_SLOT_REMOVE] = {"slot-remove", true, 1, 1, {ARG_ADDR}, NEED_SLOTS},
    [OP_SLOT_MOVE] = {"slot-move", true, 2, 2, {ARG_ADDR, ARG_ADDR}, NEED_SLOTS},
    [OP_SET_CPUID] = {"set-cpuid", true, 2, 1, {ARG_U64, ARG_U64}, NEED_RECONFIGURE},
    [OP_ENFORCE] = {"enforce", true, 1, 1, {ARG_U64}, NEED_RECONFIGURE},
    [OP_SET_CLOCK] = {"set-clock", true, 2, 1, {ARG_NS, ARG_U64}, NEED_RECONFIGURE},
    [OP_KVMCLOCK_CTRL] = {"kvmclock-ctrl", true, 1, 1, {ARG_VCPU}, NEED_RECONFIGURE},
    [OP_DIRTY_CLEAR] = {"dirty-clear", true, .needs = NEED_DIRTY_LOG},
    [OP_DIRTY_READ] = {"dirty-read", true, 2, 2, {ARG_ADDR, ARG_U64}, NEED_DIRTY_LOG},
    [OP_MIGRATE] = {"migrate", true, .needs = NEED_MIGRATE},
};

const char *mode_word(enum action_mode mode)
{
    static const char *const words[MODE_COUNT] = {
        [MODE_64] = "",           [MODE_64_CPL3] = "cpl3",
        [MODE_COMPAT] = "compat", [MODE_COMPAT_CPL3] = "compat-cpl3",
        [MODE_32] = "m32",        [MODE_32_CPL3] = "m32-cpl3",
        [MODE_16] = "m16",
    };

    assert(mode < MODE_COUNT);
    return words[mode];
}

const char *base_word(enum addr_base base)
{
    static const char *const words[BASE_COUNT] = {
        [BASE_NONE] = "",     [BASE_RAM] = "ram", [BASE_RAM_END] = "ram_end",
        [BASE_HOLE] = "hole", [BASE_ROM] = "rom", [BASE_MMIO] = "mmio",
    };

    assert(base < BASE_COUNT);
    return words[base];
}

const char *irqchip_word(enum program_irqchip irqchip)
{
    static const char *const words[] = {
        [PROGRAM_IRQCHIP_KERNEL] = "kernel",
        [PROGRAM_IRQCHIP_SPLIT] = "split",
        [PROGRAM_IRQCHIP_NONE] = "none",
    };

    assert(irqchip <= PROGRAM_IRQCHIP_NONE);
    return words[irqchip];
}

bool op_on_vcpu(enum action_op op)
{
    return op > OP_NOTE && !op_info(op)->host;
}
