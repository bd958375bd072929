/* The machine: everything hangs off struct vm; two of them share a process and know nothing of each other. */
#ifndef VMM_CORE_VM_H
#define VMM_CORE_VM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/env.h"
#include "vmm/core/area.h"
#include "vmm/core/bus.h"
#include "vmm/core/memory.h"
#include "vmm/core/vcpu.h"

enum irqchip { IRQCHIP_NONE, IRQCHIP_KERNEL, IRQCHIP_SPLIT };
enum hc_insn { HC_VMCALL, HC_VMMCALL };
/* Which Linux the VM behaves as, where releases differ (spec section 24). */
enum kvm_version { KVM_6_12, KVM_6_1 }; /* the default comes first: CLK-4 on 6.1 writes where it must not */

struct vm_config {
    uint16_t vcpus;           /* 1 .. VM_VCPUS_MAX */
    const uint32_t *apic_ids; /* one per vCPU, unique; NULL: 0, 1, 2, ... */
    bool ids_32bit; /* on even where no vCPU's id needs them; vm_create() turns it on where one does */
    enum irqchip irqchip;
    enum hc_insn native;      /* what this "host" executes natively; the other form is patched (HC-10) */
    bool fix_hypercall_quirk; /* KVM_X86_QUIRK_FIX_HYPERCALL_INSN; off: foreign form is #UD (HC-13) */
    bool ignore_msrs;         /* module parameter (GEN-5) */
    bool sched_info;          /* host measures run delay (STL-2) */
    bool apic_off;            /* vCPUs begin with IA32_APIC_BASE 0: QEMU makes them no APIC */
    bool apicv;        /* interrupts are delivered by the CPU: KVM cannot know what ends them (EOI-8) */
    bool hlt_in_guest; /* KVM_X86_DISABLE_EXITS_HLT: HLT does not exit (CPU-8, UNH-11) */
    enum kvm_version version;
    uint8_t msr_exits; /* KVM_CAP_X86_USER_SPACE_MSR: enum msr_exit_reason, what the VMM decides (SAV-12) */
    /* KVM_CAP_EXIT_HYPERCALL: a bit per number that the VMM answers itself (GPA-1) */
    uint64_t exit_hypercalls;
};
#define VM_VCPUS_MAX 1024

/* VM-wide clock state (CLK, STB). */
struct vm_clock {
    int64_t offset_ns;              /* kvmclock = base + offset (CLK-13) */
    bool master;                    /* master clock in use: flag TSC_STABLE */
    uint64_t master_ns, master_tsc; /* snapshot: env now_ns and env tsc at one instant */
    bool old_in_use;                /* vCPU 0's guest last used MSR 0x12 (CLK-6) */
    bool backwards_tsc;
    uint64_t wall_msr;
    uint64_t next_sync_ns;            /* the 300 s periodic update (CLK-14) */
    uint64_t global_due_ns;           /* deferred global update, 0: none */
    uint64_t tsc_write, tsc_write_ns; /* the VMM's last TSC write and when (STB-3) */
    int64_t tsc_offset;               /* of the current TSC generation */
};

/* What guests told the Hyper-V interface, VM-wide. Behaviour: vmm/pv/hyperv.c. */
struct hyperv {
    uint64_t guest_os_id; /* not 0: hypercall instructions are Hyper-V's (HC-9) */
    uint64_t hypercall;   /* address of the hypercall page, bit 0 enable */
    uint64_t crash[5];
    uint64_t reenlightenment, tsc_emulation, tsc_emulation_status;
};

/* KVM's apic_map: which vCPU a physical APIC id names now. Rebuilt at first use after a change (vmm/apic/map.c). */
struct apic_entry {
    uint32_t id;
    uint16_t vcpu; /* index in vm->vcpus */
};
/* How all APICs that are software enabled take logical destinations; APIC_LOGICAL_EACH: not all alike, ask each of them. */
enum apic_logical {
    APIC_LOGICAL_EACH,
    APIC_LOGICAL_NONE,
    APIC_LOGICAL_FLAT,
    APIC_LOGICAL_CLUSTER,
    APIC_LOGICAL_X2APIC
};
struct apic_map {
    bool stale;
    bool ids_32bit;  /* vm_config's. KVM_X2APIC_API_USE_32BIT_IDS: some possible id is above 254 (QMU-10) */
    bool duplicate;  /* two enabled APICs share an id (IPI-11) */
    uint8_t logical; /* enum apic_logical */
    uint16_t count;
    uint16_t logical_members[64]; /* vCPU + 1 by bit of the LDR (flat), or by cluster * 4 + bit; 0: nobody */
    uint32_t max_id;              /* at least 255 */
    struct apic_entry *entries;   /* sorted by id; room for two per vCPU */
};

/* What the layers above do for those below, set by vm_start(). NULL: nobody cares. */
struct vm_hooks {
    void (*exit)(struct vcpu *vcpu); /* see vcpu_exit() */
    /* A guest instruction touches a missing page (memory_absent); *trap is set for APF_FAULT. */
    enum apf_outcome (*absent)(struct vcpu *vcpu, uint64_t gpa, struct trap *trap);
};

/* Behaviour: vmm/apic/ioapic.c. */
#define IOAPIC_PINS 24
struct ioapic {
    uint8_t select, id; /* IOREGSEL; id: 4 bits */
    uint32_t lines;     /* level of each pin; an edge that came while it was masked stays noted, as in KVM */
    uint64_t redirection[IOAPIC_PINS];
    /* What the VMM does to an MSI address before the kernel sees it; NULL: nothing. Only where it owns the I/O APIC. */
    uint64_t (*msi_address)(const struct vm *vm, uint64_t address);
};

struct vm {
    struct vm_config config; /* apic_ids is not kept: see vcpu->apic_id */
    struct env env;
    struct memory memory;
    struct bus bus;
    struct trace trace;
    struct vm_clock clock;
    struct area wall_area;    /* AREA_WALL_CLOCK, registered only while it is written */
    struct area pairing_area; /* AREA_CLOCK_PAIRING, likewise */
    struct hyperv hyperv;
    struct area hyperv_area; /* AREA_HYPERV, likewise */
    struct apic_map apic_map;
    uint64_t timer_check_ns; /* no local APIC timer is due before this env time; UINT64_MAX: none is armed */
    struct ioapic ioapic;
    struct vm_hooks hooks;
    const struct msr_filter *msr_filter; /* vmm/pv/msr_filter.h; NULL: none */
    uint16_t yield_to;                   /* vCPU that a guest asked to run next, plus 1; 0: none (YLD-2) */
    struct vcpu *vcpus;                  /* config.vcpus of them */
};

/* The vCPU leaves the guest on the slow path: call before the exit is handled. What the host lent to the guest until then
 * is taken back (EOI-9). */
static inline void vcpu_exit(struct vcpu *vcpu)
{
    if (vcpu->eoi.pending && vcpu->vm->hooks.exit)
        vcpu->vm->hooks.exit(vcpu);
}

/* 0, -EINVAL (configuration), -ENOMEM. On error *vm needs no destroy. RAM is added by memory_slot_add. */
int vm_create(struct vm *vm, const struct vm_config *config, const struct env *env);
void vm_destroy(struct vm *vm);

#endif
