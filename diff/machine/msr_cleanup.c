/* The program that puts KVM's and Hyper-V's MSRs back to their values at creation. Linux arch/x86/kvm: kvm_arch_vcpu_create. */
#include "diff/machine/msr_cleanup.h"

#include <errno.h>
#include "vmm/abi/hyperv.h"
#include "vmm/abi/kvm_para.h"

/* The new clock MSR comes after the old one: KVM remembers which of them was written last. Hyper-V's hypercall page can be
 * taken back only by a guest that has identified itself. */
static const struct {
    uint32_t index;
    uint64_t at_create;
} msrs[] = {
    {MSR_KVM_WALL_CLOCK, 0},        {MSR_KVM_WALL_CLOCK_NEW, 0}, {MSR_KVM_SYSTEM_TIME, 0},
    {MSR_KVM_SYSTEM_TIME_NEW, 0},   {MSR_KVM_ASYNC_PF_EN, 0},    {MSR_KVM_ASYNC_PF_INT, 0},
    {MSR_KVM_STEAL_TIME, 0},        {MSR_KVM_PV_EOI_EN, 0},      {MSR_KVM_POLL_CONTROL, 1},
    {HV_X64_MSR_GUEST_OS_ID, 1},    {HV_X64_MSR_HYPERCALL, 0},   {HV_X64_MSR_GUEST_OS_ID, 0},
    {HV_X64_MSR_VP_ASSIST_PAGE, 0},
};

static bool needed(const struct program *program)
{
    for (uint32_t i = 0; i < program->count; i++)
        if (program->actions[i].op == OP_WRMSR)
            return true;
    return false;
}

static int compose(struct program *writes, unsigned vcpus)
{
    for (unsigned vcpu = 0; vcpu < vcpus; vcpu++)
        for (unsigned i = 0; i < sizeof(msrs) / sizeof(msrs[0]); i++) {
            const struct action action = {.op = OP_WRMSR,
                                          .vcpu = (uint8_t)vcpu,
                                          .args = {{.value = msrs[i].index}, {.value = msrs[i].at_create}}};

            if (!program_add(writes, &action))
                return -ENOMEM;
        }
    return 0;
}

/* From a reset of their own: they need vCPUs that the next program must find waiting for SIPI. */
static int run_apart(struct mailbox_host *host, const struct program *writes)
{
    struct transcript ignored;
    int err;

    transcript_init(&ignored);
    err = mailbox_run(host, NULL, writes, &ignored);
    if (err == -EIO || (!err && ignored.stopped[0]))
        err = -ESTALE;
    transcript_free(&ignored);
    return err;
}

int mailbox_run_behind(struct mailbox_host *host, const struct program *before, const struct program *program,
                       struct transcript *out)
{
    struct program writes;
    unsigned vcpus;
    bool apart;
    int err;

    if (!before || !needed(before))
        return mailbox_run(host, NULL, program, out);
    vcpus = mailbox_vcpus(host, before); /* no other can have written */
    apart = vcpus > mailbox_vcpus(host, program);
    program_init(&writes);
    writes.config.vcpus = apart ? before->config.vcpus : program->config.vcpus;
    err = compose(&writes, vcpus < PROGRAM_VCPUS_MAX ? vcpus : PROGRAM_VCPUS_MAX);
    if (!err && apart)
        err = run_apart(host, &writes);
    if (!err)
        err = mailbox_run(host, apart ? NULL : &writes, program, out);
    program_free(&writes);
    return err;
}
