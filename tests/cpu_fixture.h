/* A one-vCPU machine for tests of the interpreter: identity-mapped RAM, any mode, code given as bytes. */
#ifndef TESTS_CPU_FIXTURE_H
#define TESTS_CPU_FIXTURE_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include "vmm/core/vm.h"
#include "vmm/cpu/cpu.h"

#define FIX_RAM      0x200000ull
#define FIX_GDT      0x1000ull
#define FIX_IDT      0x2000ull
#define FIX_TSS      0x3000ull
#define FIX_PML4     0x4000ull /* then a PDPT, then a page directory for the first GiB */
#define FIX_PDPT     0x5000ull
#define FIX_PD       0x6000ull
#define FIX_PT       0x7000ull /* maps the first 2 MiB by 4 KiB pages */
#define FIX_CODE     0x10000ull
#define FIX_HANDLERS 0x20000ull /* vector n at + 16 * n: HLT */
#define FIX_STACK    0x80000ull
#define FIX_STACK0   0x90000ull /* RSP0 of the TSS */
#define FIX_DATA     0x100000ull

#define SEL_CODE64 0x08
#define SEL_DATA   0x10
#define SEL_CODE32 0x18
#define SEL_CODE16 0x20
#define SEL_DATA16 0x28
#define SEL_USER32 0x30
#define SEL_USERDS 0x38
#define SEL_USER64 0x40
#define SEL_TSS    0x48 /* 16 bytes */

struct cpu_fixture {
    struct vm vm;
    struct code_cache *cache;
    struct cpu *cpu;
    struct vcpu *vcpu;
    struct cpu_regs *regs;
    struct cpu_exit exit;
};

static inline uint64_t fix_zero(void *ctx)
{
    (void)ctx;
    return 0;
}
static inline uint64_t fix_no_delay(void *ctx, unsigned vcpu_id)
{
    (void)ctx, (void)vcpu_id;
    return 0;
}

static inline void fix_write(struct cpu_fixture *f, uint64_t gpa, const void *src, size_t len)
{
    cr_assert(gpa_write(&f->vm.memory, gpa, src, len));
    code_cache_written(f->cache, gpa, len);
}
static inline void fix_write64(struct cpu_fixture *f, uint64_t gpa, uint64_t v)
{
    fix_write(f, gpa, &v, sizeof(v));
}
static inline uint64_t fix_read64(struct cpu_fixture *f, uint64_t gpa)
{
    uint64_t v = 0;

    cr_assert(gpa_read(&f->vm.memory, gpa, &v, sizeof(v)));
    return v;
}

static inline void fix_tables(struct cpu_fixture *f)
{
    static const uint64_t gdt[] = {0,
                                   0x00af9b000000ffff,
                                   0x00cf93000000ffff,
                                   0x00cf9b000000ffff,
                                   0x00009b000000ffff,
                                   0x000093000000ffff,
                                   0x00cffb000000ffff,
                                   0x00cff3000000ffff,
                                   0x00affb000000ffff,
                                   0x00008b0000000067 | (FIX_TSS & 0xffffff) << 16,
                                   0};

    fix_write(f, FIX_GDT, gdt, sizeof(gdt));
    fix_write64(f, FIX_PML4, FIX_PDPT | 7);
    fix_write64(f, FIX_PDPT, FIX_PD | 7);
    fix_write64(f, FIX_PD, FIX_PT | 7);
    for (uint64_t n = 1; n < 512; n++)
        fix_write64(f, FIX_PD + 8 * n, n << 21 | 0x87);
    for (uint64_t n = 0; n < 512; n++)
        fix_write64(f, FIX_PT + 8 * n, n << 12 | 7);
    fix_write64(f, FIX_TSS + 4, FIX_STACK0);
}

static inline void fix_idt64(struct cpu_fixture *f, unsigned vector, uint64_t handler, unsigned type_dpl,
                             unsigned ist)
{
    fix_write64(f, FIX_IDT + 16 * vector,
                (handler & 0xffff) | SEL_CODE64 << 16 | (uint64_t)ist << 32 | (uint64_t)type_dpl << 40 |
                    (handler & 0xffff0000) << 32);
    fix_write64(f, FIX_IDT + 16 * vector + 8, handler >> 32);
}

static inline struct segment fix_segment(uint16_t selector, uint16_t access, uint32_t limit)
{
    return (struct segment){.selector = selector, .access = access, .limit = limit};
}

/* 64-bit mode at CPL 0, everything mapped, every vector leads to a HLT at its own address. */
static inline void fix_long_mode(struct cpu_fixture *f)
{
    struct cpu_regs *r = f->regs;

    vcpu_regs_reset(f->vcpu);
    fix_tables(f);
    for (unsigned v = 0; v < 256; v++) {
        fix_idt64(f, v, FIX_HANDLERS + 16 * v, 0x8e, 0);
        fix_write(f, FIX_HANDLERS + 16 * v, "\xf4", 1);
    }
    r->cr0 = 0x80010033;
    r->cr3 = FIX_PML4;
    r->cr4 = 0x20;
    r->efer = EFER_LME | EFER_LMA | EFER_NXE | EFER_SCE;
    r->gdtr = (struct desc_table){FIX_GDT, 0x57};
    r->idtr = (struct desc_table){FIX_IDT, 0xfff};
    r->tr = (struct segment){.selector = SEL_TSS, .access = 0x8b, .limit = 0x67, .base = FIX_TSS};
    r->seg[SREG_CS] = fix_segment(SEL_CODE64, 0xa09b, 0xffffffff);
    for (int s = 0; s < SREGS; s++)
        if (s != SREG_CS)
            r->seg[s] = fix_segment(SEL_DATA, 0xc093, 0xffffffff);
    r->rip = FIX_CODE;
    r->gpr[RSP] = FIX_STACK;
}

/* 32-bit protected mode, flat, no paging; the IDT is empty unless the test fills it. */
static inline void fix_protected_mode(struct cpu_fixture *f)
{
    struct cpu_regs *r = f->regs;

    fix_long_mode(f);
    r->cr0 = 0x33;
    r->cr4 = 0;
    r->efer = 0;
    r->seg[SREG_CS] = fix_segment(SEL_CODE32, 0xc09b, 0xffffffff);
}

/* CPL 3 in 64-bit mode. */
static inline void fix_user(struct cpu_fixture *f)
{
    f->regs->seg[SREG_CS] = fix_segment(SEL_USER64 | 3, 0xa0fb, 0xffffffff);
    f->regs->seg[SREG_SS] = fix_segment(SEL_USERDS | 3, 0xc0f3, 0xffffffff);
}

/* Real mode at 0000:7c00, segments 0, stack at 0x7000. */
static inline void fix_real_mode(struct cpu_fixture *f)
{
    vcpu_regs_reset(f->vcpu);
    f->regs->seg[SREG_CS] = fix_segment(0, 0x9b, 0xffff);
    f->regs->rip = 0x7c00;
    f->regs->gpr[RSP] = 0x7000;
}

static inline void fix_init(struct cpu_fixture *f)
{
    struct vm_config config = {.vcpus = 1, .irqchip = IRQCHIP_KERNEL, .fix_hypercall_quirk = true};
    struct env env = {.tsc = fix_zero,
                      .now_ns = fix_zero,
                      .realtime_ns = fix_zero,
                      .run_delay_ns = fix_no_delay,
                      .tsc_khz = 1000000};

    cr_assert(eq(int, vm_create(&f->vm, &config, &env), 0));
    cr_assert(eq(int, memory_slot_add(&f->vm.memory, 0, FIX_RAM, 0), 0));
    f->vcpu = &f->vm.vcpus[0];
    f->regs = &f->vcpu->regs;
    f->vcpu->injected = NO_TRAP;
    cr_assert(eq(int, code_cache_create(&f->cache, &f->vm.memory), 0));
    cr_assert(eq(int, cpu_create(&f->cpu, f->cache, f->vcpu), 0));
    fix_long_mode(f);
}
static inline void fix_done(struct cpu_fixture *f)
{
    cpu_destroy(f->cpu);
    code_cache_destroy(f->cache);
    vm_destroy(&f->vm);
}

/* Code at CS:RIP, then runs until an exit or count instructions. */
#define FIX_CODE_AT(f, gpa, bytes) fix_write(f, gpa, bytes, sizeof(bytes) - 1)
static inline enum cpu_exit_reason fix_run(struct cpu_fixture *f, uint64_t count)
{
    cpu_run(f->cpu, count, &f->exit);
    return f->exit.reason;
}
/* Runs to the HLT that every test ends with; events of no consequence are passed over. */
static inline void fix_run_to_hlt(struct cpu_fixture *f)
{
    for (int n = 0; n < 1000; n++) {
        enum cpu_exit_reason reason = fix_run(f, 1000000);

        if (reason != CPU_EXIT_EVENT && reason != CPU_EXIT_PAUSE) {
            cr_assert(eq(int, reason, CPU_EXIT_HLT), "%s at rip %llx", f->exit.text, (long long)f->regs->rip);
            return;
        }
    }
    cr_fatal("no HLT");
}
/* The vector whose handler the HLT was in, -1: none. */
static inline int fix_vector(const struct cpu_fixture *f)
{
    uint64_t offset = f->regs->rip - FIX_HANDLERS;

    return offset < 256 * 16 ? (int)(offset / 16) : -1;
}

#endif
