/* What a host record says of the CPU and of what is below its KVM. CPUID: Intel SDM 2A, AMD APM 3; signatures in leaf
 * 0x40000000: Linux arch/x86/kernel/cpu/hypervisor.c and what it lists. */
#include "diff/report/host_facts.h"

#include <string.h>

static bool host_leaf(const struct host_record *host, uint32_t leaf, struct cpuid_regs *regs)
{
    for (uint32_t i = 0; i < host->host.count; i++)
        if (host->host.entries[i].leaf == leaf) {
            *regs = host->host.entries[i].regs;
            return true;
        }
    return false;
}

static void add_brand(const struct host_record *host, struct text *out)
{
    char brand[3 * sizeof(struct cpuid_regs) + 1] = "";
    struct cpuid_regs regs;
    size_t len;

    for (uint32_t i = 0; i < 3 && host_leaf(host, 0x80000002 + i, &regs); i++)
        memcpy(brand + i * sizeof(regs), &regs, sizeof(regs));
    len = host_brand_squeeze(brand);
    text_addn(out, brand, len);
    text_add(out, len ? ", " : "");
}

void host_cpu(const struct host_record *host, struct text *out)
{
    struct cpuid_regs vendor, version;
    uint32_t family, model;

    if (!host_leaf(host, 0, &vendor) || !host_leaf(host, 1, &version))
        return;
    family = version.eax >> 8 & 0xf;
    model = version.eax >> 4 & 0xf;
    if (family == 0xf || family == 6)
        model |= version.eax >> 12 & 0xf0;
    if (family == 0xf)
        family += version.eax >> 20 & 0xff;
    add_brand(host, out);
    text_addn(out, (const char *)&vendor.ebx, 4);
    text_addn(out, (const char *)&vendor.edx, 4);
    text_addn(out, (const char *)&vendor.ecx, 4);
    text_format(out, " family %u model %u stepping %u", family, model, version.eax & 0xf);
}

void host_microcode(const struct host_record *host, struct text *out)
{
    if (host->host.count)
        text_add(out, *host->microcode ? host->microcode : "not known");
}

enum host_nesting host_nesting(const struct host_record *host)
{
    struct cpuid_regs version;

    if (host->tcg)
        return NESTING_NO_KVM;
    if (!host_leaf(host, 1, &version))
        return NESTING_UNKNOWN;
    return version.ecx & HOST_RECORD_HYPERVISOR ? NESTING_NESTED : NESTING_NONE;
}

static const char *hypervisor_name(const char *signature)
{
    static const struct {
        const char *signature, *name;
    } hypervisors[] = {
        {"TCGTCGTCGTCG", "QEMU's TCG, a CPU in software"},
        {"KVMKVMKVM", "another KVM"},
        {"Microsoft Hv", "Hyper-V"},
        {"VMwareVMware", "VMware"},
        {"XenVMMXenVMM", "Xen"},
    };

    for (size_t i = 0; i < sizeof(hypervisors) / sizeof(hypervisors[0]); i++)
        if (!strcmp(signature, hypervisors[i].signature))
            return hypervisors[i].name;
    return *signature ? signature : "a hypervisor whose name is not known";
}

void host_nesting_words(const struct host_record *host, struct text *out)
{
    switch (host_nesting(host)) {
    case NESTING_UNKNOWN:
        return;
    case NESTING_NO_KVM:
        text_add(out, "no KVM: QEMU's TCG translates the guest itself");
        return;
    case NESTING_NONE:
        text_add(out, "no: KVM has the hardware to itself");
        return;
    case NESTING_NESTED:
        text_add(out, "yes: the kernel with this KVM is itself a guest (L1) of ");
        text_add(out, hypervisor_name(host->hypervisor));
        text_add(out, "; the compared guest is L2");
        return;
    }
}
