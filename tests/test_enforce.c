/* CPUID as the guest and as the host's gates see it. spec CPU-*, ENF-*. */
#include <errno.h>
#include "tests/fake_vm.h"
#include "vmm/core/cpuid_table.h"

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

/* CPUID. */
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

Test(enforce, CPU_9_after_the_first_entry_only_the_same_table_is_accepted)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_init(&f);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0);
    vcpu_enter(f.vcpu);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), -EINVAL));
    cr_assert(eq(u32, f.vcpu->pv_features, ALL_FEATURES));
    fake_cpuid(&table, KVM_CPUID_SIGNATURE, ALL_FEATURES);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), 0));
    table.entries[0].flags = CPUID_FLAG_SIGNIFICANT_INDEX;
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), -EINVAL), "flags count too");
}

/* Everything that userspace says, sense or not; what the CPU keeps up to date itself is not in these leaves. */
Test(enforce, CPU_3_the_guest_sees_the_table_as_it_was_given)
{
    FAKE_VM(f);
    struct cpuid_table table;
    struct cpuid_regs regs;
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, 0, 0);
    cpuid_put(&table, KVM_CPUID_SIGNATURE, 0x40000001, KVM_SIGNATURE_EBX, KVM_SIGNATURE_ECX,
              KVM_SIGNATURE_EDX);
    cpuid_put(&table, KVM_CPUID_FEATURES, 0xffffffff, 0x11111111, 0x22222222, 0xffffffff);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), 0));
    regs = vcpu_cpuid(f.vcpu, KVM_CPUID_FEATURES, 0);
    cr_assert(eq(u32, regs.eax, 0xffffffff));
    cr_assert(eq(u32, regs.ebx, 0x11111111));
    cr_assert(eq(u32, regs.ecx, 0x22222222));
    cr_assert(eq(u32, regs.edx, 0xffffffff));
}

Test(enforce, CPU_7_behind_hyper_v_the_features_are_at_40000101)
{
    FAKE_VM(f);
    struct cpuid_table table;
    const uint32_t hyper_v = 0x31237648; /* "Hv#1": as features it would open bits 3, 6 and 9 */
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE + 0x100, 1u << KVM_FEATURE_STEAL_TIME);
    cpuid_put(&table, KVM_CPUID_SIGNATURE, 0x40000005, 0x7263694d, 0x666f736f, 0x76482074);
    cpuid_put(&table, KVM_CPUID_FEATURES, hyper_v, 0, 0, 0);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), 0));
    cr_assert(eq(u32, f.vcpu->pv_features, 1u << KVM_FEATURE_STEAL_TIME));
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, KVM_CPUID_FEATURES, 0).eax, hyper_v));
}

Test(enforce, K19_without_the_leaves_a_probe_reads_the_last_basic_leaf)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, 0, 0);
    vcpu_set_cpuid(f.vcpu, &table);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, KVM_CPUID_SIGNATURE, 0).eax, 7));
    cr_assert(ne(u32, vcpu_cpuid(f.vcpu, KVM_CPUID_SIGNATURE, 0).ebx, KVM_SIGNATURE_EBX));
}

#define RANGE_ROW(name, signature_eax, asked, subleaf, want_eax)                                             \
    Test(enforce, CPU_10_##name)                                                                             \
    {                                                                                                        \
        FAKE_VM(f);                                                                                          \
        struct cpuid_table table;                                                                            \
        fake_vm_create(&f, &fake_config, true);                                                              \
        fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0);                                                          \
        for (uint32_t i = 0; i < table.count; i++)                                                           \
            if (table.entries[i].leaf == KVM_CPUID_SIGNATURE)                                                \
                table.entries[i].regs.eax = signature_eax;                                                   \
        vcpu_set_cpuid(f.vcpu, &table);                                                                      \
        cr_assert(eq(u32, vcpu_cpuid(f.vcpu, asked, subleaf).eax, want_eax));                                \
    }
RANGE_ROW(beyond_the_signature_gives_the_last_basic_leaf, 0x40000001, 0x40000002, 0, 7)
RANGE_ROW(inside_the_signature_gives_zero, 0x40000010, 0x40000002, 0, 0)
RANGE_ROW(the_last_of_the_signature_gives_zero, 0x40000010, 0x40000010, 0, 0)
RANGE_ROW(a_class_is_256_leaves, 0x40000200, 0x40000100, 0, 7)
RANGE_ROW(another_class_gives_the_last_basic_leaf, 0x40000001, 0x40000100, 0, 7)
RANGE_ROW(a_basic_leaf_beyond_the_last, 0x40000001, 0x0fffffff, 0, 7)
RANGE_ROW(a_basic_leaf_in_range_without_entry, 0x40000001, 3, 0, 0)
RANGE_ROW(an_extended_leaf_beyond, 0x40000001, 0x80000009, 0, 7)
RANGE_ROW(an_extended_leaf_in_range_without_entry, 0x40000001, 0x80000005, 0, 0)

Test(enforce, CPU_10_amd_gives_zero)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0);
    memcpy(&table.entries[0].regs.ebx, "Auth", 4);
    memcpy(&table.entries[0].regs.edx, "enti", 4);
    memcpy(&table.entries[0].regs.ecx, "cAMD", 4);
    vcpu_set_cpuid(f.vcpu, &table);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x40000002, 0).eax, 0));
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x80000100, 0).eax, 0));
}

Test(enforce, CPU_10_the_last_basic_leaf_is_asked_with_the_same_index)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0);
    for (uint32_t i = 0; i < table.count; i++)
        if (table.entries[i].leaf == 0xd)
            table.entries[i].flags = CPUID_FLAG_SIGNIFICANT_INDEX;
    cpuid_put(&table, 0xd, 0xd1, 0, 0, 0);
    table.entries[table.count - 1].subleaf = 1;
    table.entries[table.count - 1].flags = CPUID_FLAG_SIGNIFICANT_INDEX;
    vcpu_set_cpuid(f.vcpu, &table);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x40000002, 0).eax, 7));
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x40000002, 1).eax, 0xd1));
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x40000002, 2).eax, 0));
}

Test(enforce, CPU_10_no_leaf_0_gives_zero)
{
    FAKE_VM(f);
    fake_vm_create(&f, &fake_config, true);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x40000002, 0).eax, 0));
}

Test(enforce, CPU_11_registers_are_zero_extended_at_any_cpl_and_ecx_is_ignored)
{
    FAKE_VM(f);
    uint64_t *gpr;
    fake_vm_init(&f);
    cpu_mode(f.vcpu, true, true, 3);
    gpr = f.vcpu->regs.gpr;
    gpr[RAX] = 0xffffffff40000000;
    gpr[RCX] = 0xffffffffffffffff;
    gpr[RBX] = gpr[RDX] = ~0ull;
    cr_assert(not(trapped(intercept_cpuid(f.vcpu))));
    cr_assert(eq(u64, gpr[RAX], 0x40000001));
    cr_assert(eq(u64, gpr[RBX], 0x4b4d564b));
    cr_assert(eq(u64, gpr[RCX], 0x564b4d56));
    cr_assert(eq(u64, gpr[RDX], 0x4d));
}

Test(enforce, CPU_11_a_significant_index_is_looked_at)
{
    FAKE_VM(f);
    struct cpuid_table table;
    fake_vm_create(&f, &fake_config, true);
    fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0);
    for (uint32_t sub = 0; sub < 3; sub++) {
        cpuid_put(&table, 4, 100 + sub, 0, 0, 0);
        table.entries[table.count - 1].subleaf = sub;
        table.entries[table.count - 1].flags = CPUID_FLAG_SIGNIFICANT_INDEX;
    }
    vcpu_set_cpuid(f.vcpu, &table);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 4, 2).eax, 102));
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 4, 3).eax, 0));
}

Test(enforce, CPU_runtime_bits_follow_the_cpu)
{
    FAKE_VM(f);
    fake_vm_init(&f);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 1, 0).ecx >> 27 & 1, 0));
    f.vcpu->regs.cr4 |= CR4_OSXSAVE | CR4_PKE;
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 1, 0).ecx >> 27 & 1, 1));
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 7, 0).ecx >> 4 & 1, 1));
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 1, 0).edx >> 9 & 1, 1));
    guest_wrmsr(&f, MSR_IA32_APICBASE, LAPIC_GPA);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 1, 0).edx >> 9 & 1, 0));
}

/* QEMU gives leaf 0x12 to every model of a high level, SGX or not: up to Linux 6.3 a guest reads x87 and SSE there. */
Test(enforce, CPU_enclave_components_follow_xsave_up_to_6_3)
{
    for (int version = KVM_6_12; version <= KVM_6_1; version++) {
        FAKE_VM(f);
        struct vm_config config = fake_config;
        struct cpuid_table table;
        bool old = version == KVM_6_1;

        config.version = version;
        fake_vm_create(&f, &config, true);
        fake_cpuid(&table, KVM_CPUID_SIGNATURE, 0);
        for (uint32_t i = 0; i < table.count; i++)
            if (table.entries[i].leaf == 0xd)
                table.entries[i].regs = (struct cpuid_regs){.eax = 7, .edx = 1};
        cpuid_put(&table, 0x12, 0, 0, 0x1c, 3);
        table.entries[table.count - 1].subleaf = 1;
        table.entries[table.count - 1].flags = CPUID_FLAG_SIGNIFICANT_INDEX;
        vcpu_set_cpuid(f.vcpu, &table);
        cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x12, 1).ecx, old ? 7 : 0x1c));
        cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 0x12, 1).edx, old ? 1 : 3));
    }
}

Test(enforce, CPU_without_an_apic_its_bit_is_off)
{
    FAKE_VM(f);
    struct vm_config config = fake_config;

    config.apic_off = true;
    fake_vm_create(&f, &config, true);
    cr_assert(eq(u32, vcpu_cpuid(f.vcpu, 1, 0).edx >> 9 & 1, 0));
    vm_system_reset(&f.vm);
    cr_assert(eq(u64, f.vcpu->apic.base_msr, 0));
}

Test(enforce, CPU_a_table_that_is_too_long_is_refused)
{
    FAKE_VM(f);
    static struct cpuid_table table = {.count = CPUID_ENTRIES + 1};
    fake_vm_create(&f, &fake_config, true);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), -EINVAL));
}
