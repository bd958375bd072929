/* The table builder over a KVM of ours to shape. QEMU flags specification sections 5 to 8 and 12 to 14. */
#include "tests/cpuid_fixture.h"

#define PV_DEFAULT 0x0100007bu

static void build(struct built *b, const char *cpu, const char *machine, const char *smp, unsigned vcpu)
{
    build_on(b, cpuid_supported_soft(), cpu, machine, smp, vcpu);
}

static uint32_t pv_word(const char *cpu, const char *machine)
{
    struct built b;

    build(&b, cpu, machine, NULL, 0);
    cr_assert(eq(int, b.result, 0), "%s: %s", cpu, b.outcome.error.text);
    return leaf(&b, 0x40000001, 0).eax;
}

Test(cpuid_build, K2_and_QMU_2_named_models_get_the_default_set)
{
    cr_assert(eq(u32, pv_word("qemu64", NULL), PV_DEFAULT));
    cr_assert(eq(u32, pv_word("kvm64", "q35"), PV_DEFAULT));
    cr_assert(eq(u32, pv_word("qemu64", "q35,kernel-irqchip=split"), PV_DEFAULT | 1 << 15));
}

Test(cpuid_build, T6_room_for_ids_above_254_turns_32_bit_ids_on)
{
    struct built b;

    build(&b, "qemu64", "q35,kernel-irqchip=split", "2,sockets=256,maxcpus=256", 0);
    cr_assert(eq(int, b.result, 0), "%s", b.outcome.error.text);
    cr_assert(b.outcome.ids_32bit);
    build(&b, "qemu64", "q35,kernel-irqchip=split", "2,sockets=255,maxcpus=255", 0);
    cr_assert(eq(int, b.result, 0), "%s", b.outcome.error.text);
    cr_assert(not(b.outcome.ids_32bit));
}

Test(cpuid_build, QMU_2_what_the_irqchip_decides)
{
    struct built b;

    build(&b, "qemu64", NULL, NULL, 0);
    cr_assert(eq(u32, b.outcome.warnings.total, 0), "nobody asked for bit 15");
    cr_assert(eq(u32, pv_word("qemu64,+kvm-msi-ext-dest-id", NULL), PV_DEFAULT));
    cr_assert(eq(u32, pv_word("qemu64,+kvm-pv-unhalt", NULL), PV_DEFAULT | 1 << 7));
    cr_assert(eq(u32, pv_word("qemu64,+kvm-pv-unhalt", "pc,kernel-irqchip=off"), PV_DEFAULT));
}

Test(cpuid_build, K4_kvmclock_is_two_bits)
{
    cr_assert(eq(u32, pv_word("qemu64,-kvmclock", NULL), 0x01000072));
}

Test(cpuid_build, K5_and_QMU_3_host_and_max_get_every_named_bit)
{
    cr_assert(eq(u32, pv_word("host", NULL), 0x01007afb));
    cr_assert(eq(u32, pv_word("host", "pc,kernel-irqchip=split"), 0x0100fafb));
    cr_assert(eq(u32, pv_word("host,migratable=off", NULL), 0x01007efb));
    cr_assert(eq(u32, pv_word("max", NULL), 0x01007afb));
    cr_assert(eq(u32, pv_word("max,migratable=off", NULL), 0x01007efb));
}

Test(cpuid_build, K8_ext_dest_id_follows_the_split_irqchip)
{
    cr_assert(eq(u32, pv_word("qemu64", "pc,kernel-irqchip=split"), PV_DEFAULT | 1 << 15));
    cr_assert(eq(u32, pv_word("qemu64", "microvm"), PV_DEFAULT | 1 << 15));
    cr_assert(eq(u32, pv_word("qemu64", "pc-i440fx-5.1,kernel-irqchip=split"), PV_DEFAULT));
    cr_assert(eq(u32, pv_word("qemu64,kvm-msi-ext-dest-id=on", NULL), PV_DEFAULT));
}

Test(cpuid_build, K10_q35_4_0_alone_is_split)
{
    struct built b;

    build(&b, "qemu64", "pc-q35-4.0", NULL, 0);
    cr_assert(eq(int, b.outcome.irqchip, IRQCHIP_SPLIT));
    build(&b, "qemu64", "pc-q35-4.0.1", NULL, 0);
    cr_assert(eq(int, b.outcome.irqchip, IRQCHIP_KERNEL));
}

Test(cpuid_build, K13_without_irqchip_no_x2apic_no_unhalt)
{
    struct built b;

    build(&b, "qemu64,kvm-pv-unhalt", "pc,kernel-irqchip=off", NULL, 0);
    cr_assert(eq(int, b.result, 0));
    cr_assert(eq(u32, leaf(&b, 1, 0).ecx >> 21 & 1, 0));
    cr_assert(eq(u32, leaf(&b, 0x40000001, 0).eax, PV_DEFAULT));
    build(&b, "host", "pc,kernel-irqchip=off", NULL, 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_QEMU_ABORTS));
}

Test(cpuid_build, K14_and_QMU_5_enforcement_is_reported_even_with_kvm_off)
{
    struct built b;

    build(&b, "qemu64,kvm=off,kvm-pv-enforce-cpuid", NULL, NULL, 0);
    cr_assert(b.result == 0 && b.outcome.enforce_pv);
    build(&b, "qemu64", NULL, NULL, 0);
    cr_assert(not(b.outcome.enforce_pv));
}

Test(cpuid_build, QMU_11_asyncpf_int_without_irqchip_aborts)
{
    struct built b;

    build(&b, "qemu64,+kvm-asyncpf-int", "pc,kernel-irqchip=off", NULL, 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_QEMU_ABORTS));
    build(&b, "qemu64,+kvm-asyncpf-int,kvm=off", "pc,kernel-irqchip=off", NULL, 0);
    cr_assert(eq(int, b.result, 0), "no leaf, no register to write");
    build(&b, "qemu64,+kvm-asyncpf-int", "pc,kernel-irqchip=split", NULL, 0);
    cr_assert(eq(int, b.result, 0), "its local APICs are the kernel's");
}

Test(cpuid_build, CPU_1_and_2_and_MMU_1_what_our_vcpu_offers)
{
    const struct cpuid_table *offered = &cpuid_supported_soft()->supported;
    struct cpuid_regs signature = supported_regs(offered, 0x40000000, 0),
                      features = supported_regs(offered, 0x40000001, 0);

    cr_assert(eq(u32, signature.eax, 0x40000001));
    cr_assert(zero(int, memcmp(&signature.ebx, "KVMKVMKVM\0\0\0", 12)));
    cr_assert(eq(u32, features.eax, 0x01007efb));
    cr_assert(zero(u32, features.ebx | features.ecx | features.edx));
}

Test(cpuid_build, QMU_4_the_leaves_and_where_they_stand)
{
    static struct cpuid_supported host;
    struct built b;

    build(&b, "qemu64,kvm-hint-dedicated", NULL, NULL, 0);
    cr_assert(eq(u32, leaf(&b, 0x40000000, 0).ebx, 0x4b4d564b));
    cr_assert(eq(u32, leaf(&b, 0x40000000, 0).eax, 0x40000001));
    cr_assert(zero(u32, leaf(&b, 0x40000001, 0).ebx | leaf(&b, 0x40000001, 0).ecx));
    cr_assert(eq(u32, leaf(&b, 0x40000001, 0).edx, 1));
    build(&b, "qemu64,+invtsc", NULL, NULL, 0);
    cr_assert(eq(u32, leaf(&b, 0x40000000, 0).eax, 0x40000010));
    cr_assert(eq(u32, leaf(&b, 0x40000010, 0).eax, b.outcome.tsc_khz));
    build(&b, "qemu64,+invtsc,kvm=off", NULL, NULL, 0);
    for (uint32_t i = 0; i < b.table.count; i++)
        cr_assert(ne(u32, b.table.entries[i].leaf >> 28, 4), "leaf %x", b.table.entries[i].leaf);
    host = *cpuid_supported_soft();
    host.extensions[EXT_HYPERV] = 1;
    b.result = cpuid_for_flags("qemu64,hv-relaxed", NULL, NULL, &host, 0, &b.table, &b.outcome);
    cr_assert(eq(int, b.result, 0), "%s", b.outcome.error.text);
    cr_assert(eq(u32, leaf(&b, 0x40000100, 0).eax, 0x40000101));
    cr_assert(eq(u32, leaf(&b, 0x40000101, 0).eax, PV_DEFAULT));
    cr_assert(ne(u32, leaf(&b, 0x40000000, 0).ebx, 0x4b4d564b));
}

Test(cpuid_build, K17_kvm_off_takes_the_leaves_and_the_warnings_away)
{
    struct built b;

    build(&b, "qemu64,kvm=off,kvm-mmu,enforce,+invtsc,kvm-hint-dedicated", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0));
    cr_assert(eq(u32, b.outcome.warnings.total, 0));
    cr_assert(eq(u32, leaf(&b, 0x40000000, 0).eax, 0));
    cr_assert(eq(u32, leaf(&b, 0x40000010, 0).eax, 0));
    cr_assert(eq(u64, b.outcome.hidden[FW_KVM], PV_DEFAULT | 4));
    cr_assert(eq(u64, b.outcome.granted[FW_KVM_HINTS], 0));
}

Test(cpuid_build, K20_TCG_forgets_the_pv_word_silently)
{
    struct built b;

    b.result = cpuid_for_flags("qemu64,+kvmclock,enforce", NULL, NULL, cpuid_supported_tcg(), 0, &b.table,
                               &b.outcome);
    cr_assert(eq(int, b.result, 0));
    cr_assert(eq(u32, leaf(&b, 0x40000000, 0).ebx, 0x54474354));
    cr_assert(eq(u64, b.outcome.hidden[FW_KVM], 9));
}

Test(cpuid_build, E5_enforce_refuses_what_check_would_drop)
{
    struct built b;

    build(&b, "qemu64,+vmx", NULL, NULL, 0);
    cr_assert(b.result == 0 && b.outcome.warnings.total == 1);
    cr_assert(eq(u64, b.outcome.unsupported[FW_1_ECX], 1 << 5));
    build(&b, "qemu64,+vmx,enforce,check=off", NULL, NULL, 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_UNSUPPORTED));
    cr_assert(eq(u32, b.table.count, 0));
}

Test(cpuid_build, E7_bits_without_their_prerequisite_are_named)
{
    struct built b;

    build(&b, "qemu64,+npt", NULL, NULL, 0);
    cr_assert(eq(u32, b.outcome.warnings.total, 1));
    cr_assert(eq(u64, b.outcome.dependent[FW_SVM], 1));
}

Test(cpuid_build, M8_named_models_take_the_host_vendor)
{
    struct built b;

    build(&b, "qemu64", NULL, NULL, 0);
    cr_assert(eq(u32, leaf(&b, 0, 0).ebx, 0x756e6547));
    build(&b, "qemu64,vendor=AuthenticAMD", NULL, NULL, 0);
    cr_assert(eq(u32, leaf(&b, 0, 0).ebx, 0x68747541));
    cr_assert(eq(u32, leaf(&b, 0x80000001, 0).edx, 0x2193fbfd)); /* L13 */
}

Test(cpuid_build, H3_frequency_leaf_needs_a_rate_that_stays)
{
    struct built b;

    build(&b, "qemu64", NULL, NULL, 0);
    cr_assert(eq(u32, leaf(&b, 0x40000000, 0).eax, 0x40000001));
    build(&b, "qemu64,+invtsc", NULL, NULL, 0);
    cr_assert(eq(u32, leaf(&b, 0x40000000, 0).eax, 0x40000010));
    cr_assert(eq(u32, leaf(&b, 0x40000010, 0).ebx, 1000000));
    build(&b, "qemu64,+invtsc,vmware-cpuid-freq=off", NULL, NULL, 0);
    cr_assert(eq(u32, leaf(&b, 0x40000010, 0).eax, 0));
}

Test(cpuid_build, H3_a_rate_out_of_the_window_is_fatal_without_scaling)
{
    static struct cpuid_supported host;
    struct built b;

    host = *cpuid_supported_soft();
    host.extensions[EXT_TSC_CONTROL] = 0;
    cr_assert(
        eq(int, cpuid_for_flags("qemu64,tsc-freq=2100525k", NULL, NULL, &host, 0, &b.table, &b.outcome), 0));
    cr_assert(cpuid_for_flags("qemu64,tsc-freq=2100526k", NULL, NULL, &host, 0, &b.table, &b.outcome) < 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_REFUSED));
}

Test(cpuid_build, L9_topology_leaves_carry_the_apic_id)
{
    struct built b;

    build(&b, "kvm64", NULL, "12,sockets=2,cores=3,threads=2", 11);
    cr_assert(eq(u32, b.outcome.apic_id, 13)); /* T5 */
    cr_assert(eq(u32, leaf(&b, 0xb, 1).eax, 3));
    cr_assert(eq(u32, leaf(&b, 0xb, 2).edx, 13));
    cr_assert(eq(u32, leaf(&b, 1, 0).ebx, 0x0d060800));
}

Test(cpuid_build, L14_the_brand_fills_48_bytes_and_is_cut_there)
{
    static const char name[] = "the first 16 are the second 16 come before these";
    char flags[80], brand[49] = "";
    struct built b;

    snprintf(flags, sizeof(flags), "qemu64,model-id=%sXYZ", name);
    build(&b, flags, NULL, NULL, 0);
    for (unsigned i = 0; i < 3; i++) {
        struct cpuid_regs regs = leaf(&b, 0x80000002 + i, 0);
        memcpy(brand + 16 * i, &regs, 16);
    }
    cr_assert(eq(str, brand, (char *)name));
}

/* As KVM_SET_CPUID2 gets them: KVM's leaves, basic, extended, Centaur's, and the frequency leaf last. */
Test(cpuid_build, N1_the_order_of_the_entries)
{
    static const uint32_t starts[] = {0x40000000, 0, 0x80000000, 0xc0000000, 0x40000010};
    struct built b;
    unsigned group = 0;

    build(&b, "qemu64,+invtsc,xlevel2=0xc0000001", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0), "%s", b.outcome.error.text);
    for (uint32_t i = 0; i < b.table.count; i++) {
        uint32_t number = b.table.entries[i].leaf;
        if (group < 5 && number == starts[group])
            group++;
        else
            cr_assert(i > 0 && number >= b.table.entries[i - 1].leaf, "entry %u is leaf %x", i, number);
    }
    cr_assert(eq(uint, group, 5));
    cr_assert(eq(u32, b.table.entries[b.table.count - 1].leaf, 0x40000010));
}

Test(cpuid_build, N2_empty_leaves_are_left_out_and_flags_tell_indexed_ones)
{
    struct built b;

    build(&b, "qemu64", NULL, NULL, 0);
    for (uint32_t i = 0; i < b.table.count; i++) {
        const struct cpuid_entry *entry = &b.table.entries[i];
        bool indexed = entry->leaf == 4 || entry->leaf == 7 || entry->leaf == 0xb || entry->leaf == 0xd ||
                       entry->leaf == 0x8000001d;
        cr_assert(eq(u32, entry->flags, entry->leaf == 2 ? 6 : indexed), "leaf %x", entry->leaf);
        cr_assert(indexed || entry->regs.eax || entry->regs.ebx || entry->regs.ecx || entry->regs.edx,
                  "leaf %x is empty", entry->leaf);
    }
}

Test(cpuid_build, N3_the_default_list_has_23_entries_and_level_0x64_has_29)
{
    struct built b;

    build(&b, "qemu64", NULL, NULL, 0);
    cr_assert(eq(u32, b.table.count, 23));
    cr_assert(eq(u32, b.table.entries[0].leaf, 0x40000000)); /* N1 */
    cr_assert(eq(u32, b.table.entries[4].flags, 6));         /* N2: leaf 2 */
    build(&b, "qemu64,level=0x64", NULL, NULL, 0);
    cr_assert(eq(u32, b.table.count, 29));
}

Test(cpuid_build, N4_huge_levels_are_bounded_and_too_many_entries_abort)
{
    struct built b;

    build(&b, "qemu64,level=0xfffffffe,xlevel=0xfffffffe,xlevel2=0xfffffffe", NULL, NULL, 0);
    cr_assert(eq(int, b.result, 0));
    build(&b, "qemu64,level-func7=0xfffffffe", NULL, NULL, 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_QEMU_ABORTS));
}

Test(cpuid_build, T4_a_topology_that_does_not_multiply_is_refused)
{
    struct built b;

    build(&b, "qemu64", NULL, "3,cores=2", 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_BAD_TOPOLOGY));
    build(&b, "qemu64", NULL, "cores=65536,sockets=65536", 0);
    cr_assert(eq(int, b.outcome.error.kind, CPU_BAD_TOPOLOGY));
    build(&b, "qemu64", NULL, "2,cores=2,sockets=2147483649", 0); /* wraps to 2: QEMU takes it */
    cr_assert(eq(int, b.result, 0));
}

static bool options_of(struct vmm_options *options, int argc, char **argv)
{
    return vmm_options_parse(options, argc, argv, NULL, 0);
}

Test(machine_options, decision_24_a_run_line_is_understood)
{
    char *argv[] = {"-M",         "microvm,rtc=on",
                    "-accel",     "soft",
                    "-m",         "64M",
                    "-smp",       "2",
                    "-kernel",    "k",
                    "-append",    "a b",
                    "-device",    "isa-debug-exit,iobase=0xf4,iosize=0x4",
                    "-chardev",   "file,id=d,path=out",
                    "-device",    "isa-debugcon,iobase=0x402,chardev=d",
                    "-nographic", "-no-reboot"};
    struct vmm_options options;

    cr_assert(options_of(&options, sizeof(argv) / sizeof(argv[0]), argv), "%s", options.error.text);
    cr_assert(eq(u64, options.memory_bytes, 64 << 20));
    cr_assert(eq(int, options.type.family, FAMILY_MICROVM));
    cr_assert(options.debug_exit.present && options.debug_exit.iobase == 0xf4 &&
              options.debug_exit.iosize == 4);
    cr_assert(options.debugcon.present && options.debugcon.iobase == 0x402);
    cr_assert(eq(str, options.chardevs[0].path, "out"));
    cr_assert(options.nographic && options.no_reboot);
}

Test(machine_options, an_unknown_option_is_named)
{
    char *argv[] = {"-foo"};
    struct vmm_options options;

    cr_assert(not(options_of(&options, 1, argv)));
    cr_assert(eq(str, options.error.text, "-foo: invalid option"));
}

Test(machine_options, T1_smp_help_ends_the_line_and_syntax_errors_before_it_count)
{
    static const struct {
        char *argv[4];
        bool valid, help;
        const char *error;
    } rows[] = {
        {{"-smp", "help", "-foo", ""}, true, true, NULL},
        {{"-smp", "2,?", "-smp", "2=3"}, true, true, NULL},
        {{"-M", "help", "-smp", "2=3"}, true, false, NULL},
        {{"-smp", "2=3", "-smp", "help"}, false, false, "-smp 2=3: Invalid parameter '2'"},
        {{"-cpu", "help", "-smp", ",2"}, false, false, "-smp ,2: Invalid parameter ''"},
        {{"-smp", "help=1", "-smp", "helpx"},
         true,
         false,
         NULL}, /* no word of help: errors of the machine's */
    };
    struct vmm_options options;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        cr_assert(eq(int, options_of(&options, 4, (char **)rows[i].argv), rows[i].valid), "row %zu", i);
        cr_assert(eq(int, options.smp_help, rows[i].help), "row %zu", i);
        if (rows[i].error)
            cr_assert(eq(str, options.error.text, (char *)rows[i].error));
    }
}

Test(machine_options, P3_the_accelerator_is_refused_before_the_cpu)
{
    char *argv[] = {"-cpu", "nosuch", "-accel", "foo"};
    struct vmm_options options;

    cr_assert(not(options_of(&options, 4, argv)));
    cr_assert(eq(str, options.error.text, "-accel foo: invalid accelerator foo"));
}

Test(machine_options, K10_the_accelerators_spelling_wins)
{
    char *argv[] = {"-accel", "kvm,kernel-irqchip=split", "-machine", "kernel_irqchip=on"};
    struct vmm_options options;

    cr_assert(options_of(&options, 4, argv));
    cr_assert(eq(int, options.irqchip, IRQCHIP_SPLIT));
}

Test(cpuid_build, C1_old_machines_have_a_kvmclock_device_only_with_a_clock)
{
    static const struct {
        const char *cpu, *machine;
        bool missing;
    } rows[] = {{"qemu64", "pc-i440fx-5.1", false},        {"qemu64,kvmclock=off", "pc-i440fx-5.1", true},
                {"qemu64,kvm=off", "pc-i440fx-5.1", true}, {"qemu64,kvmclock=off", "pc-i440fx-5.2", false},
                {"qemu64,kvm=off", "pc", false},           {"qemu64,kvmclock=off", "microvm", false}};
    struct built b;

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        build(&b, rows[i].cpu, rows[i].machine, NULL, 0);
        cr_assert(eq(int, b.outcome.no_kvmclock_device, rows[i].missing), "%s on %s", rows[i].cpu,
                  rows[i].machine);
    }
}

Test(cpuid_build, H4_invtsc_blocks_migration_at_a_rate_that_nobody_asked_for)
{
    struct built b;

    build(&b, "qemu64,invtsc=on", NULL, NULL, 0);
    cr_assert(b.outcome.migration_blocked);
    build(&b, "qemu64,invtsc=on,tsc-frequency=2000000000", NULL, NULL, 0);
    cr_assert(not(b.outcome.migration_blocked));
    build(&b, "qemu64", NULL, NULL, 0);
    cr_assert(not(b.outcome.migration_blocked));
}
