/* Asynchronous page faults: from the access that finds no page to the token that says it is there. spec APF-9 .. APF-17. */
#include "vmm/pv/async_pf.h"

#include <stddef.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/apic/lapic.h"
#include "vmm/pv/features.h"

/* APF-13 */
static uint32_t next_token(struct vcpu *vcpu)
{
    struct async_pf *apf = &vcpu->apf;

    if (apf->next_id << 12 == 0) /* 0 would look as if the guest had read it (KB-17) */
        apf->next_id = 1;
    return apf->next_id++ << 12 | vcpu->id;
}

/* APF-11. Nothing of this VMM runs in L2. */
static bool deliverable(const struct vcpu *vcpu)
{
    bool user_only = !(vcpu->apf.en_msr & KVM_ASYNC_PF_SEND_ALWAYS);

    return vcpu->apf.on && !(user_only && vcpu_cpl(vcpu) == 0) && (vcpu->regs.cr0 & CR0_PG);
}

/* APF-9: what must be so for the vCPU to go without the page, or at least to be woken again. */
static bool may_wait(const struct vcpu *vcpu)
{
    return lapic_in_kernel(vcpu) && !trapped(vcpu->injected) && (vcpu->regs.rflags & RFLAGS_IF) &&
           !vcpu->regs.shadow && (!vcpu->vm->config.hlt_in_guest || deliverable(vcpu));
}

static struct apf_fault *find_fault(struct vcpu *vcpu, uint64_t page)
{
    for (unsigned i = 0; i < vcpu->apf.faults; i++)
        if (vcpu->apf_faults[i].gpa == page)
            return &vcpu->apf_faults[i];
    return NULL;
}

static enum apf_outcome halt(struct vcpu *vcpu)
{
    vcpu->hold |= HOLD_APF;
    vcpu->requests |= REQ_EVENT; /* perhaps there is a reason to wake already */
    return APF_HALT;
}

/* APF-12 */
static enum apf_outcome announce(struct vcpu *vcpu, struct apf_fault *fault, struct trap *trap)
{
    const uint32_t flags = KVM_PV_REASON_PAGE_NOT_PRESENT;

    if (!deliverable(vcpu) ||
        !area_write(vcpu_area(vcpu, AREA_ASYNC_PF), offsetof(struct kvm_vcpu_pv_apf_data, flags), &flags,
                    sizeof(flags)))
        return halt(vcpu);
    fault->injected = true;
    *trap = (struct trap){.vector = TRAP_PF, .has_error = true, .error = 0, .cr2 = fault->token};
    return APF_FAULT;
}

enum apf_outcome apf_access(struct vcpu *vcpu, uint64_t gpa, struct trap *trap)
{
    struct memory *mem = &vcpu->vm->memory;
    uint64_t page = gpa & ~(GPA_PAGE_SIZE - 1);
    struct apf_fault *fault;
    uint32_t token;

    if (!memory_absent(mem, gpa))
        return APF_PRESENT;
    vcpu_exit(vcpu); /* a page fault of the host is an exit like any other */
    if (may_wait(vcpu)) {
        if (find_fault(vcpu, page))
            return halt(vcpu); /* APF-10 */
        token = next_token(vcpu);
        if (vcpu->apf.faults < APF_FAULTS) {
            fault = &vcpu->apf_faults[vcpu->apf.faults++];
            *fault = (struct apf_fault){.gpa = page, .token = token};
            return announce(vcpu, fault, trap);
        }
    }
    memory_page_in(mem, gpa);
    return APF_PRESENT;
}

/* Moves the fault behind those that were completed before it. */
static void complete(struct vcpu *vcpu, struct apf_fault *fault)
{
    struct apf_fault done = *fault;
    struct apf_fault *place = &vcpu->apf_faults[vcpu->apf.ready];

    for (; fault > place; fault--)
        *fault = fault[-1];
    *place = done;
    if (!apf_has_completions(vcpu))
        vcpu->requests |= REQ_APF_READY; /* the list was empty (APF-16) */
    vcpu->apf.ready++;
    vcpu->requests |= REQ_EVENT; /* it does not sleep with one pending (APF-17) */
}

void apf_page_ready(struct vm *vm, uint64_t gpa)
{
    uint64_t page = gpa & ~(GPA_PAGE_SIZE - 1);

    for (unsigned i = 0; i < vm->config.vcpus; i++) {
        struct vcpu *vcpu = &vm->vcpus[i];
        struct apf_fault *fault = vcpu->apf.faults > vcpu->apf.ready ? find_fault(vcpu, page) : NULL;

        if (fault && fault >= &vcpu->apf_faults[vcpu->apf.ready])
            complete(vcpu, fault);
    }
}

void apf_paging_changed(struct vcpu *vcpu)
{
    if (vcpu->apf.on && (vcpu->regs.cr0 & CR0_PG))
        vcpu->requests |= REQ_APF_READY;
}

/* APF-14: the guest has read the last token, and an interrupt would not be lost (KB-18). */
static bool slot_free(struct vcpu *vcpu)
{
    uint32_t token;

    return lapic_hw_enabled(vcpu) && lapic_sw_enabled(vcpu) &&
           area_read(vcpu_area(vcpu, AREA_ASYNC_PF), offsetof(struct kvm_vcpu_pv_apf_data, token), &token,
                     sizeof(token)) &&
           token == 0;
}

/* The oldest completion; the wake-all is only ever made when there is no other (APF-5). True: the guest knows its token. */
static bool take_oldest(struct vcpu *vcpu, uint32_t *token)
{
    struct async_pf *apf = &vcpu->apf;
    struct apf_fault fault = vcpu->apf_faults[0];

    if (apf->wake_all) {
        apf->wake_all = false;
        *token = KVM_ASYNC_PF_WAKE_ALL;
        return true;
    }
    apf->ready--;
    apf->faults--;
    for (unsigned i = 0; i < apf->faults; i++)
        vcpu->apf_faults[i] = vcpu->apf_faults[i + 1];
    *token = fault.token;
    return fault.injected;
}

void apf_deliver_ready(struct vcpu *vcpu)
{
    uint32_t token;

    while (apf_has_completions(vcpu) && (!vcpu->apf.on || slot_free(vcpu))) {
        bool known = take_oldest(vcpu, &token);

        if (known && vcpu->apf.on &&
            area_write(vcpu_area(vcpu, AREA_ASYNC_PF), offsetof(struct kvm_vcpu_pv_apf_data, token), &token,
                       sizeof(token))) {
            vcpu->apf.ready_pending = true;
            lapic_accept(vcpu, APIC_FIXED, vcpu->apf.vector, false, true);
        }
        vcpu->hold &= ~(uint8_t)HOLD_APF; /* interrupt or not (APF-15) */
        if (vcpu->mp_state == MP_HALTED)
            vcpu->mp_state = MP_RUNNABLE;
    }
}
