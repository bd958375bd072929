/* What tests of kvmclock share: short names of its registers, and one flag of the record. */
#ifndef TESTS_CLOCK_FIXTURE_H
#define TESTS_CLOCK_FIXTURE_H

#include "tests/fake_vm.h"
#include "vmm/pv/clock.h"

#define NEW MSR_KVM_SYSTEM_TIME_NEW
#define OLD MSR_KVM_SYSTEM_TIME

static inline bool stopped(struct fake_vm *f, uint64_t gpa)
{
    return clock_record(f, gpa).flags & PVCLOCK_GUEST_STOPPED;
}

#endif
