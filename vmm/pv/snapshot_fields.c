/* Every field of a machine that a snapshot holds, with the largest value that is accepted back; the machine's own
 * configuration is compared instead. */
#include "vmm/pv/snapshot.h"

#define SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define BOOL        1
#define ANY         FIELD_ANY

#define G(member) FIELD(struct vm_config, member, ANY)
const struct field snapshot_config_fields[] = {
    G(vcpus),       G(ids_32bit),  G(irqchip),         G(native), G(fix_hypercall_quirk),
    G(ignore_msrs), G(sched_info), G(apic_off),        G(apicv),  G(hlt_in_guest),
    G(version),     G(msr_exits),  G(exit_hypercalls),
};
const size_t snapshot_config_field_count = SIZE(snapshot_config_fields);

#define N(member) FIELD(struct env, member, ANY)
const struct field snapshot_host_fields[] = {N(tsc_khz), N(clocksource_tsc)};
const size_t snapshot_host_field_count = SIZE(snapshot_host_fields);

#define V(member, max)         FIELD(struct vcpu, member, max)
#define VA(array, max)         FIELD_ARRAY(struct vcpu, array, max)
#define VE(array, member, max) FIELD_EACH(struct vcpu, array, member, max)
#define V_SEGMENT(seg)         V(seg.selector, ANY), V(seg.access, ANY), V(seg.limit, ANY), V(seg.base, ANY)
#define V_TRAP(trap)           V(trap.vector, ANY), V(trap.has_error, BOOL), V(trap.error, ANY), V(trap.cr2, ANY)

const struct field snapshot_vcpu_fields[] = {
    V(mp_state, MP_WAIT_SIPI),
    V(requests, REQ_ALL),
    V(hold, HOLD_ALL),
    V(kicked, BOOL),
    VA(regs.gpr, ANY),
    V(regs.rip, ANY),
    V(regs.rflags, ANY),
    VE(regs.seg, selector, ANY),
    VE(regs.seg, access, ANY),
    VE(regs.seg, limit, ANY),
    VE(regs.seg, base, ANY),
    V_SEGMENT(regs.tr),
    V_SEGMENT(regs.ldtr),
    V(regs.gdtr.base, ANY),
    V(regs.gdtr.limit, ANY),
    V(regs.idtr.base, ANY),
    V(regs.idtr.limit, ANY),
    V(regs.cr0, ANY),
    V(regs.cr2, ANY),
    V(regs.cr3, ANY),
    V(regs.cr4, ANY),
    V(regs.cr8, 15),
    V(regs.xcr0, ANY),
    VA(regs.dr, ANY),
    V(regs.dr6, ANY),
    V(regs.dr7, ANY),
    V(regs.efer, ANY),
    V(regs.star, ANY),
    V(regs.lstar, ANY),
    V(regs.cstar, ANY),
    V(regs.sfmask, ANY),
    V(regs.kernel_gs_base, ANY),
    V(regs.tsc_aux, UINT32_MAX),
    V(regs.sysenter_cs, ANY),
    V(regs.sysenter_esp, ANY),
    V(regs.sysenter_eip, ANY),
    V(regs.pat, ANY),
    V(regs.misc_enable, ANY),
    V(regs.mtrr_def_type, ANY),
    VA(regs.mtrr_var, ANY),
    VA(regs.mtrr_fixed, ANY),
    V(regs.shadow, BOOL),
    V(tsc_offset, ANY),
    V(tsc_adjust, ANY),
    V(tsc_matched, BOOL),
    V_TRAP(injected),
    V(cpuid.count, CPUID_ENTRIES),
    V(pv_features, ANY),
    V(pv_hints, ANY),
    V(pv_base, ANY),
    V(enforce, BOOL),
    V(hv_enforce, BOOL),
    V(has_run, BOOL),
    V(tlb_flushes, ANY),
    V(clock.msr, ANY),
    V(clock.active, BOOL),
    V(clock.stop_pending, BOOL),
    V(clock.scaled_khz, ANY),
    V(clock.mul, ANY),
    V(clock.shift, ANY), /* signed: checked apart */
    V(clock.target, ANY),
    V(steal.msr, ANY),
    V(steal.run_delay_ns, ANY),
    V(steal.waited_ns, ANY),
    V(apf.en_msr, ANY),
    V(apf.int_msr, 0xff),
    V(apf.vector, ANY),
    V(apf.on, BOOL),
    V(apf.ready_pending, BOOL),
    V(apf.wake_all, BOOL),
    V(apf.next_id, ANY),
    V(apf.faults, APF_FAULTS),
    V(apf.ready, APF_FAULTS),
    V(eoi.msr, ANY),
    V(eoi.pending, BOOL),
    V(poll.msr, BOOL),
    V(hv_assist, ANY),
    V(hypercall.nr, ANY),
    VA(hypercall.args, ANY),
    V(hypercall.wide, BOOL),
    V(msr_exit.reason, MSR_EXIT_FILTER),
    V(msr_exit.write, BOOL),
    V(msr_exit.index, ANY),
    V(msr_exit.data, ANY),
    V(exit_length, 15),
    V(answered, BOOL),
    V(apic.base_msr, ANY),
    V(apic.id, 0xff),
    V(apic.svr, ANY), /* SVR_BITS: checked apart */
    V(apic.tpr, 0xff),
    V(apic.ldr, ANY),
    V(apic.dfr, ANY),
    V(apic.esr, ANY),
    V(apic.icr, ANY),
    VA(apic.irr, ANY),
    VA(apic.isr, ANY),
    VA(apic.tmr, ANY),
    V(apic.irr_hint, BOOL),
    V(apic.isr_known, 256),
    VA(apic.lvt, ANY),
    V(apic.timer_initial, ANY),
    V(apic.timer_divide, 0xb),
    V(apic.timer_due_ns, ANY),
    V(apic.timer_pending, BOOL),
    V(apic.tsc_deadline, ANY),
    V(apic.init_pending, BOOL),
    V(apic.nmi_pending, BOOL),
    V(apic.sipi_pending, BOOL),
    V(apic.sipi_vector, ANY),
    VE(areas, state, AREA_STALE),
};
const size_t snapshot_vcpu_field_count = SIZE(snapshot_vcpu_fields);

#define F(member, max) FIELD(struct apf_fault, member, max)
const struct field snapshot_fault_fields[] = {F(gpa, ANY), F(token, ANY), F(injected, BOOL)};
const size_t snapshot_fault_field_count = SIZE(snapshot_fault_fields);

#define E(member) FIELD(struct cpuid_entry, member, ANY)
const struct field snapshot_cpuid_fields[] = {
    E(leaf), E(subleaf), E(flags), E(regs.eax), E(regs.ebx), E(regs.ecx), E(regs.edx),
};
const size_t snapshot_cpuid_field_count = SIZE(snapshot_cpuid_fields);

#define C(member, max) FIELD(struct vm_clock, member, max)
const struct field snapshot_clock_fields[] = {
    C(offset_ns, ANY),     C(master, BOOL),        C(master_ns, ANY),    C(master_tsc, ANY),
    C(old_in_use, BOOL),   C(backwards_tsc, BOOL), C(wall_msr, ANY),     C(next_sync_ns, ANY),
    C(global_due_ns, ANY), C(tsc_write, ANY),      C(tsc_write_ns, ANY), C(tsc_offset, ANY),
};
const size_t snapshot_clock_field_count = SIZE(snapshot_clock_fields);

#define IO(member, max) FIELD(struct ioapic, member, max)
const struct field snapshot_ioapic_fields[] = {
    IO(select, ANY),
    IO(id, 0xf),
    IO(lines, (1u << IOAPIC_PINS) - 1),
    FIELD_ARRAY(struct ioapic, redirection, ANY),
};
const size_t snapshot_ioapic_field_count = SIZE(snapshot_ioapic_fields);

#define H(member) FIELD(struct hyperv, member, ANY)
const struct field snapshot_hyperv_fields[] = {
    H(guest_os_id),     H(hypercall),     FIELD_ARRAY(struct hyperv, crash, ANY),
    H(reenlightenment), H(tsc_emulation), H(tsc_emulation_status),
};
const size_t snapshot_hyperv_field_count = SIZE(snapshot_hyperv_fields);
