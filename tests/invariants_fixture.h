/* A machine put together by hand, for tests that each invariant of the fuzz targets can fail. */
#ifndef TESTS_INVARIANTS_FIXTURE_H
#define TESTS_INVARIANTS_FIXTURE_H

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include "fuzz/invariants.h"
#include "vmm/abi/kvm_para.h"

#define RAM 0x200000ull

struct fixture {
    struct vm vm;
    struct vcpu vcpus[2];
    uint64_t tsc;
    struct invariants inv;
    struct violation violation;
};

static inline uint64_t fixture_tsc(void *ctx)
{
    return ((struct fixture *)ctx)->tsc;
}

/* Two vCPUs with every feature advertised and enforced; nothing enabled. */
static inline struct fixture *fixture_new(void)
{
    static const uint64_t bases[BASE_COUNT] = {[BASE_RAM] = RAM, [BASE_RAM_END] = RAM + 0x10000};
    struct fixture *f = calloc(1, sizeof(*f));

    f->vm.config.vcpus = 2;
    f->vm.config.irqchip = IRQCHIP_KERNEL;
    f->vm.config.native = HC_VMMCALL;
    f->vm.env = (struct env){.tsc = fixture_tsc, .ctx = f, .clocksource_tsc = 1};
    f->vm.vcpus = f->vcpus;
    for (uint16_t i = 0; i < 2; i++) {
        struct vcpu *vcpu = &f->vcpus[i];

        vcpu->vm = &f->vm;
        vcpu->id = i;
        vcpu->enforce = true;
        vcpu->pv_features = 0x01007efb;
        vcpu->pv_base = 0x40000000;
        vcpu->cpuid.count = 1;
        vcpu->cpuid.entries[0] = (struct cpuid_entry){.leaf = 0x40000001, .regs.eax = 0x01007efb};
    }
    invariants_begin(&f->inv, &f->vm, bases);
    return f;
}

static inline bool after(struct fixture *f, const struct action *action, const struct outcome *outcome)
{
    f->violation.rule = "";
    return invariants_after(&f->inv, action, outcome, &f->violation);
}

static inline void expect_rule(struct fixture *f, const struct action *action, const struct outcome *outcome,
                               const char *rule)
{
    bool held = after(f, action, outcome);

    cr_expect(!held, "%s did not fail", rule);
    cr_expect_str_eq(f->violation.rule, rule, "%s: %s", f->violation.rule, held ? "" : f->violation.text);
    free(f);
}

static inline struct action wrmsr(uint32_t index, uint64_t value)
{
    return (struct action){.op = OP_WRMSR, .args = {{BASE_NONE, index}, {BASE_NONE, value}}};
}

static const struct outcome ok = {.status = OUTCOME_OK};
static const struct outcome gp = {.status = OUTCOME_FAULT, .vector = TRAP_GP};
static const struct action nop = {.op = OP_RDTSC};

static inline void store(struct fixture *f, enum area_kind kind, uint64_t gpa, unsigned offset,
                         const void *bytes, unsigned size)
{
    struct trace_entry *entry = &f->vm.trace.ring[f->vm.trace.total++ % TRACE_ENTRIES];

    *entry = (struct trace_entry){.gpa = gpa + offset,
                                  .kind = (uint8_t)kind,
                                  .offset = (uint8_t)offset,
                                  .size = (uint8_t)size,
                                  .allowed = true};
    memcpy(entry->bytes, bytes, size);
}

static inline void store32(struct fixture *f, enum area_kind kind, uint64_t gpa, unsigned offset,
                           uint32_t value)
{
    store(f, kind, gpa, offset, &value, 4);
}

struct clock_record { /* struct pvclock_vcpu_time_info */
    uint32_t version, pad0;
    uint64_t tsc_timestamp, system_time;
    uint32_t mul;
    int8_t shift;
    uint8_t flags, pad[2];
};

static inline void store_clock(struct fixture *f, struct clock_record record)
{
    uint64_t gpa = f->vcpus[0].clock.msr & ~1ull;

    store32(f, AREA_CLOCK, gpa, 0, record.version);
    store(f, AREA_CLOCK, gpa, 0, &record, 32);
    store32(f, AREA_CLOCK, gpa, 0, record.version + 1);
}

static const struct clock_record good_record = {.version = 1, .mul = 0x80000000};

#endif
