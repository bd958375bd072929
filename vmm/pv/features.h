/* What each PV feature gives to the tables of MSRs and hypercalls, and to the entry. Internal to vmm/pv. */
#ifndef VMM_PV_FEATURES_H
#define VMM_PV_FEATURES_H

#include <stdbool.h>
#include <stdint.h>
#include "vmm/core/vcpu.h"

uint64_t wall_clock_rdmsr(struct vcpu *vcpu);
enum msr_result wall_clock_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin);

uint64_t clock_rdmsr(struct vcpu *vcpu);
enum msr_result clock_wrmsr_old(struct vcpu *vcpu, uint64_t value, enum origin origin);
enum msr_result clock_wrmsr_new(struct vcpu *vcpu, uint64_t value, enum origin origin);
void clock_at_init(struct vcpu *vcpu);

uint64_t steal_rdmsr(struct vcpu *vcpu);
enum msr_result steal_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin);
void steal_at_init(struct vcpu *vcpu);
void steal_publish(struct vcpu *vcpu);       /* STL-6 */
void steal_set_preempted(struct vcpu *vcpu); /* STL-10 */

uint64_t apf_en_rdmsr(struct vcpu *vcpu);
enum msr_result apf_en_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin);
void apf_en_at_init(struct vcpu *vcpu);
uint64_t apf_int_rdmsr(struct vcpu *vcpu);
enum msr_result apf_int_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin);
void apf_int_at_init(struct vcpu *vcpu);
uint64_t apf_ack_rdmsr(struct vcpu *vcpu);
enum msr_result apf_ack_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin);
void apf_deliver_ready(struct vcpu *vcpu); /* APF-14 */

uint64_t pv_eoi_rdmsr(struct vcpu *vcpu);
enum msr_result pv_eoi_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin);
void pv_eoi_at_init(struct vcpu *vcpu);
void pv_eoi_offer(struct vcpu *vcpu); /* EOI-4: at an entry that processes events */
void pv_eoi_exit(struct vcpu *vcpu);  /* EOI-9: only while an offer is pending */

uint64_t poll_rdmsr(struct vcpu *vcpu);
enum msr_result poll_wrmsr(struct vcpu *vcpu, uint64_t value, enum origin origin);

int64_t hc_kick_cpu(struct vcpu *vcpu, const uint64_t args[4], bool wide);
int64_t hc_send_ipi(struct vcpu *vcpu, const uint64_t args[4], bool wide);
void sched_yield_to(struct vcpu *from, const struct vcpu *target);
int64_t hc_sched_yield(struct vcpu *vcpu, const uint64_t args[4], bool wide);
int64_t hc_map_gpa_range(struct vcpu *vcpu, const uint64_t args[4], bool wide);
int64_t hc_clock_pairing(struct vcpu *vcpu, const uint64_t args[4], bool wide);

/* The guest's translations of this vCPU are stale: an interpreter drops them before the next instruction (TLB-2). */
static inline void vcpu_flush_guest_tlb(struct vcpu *vcpu)
{
    vcpu->tlb_flushes++;
}

#endif
