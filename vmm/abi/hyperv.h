/* Hyper-V's guest interface in numbers, as far as KVM offers it. Hypervisor Top-Level Functional Specification (TLFS) 6.0. */
#ifndef VMM_ABI_HYPERV_H
#define VMM_ABI_HYPERV_H

/* CPUID */
#define HYPERV_CPUID_VENDOR      0x40000000u /* "Microsoft Hv" in EBX, ECX, EDX */
#define HYPERV_CPUID_INTERFACE   0x40000001u
#define HYPERV_CPUID_VERSION     0x40000002u
#define HYPERV_CPUID_FEATURES    0x40000003u
#define HYPERV_CPUID_ADVICE      0x40000004u
#define HYPERV_CPUID_LIMITS      0x40000005u
#define HYPERV_CPUID_NESTED      0x4000000au
#define HYPERV_CPUID_DEBUGGER    0x40000080u
#define HYPERV_INTERFACE_HV1     0x31237648u /* "Hv#1" */
#define HYPERV_VENDOR_EBX        0x7263694du
#define HYPERV_VENDOR_ECX        0x666f736fu
#define HYPERV_VENDOR_EDX        0x76482074u
#define HV_VP_RUNTIME            (1u << 0) /* HYPERV_CPUID_FEATURES EAX: registers */
#define HV_TIME_REF_COUNT        (1u << 1)
#define HV_SYNIC                 (1u << 2)
#define HV_SYNTHETIC_TIMERS      (1u << 3)
#define HV_APIC_ACCESS           (1u << 4)
#define HV_HYPERCALL             (1u << 5)
#define HV_VP_INDEX              (1u << 6)
#define HV_RESET                 (1u << 7)
#define HV_REFERENCE_TSC         (1u << 9)
#define HV_FREQUENCIES           (1u << 11)
#define HV_REENLIGHTENMENT       (1u << 13)
#define HV_POST_MESSAGES         (1u << 4) /* EBX: hypercalls */
#define HV_SIGNAL_EVENTS         (1u << 5)
#define HV_EXTENDED_HYPERCALLS   (1u << 20)
#define HV_CPU_PARTITIONING      (1u << 3) /* EDX; set by QEMU whatever is asked for */
#define HV_XMM_INPUT             (1u << 4)
#define HV_TIMER_FREQUENCIES     (1u << 8)
#define HV_CRASH_REGISTERS       (1u << 10)
#define HV_DEBUG_REGISTERS       (1u << 11)
#define HV_EXTENDED_FLUSH_RANGES (1u << 14)
#define HV_DIRECT_TIMERS         (1u << 19)
#define HV_REMOTE_TLB_FLUSH      (1u << 2) /* HYPERV_CPUID_ADVICE EAX */
#define HV_APIC_ACCESS_ADVISED   (1u << 3)
#define HV_RELAXED_TIMING        (1u << 5)
#define HV_NO_AUTO_EOI           (1u << 9)
#define HV_CLUSTER_IPI           (1u << 10)
#define HV_EX_PROCESSOR_MASKS    (1u << 11)
#define HV_ENLIGHTENED_VMCS      (1u << 14)
#define HV_NO_CORESHARING        (1u << 18)  /* with virtual processors of other cores */
#define HV_VPS_UNLIMITED         0xffffffffu /* HYPERV_CPUID_LIMITS EAX */
#define HV_NESTED_DIRECT_FLUSH   (1u << 17)  /* HYPERV_CPUID_NESTED EAX */
#define HV_NESTED_MSR_BITMAP     (1u << 19)
#define HV_KERNEL_DEBUGGING      (1u << 1)   /* HYPERV_CPUID_DEBUGGER + 2 EAX */
#define HV_SPIN_NEVER_NOTIFY     0xffffffffu /* EBX: retries before a guest says that it spins */

/* Model-specific registers */
#define HV_X64_MSR_GUEST_OS_ID             0x40000000u
#define HV_X64_MSR_HYPERCALL               0x40000001u
#define HV_X64_MSR_VP_INDEX                0x40000002u
#define HV_X64_MSR_RESET                   0x40000003u
#define HV_X64_MSR_TIME_REF_COUNT          0x40000020u /* in 100 ns */
#define HV_X64_MSR_TSC_FREQUENCY           0x40000022u /* in Hz */
#define HV_X64_MSR_APIC_FREQUENCY          0x40000023u /* in Hz */
#define HV_X64_MSR_EOI                     0x40000070u
#define HV_X64_MSR_TPR                     0x40000072u
#define HV_X64_MSR_VP_ASSIST_PAGE          0x40000073u
#define HV_X64_MSR_SINT15                  0x4000009fu
#define HV_X64_MSR_STIMER0_CONFIG          0x400000b0u
#define HV_X64_MSR_STIMER3_COUNT           0x400000b7u
#define HV_X64_MSR_SYNDBG_CONTROL          0x400000f1u
#define HV_X64_MSR_SYNDBG_PENDING_BUFFER   0x400000f5u
#define HV_X64_MSR_SYNDBG_OPTIONS          0x400000ffu
#define HV_X64_MSR_CRASH_P0                0x40000100u /* 5 of them */
#define HV_X64_MSR_CRASH_CTL               0x40000105u
#define HV_X64_MSR_REENLIGHTENMENT_CONTROL 0x40000106u
#define HV_X64_MSR_TSC_EMULATION_CONTROL   0x40000107u
#define HV_X64_MSR_TSC_EMULATION_STATUS    0x40000108u
#define HV_PAGE_ENABLE                     (1ull << 0) /* of registers that hold the address of a page */
#define HV_PAGE_ADDRESS                    (~0xfffull)
#define HV_CRASH_NOTIFY                    (1ull << 63)

/* Hypercalls: the input value (TLFS 3.7), codes, results. */
#define HV_INPUT_CODE(input)     ((uint16_t)(input))
#define HV_INPUT_FAST            (1ull << 16)
#define HV_INPUT_VARIABLE(input) ((input) >> 17 & 0x3ff) /* size of the variable header, in 8 bytes */
#define HV_INPUT_REPS(input)     ((input) >> 32 & 0xfff)
#define HV_INPUT_START(input)    ((input) >> 48 & 0xfff)
#define HV_INPUT_RESERVED        0xf000f000f8000000ull
#define HV_RESULT_REPS(reps)     ((uint64_t)(reps) << 32)

#define HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE    0x0002
#define HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST     0x0003
#define HVCALL_NOTIFY_LONG_SPIN_WAIT          0x0008
#define HVCALL_SEND_IPI                       0x000b
#define HVCALL_FLUSH_VIRTUAL_ADDRESS_SPACE_EX 0x0013
#define HVCALL_FLUSH_VIRTUAL_ADDRESS_LIST_EX  0x0014
#define HVCALL_SEND_IPI_EX                    0x0015
#define HVCALL_POST_MESSAGE                   0x005c
#define HVCALL_SIGNAL_EVENT                   0x005d
#define HVCALL_POST_DEBUG_DATA                0x0069
#define HVCALL_RETRIEVE_DEBUG_DATA            0x006a
#define HV_EXT_CALL_FIRST                     0x8001
#define HV_EXT_CALL_LAST                      0x8041

#define HV_STATUS_SUCCESS                 0
#define HV_STATUS_INVALID_HYPERCALL_CODE  2
#define HV_STATUS_INVALID_HYPERCALL_INPUT 3
#define HV_STATUS_INVALID_ALIGNMENT       4
#define HV_STATUS_INVALID_PARAMETER       5
#define HV_STATUS_ACCESS_DENIED           6

#define HV_FLUSH_ALL_PROCESSORS (1ull << 0)
#define HV_SET_SPARSE_4K        0 /* formats of a set of processors */
#define HV_SET_ALL              1
#define HV_IPI_LOW_VECTOR       0x10
#define HV_IPI_HIGH_VECTOR      0xff

#endif
