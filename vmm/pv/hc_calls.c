/* KICK_CPU, SEND_IPI and CLOCK_PAIRING. spec UNH-*, IPI-*, PAIR-*. */
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"

int64_t hc_kick_cpu(struct vcpu *vcpu, const uint64_t args[4], bool wide)
{
    (void)wide;
    if (!lapic_in_kernel(vcpu)) /* UNH-12 */
        return 0;
    lapic_send_physical(vcpu->vm, (uint32_t)args[1], APIC_REMOTE_READ, 0);
    sched_yield_to(vcpu, lapic_find(vcpu->vm, (uint32_t)args[1])); /* UNH-10 */
    return 0;
}

/* One half of SEND_IPI's window: bit i of bitmap names APIC id min + i. Returns how many accepted. */
static int64_t send_window(struct vm *vm, uint64_t bitmap, uint32_t min, uint32_t icr)
{
    uint32_t max_id = lapic_map_get(vm)->max_id;
    int64_t count = 0;

    if (min > max_id)
        return 0;
    for (; bitmap; bitmap &= bitmap - 1) {
        uint32_t bit = (uint32_t)__builtin_ctzll(bitmap);
        struct vcpu *target;
        if (bit > max_id - min) /* beyond the table; min + bit cannot wrap below it */
            break;
        target = lapic_find(vm, min + bit);
        if (target)
            count += lapic_accept(target, (icr & APIC_MODE_MASK) >> 8, icr & APIC_VECTOR_MASK,
                                  icr & APIC_INT_LEVELTRIG, icr & APIC_INT_ASSERT);
    }
    return count;
}

int64_t hc_send_ipi(struct vcpu *vcpu, const uint64_t args[4], bool wide)
{
    struct vm *vm = vcpu->vm;
    uint32_t min = (uint32_t)args[2], width = wide ? 64 : 32;

    if (args[3] & (APIC_DEST_LOGICAL | APIC_SHORT_MASK))
        return -KVM_EINVAL;
    if (!lapic_in_kernel(vcpu))
        return -KVM_EOPNOTSUPP;
    /* IPI-11: 6.12 gives up on a table with duplicates, 6.1 sends to the first. */
    if (vm->config.version != KVM_6_1 && !vm->apic_map.ids_32bit && lapic_map_get(vm)->duplicate)
        return -KVM_EOPNOTSUPP;
    return send_window(vm, args[0], min, (uint32_t)args[3]) +
           send_window(vm, args[1], min + width, (uint32_t)args[3]);
}

/* GPA-1 .. GPA-4: the VMM answers, if it said that it would. */
int64_t hc_map_gpa_range(struct vcpu *vcpu, const uint64_t args[4], bool wide)
{
    uint64_t page = args[0] / GPA_PAGE_SIZE, pages = args[1];

    if (!(vcpu->vm->config.exit_hypercalls >> KVM_HC_MAP_GPA_RANGE & 1))
        return -KVM_ENOSYS;
    if (args[0] % GPA_PAGE_SIZE || page + pages <= page)
        return -KVM_EINVAL;
    vcpu->hypercall = (struct hypercall_exit){
        .nr = KVM_HC_MAP_GPA_RANGE, .args = {args[0], args[1], args[2]}, .wide = wide};
    vcpu->hold |= HOLD_EXIT;
    return 0;
}

int64_t hc_clock_pairing(struct vcpu *vcpu, const uint64_t args[4], bool wide)
{
    struct vm *vm = vcpu->vm;
    struct kvm_clock_pairing pairing = {0}; /* the padding reaches the guest (KB-51) */
    uint64_t realtime_ns;
    bool written;

    (void)wide;
    if (args[1] != KVM_CLOCK_PAIRING_WALLCLOCK || !vm->env.clocksource_tsc)
        return -KVM_EOPNOTSUPP;
    realtime_ns = vm->env.realtime_ns(vm->env.ctx);
    pairing.sec = (int64_t)(realtime_ns / 1000000000);
    pairing.nsec = (int64_t)(realtime_ns % 1000000000);
    pairing.tsc = vcpu_tsc(vcpu);
    area_register(&vm->pairing_area, args[0], sizeof(pairing));
    written = area_write_partial(&vm->pairing_area, 0, &pairing, sizeof(pairing));
    area_unregister(&vm->pairing_area);
    return written ? 0 : -KVM_EFAULT;
}
