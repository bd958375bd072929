/* Facts about the host kernel under a reference: our CPUID table is built over them (decision 3). */
#ifndef DIFF_MACHINE_HOST_RECORD_H
#define DIFF_MACHINE_HOST_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "vmm/cpuid/supported.h"

/* Bits 31:24 of leaf 1 EBX are the APIC id of whichever CPU answered: they change from call to call and are masked. */
#define HOST_RECORD_LEAF1_EBX 0x00ffffffu
/* Leaf 1 ECX: this CPU is a hypervisor's. */
#define HOST_RECORD_HYPERVISOR (1u << 31)

struct host_record {
    char kernel_release[96];
    char flavour[32]; /* "kvm-amd", "kvm-intel", "kvm_pvm", ... as far as known */
    char clocksource[32];
    char microcode[24]; /* "0x1000065", its first CPU's; empty: its kernel shows none, or is not asked */
    char
        hypervisor[16]; /* "TCGTCGTCGTCG": what that kernel itself runs under; empty: nothing, or not known */
    uint32_t tsc_khz;   /* KVM_GET_TSC_KHZ of a fresh vCPU */
    bool tcg;           /* QEMU without KVM: its features are constants, nothing else is known */
    bool native_vmcall; /* VMX: vmcall; else SVM: vmmcall */
    struct cpuid_table supported; /* KVM_GET_SUPPORTED_CPUID, leaf 1 EBX[31:24] masked */
    struct cpuid_table host;      /* native leaves 0, 1, 0x80000000, 1, 8, brand and caches */
    /* KVM_GET_SUPPORTED_HV_CPUID; empty where the kernel has none, or it is not known */
    struct cpuid_table hyperv;
    int32_t extensions[SUPPORTED_EXTENSIONS]; /* KVM_CHECK_EXTENSION answers by number */
    struct {
        uint32_t index;
        uint64_t value;
    } feature_msrs[SUPPORTED_MSRS];
    uint32_t feature_msr_count;
};

/* Asks /dev/kvm; creates one VM and keeps its descriptor open in *keep_fd (decision 14: closing it hangs some
 * kernels in the box). -errno. */
int host_record_read(struct host_record *record, int *keep_fd);
/* JSON, 64-bit values as hex strings; parsed as hostile input, *message says what is wrong. */
int host_record_to_json(const struct host_record *record, char **text);
int host_record_from_json(struct host_record *record, const char *text, size_t len, char message[160]);

/* What the table builder takes of it. */
void host_record_supported(const struct host_record *record, struct cpuid_supported *supported);
/* CPUID's 48 bytes of a brand, padded with blanks on either side and inside: with single blanks, in place. Its length. */
size_t host_brand_squeeze(char brand[49]);
/* The vendor in host leaf 0. */
bool host_record_is_intel(const struct host_record *record);

#endif
