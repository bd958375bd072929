/* CPUID as the guest sees it: the table, where it is looked at, what follows the CPU. spec CPU-*. */
#include <errno.h>
#include "tests/fake_vm.h"
#include "vmm/board/reset.h"
#include "vmm/core/cpuid_table.h"

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
    board_system_reset(&f.vm);
    cr_assert(eq(u64, f.vcpu->apic.base_msr, 0));
}

Test(enforce, CPU_a_table_that_is_too_long_is_refused)
{
    FAKE_VM(f);
    static struct cpuid_table table = {.count = CPUID_ENTRIES + 1};
    fake_vm_create(&f, &fake_config, true);
    cr_assert(eq(int, vcpu_set_cpuid(f.vcpu, &table), -EINVAL));
}
