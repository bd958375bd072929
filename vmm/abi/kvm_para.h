/* KVM's paravirtual interface in numbers: CPUID, MSRs, hypercalls, errors. Linux Documentation/virt/kvm/x86. */
#ifndef VMM_ABI_KVM_PARA_H
#define VMM_ABI_KVM_PARA_H

/* CPUID leaf 0x40000000: "KVMKVMKVM\0\0\0" */
#define KVM_CPUID_SIGNATURE 0x40000000u
#define KVM_CPUID_FEATURES  0x40000001u
#define KVM_SIGNATURE_EBX   0x4b4d564bu
#define KVM_SIGNATURE_ECX   0x564b4d56u
#define KVM_SIGNATURE_EDX   0x0000004du
#define KVM_BASE_STEP       0x100u /* hosts with other interfaces move the leaves up (CPU-4) */
#define KVM_BASE_LIMIT      0x40010000u

/* Bits of leaf base|1, EAX */
#define KVM_FEATURE_CLOCKSOURCE            0
#define KVM_FEATURE_NOP_IO_DELAY           1
#define KVM_FEATURE_MMU_OP                 2
#define KVM_FEATURE_CLOCKSOURCE2           3
#define KVM_FEATURE_ASYNC_PF               4
#define KVM_FEATURE_STEAL_TIME             5
#define KVM_FEATURE_PV_EOI                 6
#define KVM_FEATURE_PV_UNHALT              7
#define KVM_FEATURE_PV_TLB_FLUSH           9
#define KVM_FEATURE_ASYNC_PF_VMEXIT        10
#define KVM_FEATURE_PV_SEND_IPI            11
#define KVM_FEATURE_POLL_CONTROL           12
#define KVM_FEATURE_PV_SCHED_YIELD         13
#define KVM_FEATURE_ASYNC_PF_INT           14
#define KVM_FEATURE_MSI_EXT_DEST_ID        15
#define KVM_FEATURE_HC_MAP_GPA_RANGE       16
#define KVM_FEATURE_MIGRATION_CONTROL      17
#define KVM_FEATURE_CLOCKSOURCE_STABLE_BIT 24
/* Bits of leaf base|1, EDX */
#define KVM_HINTS_REALTIME 0

#define MSR_KVM_WALL_CLOCK        0x00000011u
#define MSR_KVM_SYSTEM_TIME       0x00000012u
#define MSR_KVM_WALL_CLOCK_NEW    0x4b564d00u
#define MSR_KVM_SYSTEM_TIME_NEW   0x4b564d01u
#define MSR_KVM_ASYNC_PF_EN       0x4b564d02u
#define MSR_KVM_STEAL_TIME        0x4b564d03u
#define MSR_KVM_PV_EOI_EN         0x4b564d04u
#define MSR_KVM_POLL_CONTROL      0x4b564d05u
#define MSR_KVM_ASYNC_PF_INT      0x4b564d06u
#define MSR_KVM_ASYNC_PF_ACK      0x4b564d07u
#define MSR_KVM_MIGRATION_CONTROL 0x4b564d08u

#define KVM_MSR_ENABLED 1u /* bit 0 of most of them */

#define KVM_ASYNC_PF_ENABLED               (1u << 0)
#define KVM_ASYNC_PF_SEND_ALWAYS           (1u << 1)
#define KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT (1u << 2)
#define KVM_ASYNC_PF_DELIVERY_AS_INT       (1u << 3)
#define KVM_ASYNC_PF_RESERVED              0x30u
#define KVM_ASYNC_PF_VEC_MASK              0xffu
#define KVM_PV_REASON_PAGE_NOT_PRESENT     1u          /* in flags of the APF area */
#define KVM_ASYNC_PF_WAKE_ALL              0xffffffffu /* the token that means "all" */

#define KVM_STEAL_ALIGNMENT_BITS 5
#define KVM_STEAL_VALID_BITS     (~0ull << (KVM_STEAL_ALIGNMENT_BITS + 1))
#define KVM_STEAL_RESERVED_MASK  (((1u << KVM_STEAL_ALIGNMENT_BITS) - 1) << 1)
#define KVM_VCPU_PREEMPTED       (1u << 0)
#define KVM_VCPU_FLUSH_TLB       (1u << 1)

#define KVM_PV_EOI_ENABLED 1u /* bit 0 of the guest's byte: the next EOI may be skipped */

#define KVM_HC_VAPIC_POLL_IRQ 1
#define KVM_HC_MMU_OP         2
#define KVM_HC_FEATURES       3
#define KVM_HC_KICK_CPU       5
#define KVM_HC_CLOCK_PAIRING  9
#define KVM_HC_SEND_IPI       10
#define KVM_HC_SCHED_YIELD    11
#define KVM_HC_MAP_GPA_RANGE  12

/* Results are these negated. Where Linux defines them by errno names they are repeated in numbers. */
#define KVM_EPERM      1
#define KVM_E2BIG      7
#define KVM_EFAULT     14
#define KVM_EINVAL     22
#define KVM_EOPNOTSUPP 95
#define KVM_ENOSYS     1000

#define KVM_CLOCK_PAIRING_WALLCLOCK 0

/* KVM_GET_CLOCK, KVM_SET_CLOCK */
#define KVM_CLOCK_TSC_STABLE 2u
#define KVM_CLOCK_REALTIME   (1u << 2)
#define KVM_CLOCK_HOST_TSC   (1u << 3)

#endif
