/* The register that QEMU takes from KVM by a filter. spec QMU-10. */
#include "tests/fake_vm.h"
#include "vmm/board/core_count.h"

static void machine(struct fake_vm *f)
{
    fake_vm_init(f);
    f->vm.config.msr_exits = MSR_EXIT_FILTER;
    core_count_claim(&f->vm);
    f->vcpu->regs.gpr[RCX] = MSR_CORE_THREAD_COUNT;
}

Test(core_count, QMU_10_reads_come_to_the_board)
{
    FAKE_VM(f);
    machine(&f);
    cr_assert(eq(u8, intercept_rdmsr(f.vcpu).vector, TRAP_RETRY));
    cr_assert(eq(u8, f.vcpu->msr_exit.reason, MSR_EXIT_FILTER));
    core_count_answer(f.vcpu, 6, 2);
    cr_assert(eq(u64, f.vcpu->regs.gpr[RAX], 6u << 16 | 12));
    cr_assert(eq(u64, f.vcpu->regs.gpr[RDX], 0));
    cr_assert(f.vcpu->answered);
}

Test(core_count, QMU_10_writes_and_other_registers_do_not)
{
    FAKE_VM(f);
    machine(&f);
    cr_assert(eq(u8, intercept_wrmsr(f.vcpu).vector, TRAP_GP));
    f.vcpu->regs.gpr[RCX] = MSR_KVM_STEAL_TIME;
    f.vcpu->regs.gpr[RAX] = 3;
    f.vcpu->regs.gpr[RDX] = 0;
    cr_assert(eq(u8, intercept_wrmsr(f.vcpu).vector, TRAP_GP), "reasons INVAL and UNKNOWN are not asked for");
    f.vcpu->regs.gpr[RCX] = 0x4b564d08;
    cr_assert(eq(u8, intercept_rdmsr(f.vcpu).vector, TRAP_GP));
}

Test(core_count, QMU_10_no_hypercall_is_asked_about)
{
    FAKE_VM(f);
    machine(&f);
    cpu_mode(f.vcpu, true, true, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_MAP_GPA_RANGE, 0x1000, 1, 0, 0), (uint64_t)-1000));
}
