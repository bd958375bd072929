/* Names for values in programs: MSRs and hypercalls by Linux's names, features by QEMU's -cpu names.
 * The place of a row is its number in the binary form: rows are appended, never moved or removed. */
#include "diff/program/codec.h"
#include "vmm/abi/apic.h"
#include "vmm/abi/hyperv.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/msr_index.h"

#define SYMBOL(name)                                                                                         \
    {                                                                                                        \
#name, name                                                                                          \
    }
#define TABLE(rows)                                                                                          \
    {                                                                                                        \
        (rows), sizeof(rows) / sizeof((rows)[0])                                                             \
    }

static const struct symbol msrs[] = {
    SYMBOL(MSR_KVM_WALL_CLOCK),
    SYMBOL(MSR_KVM_SYSTEM_TIME),
    SYMBOL(MSR_KVM_WALL_CLOCK_NEW),
    SYMBOL(MSR_KVM_SYSTEM_TIME_NEW),
    SYMBOL(MSR_KVM_ASYNC_PF_EN),
    SYMBOL(MSR_KVM_STEAL_TIME),
    SYMBOL(MSR_KVM_PV_EOI_EN),
    SYMBOL(MSR_KVM_POLL_CONTROL),
    SYMBOL(MSR_KVM_ASYNC_PF_INT),
    SYMBOL(MSR_KVM_ASYNC_PF_ACK),
    SYMBOL(MSR_KVM_MIGRATION_CONTROL),
    SYMBOL(MSR_IA32_TSC),
    SYMBOL(MSR_IA32_TSC_ADJUST),
    SYMBOL(MSR_IA32_APICBASE),
    SYMBOL(MSR_EFER),
    SYMBOL(MSR_IA32_MISC_ENABLE),
    SYMBOL(MSR_IA32_CR_PAT),
    SYMBOL(MSR_STAR),
    SYMBOL(MSR_LSTAR),
    SYMBOL(MSR_CSTAR),
    SYMBOL(MSR_SYSCALL_MASK),
    SYMBOL(MSR_FS_BASE),
    SYMBOL(MSR_GS_BASE),
    SYMBOL(MSR_KERNEL_GS_BASE),
    SYMBOL(MSR_TSC_AUX),
    SYMBOL(MSR_IA32_SYSENTER_CS),
    SYMBOL(MSR_IA32_SYSENTER_ESP),
    SYMBOL(MSR_IA32_SYSENTER_EIP),
    SYMBOL(MSR_MTRRcap),
    SYMBOL(MSR_MTRRdefType),
    SYMBOL(MSR_IA32_TSC_DEADLINE),
    {"MSR_X2APIC_ID", MSR_X2APIC_BASE + APIC_ID / 16},
    {"MSR_X2APIC_VERSION", MSR_X2APIC_BASE + APIC_LVR / 16},
    {"MSR_X2APIC_TPR", MSR_X2APIC_BASE + APIC_TASKPRI / 16},
    {"MSR_X2APIC_EOI", MSR_X2APIC_BASE + APIC_EOI / 16},
    {"MSR_X2APIC_LDR", MSR_X2APIC_BASE + APIC_LDR / 16},
    {"MSR_X2APIC_SPIV", MSR_X2APIC_BASE + APIC_SPIV / 16},
    {"MSR_X2APIC_ESR", MSR_X2APIC_BASE + APIC_ESR / 16},
    {"MSR_X2APIC_ICR", MSR_X2APIC_BASE + APIC_ICR / 16},
    {"MSR_X2APIC_LVTT", MSR_X2APIC_BASE + APIC_LVTT / 16},
    {"MSR_X2APIC_SELF_IPI", MSR_X2APIC_BASE + APIC_SELF_IPI / 16},
    {"MSR_IA32_MCG_CAP", 0x179},
    {"MSR_IA32_UCODE_REV", 0x8b},
    {"MSR_IA32_ARCH_CAPABILITIES", 0x10a},
    {"MSR_IA32_SPEC_CTRL", 0x48},
    SYMBOL(HV_X64_MSR_GUEST_OS_ID),
    SYMBOL(HV_X64_MSR_HYPERCALL),
    SYMBOL(HV_X64_MSR_VP_INDEX),
    SYMBOL(HV_X64_MSR_RESET),
    SYMBOL(HV_X64_MSR_TSC_FREQUENCY),
    SYMBOL(HV_X64_MSR_APIC_FREQUENCY),
    SYMBOL(HV_X64_MSR_EOI),
    SYMBOL(HV_X64_MSR_TPR),
    SYMBOL(HV_X64_MSR_VP_ASSIST_PAGE),
    SYMBOL(HV_X64_MSR_CRASH_P0),
    SYMBOL(HV_X64_MSR_CRASH_CTL),
    SYMBOL(HV_X64_MSR_REENLIGHTENMENT_CONTROL),
    SYMBOL(HV_X64_MSR_TSC_EMULATION_CONTROL),
    SYMBOL(HV_X64_MSR_TSC_EMULATION_STATUS),
    SYMBOL(MSR_SMI_COUNT),
    SYMBOL(MSR_CORE_THREAD_COUNT),
};

static const struct symbol hypercalls[] = {
    {NULL, 0}, /* no such call: -KVM_ENOSYS */
    SYMBOL(KVM_HC_VAPIC_POLL_IRQ),
    SYMBOL(KVM_HC_MMU_OP),
    SYMBOL(KVM_HC_FEATURES),
    {"KVM_HC_PPC_MAP_MAGIC_PAGE", 4},
    SYMBOL(KVM_HC_KICK_CPU),
    {"KVM_HC_MIPS_GET_CLOCK_FREQ", 6},
    {"KVM_HC_MIPS_EXIT_VM", 7},
    {"KVM_HC_MIPS_CONSOLE_OUTPUT", 8},
    SYMBOL(KVM_HC_CLOCK_PAIRING),
    SYMBOL(KVM_HC_SEND_IPI),
    SYMBOL(KVM_HC_SCHED_YIELD),
    SYMBOL(KVM_HC_MAP_GPA_RANGE),
};

static const struct symbol leaves[] = {
    {NULL, 0x0},        {NULL, 0x1},        {NULL, 0x4},        {NULL, 0x7},        {NULL, 0xb},
    {NULL, 0xd},        {NULL, 0x15},       {NULL, 0x16},       {NULL, 0x40000000}, {NULL, 0x40000001},
    {NULL, 0x40000002}, {NULL, 0x40000010}, {NULL, 0x40000100}, {NULL, 0x40000101}, {NULL, 0x80000000},
    {NULL, 0x80000001}, {NULL, 0x80000007}, {NULL, 0x80000008},
};

static const struct symbol apic_registers[] = {
    SYMBOL(APIC_ID),      SYMBOL(APIC_LVR),   SYMBOL(APIC_TASKPRI), SYMBOL(APIC_PROCPRI), SYMBOL(APIC_EOI),
    SYMBOL(APIC_LDR),     SYMBOL(APIC_DFR),   SYMBOL(APIC_SPIV),    SYMBOL(APIC_ISR),     SYMBOL(APIC_TMR),
    SYMBOL(APIC_IRR),     SYMBOL(APIC_ESR),   SYMBOL(APIC_ICR),     SYMBOL(APIC_ICR2),    SYMBOL(APIC_LVTT),
    SYMBOL(APIC_LVTTHMR), SYMBOL(APIC_LVTPC), SYMBOL(APIC_LVT0),    SYMBOL(APIC_LVT1),    SYMBOL(APIC_LVTERR),
    SYMBOL(APIC_TMICT),   SYMBOL(APIC_TMCCT), SYMBOL(APIC_TDCR),
};

#define BIT(n) (1ull << (n))
static const struct symbol features[] = {
    {"kvmclock",
     BIT(KVM_FEATURE_CLOCKSOURCE) | BIT(KVM_FEATURE_CLOCKSOURCE2)}, /* one switch in QEMU (QMU-1) */
    {"kvm-nopiodelay", BIT(KVM_FEATURE_NOP_IO_DELAY)},
    {"kvm-mmu", BIT(KVM_FEATURE_MMU_OP)},
    {"kvm-asyncpf", BIT(KVM_FEATURE_ASYNC_PF)},
    {"kvm-steal-time", BIT(KVM_FEATURE_STEAL_TIME)},
    {"kvm-pv-eoi", BIT(KVM_FEATURE_PV_EOI)},
    {"kvm-pv-unhalt", BIT(KVM_FEATURE_PV_UNHALT)},
    {"kvm-pv-tlb-flush", BIT(KVM_FEATURE_PV_TLB_FLUSH)},
    {"kvm-pv-ipi", BIT(KVM_FEATURE_PV_SEND_IPI)},
    {"kvm-poll-control", BIT(KVM_FEATURE_POLL_CONTROL)},
    {"kvm-pv-sched-yield", BIT(KVM_FEATURE_PV_SCHED_YIELD)},
    {"kvm-asyncpf-int", BIT(KVM_FEATURE_ASYNC_PF_INT)},
    {"kvm-msi-ext-dest-id", BIT(KVM_FEATURE_MSI_EXT_DEST_ID)},
    {"kvmclock-stable-bit", BIT(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT)},
};
static const struct symbol hints[] = {
    {"kvm-hint-dedicated", BIT(KVM_HINTS_REALTIME)},
};

const struct symbol time_units[] = {
    {"d", 86400000000000},
    {"h", 3600000000000},
    {"min", 60000000000},
    {"s", 1000000000},
    {"ms", 1000000},
    {"us", 1000},
    {"ns", 1},
};
const unsigned time_unit_count = sizeof(time_units) / sizeof(time_units[0]);

const struct symbol_table feature_symbols = TABLE(features);
const struct symbol_table hint_symbols = TABLE(hints);

const struct symbol_table *operand_symbols(enum operand_kind kind)
{
    static const struct symbol_table msr_table = TABLE(msrs), hypercall_table = TABLE(hypercalls),
                                     leaf_table = TABLE(leaves), apic_table = TABLE(apic_registers);

    switch (kind) {
    case ARG_MSR:
        return &msr_table;
    case ARG_HYPERCALL:
        return &hypercall_table;
    case ARG_LEAF:
        return &leaf_table;
    case ARG_APIC_REG:
        return &apic_table;
    default:
        return NULL;
    }
}
