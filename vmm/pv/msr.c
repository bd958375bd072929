/* The table of PV MSRs and the dispatch of every MSR. spec section 1. */
#include "vmm/pv/msr.h"

#include <stddef.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"
#include "vmm/pv/hyperv.h"

#define KEEP    NULL
#define PER_VM  true
#define PER_CPU false
#define SAVE    true
#define ALIAS   false /* another name or a command: not saved */

/* clang-format off */
/* Order is the order of a restore: QEMU's (S1), with the vector before the enable (SAV-4). */
const struct pv_msr pv_msrs[] = {
    /* index, name                                         CPUID bit                                   create at INIT          read              write */
    {MSR_KVM_SYSTEM_TIME,     "MSR_KVM_SYSTEM_TIME",     KVM_FEATURE_CLOCKSOURCE,   PER_CPU, SAVE,  0, clock_at_init,   clock_rdmsr,      clock_wrmsr_old},
    {MSR_KVM_WALL_CLOCK,      "MSR_KVM_WALL_CLOCK",      KVM_FEATURE_CLOCKSOURCE,   PER_VM,  SAVE,  0, KEEP,            wall_clock_rdmsr, wall_clock_wrmsr},
    {MSR_KVM_SYSTEM_TIME_NEW, "MSR_KVM_SYSTEM_TIME_NEW", KVM_FEATURE_CLOCKSOURCE2,  PER_CPU, ALIAS, 0, clock_at_init,   clock_rdmsr,      clock_wrmsr_new},
    {MSR_KVM_WALL_CLOCK_NEW,  "MSR_KVM_WALL_CLOCK_NEW",  KVM_FEATURE_CLOCKSOURCE2,  PER_VM,  ALIAS, 0, KEEP,            wall_clock_rdmsr, wall_clock_wrmsr},
    {MSR_KVM_ASYNC_PF_INT,    "MSR_KVM_ASYNC_PF_INT",    KVM_FEATURE_ASYNC_PF_INT,  PER_CPU, SAVE,  0, apf_int_at_init, apf_int_rdmsr,    apf_int_wrmsr},
    {MSR_KVM_ASYNC_PF_EN,     "MSR_KVM_ASYNC_PF_EN",     KVM_FEATURE_ASYNC_PF,      PER_CPU, SAVE,  0, apf_en_at_init,  apf_en_rdmsr,     apf_en_wrmsr},
    {MSR_KVM_ASYNC_PF_ACK,    "MSR_KVM_ASYNC_PF_ACK",    KVM_FEATURE_ASYNC_PF_INT,  PER_CPU, ALIAS, 0, KEEP,            apf_ack_rdmsr,    apf_ack_wrmsr},
    {MSR_KVM_PV_EOI_EN,       "MSR_KVM_PV_EOI_EN",       KVM_FEATURE_PV_EOI,        PER_CPU, SAVE,  0, pv_eoi_at_init,  pv_eoi_rdmsr,     pv_eoi_wrmsr},
    {MSR_KVM_STEAL_TIME,      "MSR_KVM_STEAL_TIME",      KVM_FEATURE_STEAL_TIME,    PER_CPU, SAVE,  0, steal_at_init,   steal_rdmsr,      steal_wrmsr},
    {MSR_KVM_POLL_CONTROL,    "MSR_KVM_POLL_CONTROL",    KVM_FEATURE_POLL_CONTROL,  PER_CPU, SAVE,  1, KEEP,            poll_rdmsr,       poll_wrmsr},
};
/* clang-format on */
const unsigned pv_msr_count = sizeof(pv_msrs) / sizeof(pv_msrs[0]);

const struct pv_msr *pv_msr_find(uint32_t index)
{
    for (unsigned i = 0; i < pv_msr_count; i++)
        if (pv_msrs[i].index == index)
            return &pv_msrs[i];
    return NULL;
}

/* ENF-5: a closed gate answers "unsupported". ignore_msrs masks that for the VMM as for a guest; without it 6.12 lets the
 * VMM read 0 and write 0. */
static bool vmm_may_touch_gated(const struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    const struct vm_config *config = &vcpu->vm->config;

    return origin == ORIGIN_VMM && (config->ignore_msrs || (config->version == KVM_6_12 && value == 0));
}

static bool is_lapic_msr(uint32_t index)
{
    return index == MSR_IA32_APICBASE || index == MSR_IA32_TSC_DEADLINE ||
           (index >= MSR_X2APIC_BASE && index <= MSR_X2APIC_LAST);
}

enum msr_result vcpu_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin)
{
    const struct pv_msr *row = pv_msr_find(index);

    if (hyperv_has_msr(index))
        return hyperv_rdmsr(vcpu, index, value, origin);
    if (!row)
        return is_lapic_msr(index) ? lapic_rdmsr(vcpu, index, value) : cpu_rdmsr(vcpu, index, value);
    if (vcpu_has_feature(vcpu, row->feature)) {
        *value = row->read(vcpu);
        return MSR_OK;
    }
    if (!vmm_may_touch_gated(vcpu, 0, origin))
        return MSR_UNSUPPORTED;
    *value = 0;
    return MSR_OK;
}

enum msr_result vcpu_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin)
{
    const struct pv_msr *row = pv_msr_find(index);

    if (hyperv_has_msr(index))
        return hyperv_wrmsr(vcpu, index, value, origin);
    if (!row)
        return is_lapic_msr(index) ? lapic_wrmsr(vcpu, index, value, origin)
                                   : cpu_wrmsr(vcpu, index, value, origin);
    if (vcpu_has_feature(vcpu, row->feature))
        return row->write(vcpu, value, origin);
    return vmm_may_touch_gated(vcpu, value, origin) ? MSR_OK : MSR_UNSUPPORTED;
}
