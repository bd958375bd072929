/* Local APIC: register offsets and bit fields. Intel SDM vol. 3 ch. 11, tables 11-1 and 11-6. */
#ifndef VMM_ABI_APIC_H
#define VMM_ABI_APIC_H

#define APIC_ID       0x020u
#define APIC_LVR      0x030u /* version */
#define APIC_TASKPRI  0x080u
#define APIC_ARBPRI   0x090u
#define APIC_PROCPRI  0x0a0u
#define APIC_EOI      0x0b0u
#define APIC_LDR      0x0d0u
#define APIC_DFR      0x0e0u
#define APIC_SPIV     0x0f0u
#define APIC_ISR      0x100u /* 8 registers, 16 bytes apart */
#define APIC_TMR      0x180u
#define APIC_IRR      0x200u
#define APIC_ESR      0x280u
#define APIC_ICR      0x300u
#define APIC_ICR2     0x310u
#define APIC_LVTT     0x320u /* timer; then thermal, performance, LINT0, LINT1, error */
#define APIC_LVTTHMR  0x330u
#define APIC_LVTPC    0x340u
#define APIC_LVT0     0x350u
#define APIC_LVT1     0x360u
#define APIC_LVTERR   0x370u
#define APIC_TMICT    0x380u
#define APIC_TMCCT    0x390u
#define APIC_TDCR     0x3e0u
#define APIC_SELF_IPI 0x3f0u

#define APIC_SPIV_APIC_ENABLED (1u << 8)
#define APIC_DFR_FLAT          0xffffffffu
#define APIC_DFR_CLUSTER       0x0fffffffu

/* ICR, LVT and SEND_IPI's a3 */
#define APIC_VECTOR_MASK   0x000ffu
#define APIC_MODE_MASK     0x00700u
#define APIC_DEST_LOGICAL  0x00800u
#define APIC_ICR_BUSY      0x01000u
#define APIC_INT_ASSERT    0x04000u
#define APIC_INT_LEVELTRIG 0x08000u
#define APIC_LVT_MASKED    0x10000u
#define APIC_SHORT_MASK    0xc0000u
#define APIC_DEST_SELF     0x40000u
#define APIC_DEST_ALLINC   0x80000u
#define APIC_DEST_ALLBUT   0xc0000u
#define APIC_MODE(mode)    ((mode) << 8)

enum apic_mode {
    APIC_FIXED,
    APIC_LOWEST,
    APIC_SMI,
    APIC_REMOTE_READ, /* KVM's kick (UNH-9) */
    APIC_NMI,
    APIC_INIT,
    APIC_STARTUP,
    APIC_EXTINT,
};

#endif
