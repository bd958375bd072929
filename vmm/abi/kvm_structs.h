/* The other records that host and guest share. Linux uapi asm/kvm_para.h; spec 0.2. */
#ifndef VMM_ABI_KVM_STRUCTS_H
#define VMM_ABI_KVM_STRUCTS_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

struct kvm_steal_time {
    uint64_t steal; /* ns */
    uint32_t version;
    uint32_t flags;
    uint8_t preempted;
    uint8_t u8_pad[3];
    uint32_t pad[11];
};
static_assert(sizeof(struct kvm_steal_time) == 64, "layout belongs to the guest");
static_assert(offsetof(struct kvm_steal_time, preempted) == 16, "layout belongs to the guest");

struct kvm_vcpu_pv_apf_data {
    uint32_t flags; /* KVM_PV_REASON_PAGE_NOT_PRESENT */
    uint32_t token; /* of a page that is ready; 0: the guest has read it */
    uint8_t pad[56];
};
static_assert(sizeof(struct kvm_vcpu_pv_apf_data) == 64, "layout belongs to the guest");
/* The host never touches more than flags and token. */
#define KVM_APF_HOST_BYTES 8

struct kvm_clock_pairing {
    int64_t sec, nsec;
    uint64_t tsc;
    uint32_t flags;
    uint32_t pad[9];
};
static_assert(sizeof(struct kvm_clock_pairing) == 64, "layout belongs to the guest");

#endif
