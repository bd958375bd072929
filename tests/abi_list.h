/* Numbers and layouts that our abi/ headers and the installed kernel headers must agree on. Included twice, by abi_ours.c
 * and abi_linux.c; a name that one side lacks does not compile. spec 0.1, 0.2. */
#define ABI_NUMBERS(X)                                                                                       \
    X(KVM_CPUID_SIGNATURE)                                                                                   \
    X(KVM_CPUID_FEATURES)                                                                                    \
    X(KVM_FEATURE_CLOCKSOURCE)                                                                               \
    X(KVM_FEATURE_NOP_IO_DELAY)                                                                              \
    X(KVM_FEATURE_MMU_OP)                                                                                    \
    X(KVM_FEATURE_CLOCKSOURCE2)                                                                              \
    X(KVM_FEATURE_ASYNC_PF)                                                                                  \
    X(KVM_FEATURE_STEAL_TIME)                                                                                \
    X(KVM_FEATURE_PV_EOI)                                                                                    \
    X(KVM_FEATURE_PV_UNHALT)                                                                                 \
    X(KVM_FEATURE_PV_TLB_FLUSH)                                                                              \
    X(KVM_FEATURE_ASYNC_PF_VMEXIT)                                                                           \
    X(KVM_FEATURE_PV_SEND_IPI)                                                                               \
    X(KVM_FEATURE_POLL_CONTROL)                                                                              \
    X(KVM_FEATURE_PV_SCHED_YIELD)                                                                            \
    X(KVM_FEATURE_ASYNC_PF_INT)                                                                              \
    X(KVM_FEATURE_MSI_EXT_DEST_ID)                                                                           \
    X(KVM_FEATURE_HC_MAP_GPA_RANGE)                                                                          \
    X(KVM_FEATURE_MIGRATION_CONTROL)                                                                         \
    X(KVM_FEATURE_CLOCKSOURCE_STABLE_BIT)                                                                    \
    X(KVM_HINTS_REALTIME)                                                                                    \
    X(MSR_KVM_WALL_CLOCK)                                                                                    \
    X(MSR_KVM_SYSTEM_TIME)                                                                                   \
    X(MSR_KVM_WALL_CLOCK_NEW)                                                                                \
    X(MSR_KVM_SYSTEM_TIME_NEW)                                                                               \
    X(MSR_KVM_ASYNC_PF_EN)                                                                                   \
    X(MSR_KVM_STEAL_TIME)                                                                                    \
    X(MSR_KVM_PV_EOI_EN)                                                                                     \
    X(MSR_KVM_POLL_CONTROL)                                                                                  \
    X(MSR_KVM_ASYNC_PF_INT)                                                                                  \
    X(MSR_KVM_ASYNC_PF_ACK)                                                                                  \
    X(MSR_KVM_MIGRATION_CONTROL)                                                                             \
    X(KVM_MSR_ENABLED)                                                                                       \
    X(KVM_PV_REASON_PAGE_NOT_PRESENT)                                                                        \
    X(KVM_ASYNC_PF_ENABLED)                                                                                  \
    X(KVM_ASYNC_PF_SEND_ALWAYS)                                                                              \
    X(KVM_ASYNC_PF_DELIVERY_AS_PF_VMEXIT)                                                                    \
    X(KVM_ASYNC_PF_DELIVERY_AS_INT)                                                                          \
    X(KVM_PV_REASON_PAGE_NOT_PRESENT)                                                                        \
    X(KVM_STEAL_ALIGNMENT_BITS)                                                                              \
    X(KVM_STEAL_VALID_BITS)                                                                                  \
    X(KVM_STEAL_RESERVED_MASK)                                                                               \
    X(KVM_VCPU_PREEMPTED)                                                                                    \
    X(KVM_VCPU_FLUSH_TLB)                                                                                    \
    X(KVM_HC_VAPIC_POLL_IRQ)                                                                                 \
    X(KVM_HC_MMU_OP)                                                                                         \
    X(KVM_HC_FEATURES)                                                                                       \
    X(KVM_HC_KICK_CPU)                                                                                       \
    X(KVM_HC_CLOCK_PAIRING)                                                                                  \
    X(KVM_HC_SEND_IPI)                                                                                       \
    X(KVM_HC_SCHED_YIELD)                                                                                    \
    X(KVM_HC_MAP_GPA_RANGE)                                                                                  \
    X(KVM_EPERM)                                                                                             \
    X(KVM_E2BIG)                                                                                             \
    X(KVM_EFAULT)                                                                                            \
    X(KVM_EINVAL)                                                                                            \
    X(KVM_EOPNOTSUPP)                                                                                        \
    X(KVM_ENOSYS)                                                                                            \
    X(KVM_CLOCK_PAIRING_WALLCLOCK)                                                                           \
    X(KVM_CLOCK_TSC_STABLE)                                                                                  \
    X(KVM_CLOCK_REALTIME)                                                                                    \
    X(KVM_CLOCK_HOST_TSC)

/* struct, member */
#define ABI_MEMBERS(X)                                                                                       \
    X(kvm_steal_time, steal)                                                                                 \
    X(kvm_steal_time, version)                                                                               \
    X(kvm_steal_time, flags)                                                                                 \
    X(kvm_steal_time, preempted)                                                                             \
    X(kvm_steal_time, u8_pad)                                                                                \
    X(kvm_steal_time, pad)                                                                                   \
    X(kvm_vcpu_pv_apf_data, flags)                                                                           \
    X(kvm_vcpu_pv_apf_data, token)                                                                           \
    X(kvm_vcpu_pv_apf_data, pad)                                                                             \
    X(kvm_clock_pairing, sec)                                                                                \
    X(kvm_clock_pairing, nsec)                                                                               \
    X(kvm_clock_pairing, tsc)                                                                                \
    X(kvm_clock_pairing, flags)                                                                              \
    X(kvm_clock_pairing, pad)

struct abi_fact {
    const char *name;
    unsigned long long value, size;
};
#define ABI_NUMBER(name) {#name, (unsigned long long)(name), 0},
#define ABI_MEMBER(type, member)                                                                             \
    {#type "." #member, offsetof(struct type, member), sizeof(((struct type *)0)->member)},
#define ABI_FACTS(array) const struct abi_fact array[] = {ABI_NUMBERS(ABI_NUMBER) ABI_MEMBERS(ABI_MEMBER){0}}
