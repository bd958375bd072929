/* The direct machine against guest code: random programs give the same outcomes and interrupts on our software vCPU,
 * where the probe's instructions really run (decision 12). Only what depends on real time or on the ROM's contents is
 * kept out of the programs. */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <string.h>
#include "diff/machine/machine.h"
#include "diff/program/direct.h"
#include "tests/random_program.h"
#include "vmm/abi/apic.h"
#include "vmm/abi/kvm_para.h"

#define RAM_PAGES ((64u << 20) / 4096 - PROBE_RAM_BASE / 4096) /* what -m 64M leaves above PROBE_RAM_BASE */
#define RECORDS   0x8000 /* from BASE_RAM: clock records live there, loads and stores stay below */

struct draw {
    uint64_t seed;
};

static unsigned below(struct draw *d, unsigned count)
{
    return random_u64(&d->seed) % count;
}

static struct operand number(uint64_t value)
{
    return (struct operand){.base = BASE_NONE, .value = value};
}

static struct operand draw_address(struct draw *d)
{
    switch (below(d, 6)) {
    case 0:
        return (struct operand){BASE_RAM_END, -(uint64_t)below(d, 80)};
    case 1:
        return (struct operand){BASE_HOLE, below(d, 8)};
    case 2:
        return (struct operand){BASE_RAM, 0x1000 * (1 + below(d, 3)) - below(d, 8)};
    case 3: /* beyond the page tables, or wrapping in 32 bits */
        return number(0x100000000 + PROBE_RAM_BASE + below(d, 0x1000));
    case 4:
        return number(0x8000000000000000 + PROBE_RAM_BASE + below(d, 0x1000));
    default:
        return (struct operand){BASE_RAM, below(d, 0x3000)};
    }
}

static struct operand draw_msr_value(struct draw *d, uint32_t msr)
{
    static const uint64_t odd[] = {0, 1, 2, 9, 0x3f, 0xf3, 0x100, 1ull << 63};

    if (msr != MSR_KVM_WALL_CLOCK && msr != MSR_KVM_WALL_CLOCK_NEW && below(d, 2))
        return number(odd[below(d, 8)]);
    return (struct operand){BASE_RAM, RECORDS + below(d, 0x100) * 64 + below(d, 2)};
}

static void draw_msr(struct draw *d, struct action *action)
{
    const struct symbol_table *msrs = operand_symbols(ARG_MSR);
    bool write = below(d, 2);
    uint64_t msr;

    do /* the TSC is time; a write to a register that is not KVM's may end the probe */
        msr = msrs->rows[below(d, write ? 11 : msrs->count)].value;
    while (msr == MSR_IA32_TSC || msr == MSR_IA32_TSC_ADJUST);
    action->op = write ? OP_WRMSR : OP_RDMSR;
    action->args[0] = number(msr);
    if (write)
        action->args[1] = draw_msr_value(d, msr);
}

static void draw_hypercall(struct draw *d, struct action *action)
{
    static const uint64_t numbers[] = {0, 1, 2, 5, 10, 10, 11, 12, 13, 0x100000005, 0xffffffff};
    static const uint64_t icrs[] = {0x40, 0xfd, 0x300, 0x8fd, 0x700, 0x80fd, 0xc0fd, 0x400, 5};

    action->op = below(d, 2) ? OP_VMCALL : OP_VMMCALL;
    action->args[0] = number(numbers[below(d, 11)]);
    action->args[1] = number(below(d, 4));
    action->args[2] = number(below(d, 2));
    action->args[3] = number(below(d, 2));
    action->args[4] = number(icrs[below(d, 9)]);
}

static void draw_memory(struct draw *d, struct action *action)
{
    action->op = OP_LOAD8 + below(d, OP_FILL - OP_LOAD8 + 1);
    action->args[0] = draw_address(d);
    if (action->op == OP_DUMP || action->op == OP_FILL)
        action->args[1] = number(below(d, 65));
    else if (action->op >= OP_STORE8)
        action->args[1] = number(random_u64(&d->seed));
    action->args[2] = number(action->op == OP_FILL ? below(d, 256) : 0);
}

static void draw_apic(struct draw *d, struct action *action)
{
    static const uint16_t readable[] = {APIC_ID,  APIC_LVR, APIC_TASKPRI, APIC_PROCPRI, APIC_SPIV,
                                        APIC_LDR, APIC_DFR, APIC_ISR,     APIC_IRR,     APIC_LVTT};

    switch (below(d, 4)) {
    case 0:
        *action = (struct action){.op = OP_APIC_WRITE, .args = {number(APIC_SPIV), number(0x1ff)}};
        break;
    case 1:
        *action = (struct action){.op = OP_APIC_READ, .args = {number(readable[below(d, 10)])}};
        break;
    case 2:
        *action = (struct action){.op = OP_IPI,
                                  .args = {number(below(d, 2)), number(0x4000 | (32 + below(d, 224)))}};
        break;
    default:
        action->op = OP_EOI;
    }
}

static void draw_action(struct draw *d, struct action *action)
{
    static const uint8_t plain[] = {OP_NOP, OP_STI, OP_CLI, OP_PAUSE};

    *action = (struct action){.op = OP_NOP};
    switch (below(d, 8)) {
    case 0:
    case 1:
    case 2:
        draw_msr(d, action);
        break;
    case 3:
    case 4:
        draw_hypercall(d, action);
        break;
    case 5:
        draw_memory(d, action);
        break;
    case 6:
        draw_apic(d, action);
        break;
    default:
        action->op = plain[below(d, 4)];
    }
    if (op_on_vcpu(action->op)) {
        action->vcpu = below(d, 2);
        action->mode = below(d, MODE_COUNT);
    }
}

static void draw_program(struct draw *d, struct program *program, char cpu[512])
{
    int len = sprintf(cpu, "qemu64");

    program_init(program);
    program->config = (struct program_config){
        .vcpus = 2, .ram_pages = RAM_PAGES, .irqchip = PROGRAM_IRQCHIP_KERNEL, .enforce = below(d, 2)};
    for (unsigned i = 0; i < feature_symbols.count; i++) {
        const struct symbol *feature = &feature_symbols.rows[i];
        bool on = below(d, 3) || feature->value & 1; /* QEMU needs kvmclock when it enforces (QMU-6) */

        if (feature->value == 1u << KVM_FEATURE_MSI_EXT_DEST_ID)
            continue; /* for a split irqchip only */
        program->config.features |= on ? feature->value : 0;
        len += sprintf(cpu + len, ",%s=%s", feature->name, on ? "on" : "off");
    }
    sprintf(cpu + len, ",kvm-pv-enforce-cpuid=%s", program->config.enforce ? "on" : "off");
    for (unsigned i = 0; i < 60; i++) {
        struct action action;

        draw_action(d, &action);
        cr_assert(program_add(program, &action));
    }
}

static void expect_same(const struct program *program, const struct transcript *soft,
                        const struct transcript *direct)
{
    for (uint32_t i = 0; i < program->count; i++) {
        const struct outcome *a = &soft->outcomes[i], *b = &direct->outcomes[i];
        char line[256];

        action_print(program, &program->actions[i], line, sizeof(line));
        cr_assert(eq(int, memcmp(a, b, sizeof(*a)), 0),
                  "action %u: %s: soft status %u vector %u rax %#lx, direct status %u vector %u rax %#lx", i,
                  line, a->status, a->vector, a->regs[0], b->status, b->vector, b->regs[0]);
    }
    for (unsigned v = 0; v < program->config.vcpus; v++) {
        cr_assert(eq(u32, soft->event_count[v], direct->event_count[v]));
        for (uint32_t i = 0; i < soft->event_count[v]; i++) {
            cr_assert(eq(u8, soft->events[v][i].vector, direct->events[v][i].vector));
            cr_assert(eq(u32, soft->events[v][i].after, direct->events[v][i].after));
        }
    }
}

Test(direct_soft, random_programs_end_alike)
{
    struct draw d = {.seed = 12};
    struct machine *machine;
    char why[240], cpu[512];

    cr_assert(eq(int, machine_open(&machine, MACHINE_SOFT, 0, NULL, NULL, why), 0), "%s", why);
    for (unsigned round = 0; round < 60; round++) {
        struct program program;
        struct run_item item = {.programs = &program, .program_count = 1};
        struct run_result result = {.error = ""};
        struct transcript direct;

        draw_program(&d, &program, cpu);
        item.flags = (struct flag_set){
            .name = "random", .cpu = cpu, .machine = "pc,kernel-irqchip=on", .smp = "2", .memory = "64M"};
        cr_assert(eq(int, machine_run(machine, &item, 1, &result), 0));
        cr_assert(eq(str, result.error, ""));
        cr_assert(eq(int, direct_machine_run(&program, &direct), 0));
        expect_same(&program, &result.transcripts[0], &direct);
        transcript_free(&direct);
        run_result_free(&result, 1);
        program_free(&program);
    }
    machine_close(machine);
}
