/* Hyper-V's registers as KVM has them (hyperv.h). TLFS 6.0 chapters 3, 8, 10, 12; spec EOI-17. */
#include "vmm/pv/hyperv.h"

#include <assert.h>
#include <stddef.h>
#include "vmm/abi/apic.h"
#include "vmm/abi/hyperv.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/features.h"
#include "vmm/pv/hypercall.h"
#include "vmm/pv/intercept.h"
#include "vmm/pv/lifecycle.h"

#define APIC_BUS_HZ 1000000000u
#define RET         0xc3

/* Whether QEMU's reset and migration know the register. */
enum kept { NO, IF_SHOWN, ALWAYS };

struct hv_msr {
    uint32_t index, count;
    uint32_t needs_a, needs_d; /* bits of HYPERV_CPUID_FEATURES, EAX and EDX, where they are enforced */
    bool vm_wide;
    uint8_t kept;     /* enum kept */
    uint16_t storage; /* in struct hyperv, where there is no function of its own */
    enum msr_result (*read)(struct vcpu *vcpu, uint64_t *value);
    enum msr_result (*write)(struct vcpu *vcpu, uint64_t value, enum origin origin);
};

bool hyperv_shown(const struct vcpu *vcpu)
{
    const struct cpuid_entry *e = cpuid_find(&vcpu->cpuid, HYPERV_CPUID_INTERFACE, 0);

    return e && e->regs.eax == HYPERV_INTERFACE_HV1;
}

void vcpu_set_hv_enforce(struct vcpu *vcpu, bool on)
{
    vcpu->hv_enforce = on;
}

/* Read-only to a guest; what the VMM writes is dropped. */
static enum msr_result write_nothing(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)vcpu, (void)value;
    return origin == ORIGIN_VMM ? MSR_OK : MSR_INVALID;
}

static enum msr_result write_ignored(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)vcpu, (void)value, (void)origin;
    return MSR_OK;
}

static enum msr_result write_guest_os_id(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    struct hyperv *hv = &vcpu->vm->hyperv;

    (void)origin;
    hv->guest_os_id = value;
    if (!value)
        hv->hypercall &= ~HV_PAGE_ENABLE;
    return MSR_OK;
}

/* One store at the start of a page, as KVM makes it: no record that is kept. */
static bool write_page(struct vm *vm, uint64_t gpa, const uint8_t bytes[4])
{
    bool written;

    area_register(&vm->hyperv_area, gpa, 4);
    written = area_write(&vm->hyperv_area, 0, bytes, 4);
    area_unregister(&vm->hyperv_area);
    return written;
}

static enum msr_result write_hypercall(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    struct vm *vm = vcpu->vm;
    const uint8_t *native = hypercall_bytes[vm->config.native];
    const uint8_t code[4] = {native[0], native[1], native[2], RET};

    (void)origin;
    if (!vm->hyperv.guest_os_id)
        return MSR_OK;
    if ((value & HV_PAGE_ENABLE) && !write_page(vm, value & HV_PAGE_ADDRESS, code))
        return MSR_INVALID;
    vm->hyperv.hypercall = value;
    return MSR_OK;
}

static enum msr_result read_vp_index(struct vcpu *vcpu, uint64_t *value)
{
    *value = vcpu->id;
    return MSR_OK;
}

static enum msr_result read_zero(struct vcpu *vcpu, uint64_t *value)
{
    (void)vcpu;
    *value = 0;
    return MSR_OK;
}

static enum msr_result read_time(struct vcpu *vcpu, uint64_t *value)
{
    struct clock_data data;

    vm_get_clock(vcpu->vm, &data);
    *value = data.clock / 100;
    return MSR_OK;
}

static enum msr_result read_tsc_hz(struct vcpu *vcpu, uint64_t *value)
{
    *value = vcpu->vm->env.tsc_khz * 1000ull;
    return MSR_OK;
}

static enum msr_result read_apic_hz(struct vcpu *vcpu, uint64_t *value)
{
    (void)vcpu;
    *value = APIC_BUS_HZ;
    return MSR_OK;
}

static enum msr_result read_nothing(struct vcpu *vcpu, uint64_t *value)
{
    (void)vcpu, (void)value;
    return MSR_INVALID;
}

static enum msr_result write_apic(struct vcpu *vcpu, uint32_t offset, uint64_t value)
{
    if (!lapic_in_kernel(vcpu) || value >> 32)
        return MSR_INVALID;
    lapic_write(vcpu, offset, (uint32_t)value);
    return MSR_OK;
}

static enum msr_result write_eoi(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)origin;
    return write_apic(vcpu, APIC_EOI, value);
}

static enum msr_result write_tpr(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    (void)origin;
    return write_apic(vcpu, APIC_TASKPRI, value);
}

static enum msr_result read_tpr(struct vcpu *vcpu, uint64_t *value)
{
    if (!lapic_in_kernel(vcpu))
        return MSR_INVALID;
    *value = lapic_read(vcpu, APIC_TASKPRI);
    return MSR_OK;
}

static enum msr_result read_assist(struct vcpu *vcpu, uint64_t *value)
{
    *value = vcpu->hv_assist;
    return MSR_OK;
}

/* EOI-17: the first word of the page is what MSR_KVM_PV_EOI_EN names, and both registers are two names of one state. */
static enum msr_result write_assist(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    static const uint8_t clear[4];
    uint64_t gpa = value & HV_PAGE_ADDRESS;
    bool enable = value & HV_PAGE_ENABLE;

    if (enable && !write_page(vcpu->vm, gpa, clear))
        return MSR_INVALID;
    vcpu->hv_assist = value;
    return pv_eoi_wrmsr(vcpu, enable ? gpa | KVM_MSR_ENABLED : 0, origin);
}

/* QEMU sets it so at creation and reset; a guest's write is a message to the VMM. */
static enum msr_result read_crash_control(struct vcpu *vcpu, uint64_t *value)
{
    (void)vcpu;
    *value = HV_CRASH_NOTIFY;
    return MSR_OK;
}

static enum msr_result write_emulation_status(struct vcpu *vcpu, uint64_t value, enum origin origin)
{
    if (value && origin == ORIGIN_GUEST)
        return MSR_INVALID;
    vcpu->vm->hyperv.tsc_emulation_status = value;
    return MSR_OK;
}

#define IN(member) offsetof(struct hyperv, member)
#define VM         true
#define VCPU       false
/* clang-format off */
static const struct hv_msr hv_msrs[] = {
    /* index, how many                      needs                       whose kept      storage              read                write */
    {HV_X64_MSR_GUEST_OS_ID, 1,             HV_HYPERCALL, 0,            VM,   IF_SHOWN, IN(guest_os_id),     NULL,               write_guest_os_id},
    {HV_X64_MSR_HYPERCALL, 1,               HV_HYPERCALL, 0,            VM,   IF_SHOWN, IN(hypercall),       NULL,               write_hypercall},
    {HV_X64_MSR_VP_INDEX, 1,                HV_VP_INDEX, 0,             VCPU, NO,       0,                   read_vp_index,      write_nothing},
    {HV_X64_MSR_RESET, 1,                   HV_RESET, 0,                VM,   NO,       0,                   read_zero,          write_ignored},
    {HV_X64_MSR_TIME_REF_COUNT, 1,          HV_TIME_REF_COUNT, 0,       VM,   NO,       0,                   read_time,          write_nothing},
    {HV_X64_MSR_TSC_FREQUENCY, 1,           HV_FREQUENCIES, 0,          VCPU, NO,       0,                   read_tsc_hz,        write_nothing},
    {HV_X64_MSR_APIC_FREQUENCY, 1,          HV_FREQUENCIES, 0,          VCPU, NO,       0,                   read_apic_hz,       write_nothing},
    {HV_X64_MSR_REENLIGHTENMENT_CONTROL, 1, HV_REENLIGHTENMENT, 0,      VM,   IF_SHOWN, IN(reenlightenment), NULL,               NULL},
    {HV_X64_MSR_TSC_EMULATION_CONTROL, 1,   HV_REENLIGHTENMENT, 0,      VM,   IF_SHOWN, IN(tsc_emulation),   NULL,               NULL},
    {HV_X64_MSR_TSC_EMULATION_STATUS, 1,    HV_REENLIGHTENMENT, 0,      VM,   IF_SHOWN, IN(tsc_emulation_status), NULL,          write_emulation_status},
    {HV_X64_MSR_EOI, 1,                     HV_APIC_ACCESS, 0,          VCPU, NO,       0,                   read_nothing,       write_eoi},
    {HV_X64_MSR_TPR, 1,                     HV_APIC_ACCESS, 0,          VCPU, NO,       0,                   read_tpr,           write_tpr},
    {HV_X64_MSR_VP_ASSIST_PAGE, 1,          HV_APIC_ACCESS, 0,          VCPU, IF_SHOWN, 0,                   read_assist,        write_assist},
    {HV_X64_MSR_STIMER0_CONFIG, 8,          HV_SYNTHETIC_TIMERS, 0,     VCPU, NO,       0,                   read_zero,          write_nothing},
    {HV_X64_MSR_CRASH_P0, 5,                0, HV_CRASH_REGISTERS,      VM,   ALWAYS,   IN(crash),           NULL,               NULL},
    {HV_X64_MSR_CRASH_CTL, 1,               0, HV_CRASH_REGISTERS,      VM,   NO,       0,                   read_crash_control, write_ignored},
};
/* clang-format on */
#define HV_MSRS (sizeof(hv_msrs) / sizeof(hv_msrs[0]))

static const struct hv_msr *find(uint32_t index)
{
    for (size_t i = 0; i < HV_MSRS; i++)
        if (index - hv_msrs[i].index < hv_msrs[i].count)
            return &hv_msrs[i];
    return NULL;
}

static bool between(uint32_t index, uint32_t first, uint32_t last)
{
    return index >= first && index <= last;
}

bool hyperv_has_msr(uint32_t index)
{
    return between(index, HV_X64_MSR_GUEST_OS_ID, HV_X64_MSR_SINT15) ||
           between(index, HV_X64_MSR_STIMER0_CONFIG, HV_X64_MSR_STIMER3_COUNT) ||
           between(index, HV_X64_MSR_SYNDBG_CONTROL, HV_X64_MSR_SYNDBG_PENDING_BUFFER) ||
           between(index, HV_X64_MSR_SYNDBG_OPTIONS, HV_X64_MSR_TSC_EMULATION_STATUS);
}

static bool features_show(const struct vcpu *vcpu, const struct hv_msr *row)
{
    const struct cpuid_entry *e = cpuid_find(&vcpu->cpuid, HYPERV_CPUID_FEATURES, 0);

    return e && ((e->regs.eax & row->needs_a) || (e->regs.edx & row->needs_d));
}

/* The register, if there is one for whoever asks. */
static const struct hv_msr *reachable(const struct vcpu *vcpu, uint32_t index, enum origin origin)
{
    const struct hv_msr *row = find(index);

    if (!row || origin == ORIGIN_VMM)
        return row;
    return hyperv_shown(vcpu) && (!vcpu->hv_enforce || features_show(vcpu, row)) ? row : NULL;
}

static uint64_t *storage(struct vcpu *vcpu, const struct hv_msr *row, uint32_t index)
{
    return (uint64_t *)(void *)((uint8_t *)&vcpu->vm->hyperv + row->storage) + (index - row->index);
}

enum msr_result hyperv_rdmsr(struct vcpu *vcpu, uint32_t index, uint64_t *value, enum origin origin)
{
    const struct hv_msr *row = reachable(vcpu, index, origin);

    if (!row)
        return MSR_INVALID;
    if (row->read)
        return row->read(vcpu, value);
    *value = *storage(vcpu, row, index);
    return MSR_OK;
}

enum msr_result hyperv_wrmsr(struct vcpu *vcpu, uint32_t index, uint64_t value, enum origin origin)
{
    const struct hv_msr *row = reachable(vcpu, index, origin);

    if (!row)
        return MSR_INVALID;
    if (row->write)
        return row->write(vcpu, value, origin);
    *storage(vcpu, row, index) = value;
    return MSR_OK;
}

static bool qemu_keeps(const struct vcpu *vcpu, const struct hv_msr *row)
{
    if (row->vm_wide && vcpu->id != 0)
        return false;
    return row->kept == ALWAYS || (row->kept == IF_SHOWN && hyperv_shown(vcpu) && features_show(vcpu, row));
}

/* How many values a row has in struct hyperv_saved: its place there must not depend on what this vCPU shows. */
static uint32_t room(const struct hv_msr *row)
{
    return row->kept == NO ? 0 : row->count;
}

void hyperv_save(struct vcpu *vcpu, struct hyperv_saved *saved)
{
    uint64_t *value = saved->values;

    for (size_t i = 0; i < HV_MSRS; i++) {
        for (uint32_t n = 0; qemu_keeps(vcpu, &hv_msrs[i]) && n < hv_msrs[i].count; n++)
            hyperv_rdmsr(vcpu, hv_msrs[i].index + n, &value[n], ORIGIN_VMM);
        value += room(&hv_msrs[i]);
    }
    assert(value == saved->values + HYPERV_SAVED);
}

bool hyperv_load(struct vcpu *vcpu, const struct hyperv_saved *saved, uint32_t *index)
{
    const uint64_t *value = saved->values;

    for (size_t i = 0; i < HV_MSRS; i++) {
        for (uint32_t n = 0; qemu_keeps(vcpu, &hv_msrs[i]) && n < hv_msrs[i].count; n++) {
            *index = hv_msrs[i].index + n;
            if (hyperv_wrmsr(vcpu, *index, value[n], ORIGIN_VMM) != MSR_OK)
                return false;
        }
        value += room(&hv_msrs[i]);
    }
    return true;
}

void hyperv_power_on(struct vcpu *vcpu)
{
    vcpu->hv_assist = 0;
    if (vcpu->id == 0)
        vcpu->vm->hyperv = (struct hyperv){0};
}

/* 0 everywhere; so HYPERCALL keeps its address, which cannot be written any more once GUEST_OS_ID is 0. */
void hyperv_system_reset(struct vcpu *vcpu)
{
    static const struct hyperv_saved zeros;
    uint32_t index;

    hyperv_load(vcpu, &zeros, &index);
}
