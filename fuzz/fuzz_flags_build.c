/* The CPUID table that an accepted -cpu string leads to: what holds for every one of them. Spec qemu-cpu-flags 5, 8, 14. */
#include "fuzz/fuzz_flags.h"

#include <stdlib.h>
#include "fuzz/target.h"
#include "vmm/abi/hyperv.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/cpuid/machine_options.h"

#define QEMU_ENTRIES 100        /* N4: QEMU stops there */
#define HTT          (1u << 28) /* of leaf 1 EDX: follows from the topology, nobody asks for it */

/* Two vCPUs on pc, over our own vCPU: enough for topology leaves to differ between vCPUs. */
static const struct cpuid_machine *fuzz_machine(void)
{
    static struct vmm_options options;
    static struct cpuid_machine machine;
    static bool ready;

    if (!ready) {
        vmm_options_init(&options);
        options.smp = "2";
        if (!vmm_options_resolve(&options, cpuid_supported_soft(), &machine))
            abort(); /* a fixed machine: not the input's doing */
        ready = true;
    }
    return &machine;
}

static void check_refused(const struct cpuid_table *table, const struct cpuid_outcome *outcome)
{
    if (outcome->error.kind == CPU_OK || outcome->error.kind >= CPU_ERROR_KINDS)
        fuzz_fail("FLAGS-10", "refused without a reason (kind %u)", outcome->error.kind);
    if (table->count)
        fuzz_fail("FLAGS-11", "refused, but the table has %u entries", table->count);
}

/* No (leaf, subleaf) twice: a guest would see one of them by chance. */
static void check_unique(const struct cpuid_table *table)
{
    for (uint32_t i = 0; i < table->count; i++) {
        for (uint32_t j = 0; j < i; j++) {
            const struct cpuid_entry *a = &table->entries[i], *b = &table->entries[j];

            if (a->leaf == b->leaf && a->subleaf == b->subleaf)
                fuzz_fail("FLAGS-12", "leaf %#x, subleaf %#x twice", a->leaf, a->subleaf);
        }
    }
}

/* What the outcome calls granted is what the guest sees, and nothing is both granted and taken away. */
static void check_words(const struct cpuid_table *table, const struct cpuid_outcome *outcome)
{
    const struct cpuid_entry *leaf1 = cpuid_find(table, 1, 0);

    for (unsigned word = 0; word < FEATURE_WORDS; word++) {
        uint64_t taken = outcome->unsupported[word] | outcome->dependent[word] | outcome->hidden[word];

        if (outcome->granted[word] & taken)
            fuzz_fail("FLAGS-13", "word %u: bits %#llx both granted and dropped", word,
                      (unsigned long long)(outcome->granted[word] & taken));
    }
    if (leaf1 && (leaf1->regs.edx ^ outcome->granted[FW_1_EDX]) & ~HTT)
        fuzz_fail("FLAGS-14", "leaf 1 EDX %#x, granted %#llx", leaf1->regs.edx,
                  (unsigned long long)outcome->granted[FW_1_EDX]);
}

/* Its signature is what hv-vendor-id says, KVM's too; the next leaf tells. */
static bool is_hyperv(const struct cpuid_table *table, uint32_t base)
{
    const struct cpuid_entry *interface = cpuid_find(table, base | 1, 0);

    return interface && interface->regs.eax == HYPERV_INTERFACE_HV1;
}

/* K4, K5: a signature comes with a feature leaf, and that leaf holds the granted word. */
static void check_kvm(const struct cpuid_table *table, const struct cpuid_outcome *outcome)
{
    for (uint32_t base = 0x40000000; base < 0x40000200; base += 0x100) {
        const struct cpuid_entry *signature = cpuid_find(table, base, 0), *features;

        if (!signature || signature->regs.ebx != KVM_SIGNATURE_EBX || is_hyperv(table, base))
            continue;
        features = cpuid_find(table, base | 1, 0);
        if (!features)
            fuzz_fail("FLAGS-15", "KVM's signature at %#x without a feature leaf", base);
        if (features->regs.eax != (uint32_t)outcome->granted[FW_KVM] ||
            features->regs.edx != (uint32_t)outcome->granted[FW_KVM_HINTS])
            fuzz_fail("FLAGS-16", "KVM's leaf says %#x, granted %#llx", features->regs.eax,
                      (unsigned long long)outcome->granted[FW_KVM]);
        return;
    }
    if (outcome->granted[FW_KVM])
        fuzz_fail("FLAGS-17", "PV features %#llx granted without KVM's leaves",
                  (unsigned long long)outcome->granted[FW_KVM]);
}

void fuzz_flags_build(const struct cpu_flags *flags)
{
    static struct cpuid_table table;
    static struct cpuid_outcome outcome;

    for (unsigned vcpu = 0; vcpu < 2; vcpu++) {
        if (cpuid_build(flags, fuzz_machine(), cpuid_supported_soft(), vcpu, &table, &outcome)) {
            check_refused(&table, &outcome);
            return;
        }
        if (outcome.error.kind != CPU_OK || table.count > QEMU_ENTRIES)
            fuzz_fail("FLAGS-18", "an accepted string gave %u entries, error kind %u", table.count,
                      outcome.error.kind);
        check_unique(&table);
        check_words(&table, &outcome);
        check_kvm(&table, &outcome);
    }
}
