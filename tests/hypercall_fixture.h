/* What tests of hypercalls share: machines whose guest runs 64-bit code in ring 0, and ENOSYS in RAX. */
#ifndef TESTS_HYPERCALL_FIXTURE_H
#define TESTS_HYPERCALL_FIXTURE_H

#include "tests/fake_vm.h"
#include "vmm/pv/hypercall.h"

#define ENOSYS_64 0xfffffffffffffc18ull
#define ENOSYS_32 0x00000000fffffc18ull

static inline void start(struct fake_vm *f)
{
    fake_vm_init(f);
    cpu_mode(f->vcpu, true, true, 0);
}

/* One vCPU for each id. */
static inline void start_with_ids(struct fake_vm *f, const uint32_t *ids, uint16_t vcpus)
{
    struct vm_config config = fake_config;

    config.vcpus = vcpus;
    config.apic_ids = ids;
    fake_vm_create(f, &config, true);
    cpu_mode(f->vcpu, true, true, 0);
}

static inline void start_smp(struct fake_vm *f, uint16_t vcpus)
{
    fake_vm_init_smp(f, vcpus);
    cpu_mode(f->vcpu, true, true, 0);
}

#endif
