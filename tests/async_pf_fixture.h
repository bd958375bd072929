/* What tests of asynchronous page faults share: a guest that is told of missing pages, and pages that go out. */
#ifndef TESTS_ASYNC_PF_FIXTURE_H
#define TESTS_ASYNC_PF_FIXTURE_H

#include "tests/fake_vm.h"
#include "vmm/pv/async_pf.h"

#define AREA   0x7000ull
#define FLAGS  AREA
#define TOKEN  (AREA + 4)
#define PAGE   0x20000ull /* pages that go out begin here */
#define VECTOR 0xf3

/* One vCPU in 64-bit user code with interrupts on; the mechanism is on, its wake-all read by the guest. */
static inline void apf_machine(struct fake_vm *f, uint64_t bits)
{
    fake_vm_init_smp(f, 2);
    for (int i = 0; i < 2; i++) {
        struct vcpu *vcpu = &f->vm.vcpus[i];
        cpu_mode(vcpu, true, true, 3);
        vcpu->regs.rflags |= RFLAGS_IF;
    }
    guest_wrmsr(f, MSR_KVM_ASYNC_PF_INT, VECTOR);
    cr_assert(eq(int, guest_wrmsr(f, MSR_KVM_ASYNC_PF_EN, AREA | bits), MSR_OK));
    if ((bits & 9) != 9)
        return;
    cr_assert(eq(u32, ram_u32(f, TOKEN), KVM_ASYNC_PF_WAKE_ALL));
    ram_put_u32(f, TOKEN, 0);
    guest_wrmsr(f, MSR_KVM_ASYNC_PF_ACK, 1);
    memset(f->vcpu->apic.irr, 0, sizeof(f->vcpu->apic.irr));
}
#define ON 9

static inline void page_out(struct fake_vm *f, unsigned n)
{
    cr_assert(eq(int, memory_page_out(&f->vm.memory, PAGE + n * GPA_PAGE_SIZE), 0));
}

static inline void page_in(struct fake_vm *f, unsigned n)
{
    cr_assert(eq(int, memory_page_in(&f->vm.memory, PAGE + n * GPA_PAGE_SIZE), 0));
}

static inline enum apf_outcome touch(struct vcpu *vcpu, unsigned n, struct trap *trap)
{
    *trap = NO_TRAP;
    return apf_access(vcpu, PAGE + n * GPA_PAGE_SIZE + 8, trap);
}

/* A fault that the guest is told of; returns its token. */
static inline uint32_t fault(struct fake_vm *f, unsigned n)
{
    struct trap trap;

    page_out(f, n);
    cr_assert(eq(int, touch(f->vcpu, n, &trap), APF_FAULT));
    return (uint32_t)trap.cr2;
}

static inline bool interrupt_pending(const struct vcpu *vcpu)
{
    return vcpu->apic.irr[VECTOR / 32] >> VECTOR % 32 & 1;
}

static inline void acknowledge(struct fake_vm *f)
{
    ram_put_u32(f, TOKEN, 0);
    cr_assert(eq(int, guest_wrmsr(f, MSR_KVM_ASYNC_PF_ACK, 1), MSR_OK));
}

#endif
