/* One virtual CPU: registers, what each PV feature and the local APIC remember, deferred work.
 * Plain data in one place, so that create, reset, INIT, save and restore can each walk all of it.
 * Behaviour lives beside its document: vmm/pv, vmm/apic, vmm/cpu. */
#ifndef VMM_CORE_VCPU_H
#define VMM_CORE_VCPU_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/abi/msr_index.h"
#include "vmm/core/area.h"
#include "vmm/core/cpuid_table.h"
#include "vmm/core/trap.h"

struct vm;

enum gpr { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, GPRS };
enum sreg { SREG_ES, SREG_CS, SREG_SS, SREG_DS, SREG_FS, SREG_GS, SREGS }; /* the encoding's order */

/* A segment register with its hidden part. access: bits 0-7 type, S, DPL, P; 12 AVL, 13 L, 14 D/B, 15 G, as in a descriptor. */
struct segment {
    uint16_t selector;
    uint16_t access;
    uint32_t limit; /* in bytes, already scaled by G */
    uint64_t base;
};
#define SEG_ACCESSED 0x0001
#define SEG_CODE     0x0008
#define SEG_S        0x0010
#define SEG_DPL(a)   (((a) >> 5) & 3u)
#define SEG_P        0x0080
#define SEG_L        0x2000
#define SEG_DB       0x4000
#define SEG_G        0x8000

struct desc_table {
    uint64_t base;
    uint16_t limit;
};

struct cpu_regs {
    uint64_t gpr[GPRS];
    uint64_t rip, rflags;
    struct segment seg[SREGS], tr, ldtr;
    struct desc_table gdtr, idtr;
    uint64_t cr0, cr2, cr3, cr4, cr8, xcr0;
    uint64_t dr[4], dr6, dr7;
    uint64_t efer, star, lstar, cstar, sfmask, kernel_gs_base, tsc_aux;
    uint64_t sysenter_cs, sysenter_esp, sysenter_eip, pat, misc_enable, mtrr_def_type;
    uint64_t mtrr_var[2 * MTRR_VARIABLE_PAIRS], mtrr_fixed[MTRR_FIXED];
    bool shadow; /* STI or MOV SS: interrupts wait for one more instruction */
};

/* Who asks: a guest instruction, or the VMM (restore, reset, KVM_SET_MSRS in real life). CLK-6, SAV-3. */
enum origin { ORIGIN_GUEST, ORIGIN_VMM };
/* invalid: refused value; unsupported: no such register here (gate, unknown index). Both are #GP to a guest (GEN-4..6). */
enum msr_result { MSR_OK, MSR_INVALID, MSR_UNSUPPORTED };

enum mp_state { MP_RUNNABLE, MP_HALTED, MP_WAIT_SIPI };
/* What keeps a vCPU from executing although mp_state is MP_RUNNABLE. */
enum hold {
    HOLD_DESCHEDULED = 1 << 0, /* its CPU does something else (vmm/pv/sched.h) */
    HOLD_APF = 1 << 1,         /* artificial halt: a page is being fetched (APF-10, APF-12) */
    HOLD_EXIT = 1 << 2,        /* the VMM has not answered its exit yet (GPA-4, SAV-12) */
    HOLD_HLT = 1 << 3,         /* HLT without an exit: the CPU itself waits (CPU-8) */
    HOLD_ALL = (1 << 4) - 1,
};

/* Work that an event leaves for the next entry, served in this order (GEN-10). */
enum request {
    REQ_MASTERCLOCK = 1 << 0,  /* re-evaluate and take a new master snapshot */
    REQ_GLOBAL_CLOCK = 1 << 1, /* all vCPUs' records, 100 ms later in real life */
    REQ_CLOCK = 1 << 2,        /* this vCPU's record */
    REQ_TLB_FLUSH = 1 << 3,
    REQ_STEAL = 1 << 4,
    REQ_APF_READY = 1 << 5,
    REQ_EVENT = 1 << 6, /* look at interrupts again */
    REQ_ALL = (1 << 7) - 1,
};

struct kvmclock {
    uint64_t msr;        /* as last written through either index */
    bool active;         /* what KVM_KVMCLOCK_CTRL asks (CLK-21) */
    bool stop_pending;   /* GUEST_STOPPED goes into the next record (CLK-20) */
    uint32_t scaled_khz; /* rate behind mul and shift; 0: none computed yet */
    uint32_t mul;
    int8_t shift;
    uint64_t target; /* last address that did not cross a page, even if disabled since (CLK-4 on 6.1) */
};
struct steal {
    uint64_t msr;
    uint64_t run_delay_ns; /* reading that the guest was last told */
    uint64_t waited_ns;    /* run delay that vcpu_schedule() gave, on top of what env measures */
};
struct async_pf {
    uint64_t en_msr, int_msr;
    uint8_t vector;
    bool on, ready_pending, wake_all;
    uint32_t next_id;
    /* Used entries of apf_faults; the first ready of them are completed, oldest first. */
    uint8_t faults, ready;
};
/* A guest access that met a missing page. */
struct apf_fault {
    uint64_t gpa; /* of the page */
    uint32_t token;
    bool injected; /* the guest was told by #PF, so it will be told that the page is there */
};
#define APF_FAULTS 64 /* per vCPU (APF-9) */
/* How a guest access to a missing page goes on. */
enum apf_outcome {
    APF_PRESENT, /* the page was fetched: as if it had never been away */
    APF_FAULT,   /* *trap is to be delivered instead of the access */
    APF_HALT,    /* the vCPU halts (HOLD_APF) and does the access again when it runs next */
};
/* What a guest asked of the VMM by a hypercall; it stands at that instruction until the answer (HOLD_EXIT). GPA-4 */
struct hypercall_exit {
    uint64_t nr, args[3];
    bool wide; /* 64-bit form */
};
/* A guest's MSR access that the VMM is to decide; likewise. SAV-12 */
enum msr_exit_reason { MSR_EXIT_INVALID = 1, MSR_EXIT_UNKNOWN = 2, MSR_EXIT_FILTER = 4, MSR_EXIT_ALL = 7 };
struct msr_exit {
    uint8_t reason; /* 0: none is waiting */
    bool write;
    uint32_t index;
    uint64_t data; /* that the guest writes */
};
struct pv_eoi {
    uint64_t msr;
    bool pending;
};
struct poll_control {
    uint64_t msr;
};

/* Local APIC, registers and what is behind them. Behaviour: vmm/apic. */
struct lapic {
    uint64_t base_msr; /* IA32_APIC_BASE: bit 11 enable, bit 10 x2APIC, bit 8 BSP */
    uint32_t id;       /* xAPIC ID, 8 bits; in x2APIC mode the guest reads vcpu->apic_id instead */
    uint32_t svr, tpr, ldr, dfr, esr;
    uint64_t icr;
    uint32_t irr[8], isr[8], tmr[8];
    uint32_t lvt[6];
    uint32_t timer_initial, timer_divide;
    uint64_t timer_due_ns; /* env time of the next expiry, 0: not armed */
    uint64_t tsc_deadline;
    uint16_t isr_known; /* vector + 1 of the last one taken, until any EOI; 0: none (EOI-5) */
    bool irr_hint;      /* IRR may hold a vector, deliverable or not (EOI-6) */
    bool timer_pending; /* expired while its LVT was masked: delivered when that ends, as KVM does */
    bool init_pending, nmi_pending;
    bool sipi_pending;
    uint8_t sipi_vector;
};

/* CPUID bits that decide what an MSR accepts, read out once per table. */
enum cpu_cap {
    CAP_TSC_ADJUST = 1 << 0,
    CAP_X2APIC = 1 << 1,
    CAP_NX = 1 << 2,
    CAP_LONG_MODE = 1 << 3,
    CAP_SVM = 1 << 4,
    CAP_FFXSR = 1 << 5,
    CAP_TSC_AUX = 1 << 6, /* RDTSCP or RDPID */
    CAP_AMD = 1 << 7,     /* vendor AMD or Hygon */
    CAP_INTEL = 1 << 8,
    CAP_TSC_DEADLINE = 1 << 9,
};

struct vcpu {
    struct vm *vm;
    uint16_t id;      /* the VMM's number (KVM's vcpu_id), index in vm->vcpus */
    uint32_t apic_id; /* initial APIC id */
    enum mp_state mp_state;
    uint32_t requests; /* enum request */
    uint8_t hold;      /* enum hold */
    bool kicked;       /* pv-unhalted mark (UNH-4) */
    struct cpu_regs regs;
    int64_t tsc_offset; /* guest TSC = env tsc + tsc_offset */
    uint64_t tsc_adjust;
    bool tsc_matched;     /* joined the VM's current TSC generation (STB-3) */
    struct trap injected; /* exception to deliver at the next entry */

    struct cpuid_table cpuid;
    uint32_t caps;                  /* enum cpu_cap, from the table */
    uint8_t phys_bits;              /* MAXPHYADDR, from the table */
    uint32_t pv_features, pv_hints; /* cached from the KVM leaf (CPU-5) */
    uint32_t pv_base;               /* 0: no KVM signature in the table */
    bool enforce;                   /* KVM_CAP_ENFORCE_PV_FEATURE_CPUID */
    bool hv_enforce;                /* KVM_CAP_HYPERV_ENFORCE_CPUID */
    bool has_run;                   /* CPU-9 */

    struct kvmclock clock;
    struct steal steal;
    struct async_pf apf;
    struct apf_fault apf_faults[APF_FAULTS];
    struct pv_eoi eoi;
    struct poll_control poll;
    uint64_t hv_assist; /* HV_X64_MSR_VP_ASSIST_PAGE as last written (EOI-17) */
    struct hypercall_exit hypercall;
    struct msr_exit msr_exit;
    uint8_t exit_length; /* of the instruction that waits for the VMM's answer */
    bool answered;       /* the VMM gave it; RIP is still to be advanced */
    struct lapic apic;
    struct area areas[AREA_KINDS]; /* the per-vCPU ones; VM-wide ones are in struct vm */
    uint32_t tlb_flushes; /* guest-TLB flushes served so far; an interpreter flushes when it changes */
    void *tlb;            /* owned by vmm/cpu; NULL on machines without an interpreter */
};

#define CR0_PE      (1ull << 0)
#define CR0_WP      (1ull << 16)
#define CR0_PG      (1ull << 31)
#define CR4_PAE     (1ull << 5)
#define CR4_OSXSAVE (1ull << 18)
#define CR4_PKE     (1ull << 22)
#define EFER_SCE    (1ull << 0)
#define EFER_LME    (1ull << 8)
#define EFER_LMA    (1ull << 10)
#define EFER_NXE    (1ull << 11)
#define RFLAGS_TF   (1ull << 8)
#define RFLAGS_IF   (1ull << 9)
#define RFLAGS_VM   (1ull << 17)

/* SS.DPL, but 0 in real mode and 3 in virtual-8086 mode whatever is left in the hidden part. */
static inline unsigned vcpu_cpl(const struct vcpu *vcpu)
{
    if (!(vcpu->regs.cr0 & CR0_PE))
        return 0;
    if (vcpu->regs.rflags & RFLAGS_VM)
        return 3;
    return SEG_DPL(vcpu->regs.seg[SREG_SS].access);
}
/* 64-bit code is running: long mode active and CS.L (HC-2). */
static inline bool vcpu_64bit(const struct vcpu *vcpu)
{
    return (vcpu->regs.efer & EFER_LMA) && (vcpu->regs.seg[SREG_CS].access & SEG_L);
}
/* has(F) of the specification: not enforced, or the bit is in the cached word. */
static inline bool vcpu_has_feature(const struct vcpu *vcpu, unsigned bit)
{
    return !vcpu->enforce || (vcpu->pv_features >> bit & 1);
}

/* Replaces the table and the cached PV words. -EINVAL after the vCPU has run unless identical (CPU-9). */
int vcpu_set_cpuid(struct vcpu *vcpu, const struct cpuid_table *table);
/* What CPUID answers, out-of-range rules included (CPU-10, CPU-11). */
struct cpuid_regs vcpu_cpuid(const struct vcpu *vcpu, uint32_t leaf, uint32_t subleaf);
void vcpu_refresh_caps(struct vcpu *vcpu); /* caps and phys_bits anew from the table, after a restore */
void vcpu_set_enforce(struct vcpu *vcpu, bool on); /* ENF-1, ENF-8 */
uint64_t vcpu_tsc(const struct vcpu *vcpu);
struct area *vcpu_area(struct vcpu *vcpu, enum area_kind kind); /* VM-wide kinds included */
/* Registers as after power-on (reset vector) and as after INIT; PV state by the tables of vmm/pv. */
void vcpu_regs_reset(struct vcpu *vcpu);

#endif
