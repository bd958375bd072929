/* Steal time: how long a vCPU could run but did not. Linux Documentation/virt/kvm/x86/msr.rst; spec STL-*. */
#include <stddef.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/core/record.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"
#include "vmm/pv/lifecycle.h"

uint64_t steal_rdmsr(struct vcpu *vcpu)
{
    return vcpu->steal.msr;
}

enum msr_result steal_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)origin;
    if (!vcpu->vm->config.sched_info || (value & KVM_STEAL_RESERVED_MASK))
        return MSR_INVALID;
    vcpu->steal.msr = value;
    if (value & KVM_MSR_ENABLED) {
        area_register(vcpu_area(vcpu, AREA_STEAL), value & KVM_STEAL_VALID_BITS,
                      sizeof(struct kvm_steal_time));
        vcpu->requests |= REQ_STEAL;
    } else {
        area_unregister(vcpu_area(vcpu, AREA_STEAL));
    }
    return MSR_OK;
}

/* The reference reading stays: re-enabling credits nothing twice (STL-7, RST-3). */
void steal_at_init(struct vcpu *vcpu)
{
    vcpu->steal.msr = 0;
    area_unregister(vcpu_area(vcpu, AREA_STEAL));
}

void vcpu_load(struct vcpu *vcpu)
{
    if (vcpu->steal.msr & KVM_MSR_ENABLED)
        vcpu->requests |= REQ_STEAL;
}

/* Only into a record that is as the last update left it: no slot changed, and no update waits. One that waits means that
 * the MSR was just written, or that the vCPU was put on a CPU and taken off again without running: the byte then says
 * "preempted" already, and another vCPU may have put a flush request beside it (KB-12). */
void steal_set_preempted(struct vcpu *vcpu)
{
    const uint8_t preempted = KVM_VCPU_PREEMPTED;
    struct area *area = vcpu_area(vcpu, AREA_STEAL);

    if (area->state == AREA_GOOD && area->generation == vcpu->vm->memory.slot_generation &&
        !(vcpu->requests & REQ_STEAL))
        area_write(area, offsetof(struct kvm_steal_time, preempted), &preempted, sizeof(preempted));
}

void steal_publish(struct vcpu *vcpu)
{
    const struct env *env = &vcpu->vm->env;
    struct area *area = vcpu_area(vcpu, AREA_STEAL);
    uint64_t delay_ns = env->run_delay_ns(env->ctx, vcpu->id) + vcpu->steal.waited_ns, steal = 0;
    uint8_t preempted;
    uint32_t version;

    /* One exchange: a flush request set between a read and a write would be lost. Cleared in any case: without the
     * flush feature the byte still says whether the vCPU runs (KB-16). */
    if (!area_exchange_u8(area, offsetof(struct kvm_steal_time, preempted), 0, &preempted))
        return;
    if (vcpu_has_feature(vcpu, KVM_FEATURE_PV_TLB_FLUSH) && (preempted & KVM_VCPU_FLUSH_TLB))
        vcpu_flush_guest_tlb(vcpu);
    if (!record_begin(area, offsetof(struct kvm_steal_time, version), &version))
        return;
    area_read(area, offsetof(struct kvm_steal_time, steal), &steal, sizeof(steal));
    steal += delay_ns - vcpu->steal.run_delay_ns;
    vcpu->steal.run_delay_ns = delay_ns;
    area_write(area, offsetof(struct kvm_steal_time, steal), &steal, sizeof(steal));
    record_end(area, offsetof(struct kvm_steal_time, version), version);
}
