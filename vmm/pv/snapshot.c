/* Save and restore: magic, version, then sections of {tag, length}: machine, clock, I/O APIC, Hyper-V, one per vCPU, memory.
 * The way back takes hostile bytes: all is read and checked beside the running machine, then committed by steps that cannot
 * fail. */
#include "vmm/pv/snapshot.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "vmm/abi/hyperv.h"
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/memory_image.h"
#include "vmm/pv/clock.h"
#include "vmm/pv/lifecycle.h"

enum section {
    SECTION_MACHINE = 1,
    SECTION_CLOCK,
    SECTION_VCPU,
    SECTION_MEMORY,
    SECTION_IOAPIC,
    SECTION_HYPERV
};
#define MESSAGE_SIZE 160

/* Sections: the length is filled in once it is known. */
static size_t section_begin(struct byte_writer *w, enum section tag)
{
    bytes_put_uint(w, tag, 4);
    bytes_put_uint(w, 0, 8);
    return w->len;
}

static void section_end(struct byte_writer *w, size_t start)
{
    uint64_t len = w->len - start;

    if (!w->failed)
        memcpy(w->data + start - sizeof(len), &len, sizeof(len));
}

static void save_vcpu(struct byte_writer *w, const struct vcpu *vcpu)
{
    size_t start = section_begin(w, SECTION_VCPU);

    bytes_put_uint(w, vcpu->apic_id, 4);
    fields_write(w, vcpu, snapshot_vcpu_fields, snapshot_vcpu_field_count);
    for (unsigned i = 0; i < vcpu->apf.faults; i++)
        fields_write(w, &vcpu->apf_faults[i], snapshot_fault_fields, snapshot_fault_field_count);
    for (uint32_t i = 0; i < vcpu->cpuid.count; i++)
        fields_write(w, &vcpu->cpuid.entries[i], snapshot_cpuid_fields, snapshot_cpuid_field_count);
    section_end(w, start);
}

int vm_save(struct vm *vm, uint8_t **out, size_t *len)
{
    struct byte_writer w = {0};
    size_t start;

    bytes_put_uint(&w, SNAPSHOT_MAGIC, 8);
    bytes_put_uint(&w, SNAPSHOT_VERSION, 4);
    start = section_begin(&w, SECTION_MACHINE);
    fields_write(&w, &vm->config, snapshot_config_fields, snapshot_config_field_count);
    fields_write(&w, &vm->env, snapshot_host_fields, snapshot_host_field_count);
    section_end(&w, start);
    start = section_begin(&w, SECTION_CLOCK);
    fields_write(&w, &vm->clock, snapshot_clock_fields, snapshot_clock_field_count);
    section_end(&w, start);
    start = section_begin(&w, SECTION_IOAPIC);
    fields_write(&w, &vm->ioapic, snapshot_ioapic_fields, snapshot_ioapic_field_count);
    section_end(&w, start);
    start = section_begin(&w, SECTION_HYPERV);
    fields_write(&w, &vm->hyperv, snapshot_hyperv_fields, snapshot_hyperv_field_count);
    section_end(&w, start);
    for (unsigned i = 0; i < vm->config.vcpus; i++)
        save_vcpu(&w, &vm->vcpus[i]);
    start = section_begin(&w, SECTION_MEMORY);
    memory_image_write(&w, &vm->memory);
    section_end(&w, start);
    if (w.failed) {
        free(w.data);
        return -ENOMEM;
    }
    *out = w.data;
    *len = w.len;
    return 0;
}

/* What is being read, and where a refusal says why. */
struct restore {
    struct vm *vm;
    struct byte_reader in;
    char *message;
    struct vm_clock clock;
    struct ioapic ioapic;
    struct hyperv hyperv;
    struct vcpu *vcpus;
    struct memory_image memory;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct restore *r, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(r->message, MESSAGE_SIZE, format, args);
    va_end(args);
    return -EINVAL;
}

static int open_section(struct restore *r, enum section tag, const char *name, struct byte_reader *section)
{
    uint64_t found, len;

    if (!bytes_take_uint(&r->in, &found, 4) || found != tag || !bytes_take_uint(&r->in, &len, 8))
        return refuse(r, "section %s: missing", name);
    *section = (struct byte_reader){.data = r->in.data + r->in.pos, .len = len};
    if (len > r->in.len - r->in.pos)
        return refuse(r, "section %s: length %llu is beyond the end", name, (unsigned long long)len);
    r->in.pos += len;
    return 0;
}

static int close_section(struct restore *r, const char *name, const struct byte_reader *section)
{
    if (section->pos != section->len)
        return refuse(r, "section %s: %zu bytes too many", name, section->len - section->pos);
    return 0;
}

/* A snapshot is not a configuration: what the machine was made with is compared and never changed. */
static int compare_fields(struct restore *r, struct byte_reader *section, const void *ours,
                          const struct field *fields, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const uint8_t *theirs = bytes_take(section, fields[i].size);

        if (!theirs)
            return refuse(r, "machine.%s: cut short", fields[i].name);
        if (memcmp((const uint8_t *)ours + fields[i].offset, theirs, fields[i].size) != 0)
            return refuse(r, "machine.%s: the snapshot is of another machine", fields[i].name);
    }
    return 0;
}

static int read_machine(struct restore *r)
{
    struct byte_reader section;
    int err = open_section(r, SECTION_MACHINE, "machine", &section);

    if (!err)
        err =
            compare_fields(r, &section, &r->vm->config, snapshot_config_fields, snapshot_config_field_count);
    if (!err)
        err = compare_fields(r, &section, &r->vm->env, snapshot_host_fields, snapshot_host_field_count);
    return err ? err : close_section(r, "machine", &section);
}

static int read_clock(struct restore *r)
{
    struct byte_reader section;
    const struct field *bad;
    int err = open_section(r, SECTION_CLOCK, "clock", &section);

    if (err)
        return err;
    r->clock = r->vm->clock;
    bad = fields_read(&section, &r->clock, snapshot_clock_fields, snapshot_clock_field_count);
    if (bad)
        return refuse(r, "clock.%s: cut short or out of range", bad->name);
    return close_section(r, "clock", &section);
}

static int read_ioapic(struct restore *r)
{
    struct byte_reader section;
    const struct field *bad;
    int err = open_section(r, SECTION_IOAPIC, "ioapic", &section);

    if (err)
        return err;
    r->ioapic = r->vm->ioapic;
    bad = fields_read(&section, &r->ioapic, snapshot_ioapic_fields, snapshot_ioapic_field_count);
    if (bad)
        return refuse(r, "ioapic.%s: cut short or out of range", bad->name);
    return close_section(r, "ioapic", &section);
}

static int read_hyperv(struct restore *r)
{
    struct byte_reader section;
    const struct field *bad;
    int err = open_section(r, SECTION_HYPERV, "hyperv", &section);

    if (err)
        return err;
    bad = fields_read(&section, &r->hyperv, snapshot_hyperv_fields, snapshot_hyperv_field_count);
    if (bad)
        return refuse(r, "hyperv.%s: cut short", bad->name);
    if (!r->hyperv.guest_os_id && (r->hyperv.hypercall & HV_PAGE_ENABLE))
        return refuse(r, "hyperv.hypercall: enabled for no guest");
    return close_section(r, "hyperv", &section);
}

static bool factors_fit(const struct kvmclock *clock)
{
    uint32_t mul;
    int8_t shift;

    clock_scale(clock->scaled_khz, &mul, &shift);
    return mul == clock->mul && shift == clock->shift;
}

/* Rules between fields. The registers are taken as they are: an interpreter has to bear any anyway. */
static const char *inconsistent(const struct vcpu *v)
{
    const uint64_t apf_on = KVM_ASYNC_PF_ENABLED | KVM_ASYNC_PF_DELIVERY_AS_INT;

    if (v->msr_exit.reason & (v->msr_exit.reason - 1))
        return "msr_exit.reason: more than one";
    if (v->msr_exit.reason && !(v->hold & HOLD_EXIT))
        return "msr_exit.reason: the VMM is not asked";
    if (v->answered && (v->hold & HOLD_EXIT))
        return "answered: the VMM is still asked";
    if (v->clock.shift <= -64 || v->clock.shift >= 64)
        return "clock.shift: 64 or more has no meaning";
    if (v->clock.scaled_khz && !factors_fit(&v->clock))
        return "clock.mul: not a factor of scaled_khz";
    if (v->clock.active && !(v->clock.msr & KVM_MSR_ENABLED))
        return "clock.active: the MSR is not enabled";
    if (v->clock.target % GPA_PAGE_SIZE > GPA_PAGE_SIZE - sizeof(struct pvclock_vcpu_time_info))
        return "clock.target: the record would cross a page";
    if (v->steal.msr & KVM_STEAL_RESERVED_MASK)
        return "steal.msr: reserved bits";
    if (v->apf.en_msr & KVM_ASYNC_PF_RESERVED)
        return "apf.en_msr: reserved bits";
    if (v->apf.on != ((v->apf.en_msr & apf_on) == apf_on))
        return "apf.on: differs from en_msr";
    if (v->apf.wake_all && !v->apf.on)
        return "apf.wake_all: the mechanism is off";
    if (v->apf.ready > v->apf.faults)
        return "apf.ready: more than there are faults";
    if (v->eoi.msr & 2)
        return "eoi.msr: address not aligned";
    if (v->eoi.pending && !(v->eoi.msr & KVM_MSR_ENABLED))
        return "eoi.pending: the MSR is not enabled";
    if (v->apic.svr & ~SVR_BITS)
        return "apic.svr: reserved bits";
    if ((v->apic.base_msr & (APICBASE_ENABLE | APICBASE_EXTD)) == APICBASE_EXTD)
        return "apic.base_msr: x2APIC mode of a disabled APIC";
    return NULL;
}

/* Those the vCPU waits for, and those it was not told of yet. */
static int read_faults(struct restore *r, struct byte_reader *section, struct vcpu *vcpu)
{
    for (unsigned i = 0; i < vcpu->apf.faults; i++) {
        struct apf_fault *fault = &vcpu->apf_faults[i];

        if (fields_read(section, fault, snapshot_fault_fields, snapshot_fault_field_count))
            return refuse(r, "vcpu %u: apf_faults[%u]: cut short or out of range", vcpu->id, i);
        if (fault->gpa % GPA_PAGE_SIZE || !fault->token)
            return refuse(r, "vcpu %u: apf_faults[%u]: page address or token", vcpu->id, i);
    }
    return 0;
}

static int read_cpuid(struct restore *r, struct byte_reader *section, struct vcpu *vcpu)
{
    for (uint32_t i = 0; i < vcpu->cpuid.count; i++)
        if (fields_read(section, &vcpu->cpuid.entries[i], snapshot_cpuid_fields, snapshot_cpuid_field_count))
            return refuse(r, "vcpu %u: cpuid.entries[%u]: cut short", vcpu->id, i);
    return 0;
}

static int read_vcpu(struct restore *r, struct vcpu *vcpu)
{
    struct byte_reader section;
    const struct field *bad;
    const char *why;
    uint64_t apic_id;
    int err = open_section(r, SECTION_VCPU, "vcpu", &section);

    if (err)
        return err;
    if (!bytes_take_uint(&section, &apic_id, 4) || apic_id != vcpu->apic_id)
        return refuse(r, "vcpu %u: apic_id: the snapshot is of another machine", vcpu->id);
    bad = fields_read(&section, vcpu, snapshot_vcpu_fields, snapshot_vcpu_field_count);
    if (bad)
        return refuse(r, "vcpu %u: %s: cut short or out of range", vcpu->id, bad->name);
    why = inconsistent(vcpu);
    if (why)
        return refuse(r, "vcpu %u: %s", vcpu->id, why);
    err = read_faults(r, &section, vcpu);
    if (!err)
        err = read_cpuid(r, &section, vcpu);
    return err ? err : close_section(r, "vcpu", &section);
}

static int read_memory(struct restore *r)
{
    struct byte_reader section;
    const char *why;
    int err = open_section(r, SECTION_MEMORY, "memory", &section);

    if (err)
        return err;
    why = memory_image_read(&section, &r->memory);
    if (why)
        return refuse(r, "%s", why);
    return close_section(r, "memory", &section);
}

static int read_all(struct restore *r)
{
    uint64_t magic, version;
    int err;

    if (!bytes_take_uint(&r->in, &magic, 8) || magic != SNAPSHOT_MAGIC)
        return refuse(r, "magic: not a snapshot");
    if (!bytes_take_uint(&r->in, &version, 4) || version != SNAPSHOT_VERSION)
        return refuse(r, "version: this build reads version %u", SNAPSHOT_VERSION);
    err = read_machine(r);
    if (!err)
        err = read_clock(r);
    if (!err)
        err = read_ioapic(r);
    if (!err)
        err = read_hyperv(r);
    for (unsigned i = 0; i < r->vm->config.vcpus && !err; i++)
        err = read_vcpu(r, &r->vcpus[i]);
    if (!err)
        err = read_memory(r);
    if (!err && r->in.pos != r->in.len)
        return refuse(r, "end: %zu bytes too many", r->in.len - r->in.pos);
    return err;
}

/* What each MSR says is registered: the areas themselves are not in the file, so none can lie. */
static void register_areas(struct vcpu *v)
{
    bool stale = v->areas[AREA_PV_EOI].state == AREA_STALE;

    for (int kind = 0; kind < AREA_KINDS; kind++)
        area_unregister(&v->areas[kind]);
    if (v->clock.active)
        area_register(&v->areas[AREA_CLOCK], v->clock.target, sizeof(struct pvclock_vcpu_time_info));
    if (v->steal.msr & KVM_MSR_ENABLED)
        area_register(&v->areas[AREA_STEAL], v->steal.msr & KVM_STEAL_VALID_BITS,
                      sizeof(struct kvm_steal_time));
    if (v->apf.on)
        area_register(&v->areas[AREA_ASYNC_PF], v->apf.en_msr & ~0x3full, KVM_APF_HOST_BYTES);
    if (v->eoi.msr & KVM_MSR_ENABLED)
        area_register(&v->areas[AREA_PV_EOI], v->eoi.msr & ~(uint64_t)KVM_MSR_ENABLED, 1);
    if (stale && v->areas[AREA_PV_EOI].state == AREA_GOOD)
        v->areas[AREA_PV_EOI].state = AREA_STALE;
}

static void commit(struct restore *r)
{
    struct vm *vm = r->vm;

    vm->clock = r->clock;
    vm->ioapic = r->ioapic;
    vm->hyperv = r->hyperv;
    vm->timer_check_ns = 0; /* look at every timer anew */
    memcpy(vm->vcpus, r->vcpus, vm->config.vcpus * sizeof(*vm->vcpus));
    for (unsigned i = 0; i < vm->config.vcpus; i++) {
        vcpu_refresh_caps(&vm->vcpus[i]);
        register_areas(&vm->vcpus[i]);
    }
    lapic_map_changed(vm);
}

int vm_restore(struct vm *vm, const uint8_t *data, size_t len, char message[160])
{
    struct restore r = {.vm = vm, .in = {.data = data, .len = len}, .message = message};
    size_t bytes = vm->config.vcpus * sizeof(*vm->vcpus);
    const char *why;
    int err;

    message[0] = '\0';
    r.vcpus = malloc(bytes);
    if (!r.vcpus)
        return -ENOMEM;
    memcpy(r.vcpus, vm->vcpus, bytes);
    err = read_all(&r);
    if (!err) {
        err = memory_image_apply(&r.memory, &vm->memory, &why);
        if (err)
            snprintf(message, MESSAGE_SIZE, "%s", why);
    }
    if (!err)
        commit(&r);
    free(r.vcpus);
    return err;
}
