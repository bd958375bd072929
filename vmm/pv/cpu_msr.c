/* The MSRs of the CPU itself that a guest on QEMU/KVM meets: storage with rules, and the TSC. Intel SDM vol. 4; refusals as
 * KVM's x86.c and mtrr.c decide them. */
#include <stddef.h>
#include "vmm/abi/msr_index.h"
#include "vmm/core/vm.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/msr.h"

#define EFER_SVME  (1ull << 12)
#define EFER_FFXSR (1ull << 14)

static enum msr_result check_efer(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin)
{
    static const struct {
        uint64_t bits;
        uint32_t cap;
    } needs[] = {{EFER_LME | EFER_LMA, CAP_LONG_MODE},
                 {EFER_NXE, CAP_NX},
                 {EFER_SVME, CAP_SVM},
                 {EFER_FFXSR, CAP_FFXSR}};
    uint64_t known = EFER_SCE, old = vcpu->regs.efer;

    (void)index;
    for (size_t i = 0; i < sizeof(needs) / sizeof(needs[0]); i++) {
        known |= needs[i].bits;
        if (origin == ORIGIN_GUEST && (*value & needs[i].bits) && !(vcpu->caps & needs[i].cap))
            return MSR_INVALID;
    }
    if (*value & ~known)
        return MSR_INVALID;
    /* LME may not change while paging is on (SDM 10.8.5); LMA follows the CPU, not the write. */
    if (origin == ORIGIN_GUEST && (vcpu->regs.cr0 & CR0_PG) && ((*value ^ old) & EFER_LME))
        return MSR_INVALID;
    if (origin == ORIGIN_GUEST)
        *value = (*value & ~EFER_LMA) | (old & EFER_LMA);
    return MSR_OK;
}

static uint64_t sign_extended(uint64_t value)
{
    return (uint64_t)((int64_t)(value << 16) >> 16);
}

static enum msr_result check_canonical(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin)
{
    (void)vcpu, (void)index, (void)origin;
    return sign_extended(*value) == *value ? MSR_OK : MSR_INVALID;
}

/* Intel refuses a non-canonical SYSENTER address, AMD ignores the upper half; KVM makes it canonical for both. */
static enum msr_result check_sysenter(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin)
{
    (void)vcpu, (void)index, (void)origin;
    *value = sign_extended(*value);
    return MSR_OK;
}

static enum msr_result check_tsc_aux(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin)
{
    (void)index;
    if (origin == ORIGIN_GUEST && !(vcpu->caps & CAP_TSC_AUX))
        return MSR_INVALID;
    if ((vcpu->caps & CAP_INTEL) && *value >> 32)
        return MSR_INVALID;
    *value = (uint32_t)*value;
    return MSR_OK;
}

/* Each byte of the value names a memory type out of a set. */
static bool bytes_in(uint64_t value, uint32_t set)
{
    for (int i = 0; i < 64; i += 8)
        if ((value >> i & 0xff) > 7 || !(set >> (value >> i & 0xff) & 1))
            return false;
    return true;
}
#define PAT_TYPES  0xf3u /* UC, WC, WT, WP, WB, UC- */
#define MTRR_TYPES 0x73u /* the same without UC- */

static enum msr_result check_pat(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin)
{
    (void)vcpu, (void)index, (void)origin;
    return bytes_in(*value, PAT_TYPES) ? MSR_OK : MSR_INVALID;
}

static enum msr_result check_mtrr_fixed(struct vcpu *vcpu, uint32_t index, uint64_t *value,
                                        enum origin origin)
{
    (void)vcpu, (void)index, (void)origin;
    return bytes_in(*value, MTRR_TYPES) ? MSR_OK : MSR_INVALID;
}

static enum msr_result check_mtrr_default(struct vcpu *vcpu, uint32_t index, uint64_t *value,
                                          enum origin origin)
{
    (void)vcpu, (void)index, (void)origin;
    return !(*value & ~0xcffull) && bytes_in(*value & 0xff, MTRR_TYPES) ? MSR_OK : MSR_INVALID;
}

static enum msr_result check_mtrr_variable(struct vcpu *vcpu, uint32_t index, uint64_t *value,
                                           enum origin origin)
{
    uint64_t beyond = ~((1ull << vcpu->phys_bits) - 1);
    bool is_mask = index & 1;

    (void)origin;
    if (*value & (beyond | (is_mask ? 0x7ff : 0xf00)))
        return MSR_INVALID;
    return is_mask || bytes_in(*value & 0xff, MTRR_TYPES) ? MSR_OK : MSR_INVALID;
}

static enum msr_result check_misc_enable(struct vcpu *vcpu, uint32_t index, uint64_t *value,
                                         enum origin origin)
{
    uint64_t old = vcpu->regs.misc_enable;

    (void)index;
    if (origin == ORIGIN_VMM)
        return MSR_OK;
    if ((*value ^ old) & (MISC_ENABLE_BTS_UNAVAIL | MISC_ENABLE_PEBS_UNAVAIL))
        return MSR_INVALID;
    *value = (*value & ~MISC_ENABLE_EMON) | (old & MISC_ENABLE_EMON);
    return MSR_OK;
}

#define REG(field) offsetof(struct vcpu, regs.field)
const struct cpu_msr cpu_msrs[] = {
    {MSR_IA32_SYSENTER_CS, 1, "MSR_IA32_SYSENTER_CS", REG(sysenter_cs), NULL},
    {MSR_IA32_SYSENTER_ESP, 1, "MSR_IA32_SYSENTER_ESP", REG(sysenter_esp), check_sysenter},
    {MSR_IA32_SYSENTER_EIP, 1, "MSR_IA32_SYSENTER_EIP", REG(sysenter_eip), check_sysenter},
    {MSR_IA32_MISC_ENABLE, 1, "MSR_IA32_MISC_ENABLE", REG(misc_enable), check_misc_enable},
    {MSR_MTRRphysBase0, 16, "MSR_MTRRphysBase0", REG(mtrr_var), check_mtrr_variable},
    {MSR_MTRRfix64K_00000, 1, "MSR_MTRRfix64K_00000", REG(mtrr_fixed[0]), check_mtrr_fixed},
    {MSR_MTRRfix16K_80000, 2, "MSR_MTRRfix16K_80000", REG(mtrr_fixed[1]), check_mtrr_fixed},
    {MSR_MTRRfix4K_C0000, 8, "MSR_MTRRfix4K_C0000", REG(mtrr_fixed[3]), check_mtrr_fixed},
    {MSR_IA32_CR_PAT, 1, "MSR_IA32_CR_PAT", REG(pat), check_pat},
    {MSR_MTRRdefType, 1, "MSR_MTRRdefType", REG(mtrr_def_type), check_mtrr_default},
    {MSR_EFER, 1, "MSR_EFER", REG(efer), check_efer},
    {MSR_STAR, 1, "MSR_STAR", REG(star), NULL},
    {MSR_LSTAR, 1, "MSR_LSTAR", REG(lstar), check_canonical},
    {MSR_CSTAR, 1, "MSR_CSTAR", REG(cstar), check_canonical},
    {MSR_SYSCALL_MASK, 1, "MSR_SYSCALL_MASK", REG(sfmask), NULL},
    {MSR_FS_BASE, 1, "MSR_FS_BASE", REG(seg[SREG_FS].base), check_canonical},
    {MSR_GS_BASE, 1, "MSR_GS_BASE", REG(seg[SREG_GS].base), check_canonical},
    {MSR_KERNEL_GS_BASE, 1, "MSR_KERNEL_GS_BASE", REG(kernel_gs_base), check_canonical},
    {MSR_TSC_AUX, 1, "MSR_TSC_AUX", REG(tsc_aux), check_tsc_aux},
};
const unsigned cpu_msr_count = sizeof(cpu_msrs) / sizeof(cpu_msrs[0]);

static const struct cpu_msr *find(uint32_t index)
{
    for (unsigned i = 0; i < cpu_msr_count; i++)
        if (index - cpu_msrs[i].index < cpu_msrs[i].count)
            return &cpu_msrs[i];
    return NULL;
}

static uint64_t *storage(struct vcpu *vcpu, const struct cpu_msr *row, uint32_t index)
{
    return (uint64_t *)(void *)((uint8_t *)vcpu + row->offset) + (index - row->index);
}

enum msr_result cpu_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value)
{
    const struct cpu_msr *row = find(index);

    if (row) {
        *value = *storage(vcpu, row, index);
        return MSR_OK;
    }
    switch (index) {
    case MSR_IA32_TSC:
        *value = vcpu_tsc(vcpu);
        return MSR_OK;
    case MSR_IA32_TSC_ADJUST:
        *value = vcpu->tsc_adjust;
        return MSR_OK;
    case MSR_SMI_COUNT: /* no system management mode here */
        *value = 0;
        return MSR_OK;
    case MSR_MTRRcap:
        *value = 0x500 | MTRR_VARIABLE_PAIRS; /* write-combining, fixed ranges */
        return MSR_OK;
    default:
        return MSR_UNSUPPORTED;
    }
}

static void move_tsc(struct vcpu *vcpu, uint64_t by)
{
    vcpu->tsc_offset = (int64_t)((uint64_t)vcpu->tsc_offset + by);
    vcpu->tsc_adjust += by;
}

static void write_tsc(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    if (origin == ORIGIN_VMM)
        vcpu_tsc_synchronize(vcpu, value);
    else
        move_tsc(vcpu, value - vcpu_tsc(vcpu)); /* no clock update: CLK-15 */
}

/* Without the CPUID bit KVM drops the write. */
static void write_tsc_adjust(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    if (!(vcpu->caps & CAP_TSC_ADJUST))
        return;
    if (origin == ORIGIN_GUEST) {
        move_tsc(vcpu, value - vcpu->tsc_adjust);
        vcpu->requests |= REQ_CLOCK;
    }
    vcpu->tsc_adjust = value;
}

enum msr_result cpu_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin)
{
    const struct cpu_msr *row = find(index);

    if (row) {
        enum msr_result result = row->check ? row->check(vcpu, index, &value, origin) : MSR_OK;
        if (result == MSR_OK)
            *storage(vcpu, row, index) = value;
        return result;
    }
    switch (index) {
    case MSR_IA32_TSC:
        write_tsc(vcpu, value, origin);
        return MSR_OK;
    case MSR_IA32_TSC_ADJUST:
        write_tsc_adjust(vcpu, value, origin);
        return MSR_OK;
    case MSR_SMI_COUNT:
        return origin == ORIGIN_VMM ? MSR_OK : MSR_INVALID;
    case MSR_MTRRcap:
        return MSR_INVALID;
    default:
        return MSR_UNSUPPORTED;
    }
}
