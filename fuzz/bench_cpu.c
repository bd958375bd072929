/* Measures the software vCPU: a tight loop of six register instructions in flat 32-bit code. */
#include <stdio.h>
#include <stdlib.h>
#include "fuzz/bench_inputs.h"
#include "vmm/backend/soft.h"
#include "vmm/exit_status.h"
#include "vmm/pv/lifecycle.h"

#define CODE         0x1000
#define INSTRUCTIONS 20000000ull

static uint64_t no_time(void *ctx)
{
    (void)ctx;
    return 0;
}

static uint64_t no_delay(void *ctx, unsigned vcpu_id)
{
    (void)ctx, (void)vcpu_id;
    return 0;
}

/* inc eax; add ebx,eax; xor ecx,ebx; mov esi,ecx; dec edx; jnz to the first; jmp to the first */
static const uint8_t loop[] = {0x40, 0x01, 0xc3, 0x31, 0xd9, 0x89, 0xce, 0x4a, 0x75, 0xf6, 0xeb, 0xf4};

static void enter_flat(struct vcpu *vcpu)
{
    for (unsigned i = 0; i < SREGS; i++)
        vcpu->regs.seg[i] = (struct segment){.selector = 0x10,
                                             .limit = 0xffffffff,
                                             .access = SEG_ACCESSED | 2 | SEG_S | SEG_P | SEG_DB | SEG_G};
    vcpu->regs.seg[SREG_CS].selector = 8;
    vcpu->regs.seg[SREG_CS].access |= SEG_CODE;
    vcpu->regs.cr0 |= CR0_PE;
    vcpu->regs.rip = CODE;
}

int main(void)
{
    const struct env env = {.tsc = no_time,
                            .now_ns = no_time,
                            .realtime_ns = no_time,
                            .run_delay_ns = no_delay,
                            .tsc_khz = 1000000};
    const struct vm_config config = {.vcpus = 1, .irqchip = IRQCHIP_KERNEL};
    uint64_t best = UINT64_MAX;
    struct stop stop;
    struct soft *soft;
    struct vm vm;

    if (vm_create(&vm, &config, &env) || memory_slot_add(&vm.memory, 0, 1 << 20, 0) ||
        !gpa_write(&vm.memory, CODE, loop, sizeof(loop)) || soft_create(&soft, &vm))
        return EXIT_OUR_FAULT;
    vm_start(&vm);
    enter_flat(&vm.vcpus[0]);
    for (unsigned pass = 0; pass < 3; pass++) {
        uint64_t start = bench_now_ns(), took;

        soft_run(soft, INSTRUCTIONS, &stop);
        if (stop.reason != STOP_BUDGET) {
            fprintf(stderr, "bench_cpu: stopped at %#llx: %s\n", (unsigned long long)stop.rip, stop.text);
            return EXIT_OUR_FAULT;
        }
        took = bench_now_ns() - start;
        best = took < best ? took : best;
    }
    bench_print("cpu.mips", 1e3 * INSTRUCTIONS / (double)best, "MIPS",
                "a loop of register instructions, 32-bit");
    soft_destroy(soft);
    vm_destroy(&vm);
    return 0;
}
