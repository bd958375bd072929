/* Reads the host record from /dev/kvm: everything our CPUID table is built over. Documentation/virt/kvm/api.rst. */
#include "diff/machine/host_record.h"

#include <assert.h>
#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/utsname.h>
#include <unistd.h>
#include <linux/kvm.h>

static_assert(CPUID_FLAG_SIGNIFICANT_INDEX == KVM_CPUID_FLAG_SIGNIFCANT_INDEX, "KVM's numbers");

static void table_add(struct cpuid_table *table, uint32_t leaf, uint32_t subleaf, uint32_t flags,
                      struct cpuid_regs regs)
{
    if (table->count == CPUID_ENTRIES)
        return;
    if (leaf == 1)
        regs.ebx &= HOST_RECORD_LEAF1_EBX;
    table->entries[table->count++] =
        (struct cpuid_entry){.leaf = leaf, .subleaf = subleaf, .flags = flags, .regs = regs};
}

static void read_host_leaves(struct host_record *record)
{
    static const uint32_t leaves[] = {0x0,        0x1,        0x7,        0xd,        0x80000000,
                                      0x80000001, 0x80000002, 0x80000003, 0x80000004, 0x80000008};

    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
        struct cpuid_regs r;

        if (leaves[i] > (uint32_t)__get_cpuid_max(leaves[i] & 0x80000000u, NULL))
            continue;
        __cpuid_count(leaves[i], 0, r.eax, r.ebx, r.ecx, r.edx);
        table_add(&record->host, leaves[i], 0, 0, r);
    }
}

/* The leaves about caches, with their subleaves up to the one that ends them. */
static void read_host_caches(struct host_record *record)
{
    static const struct {
        uint32_t leaf, last;
    } leaves[] = {{0x2, 0}, {0x4, 7}, {0x80000005, 0}, {0x80000006, 0}, {0x8000001d, 7}};

    for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++)
        for (uint32_t sub = 0; sub <= leaves[i].last; sub++) {
            uint32_t flags = leaves[i].last ? CPUID_FLAG_SIGNIFICANT_INDEX : 0;
            struct cpuid_regs r;

            if (leaves[i].leaf > (uint32_t)__get_cpuid_max(leaves[i].leaf & 0x80000000u, NULL))
                break;
            __cpuid_count(leaves[i].leaf, sub, r.eax, r.ebx, r.ecx, r.edx);
            table_add(&record->host, leaves[i].leaf, sub, flags, r);
            if (leaves[i].last && !(r.eax & 0x1f))
                break;
        }
}

/* One of KVM's lists of CPUID entries. */
static int read_list(int kvm_fd, unsigned long request, struct cpuid_table *table)
{
    struct kvm_cpuid2 *list = calloc(1, sizeof(*list) + CPUID_ENTRIES * sizeof(list->entries[0]));
    int err = 0;

    if (!list)
        return -ENOMEM;
    list->nent = CPUID_ENTRIES;
    if (ioctl(kvm_fd, request, list) < 0)
        err = -errno;
    for (unsigned i = 0; !err && i < list->nent; i++) {
        const struct kvm_cpuid_entry2 *e = &list->entries[i];

        table_add(table, e->function, e->index, e->flags,
                  (struct cpuid_regs){e->eax, e->ebx, e->ecx, e->edx});
    }
    free(list);
    return err;
}

/* A kernel without them leaves the list empty: no error. */
static void read_feature_msrs(struct host_record *record, int kvm_fd)
{
    enum { LIST_MAX = sizeof(record->feature_msrs) / sizeof(record->feature_msrs[0]) };
    alignas(struct kvm_msr_list)
        uint8_t names_room[sizeof(struct kvm_msr_list) + LIST_MAX * sizeof(uint32_t)];
    alignas(struct kvm_msrs) uint8_t msr_room[sizeof(struct kvm_msrs) + sizeof(struct kvm_msr_entry)];
    struct kvm_msr_list *names = (struct kvm_msr_list *)names_room;
    struct kvm_msrs *msr = (struct kvm_msrs *)msr_room;

    names->nmsrs = LIST_MAX;
    if (ioctl(kvm_fd, KVM_GET_MSR_FEATURE_INDEX_LIST, names) < 0)
        return;
    for (uint32_t i = 0; i < names->nmsrs && i < LIST_MAX; i++) {
        memset(msr_room, 0, sizeof(msr_room));
        msr->nmsrs = 1;
        msr->entries[0].index = names->indices[i];
        if (ioctl(kvm_fd, KVM_GET_MSRS, msr) != 1)
            continue;
        record->feature_msrs[record->feature_msr_count].index = names->indices[i];
        record->feature_msrs[record->feature_msr_count++].value = msr->entries[0].data;
    }
}

static int read_tsc_khz(struct host_record *record, int vm_fd)
{
    int vcpu_fd = ioctl(vm_fd, KVM_CREATE_VCPU, 0);
    int khz;

    if (vcpu_fd < 0)
        return -errno;
    khz = ioctl(vcpu_fd, KVM_GET_TSC_KHZ, 0);
    record->tsc_khz = khz > 0 ? (uint32_t)khz : 0;
    close(vcpu_fd);
    return 0;
}

static void read_line(const char *path, char *buf, size_t size)
{
    FILE *file = fopen(path, "re");

    buf[0] = '\0';
    if (!file)
        return;
    if (fgets(buf, (int)size, file))
        buf[strcspn(buf, "\n")] = '\0';
    fclose(file);
}

static void read_kernel(struct host_record *record)
{
    static const struct {
        const char *module, *flavour;
    } flavours[] = {
        {"/sys/module/kvm_amd", "kvm-amd"},
        {"/sys/module/kvm_intel", "kvm-intel"},
        {"/sys/module/kvm_pvm", "kvm_pvm"},
    };
    struct utsname name;

    if (uname(&name) == 0)
        snprintf(record->kernel_release, sizeof(record->kernel_release), "%s", name.release);
    for (unsigned i = 0; i < sizeof(flavours) / sizeof(flavours[0]); i++)
        if (access(flavours[i].module, F_OK) == 0)
            snprintf(record->flavour, sizeof(record->flavour), "%s", flavours[i].flavour);
    read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", record->clocksource,
              sizeof(record->clocksource));
}

/* "microcode\t: 0x1000065": the first CPU's stands for all. A kernel that knows of none has no such line. */
static void read_microcode(struct host_record *record)
{
    FILE *file = fopen("/proc/cpuinfo", "re");
    char line[256];

    while (file && fgets(line, sizeof(line), file) && !record->microcode[0])
        sscanf(line, "microcode : %23s", record->microcode);
    if (file)
        fclose(file);
}

/* Leaf 0x40000000, which is there where leaf 1 says that a hypervisor is. */
static void read_hypervisor(struct host_record *record)
{
    struct cpuid_regs r;
    uint32_t signature[3];

    __cpuid(1, r.eax, r.ebx, r.ecx, r.edx);
    if (!(r.ecx & HOST_RECORD_HYPERVISOR))
        return;
    __cpuid(0x40000000, r.eax, signature[0], signature[1], signature[2]);
    memcpy(record->hypervisor, signature, sizeof(signature));
    for (char *c = record->hypervisor; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

int host_record_read(struct host_record *record, int *keep_fd)
{
    int kvm_fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);
    int vm_fd = -1;
    int err;

    *record = (struct host_record){0};
    *keep_fd = -1;
    if (kvm_fd < 0)
        return -errno;
    read_kernel(record);
    read_host_leaves(record);
    read_host_caches(record);
    read_microcode(record);
    read_hypervisor(record);
    record->native_vmcall = host_record_is_intel(record);
    vm_fd = ioctl(kvm_fd, KVM_CREATE_VM, 0);
    if (vm_fd < 0) {
        err = -errno;
        goto out;
    }
    *keep_fd = vm_fd;
    for (int i = 0; i < SUPPORTED_EXTENSIONS; i++)
        record->extensions[i] = ioctl(vm_fd, KVM_CHECK_EXTENSION, i);
    read_feature_msrs(record, kvm_fd);
    err = read_list(kvm_fd, KVM_GET_SUPPORTED_CPUID, &record->supported);
    if (!err && record->extensions[KVM_CAP_SYS_HYPERV_CPUID] > 0)
        err = read_list(kvm_fd, KVM_GET_SUPPORTED_HV_CPUID, &record->hyperv);
    if (!err)
        err = read_tsc_khz(record, vm_fd);
out:
    close(kvm_fd);
    return err;
}

void host_record_supported(const struct host_record *record, struct cpuid_supported *supported)
{
    uint32_t msrs = record->feature_msr_count < SUPPORTED_MSRS ? record->feature_msr_count : SUPPORTED_MSRS;

    *supported = (struct cpuid_supported){.accel = ACCEL_SOFT,
                                          .supported = record->supported,
                                          .host = record->host,
                                          .hyperv = record->hyperv,
                                          .tsc_khz = record->tsc_khz,
                                          .feature_msr_count = msrs};
    memcpy(supported->extensions, record->extensions, sizeof(supported->extensions));
    for (uint32_t i = 0; i < msrs; i++) {
        supported->feature_msrs[i].index = record->feature_msrs[i].index;
        supported->feature_msrs[i].value = record->feature_msrs[i].value;
    }
}

size_t host_brand_squeeze(char brand[49])
{
    size_t len = 0;

    for (const char *c = brand; *c; c++)
        if (*c != ' ' || (len && brand[len - 1] != ' '))
            brand[len++] = *c;
    while (len && brand[len - 1] == ' ')
        len--;
    brand[len] = '\0';
    return len;
}
