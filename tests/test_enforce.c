/* The gates that CPUID opens and enforcement closes. spec ENF-*, CPU-4 .. CPU-6. */
#include "tests/fake_vm.h"

static const struct {
    uint32_t index;
    uint8_t bit;
} gates[] = {
    {MSR_KVM_WALL_CLOCK, 0},      {MSR_KVM_SYSTEM_TIME, 0},   {MSR_KVM_WALL_CLOCK_NEW, 3},
    {MSR_KVM_SYSTEM_TIME_NEW, 3}, {MSR_KVM_ASYNC_PF_EN, 4},   {MSR_KVM_STEAL_TIME, 5},
    {MSR_KVM_PV_EOI_EN, 6},       {MSR_KVM_POLL_CONTROL, 12}, {MSR_KVM_ASYNC_PF_INT, 14},
    {MSR_KVM_ASYNC_PF_ACK, 14},
};
#define GATES (sizeof(gates) / sizeof(gates[0]))

static void start(struct fake_vm *f, uint32_t features)
{
    fake_vm_create(f, &fake_config, true);
    fake_set_features(f, features);
    vcpu_set_enforce(f->vcpu, true);
    cpu_mode(f->vcpu, true, true, 0);
}

static bool open_gate(struct vcpu *vcpu, uint32_t index)
{
    uint64_t value;

    return vcpu_rdmsr(vcpu, index, &value, ORIGIN_GUEST) == MSR_OK;
}

Test(enforce, ENF_2_each_msr_is_opened_by_its_own_bit_alone) /* known bugs KB-19, KB-24 */
{
    FAKE_VM(f);
    for (unsigned bit = 0; bit < 32; bit++) {
        start(&f, 1u << bit);
        for (size_t i = 0; i < GATES; i++) {
            cr_assert(eq(int, open_gate(f.vcpu, gates[i].index), gates[i].bit == bit));
            cr_assert(eq(int, vcpu_wrmsr(f.vcpu, gates[i].index, 0, ORIGIN_GUEST),
                         gates[i].bit == bit ? MSR_OK : MSR_UNSUPPORTED));
        }
    }
}

Test(enforce, GEN_7_not_enforced_every_msr_works_without_any_leaf)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    for (size_t i = 0; i < GATES; i++)
        cr_assert(open_gate(f.vcpu, gates[i].index));
}

Test(enforce, ENF_3_gated_hypercalls)
{
    static const struct {
        unsigned nr, bit;
    } rows[] = {{KVM_HC_KICK_CPU, 7}, {KVM_HC_SEND_IPI, 11}, {KVM_HC_SCHED_YIELD, 13}};
    FAKE_VM(f);
    for (unsigned bit = 0; bit < 32; bit++) {
        start(&f, 1u << bit);
        for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
            cr_assert(
                eq(u64, hypercall(f.vcpu, rows[i].nr, 0, 0, 0, 0), rows[i].bit == bit ? 0 : (uint64_t)-1000));
    }
}

/* The specification's own test of enforcement: which of the ten MSRs and three hypercalls does this machine serve? */
static void expect_all_closed(struct fake_vm *f)
{
    for (size_t i = 0; i < GATES; i++) {
        f->vcpu->regs.gpr[RCX] = gates[i].index;
        f->vcpu->regs.gpr[RAX] = f->vcpu->regs.gpr[RDX] = 0;
        cr_assert(eq(u8, intercept_rdmsr(f->vcpu).vector, TRAP_GP));
        cr_assert(eq(u8, intercept_wrmsr(f->vcpu).vector, TRAP_GP));
    }
    cr_assert(eq(u64, hypercall(f->vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), (uint64_t)-1000));
    cr_assert(eq(u64, hypercall(f->vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0xfd), (uint64_t)-1000));
    cr_assert(eq(u64, hypercall(f->vcpu, KVM_HC_SCHED_YIELD, 0, 0, 0, 0), (uint64_t)-1000));
}

Test(enforce, ENF_7_without_the_leaf_all_gates_are_closed)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, 0, 0);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), 0));
    vcpu_set_enforce(f.vcpu, true);
    cpu_mode(f.vcpu, true, true, 0);
    expect_all_closed(&f);
}

Test(enforce, NIO_1_its_bit_opens_nothing)
{
    FAKE_VM(f);
    start(&f, 1u << KVM_FEATURE_NOP_IO_DELAY);
    expect_all_closed(&f);
}

Test(enforce, HNT_1_the_hint_opens_and_closes_nothing)
{
    FAKE_VM(f);
    struct cpuid_table table;
    uint32_t features = 0;
    for (int pass = 0; pass < 2; pass++) {
        fake_vm_create(&f, &fake_config, true);
        fake_cpuid(&table, KVM_CPUID_SIGNATURE, features);
        for (uint32_t i = 0; i < table.count; i++)
            if (table.entries[i].leaf == KVM_CPUID_FEATURES)
                table.entries[i].regs.edx = 1u << KVM_HINTS_REALTIME;
        vcpu_set_cpuid(f.vcpu, &table);
        vcpu_set_enforce(f.vcpu, true);
        cpu_mode(f.vcpu, true, true, 0);
        cr_assert(eq(u32, f.vcpu->pv_features, features));
        if (!pass)
            expect_all_closed(&f);
        features = ALL_FEATURES;
    }
    for (size_t i = 0; i < GATES; i++)
        cr_assert(open_gate(f.vcpu, gates[i].index));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), 0));
    cr_assert(f.vcpu->kicked);
}

Test(enforce, UNH_11_bit_7_gates_the_kick)
{
    FAKE_VM(f);
    start(&f, ~(1u << KVM_FEATURE_PV_UNHALT));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), (uint64_t)-1000));
    cr_assert(not(f.vcpu->kicked));
    start(&f, 1u << KVM_FEATURE_PV_UNHALT);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_KICK_CPU, 0, 0, 0, 0), 0));
    cr_assert(f.vcpu->kicked);
}

Test(enforce, IPI_12_bit_11_gates_and_nothing_is_sent)
{
    FAKE_VM(f);
    start(&f, ~(1u << KVM_FEATURE_PV_SEND_IPI));
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0xfd), (uint64_t)-1000));
    cr_assert(eq(int, lapic_pending(f.vcpu), -1));
    start(&f, 1u << KVM_FEATURE_PV_SEND_IPI);
    f.vcpu->apic.svr |= APIC_SPIV_APIC_ENABLED;
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 1, 0, 0, 0xfd), 1));
}

/* What QEMU's named models show by default. */
Test(enforce, K16_what_the_default_set_reaches)
{
    FAKE_VM(f);
    start(&f, 0x0100007b);
    for (size_t i = 0; i < GATES; i++)
        cr_assert(eq(int, open_gate(f.vcpu, gates[i].index), gates[i].index < MSR_KVM_POLL_CONTROL));
}

Test(enforce, ENF_3_the_32_bit_form_of_a_closed_gate)
{
    FAKE_VM(f);
    start(&f, 0);
    cpu_mode(f.vcpu, false, false, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_SEND_IPI, 0, 0, 0, 0), 0xfffffc18));
}

Test(enforce, ENF_4_ungated_hypercalls)
{
    FAKE_VM(f);
    start(&f, 0);
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_VAPIC_POLL_IRQ, 0, 0, 0, 0), 0));
    cr_assert(eq(u64, hypercall(f.vcpu, KVM_HC_CLOCK_PAIRING, 0x2000, 0, 0, 0), 0));
}

Test(enforce, APF_2_and_APV_1_bits_2_and_3_need_their_own_features) /* known bug KB-21 */
{
    FAKE_VM(f);
    start(&f, 1u << KVM_FEATURE_ASYNC_PF);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 4), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 8), MSR_INVALID));
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 3), MSR_OK));
    start(&f,
          1u << KVM_FEATURE_ASYNC_PF | 1u << KVM_FEATURE_ASYNC_PF_VMEXIT | 1u << KVM_FEATURE_ASYNC_PF_INT);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0xd), MSR_OK));
    fake_vm_init(&f); /* not enforced */
    fake_set_features(&f, 0);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_ASYNC_PF_EN, 0xd), MSR_OK));
}

Test(enforce, ENF_5_the_vmm_may_read_0_and_write_0_on_6_12)
{
    FAKE_VM(f);
    uint64_t value = 7;
    start(&f, 0);
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, MSR_KVM_POLL_CONTROL, &value, ORIGIN_VMM), MSR_OK));
    cr_assert(eq(u64, value, 0));
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_POLL_CONTROL, 0, ORIGIN_VMM), MSR_OK));
    cr_assert(eq(u64, f.vcpu->poll.msr, 1), "without effect");
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_POLL_CONTROL, 1, ORIGIN_VMM), MSR_UNSUPPORTED));
}

Test(enforce, ENF_5_the_vmm_is_refused_on_6_1)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    uint64_t value;
    config.version = KVM_6_1;
    fake_vm_create(&f, &config, true);
    vcpu_set_enforce(f.vcpu, true);
    cr_assert(eq(int, vcpu_rdmsr(f.vcpu, MSR_KVM_SYSTEM_TIME, &value, ORIGIN_VMM), MSR_UNSUPPORTED));
    cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_SYSTEM_TIME, 0, ORIGIN_VMM), MSR_UNSUPPORTED));
}

Test(enforce, ENF_5_ignore_msrs_masks_a_closed_gate_for_the_vmm_too)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;
    config.ignore_msrs = true;
    for (int version = KVM_6_12; version <= KVM_6_1; version++) {
        uint64_t value = 7;
        config.version = (enum kvm_version)version;
        fake_vm_create(&f, &config, true);
        vcpu_set_enforce(f.vcpu, true);
        cr_assert(eq(int, vcpu_rdmsr(f.vcpu, MSR_KVM_POLL_CONTROL, &value, ORIGIN_VMM), MSR_OK));
        cr_assert(eq(u64, value, 0));
        cr_assert(eq(int, vcpu_wrmsr(f.vcpu, MSR_KVM_SYSTEM_TIME, 0x2001, ORIGIN_VMM), MSR_OK));
        vcpu_enter(f.vcpu);
        cr_assert(eq(u64, f.vcpu->clock.msr, 0), "without effect");
        cr_assert(eq(u64, f.vm.trace.total, 0));
    }
}

Test(enforce, ENF_6_closing_a_gate_does_not_undo_what_is_active)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_init(&f);
    vcpu_wrmsr(f.vcpu, MSR_KVM_SYSTEM_TIME_NEW, 0x2001, ORIGIN_GUEST);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0);
    vcpu_set_cpuid(f.vcpu, &table);
    vcpu_set_enforce(f.vcpu, true);
    vcpu_enter(f.vcpu);
    cr_assert(eq(u32, ram_u32(&f, 0x2000), 2));
}

Test(enforce, ENF_8_enabled_before_any_cpuid_all_gates_are_closed_until_it_comes)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    vcpu_set_enforce(f.vcpu, true);
    for (size_t i = 0; i < GATES; i++)
        cr_assert(not(open_gate(f.vcpu, gates[i].index)));
    fake_set_features(&f, 1u << KVM_FEATURE_STEAL_TIME);
    cr_assert(open_gate(f.vcpu, MSR_KVM_STEAL_TIME));
}

Test(enforce, ENF_8_the_gate_comes_before_the_value)
{
    FAKE_VM(f);
    start(&f, 0);
    cr_assert(eq(int, guest_wrmsr(&f, MSR_KVM_STEAL_TIME, 2), MSR_UNSUPPORTED));
}

Test(enforce, ENF_1_is_off_at_first)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 0);
    cr_assert(open_gate(f.vcpu, MSR_KVM_STEAL_TIME));
}

Test(enforce, ENF_1_can_be_switched_off_again)
{
    FAKE_VM(f);
    start(&f, 0);
    vcpu_set_enforce(f.vcpu, false);
    cr_assert(open_gate(f.vcpu, MSR_KVM_STEAL_TIME));
}

/* Which word of features the gates look at. */
Test(enforce, CPU_4_the_base_moves_in_steps_of_0x100) /* known bug KB-26 */
{
    FAKE_VM(f);
    struct cpuid_table table;
    for (uint32_t base = 0x40000000; base < 0x40010000; base += 0x700) {
        fake_vm_create(&f, &fake_config, true);
        fake_cpuid(&table, base, 1u << KVM_FEATURE_STEAL_TIME);
        vcpu_set_cpuid(f.vcpu, &table);
        vcpu_set_enforce(f.vcpu, true);
        cr_assert(eq(u32, f.vcpu->pv_base, base));
        cr_assert(open_gate(f.vcpu, MSR_KVM_STEAL_TIME));
        cr_assert(not(open_gate(f.vcpu, MSR_KVM_POLL_CONTROL)));
    }
}

Test(enforce, CPU_4_not_beyond_the_last_base_nor_between_steps)
{
    FAKE_VM(f);
    struct cpuid_table table;
    const uint32_t bases[] = {0x40010000, 0x40000080, 0x3fffff00};
    for (int i = 0; i < 3; i++) {
        fake_vm_create(&f, &fake_config, true);
        fake_cpuid(&table, bases[i], ~0u);
        vcpu_set_cpuid(f.vcpu, &table);
        cr_assert(eq(u32, f.vcpu->pv_base, 0));
        cr_assert(eq(u32, f.vcpu->pv_features, 0));
    }
}

Test(enforce, CPU_4_eax_of_the_signature_is_not_checked)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0x21);
    for (uint32_t i = 0; i < table.count; i++)
        if (table.entries[i].leaf == KVM_CPUID_SIGNATURE)
            table.entries[i].regs.eax = 0;
    vcpu_set_cpuid(f.vcpu, &table);
    cr_assert(eq(u32, f.vcpu->pv_features, 0x21));
}

Test(enforce, CPU_5_each_table_sets_the_word_of_its_vcpu)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_init_smp(&f, 2);
    for (uint32_t word = 1; word; word <<= 1) {
        fake_cpuid(&table, KVM_CPUID_SIGNATURE, word);
        table.entries[4].regs.eax = 0x40000010; /* the signature's: how far the leaves go */
        vcpu_set_enforce(f.vcpu, word > 0x10);  /* before or after */
        cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), 0));
        cr_assert(eq(u32, f.vcpu->pv_features, word));
        cr_assert(eq(u32, f.vm.vcpus[1].pv_features, ALL_FEATURES));
    }
}

Test(enforce, CPU_6_a_signature_without_the_leaf_leaves_the_word_too)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 1u << KVM_FEATURE_STEAL_TIME);
    fake_cpuid(&table, 0, 0);
    cpuid_put(&table, KVM_CPUID_SIGNATURE, 0x40000001, KVM_SIGNATURE_EBX, KVM_SIGNATURE_ECX,
              KVM_SIGNATURE_EDX);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), 0));
    cr_assert(eq(u32, f.vcpu->pv_features, 1u << KVM_FEATURE_STEAL_TIME));
}

Test(enforce, CPU_6_without_the_leaf_the_cached_word_stays) /* KB-25, as every kernel up to 6.12 behaves */
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_set_features(&f, 1u << KVM_FEATURE_STEAL_TIME);
    fake_cpuid(&table, 0, 0);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), 0));
    vcpu_set_enforce(f.vcpu, true);
    cr_assert(open_gate(f.vcpu, MSR_KVM_STEAL_TIME));
}
