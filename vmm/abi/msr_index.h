/* Numbers of the model-specific registers that a guest on QEMU/KVM meets. Intel SDM vol. 4, AMD APM vol. 2. */
#ifndef VMM_ABI_MSR_INDEX_H
#define VMM_ABI_MSR_INDEX_H

#define MSR_IA32_TSC          0x00000010u
#define MSR_IA32_APICBASE     0x0000001bu
#define MSR_SMI_COUNT         0x00000034u
#define MSR_CORE_THREAD_COUNT 0x00000035u
#define MSR_IA32_TSC_ADJUST   0x0000003bu
#define MSR_MTRRcap           0x000000feu
#define MSR_IA32_SYSENTER_CS  0x00000174u
#define MSR_IA32_SYSENTER_ESP 0x00000175u
#define MSR_IA32_SYSENTER_EIP 0x00000176u
#define MSR_IA32_MISC_ENABLE  0x000001a0u
#define MSR_MTRRphysBase0     0x00000200u /* base and mask alternate, 8 pairs */
#define MSR_MTRRfix64K_00000  0x00000250u
#define MSR_MTRRfix16K_80000  0x00000258u
#define MSR_MTRRfix16K_A0000  0x00000259u
#define MSR_MTRRfix4K_C0000   0x00000268u /* 8 of them, one per 32 KiB */
#define MSR_IA32_CR_PAT       0x00000277u
#define MSR_MTRRdefType       0x000002ffu
#define MSR_IA32_TSC_DEADLINE 0x000006e0u
#define MSR_X2APIC_BASE       0x00000800u /* + xAPIC offset / 16 */
#define MSR_X2APIC_LAST       0x000008ffu
#define MSR_EFER              0xc0000080u
#define MSR_STAR              0xc0000081u
#define MSR_LSTAR             0xc0000082u
#define MSR_CSTAR             0xc0000083u
#define MSR_SYSCALL_MASK      0xc0000084u
#define MSR_FS_BASE           0xc0000100u
#define MSR_GS_BASE           0xc0000101u
#define MSR_KERNEL_GS_BASE    0xc0000102u
#define MSR_TSC_AUX           0xc0000103u

#define MTRR_VARIABLE_PAIRS 8
#define MTRR_FIXED          11

/* IA32_APIC_BASE */
#define APICBASE_BSP    (1ull << 8)
#define APICBASE_EXTD   (1ull << 10) /* x2APIC mode */
#define APICBASE_ENABLE (1ull << 11)

/* IA32_MISC_ENABLE */
#define MISC_ENABLE_FAST_STRING  (1ull << 0)
#define MISC_ENABLE_EMON         (1ull << 7)
#define MISC_ENABLE_BTS_UNAVAIL  (1ull << 11)
#define MISC_ENABLE_PEBS_UNAVAIL (1ull << 12)

#endif
