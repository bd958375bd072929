/* CPUID of the direct machine: a small 64-bit CPU of the vendor whose hypercall instruction is native, and KVM's leaves
 * as QEMU places them (QMU-4). Intel SDM vol. 2 CPUID. */
#include <string.h>
#include "diff/program/direct_guest.h"
#include "vmm/abi/hyperv.h"
#include "vmm/abi/kvm_para.h"

/* "GenuineIntel" and "AuthenticAMD" in the order of EBX, EDX, ECX. The vendor decides about CPU-10. */
static const struct cpuid_regs intel = {0xd, 0x756e6547, 0x6c65746e, 0x49656e69};
static const struct cpuid_regs amd = {0xd, 0x68747541, 0x444d4163, 0x69746e65};

#define VERSION 1 /* place of leaf 1 in the table: behind leaf 0, which is added by itself */
static const struct cpuid_entry basic[] = {
    /* leaf, subleaf, flags, eax, ebx, ecx, edx */
    {0x1, 0, 0, {0x00000f61, 0x00000800, 0x80202001, 0x078bfbfd}}, /* hypervisor, x2APIC, CX16; FPU to SSE2 */
    {0x7, 0, CPUID_FLAG_SIGNIFICANT_INDEX, {0, 0x00000002, 0, 0}}, /* TSC_ADJUST */
    {0xd, 0, CPUID_FLAG_SIGNIFICANT_INDEX, {3, 576, 576, 0}},
    {0x80000000, 0, 0, {0x80000008, 0, 0, 0}},
    {0x80000001, 0, 0, {0x00000f61, 0, 0x00000001, 0x28100800}}, /* SYSCALL, NX, RDTSCP, LM */
    {0x80000008, 0, 0, {0x00003028, 0, 0, 0}},                   /* 40 and 48 address bits */
};

/* As hv-relaxed,hv-vapic,hv-vpindex gives them. */
static const struct cpuid_entry hyperv[] = {
    {HYPERV_CPUID_VENDOR,
     0,
     0,
     {HYPERV_CPUID_LIMITS, HYPERV_VENDOR_EBX, HYPERV_VENDOR_ECX, HYPERV_VENDOR_EDX}},
    {HYPERV_CPUID_INTERFACE, 0, 0, {.eax = HYPERV_INTERFACE_HV1}},
    {HYPERV_CPUID_VERSION, 0, 0, {0x3839, 0xa0000, 0, 0}},
    {HYPERV_CPUID_FEATURES,
     0,
     0,
     {.eax = HV_APIC_ACCESS | HV_HYPERCALL | HV_VP_INDEX, .edx = HV_CPU_PARTITIONING}},
    {HYPERV_CPUID_ADVICE,
     0,
     0,
     {.eax = HV_APIC_ACCESS_ADVISED | HV_RELAXED_TIMING, .ebx = HV_SPIN_NEVER_NOTIFY}},
    {HYPERV_CPUID_LIMITS, 0, 0, {.eax = HV_VPS_UNLIMITED, .ebx = 0x40}},
};

static void add(struct cpuid_table *table, uint32_t leaf, struct cpuid_regs regs)
{
    table->entries[table->count++] = (struct cpuid_entry){.leaf = leaf, .regs = regs};
}

void direct_cpuid_table(struct cpuid_table *table, const struct program_config *config)
{
    uint32_t base = KVM_CPUID_SIGNATURE + (config->hyperv ? KVM_BASE_STEP : 0);

    table->count = 0;
    add(table, 0, config->vmcall_native ? intel : amd);
    memcpy(&table->entries[table->count], basic, sizeof(basic));
    table->count += sizeof(basic) / sizeof(basic[0]);
    table->entries[VERSION].regs.ebx |= config->vcpus << 16;
    for (unsigned i = 0; config->hyperv && i < sizeof(hyperv) / sizeof(hyperv[0]); i++)
        table->entries[table->count++] = hyperv[i];
    add(table, base, (struct cpuid_regs){base | 1, KVM_SIGNATURE_EBX, KVM_SIGNATURE_ECX, KVM_SIGNATURE_EDX});
    add(table, base | 1, (struct cpuid_regs){.eax = config->features, .edx = config->hints});
}

void direct_cpuid_identity(struct cpuid_table *table, unsigned vcpu_id)
{
    uint32_t *ebx = &table->entries[VERSION].regs.ebx;

    *ebx = (*ebx & 0x00ffffff) | vcpu_id << 24;
}
