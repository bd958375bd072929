/* A small machine that a test controls: scripted time, RAM at 0, CPUID by feature word. For tests only. */
#ifndef TESTS_FAKE_VM_H
#define TESTS_FAKE_VM_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include "vmm/abi/kvm_para.h"
#include "vmm/abi/kvm_structs.h"
#include "vmm/abi/pvclock.h"
#include "vmm/apic/lapic.h"
#include "vmm/core/vm.h"
#include "vmm/pv/intercept.h"
#include "vmm/pv/lifecycle.h"
#include "vmm/pv/msr.h"

#define FAKE_VCPUS    512
#define FAKE_RAM_SIZE 0x200000ull
#define FAKE_KHZ      2000000u
#define HOLE          0x40000000ull /* no RAM there */
#define ALL_FEATURES  0x0103ffffu   /* every assigned bit */

/* Declares a machine that is freed at the end of its scope. */
#define FAKE_VM(name) __attribute__((cleanup(fake_vm_free))) struct fake_vm name = {0}

struct fake_time {
    uint64_t tsc, now_ns, realtime_ns, run_delay_ns[FAKE_VCPUS];
};

struct fake_vm {
    struct vm vm;
    struct vcpu *vcpu; /* number 0 */
    struct fake_time time;
};

static inline void fake_vm_free(struct fake_vm *f)
{
    vm_destroy(&f->vm);
}

static inline uint64_t fake_tsc(void *ctx)
{
    return ((struct fake_time *)ctx)->tsc;
}
static inline uint64_t fake_now_ns(void *ctx)
{
    return ((struct fake_time *)ctx)->now_ns;
}
static inline uint64_t fake_realtime_ns(void *ctx)
{
    return ((struct fake_time *)ctx)->realtime_ns;
}
static inline uint64_t fake_run_delay_ns(void *ctx, unsigned vcpu_id)
{
    return ((struct fake_time *)ctx)->run_delay_ns[vcpu_id];
}

/* TSC and clocks move together. */
static inline void fake_advance(struct fake_vm *f, uint64_t ns)
{
    f->time.now_ns += ns;
    f->time.realtime_ns += ns;
    f->time.tsc += (uint64_t)((unsigned __int128)ns * FAKE_KHZ / 1000000);
    vm_host_events(&f->vm);
}

static inline void cpuid_put(struct cpuid_table *table, uint32_t leaf, uint32_t eax, uint32_t ebx,
                             uint32_t ecx, uint32_t edx)
{
    cr_assert(table->count < CPUID_ENTRIES);
    table->entries[table->count++] = (struct cpuid_entry){.leaf = leaf, .regs = {eax, ebx, ecx, edx}};
}

/* An Intel-like CPU with x2APIC, TSC_ADJUST, NX, long mode, RDTSCP, and KVM's leaves at base (0: none). */
static inline void fake_cpuid(struct cpuid_table *table, uint32_t base, uint32_t features)
{
    memset(table, 0, sizeof(*table));
    cpuid_put(table, 0, 0xd, 0x756e6547, 0x6c65746e, 0x49656e69);
    cpuid_put(table, 1, 0x000306a9, 0x00000800, 1u << 31 | 1u << 26 | 1u << 24 | 1u << 21, 1u << 9);
    cpuid_put(table, 7, 0, 1u << 1, 1u << 3, 0);
    cpuid_put(table, 0xd, 7, 576, 832, 0);
    if (base) {
        cpuid_put(table, base, base | 1, KVM_SIGNATURE_EBX, KVM_SIGNATURE_ECX, KVM_SIGNATURE_EDX);
        cpuid_put(table, base | 1, features, 0, 0, 0);
    }
    cpuid_put(table, 0x80000000, 0x80000008, 0, 0, 0);
    cpuid_put(table, 0x80000001, 0, 0, 1, 1u << 29 | 1u << 27 | 1u << 20 | 1u << 11);
    cpuid_put(table, 0x80000008, 0x3028, 0, 0, 0);
}

static inline void fake_vm_create(struct fake_vm *f, const struct vm_config *config, bool clocksource_tsc)
{
    struct env env = {.tsc = fake_tsc,
                      .now_ns = fake_now_ns,
                      .realtime_ns = fake_realtime_ns,
                      .run_delay_ns = fake_run_delay_ns,
                      .ctx = &f->time,
                      .tsc_khz = FAKE_KHZ,
                      .clocksource_tsc = clocksource_tsc};

    fake_vm_free(f);
    memset(f, 0, sizeof(*f));
    f->time.tsc = 1000000000;
    f->time.now_ns = 7000000000;
    f->time.realtime_ns = 1700000000123456789;
    cr_assert(eq(int, vm_create(&f->vm, config, &env), 0));
    cr_assert(eq(int, memory_slot_add(&f->vm.memory, 0, FAKE_RAM_SIZE, 0), 0));
    f->vcpu = &f->vm.vcpus[0];
    vm_start(&f->vm);
}

static inline void fake_set_features(struct fake_vm *f, uint32_t features)
{
    struct cpuid_table table;

    fake_cpuid(&table, KVM_CPUID_SIGNATURE, features);
    for (unsigned i = 0; i < f->vm.config.vcpus; i++)
        cr_assert(eq(int, vcpu_set_cpuid(&f->vm.vcpus[i], &table), 0));
}

static const struct vm_config fake_config = {.vcpus = 1,
                                             .irqchip = IRQCHIP_KERNEL,
                                             .native = HC_VMCALL,
                                             .fix_hypercall_quirk = true,
                                             .sched_info = true};

/* One vCPU, every feature, not enforced, host clocksource TSC. */
static inline void fake_vm_init(struct fake_vm *f)
{
    fake_vm_create(f, &fake_config, true);
    fake_set_features(f, ALL_FEATURES);
}

static inline void fake_vm_init_smp(struct fake_vm *f, uint16_t vcpus)
{
    struct vm_config config = fake_config;

    config.vcpus = vcpus;
    fake_vm_create(f, &config, true);
    fake_set_features(f, ALL_FEATURES);
    for (unsigned i = 0; i < vcpus; i++) {
        f->vm.vcpus[i].mp_state = MP_RUNNABLE;
        f->vm.vcpus[i].apic.svr |= APIC_SPIV_APIC_ENABLED;
    }
}

static inline enum msr_result guest_wrmsr_on(struct vcpu *vcpu, uint32_t index, uint64_t value)
{
    enum msr_result result = vcpu_wrmsr(vcpu, index, value, ORIGIN_GUEST);

    vcpu_enter(vcpu); /* the next instruction */
    return result;
}
static inline enum msr_result guest_wrmsr(struct fake_vm *f, uint32_t index, uint64_t value)
{
    return guest_wrmsr_on(f->vcpu, index, value);
}
static inline uint64_t guest_rdmsr(struct fake_vm *f, uint32_t index)
{
    uint64_t value = 0xdead;

    cr_assert(eq(int, vcpu_rdmsr(f->vcpu, index, &value, ORIGIN_GUEST), MSR_OK));
    return value;
}

static inline void ram_read(struct fake_vm *f, uint64_t gpa, void *dst, size_t len)
{
    cr_assert(gpa_read(&f->vm.memory, gpa, dst, len), "no memory at the address the test reads");
}
static inline void ram_write(struct fake_vm *f, uint64_t gpa, const void *src, size_t len)
{
    cr_assert(gpa_write(&f->vm.memory, gpa, src, len), "no memory at the address the test writes");
}
static inline void ram_fill(struct fake_vm *f, uint64_t gpa, uint8_t byte, size_t len)
{
    uint8_t bytes[4096];

    cr_assert(len <= sizeof(bytes));
    memset(bytes, byte, len);
    ram_write(f, gpa, bytes, len);
}
static inline uint32_t ram_u32(struct fake_vm *f, uint64_t gpa)
{
    uint32_t value;

    ram_read(f, gpa, &value, sizeof(value));
    return value;
}
static inline void ram_put_u32(struct fake_vm *f, uint64_t gpa, uint32_t value)
{
    ram_write(f, gpa, &value, sizeof(value));
}
static inline struct pvclock_vcpu_time_info clock_record(struct fake_vm *f, uint64_t gpa)
{
    struct pvclock_vcpu_time_info record;

    ram_read(f, gpa, &record, sizeof(record));
    return record;
}

/* 64-bit code at CPL 0, or another mode. */
static inline void cpu_mode(struct vcpu *vcpu, bool paging_long, bool cs_l, unsigned cpl)
{
    struct cpu_regs *r = &vcpu->regs;

    r->cr0 = paging_long ? CR0_PE | CR0_PG : CR0_PE;
    r->efer = paging_long ? EFER_LME | EFER_LMA : 0;
    r->seg[SREG_CS].access = (uint16_t)(0x009b | (cs_l ? SEG_L : SEG_DB) | cpl << 5);
    r->seg[SREG_SS].access = (uint16_t)(0x0093 | cpl << 5);
}

/* The hypercall instruction: RAX afterwards. The native form must complete. */
static inline uint64_t hypercall(struct vcpu *vcpu, uint64_t nr, uint64_t a0, uint64_t a1, uint64_t a2,
                                 uint64_t a3)
{
    struct trap trap;
    uint64_t *gpr = vcpu->regs.gpr;

    gpr[RAX] = nr;
    gpr[RBX] = a0;
    gpr[RCX] = a1;
    gpr[RDX] = a2;
    gpr[RSI] = a3;
    cr_assert(eq(int, intercept_hypercall(vcpu, vcpu->vm->config.native, &trap), HC_DONE));
    return gpr[RAX];
}

#endif
