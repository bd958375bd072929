/* The direct machine: what a guest sees of each kind of action. */
#include "tests/direct_fixture.h"
#include "vmm/abi/kvm_para.h"

Test(direct, GEN_1_outside_of_ring_0_msrs_fault_before_kvm_sees_them)
{
    struct run run = run_text("paravane 1\n"
                              "cpl3 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "cpl3 rdmsr MSR_KVM_POLL_CONTROL\n"
                              "compat-cpl3 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "m32-cpl3 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "cpl3 hlt\n"
                              "cpl3 sti\n"
                              "rdmsr MSR_KVM_POLL_CONTROL\n");

    for (unsigned i = 0; i < 6; i++)
        expect_fault(&run, i, TRAP_GP, 0);
    expect_ok(&run, 6, 1);
    run_free(&run);
}

Test(direct, GEN_2_rdmsr_and_wrmsr_work_in_each_mode)
{
    struct run run = run_text("paravane 1\n"
                              "wrmsr MSR_KVM_WALL_CLOCK 0xffffffff00000001\n"
                              "rdmsr MSR_KVM_WALL_CLOCK_NEW\n"
                              "m16 wrmsr MSR_KVM_POLL_CONTROL 0\n"
                              "m32 rdmsr MSR_KVM_POLL_CONTROL\n"
                              "compat wrmsr MSR_KVM_POLL_CONTROL 2\n"
                              "wrmsr 0x4b564dff 0\n");

    expect_ok(&run, 1, 1);
    cr_expect(eq(u64, run.t.outcomes[1].regs[3], 0xffffffff));
    cr_expect(eq(u32, run.t.outcomes[1].rip_delta, 2));
    cr_expect(eq(u32, run.t.outcomes[1].changed, 0));
    expect_ok(&run, 2, 0);
    expect_ok(&run, 3, 0);
    expect_fault(&run, 4, TRAP_GP, 0);
    expect_fault(&run, 5, TRAP_GP, 0);
    run_free(&run);
}

Test(direct, HC_2_the_width_of_a_hypercall_follows_the_mode)
{
    struct run run = run_text("paravane 1\n"
                              "vmmcall 0\n"
                              "vmmcall 0x100000001\n"
                              "vmmcall KVM_HC_VAPIC_POLL_IRQ\n"
                              "m32 vmmcall 0\n"
                              "compat vmmcall 0xffffffff00000001\n"
                              "m16 vmmcall KVM_HC_VAPIC_POLL_IRQ\n"
                              "cpl3 vmmcall KVM_HC_VAPIC_POLL_IRQ\n"
                              "m32-cpl3 vmmcall KVM_HC_VAPIC_POLL_IRQ\n");

    expect_ok(&run, 0, -1000ull);
    expect_ok(&run, 1, -1000ull);
    expect_ok(&run, 2, 0);
    expect_ok(&run, 3, (uint32_t)-1000);
    expect_ok(&run, 4, 0);
    expect_ok(&run, 5, 0);
    expect_ok(&run, 6, -1ull);
    expect_ok(&run, 7, (uint32_t)-1);
    cr_expect(eq(u32, run.t.outcomes[0].rip_delta, 3));
    run_free(&run);
}

Test(direct, HC_10_the_foreign_form_is_rewritten_and_HC_12_checks_come_first)
{
    static const uint8_t vmcall[] = {0x0f, 0x01, 0xc1}, vmmcall[] = {0x0f, 0x01, 0xd9};
    struct run amd = run_text("paravane 1\nvmcall 1\ncpl3 vmcall 1\nvmmcall 1\n");
    struct run intel = run_text("paravane 1\nnative vmcall\nvmmcall 1\nm16 vmmcall 1\ncpl3 vmmcall 1\n");

    expect_ok(&amd, 0, 0);
    cr_expect(eq(int, memcmp(amd.t.outcomes[0].data, vmmcall, 3), 0));
    expect_fault(&amd, 1, TRAP_GP, 0);
    cr_expect(eq(int, memcmp(amd.t.outcomes[1].data, vmcall, 3), 0));
    cr_expect(eq(int, memcmp(amd.t.outcomes[2].data, vmmcall, 3), 0));
    expect_ok(&intel, 0, 0);
    cr_expect(eq(int, memcmp(intel.t.outcomes[0].data, vmcall, 3), 0));
    expect_fault(&intel, 1, TRAP_UD, 0);
    cr_expect(eq(int, memcmp(intel.t.outcomes[1].data, vmmcall, 3), 0));
    expect_ok(&intel, 2, -1ull);
    run_free(&amd);
    run_free(&intel);
}

Test(direct, ENF_3_the_header_says_what_is_offered_and_enforced)
{
    struct run run =
        run_text("paravane 1\nfeatures kvmclock kvm-pv-ipi\nhints kvm-hint-dedicated\nenforce on\n"
                 "rdmsr MSR_KVM_STEAL_TIME\n"
                 "rdmsr MSR_KVM_SYSTEM_TIME_NEW\n"
                 "vmmcall KVM_HC_KICK_CPU\n"
                 "vmmcall KVM_HC_SEND_IPI\n"
                 "cpuid 0x40000001\n"
                 "cpl3 cpuid 0x40000000\n");

    expect_fault(&run, 0, TRAP_GP, 0);
    expect_ok(&run, 1, 0);
    expect_ok(&run, 2, -1000ull);
    expect_ok(&run, 3, 0);
    expect_ok(&run, 4, 1 << 0 | 1 << 3 | 1 << 11);
    cr_expect(eq(u64, run.t.outcomes[4].regs[3], 1));
    expect_ok(&run, 5, 0x40000001);
    cr_expect(eq(u64, run.t.outcomes[5].regs[1], KVM_SIGNATURE_EBX));
    run_free(&run);
}

Test(direct, memory_is_ram_rom_devices_and_holes)
{
    struct run run = run_text("paravane 1\nram 2\n"
                              "store64 ram+0xffc 0x1122334455667788\n"
                              "load64 ram+0xffc\n"
                              "load32 ram+0x1000\n"
                              "m32 load64 ram+0xffc\n"
                              "m16 load16 ram+0xffc\n"
                              "store32 ram_end-4 0xabcd\n"
                              "load64 ram_end-4\n"
                              "load32 hole\n"
                              "store8 rom 1\n"
                              "load8 rom\n"
                              "load64 0xfffffffc\n"
                              "cpl3 store8 0x100000000 1\n"
                              "load8 0x8000000000000000\n"
                              "compat load16 0x100200ffc\n"
                              "fill ram 4096 0x5a\n"
                              "dump ram+0xff8 16\n"
                              "dump 0xfffffff0 32\n"
                              "load32 mmio+0x30\n");

    expect_ok(&run, 1, 0x1122334455667788);
    expect_ok(&run, 2, 0x11223344);
    expect_ok(&run, 3, 0x1122334455667788);
    expect_ok(&run, 4, 0x7788);
    expect_ok(&run, 6, 0xffffffff0000abcd);
    expect_ok(&run, 7, 0xffffffff);
    expect_ok(&run, 8, 0);
    expect_ok(&run, 9, 0);
    expect_fault(&run, 10, TRAP_PF, 0);
    cr_expect(eq(u64, run.t.outcomes[10].cr2, 0x100000000));
    expect_fault(&run, 11, TRAP_PF, 6);
    expect_fault(&run, 12, TRAP_GP, 0);
    expect_ok(&run, 13, 0x7788);
    cr_expect(eq(int, run.t.outcomes[15].data_len, 16));
    cr_expect(eq(int, run.t.outcomes[15].data[7], 0x5a));
    cr_expect(eq(int, run.t.outcomes[15].data[8], 0x44));
    expect_fault(&run, 16, TRAP_PF, 0);
    cr_expect(eq(int, run.t.outcomes[16].data_len, 0));
    cr_expect(eq(int, run.t.outcomes[17].status, OUTCOME_OK));
    cr_expect(ne(u64, run.t.outcomes[17].regs[0], 0xffffffff)); /* the version register of the local APIC */
    run_free(&run);
}

Test(direct, an_ipi_becomes_an_event_and_waits_for_eoi)
{
    struct run run = run_text("paravane 1\nvcpus 2\n"
                              "@1 apic-write APIC_SPIV 0x1ff\n"
                              "ipi 1 0x40\n"
                              "@1 sti\n"
                              "ipi 1 0x30\n"
                              "@1 eoi\n"
                              "ipi 1 0x400\n");

    cr_assert(eq(u32, run.t.event_count[1], 3));
    cr_expect(eq(int, run.t.events[1][0].vector, 0x40));
    cr_expect(eq(u32, run.t.events[1][0].after, 2));
    cr_expect(eq(int, run.t.events[1][1].vector, 0x30));
    cr_expect(eq(u32, run.t.events[1][1].after, 4));
    cr_expect(eq(int, run.t.events[1][2].vector, TRAP_NMI));
    cr_expect(eq(int, run.t.outcomes[2].flags, OUTCOME_F_IF));
    run_free(&run);
}

Test(direct, UNH_4_a_kick_ends_a_hlt_and_UNH_5_is_latched)
{
    struct run run = run_text("paravane 1\nvcpus 2\n"
                              "@1 hlt\n"
                              "@1 rdtsc\n"
                              "vmmcall KVM_HC_KICK_CPU 0 1\n"
                              "@1 rdtsc\n"
                              "vmmcall KVM_HC_KICK_CPU 0 0\n"
                              "hlt\n");

    expect_ok(&run, 0, 0);
    cr_expect(eq(u64, run.t.outcomes[0].regs[1], 2)); /* woken by action 2 */
    cr_expect(eq(int, run.t.outcomes[1].status, OUTCOME_TIMEOUT));
    cr_expect(eq(int, run.t.outcomes[3].status, OUTCOME_OK));
    expect_ok(&run, 5, 0);
    cr_expect(eq(u64, run.t.outcomes[5].regs[1], 5));
    run_free(&run);
}

Test(direct, a_hlt_of_vcpu_0_that_nothing_wakes_becomes_a_reset)
{
    struct run run = run_text("paravane 1\nwrmsr MSR_KVM_WALL_CLOCK 5\nhlt\nrdmsr MSR_KVM_WALL_CLOCK\n"
                              "hlt\nhlt\nhlt\nhlt\nrdtsc\n");

    cr_expect(eq(int, run.t.outcomes[1].status, OUTCOME_TIMEOUT));
    expect_ok(&run, 2, 0);
    cr_expect(eq(str, run.t.stopped, (char *)"action 6 is the 5th HLT of vCPU 0 that nothing wakes"));
    cr_expect(eq(int, run.t.outcomes[7].status, OUTCOME_NONE));
    run_free(&run);
}

Test(direct, INIT_ends_the_probe_there_until_a_sipi_to_its_trampoline)
{
    struct run run = run_text("paravane 1\nvcpus 2\n"
                              "@1 wrmsr MSR_KVM_STEAL_TIME 0x40\n"
                              "ipi 1 0x4500\n"
                              "@1 rdtsc\n"
                              "ipi 1 0x4608\n"
                              "@1 rdmsr MSR_KVM_STEAL_TIME\n"
                              "ipi 1 0x4500\n"
                              "ipi 1 0x4609\n"
                              "@1 rdtsc\n"
                              "ipi 1 0x4500\n"
                              "ipi 1 0x4608\n"
                              "@1 ipi 1 0x4500\n");

    cr_expect(eq(int, run.t.outcomes[10].status, OUTCOME_TIMEOUT)); /* nobody is left to report */
    cr_expect(eq(int, run.t.outcomes[2].status, OUTCOME_TIMEOUT));
    expect_ok(&run, 4, 0);
    cr_expect(eq(int, run.t.outcomes[7].status, OUTCOME_TIMEOUT));
    run_free(&run);
}
