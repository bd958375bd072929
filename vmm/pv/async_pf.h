/* Guest accesses to missing pages: the way in for machines. spec APF-9 .. APF-18. */
#ifndef VMM_PV_ASYNC_PF_H
#define VMM_PV_ASYNC_PF_H

#include <stdint.h>
#include "vmm/core/trap.h"
#include "vmm/core/vm.h"

/* An instruction of this vCPU is about to touch gpa. APF_PRESENT at once where the page is there; otherwise the page is
 * fetched in the background and the vCPU told by #PF (*trap) or halted, or, where neither is possible, fetched now. */
enum apf_outcome apf_access(struct vcpu *vcpu, uint64_t gpa, struct trap *trap);
/* The page of gpa is back: every vCPU that waits for it will hear of it. memory_page_in() calls it by itself. */
void apf_page_ready(struct vm *vm, uint64_t gpa);
/* CR0.PG changed: once paging is on, tokens that could not be told are looked at again (APF-16). */
void apf_paging_changed(struct vcpu *vcpu);
/* Completions that the vCPU has not been told of: it does not sleep while there are any (APF-17). */
static inline bool apf_has_completions(const struct vcpu *vcpu)
{
    return vcpu->apf.wake_all || vcpu->apf.ready;
}

#endif
