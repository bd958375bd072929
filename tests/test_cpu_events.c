/* Exceptions, interrupts and returns of the interpreter, in each mode. Intel SDM vol. 3 ch. 6. */
#include "cpu_fixture.h"

#define RUN(code)                                                                                            \
    do {                                                                                                     \
        FIX_CODE_AT(&f, FIX_CODE, code);                                                                     \
        fix_run_to_hlt(&f);                                                                                  \
    } while (0)

static struct cpu_fixture f;
static void setup(void)
{
    fix_init(&f);
}
static void teardown(void)
{
    fix_done(&f);
}
TestSuite(cpu_events, .init = setup, .fini = teardown);

/* Word n of the frame that the handler sees. */
static uint64_t frame(unsigned n)
{
    return fix_read64(&f, f.regs->gpr[RSP] + 8 * n);
}

Test(cpu_events, a_fault_returns_to_the_instruction_a_trap_behind_it)
{
    RUN("\x31\xc9\xf7\xf1\xf4"); /* xor ecx, ecx; div ecx */
    cr_assert(eq(int, fix_vector(&f), TRAP_DE));
    cr_assert(eq(u64, frame(0), FIX_CODE + 2));
    fix_long_mode(&f);
    RUN("\xcc\xf4"); /* int3 */
    cr_assert(eq(int, fix_vector(&f), TRAP_BP));
    cr_assert(eq(u64, frame(0), FIX_CODE + 1));
}

Test(cpu_events, the_64_bit_frame_is_aligned_and_holds_the_old_stack)
{
    f.regs->gpr[RSP] = FIX_STACK - 4;
    RUN("\x0f\x0b"); /* ud2 */
    cr_assert(eq(int, fix_vector(&f), TRAP_UD));
    cr_assert(eq(u64, f.regs->gpr[RSP], FIX_STACK - 16 - 40));
    cr_assert(eq(u64, frame(1), SEL_CODE64));
    cr_assert(eq(u64, frame(3), FIX_STACK - 4));
    cr_assert(eq(u64, frame(4), SEL_DATA));
}

Test(cpu_events, a_bad_selector_is_named_in_the_error_code)
{
    RUN("\xb8\x58\x00\x00\x00\x8e\xd8\xf4"); /* mov ds, 0x58: outside the table */
    cr_assert(eq(int, fix_vector(&f), TRAP_GP));
    cr_assert(eq(u64, frame(0), 0x58));
    cr_assert(eq(u64, frame(1), FIX_CODE + 5));
}

Test(cpu_events, int_n_needs_the_gates_privilege)
{
    fix_user(&f);
    RUN("\xcd\x80\xf4");
    cr_assert(eq(int, fix_vector(&f), TRAP_GP));
    cr_assert(eq(u64, frame(0), 0x80 * 8 + 2));
    fix_long_mode(&f);
    fix_idt64(&f, 0x80, FIX_HANDLERS + 16 * 0x80, 0xee, 0);
    fix_user(&f);
    RUN("\xcd\x80\xf4");
    cr_assert(eq(int, fix_vector(&f), 0x80));
    cr_assert(eq(u64, f.regs->gpr[RSP], FIX_STACK0 - 40)); /* the TSS's stack, at CPL 0 */
    cr_assert(eq(u64, f.regs->seg[SREG_SS].selector, 0));
    cr_assert(eq(u64, frame(4), SEL_USERDS | 3));
    cr_assert(eq(u64, frame(1), SEL_USER64 | 3));
}

Test(cpu_events, iretq_goes_back_to_the_user)
{
    fix_idt64(&f, 0x80, FIX_HANDLERS + 16 * 0x80, 0xee, 0);
    FIX_CODE_AT(&f, FIX_HANDLERS + 16 * 0x80, "\x48\xcf");
    fix_user(&f);
    f.regs->rflags |= RFLAGS_IF;
    RUN("\xcd\x80\x0f\x0b"); /* int 0x80; ud2 */
    cr_assert(eq(int, fix_vector(&f), TRAP_UD));
    cr_assert(eq(u64, frame(0), FIX_CODE + 2));
    cr_assert(eq(u64, frame(1), SEL_USER64 | 3));
    cr_assert(eq(u64, frame(3), FIX_STACK));
    cr_assert(ne(u64, frame(2) & RFLAGS_IF, 0));
    cr_assert(zero(u64, f.regs->rflags & RFLAGS_IF)); /* interrupt gate */
}

Test(cpu_events, a_trap_gate_keeps_interrupts_enabled)
{
    fix_idt64(&f, TRAP_UD, FIX_HANDLERS + 16 * TRAP_UD, 0x8f, 0);
    f.regs->rflags |= RFLAGS_IF;
    RUN("\x0f\x0b");
    cr_assert(ne(u64, f.regs->rflags & RFLAGS_IF, 0));
}

Test(cpu_events, the_interrupt_stack_table_is_taken)
{
    fix_write64(&f, FIX_TSS + 0x24 + 8, 0xa0000);
    fix_idt64(&f, TRAP_UD, FIX_HANDLERS + 16 * TRAP_UD, 0x8e, 2);
    RUN("\x0f\x0b");
    cr_assert(eq(u64, f.regs->gpr[RSP], 0xa0000 - 40));
}

Test(cpu_events, a_gate_that_is_not_present_becomes_NP_then_a_double_fault)
{
    fix_idt64(&f, TRAP_UD, FIX_HANDLERS + 16 * TRAP_UD, 0x0e, 0);
    RUN("\x0f\x0b");
    cr_assert(eq(int, fix_vector(&f), TRAP_NP));
    cr_assert(eq(u64, frame(0), TRAP_UD * 8 + 3));
    fix_long_mode(&f);
    fix_idt64(&f, TRAP_GP, FIX_HANDLERS + 16 * TRAP_GP, 0x0e, 0);
    RUN("\xb8\x58\x00\x00\x00\x8e\xd8\xf4");
    cr_assert(eq(int, fix_vector(&f), TRAP_DF));
    cr_assert(zero(u64, frame(0)));
}

Test(cpu_events, without_any_handler_the_cpu_shuts_down)
{
    f.regs->idtr.limit = 0;
    FIX_CODE_AT(&f, FIX_CODE, "\x0f\x0b");
    cr_assert(eq(int, fix_run(&f, 100), CPU_EXIT_SHUTDOWN));
}

Test(cpu_events, single_step_traps_after_each_instruction)
{
    /* pushfq; pop rax; or eax, 0x100; push rax; popfq; nop; nop */
    RUN("\x9c\x58\x0d\x00\x01\x00\x00\x50\x9d\x90\x90");
    cr_assert(eq(int, fix_vector(&f), TRAP_DB));
    cr_assert(eq(u64, frame(0), FIX_CODE + 10)); /* after the first NOP */
    cr_assert(ne(u64, f.regs->dr6 & 1 << 14, 0));
    cr_assert(zero(u64, f.regs->rflags & RFLAGS_TF));
}

Test(cpu_events, sti_and_mov_ss_hold_interrupts_off_for_one_instruction)
{
    FIX_CODE_AT(&f, FIX_CODE,
                "\xfb\xb9\x01\x00\x00\x00\xba\x02\x00\x00\x00\xf4"); /* sti; mov ecx, 1; mov edx, 2 */
    fix_run(&f, 1);
    cr_assert(f.regs->shadow);
    cr_assert(eq(int, fix_run(&f, 100), CPU_EXIT_EVENT)); /* the owner looks here, not earlier */
    cr_assert(eq(u64, f.regs->rip, FIX_CODE + 6));
    cr_assert(not(f.regs->shadow));
    fix_long_mode(&f);
    f.regs->gpr[RAX] = SEL_DATA;
    FIX_CODE_AT(&f, FIX_CODE, "\x8e\xd0\xb9\x01\x00\x00\x00\xf4"); /* mov ss, eax */
    fix_run(&f, 1);
    cr_assert(f.regs->shadow);
}

Test(cpu_events, an_external_interrupt_is_taken_between_instructions)
{
    FIX_CODE_AT(&f, FIX_CODE, "\x90\x90\xf4");
    fix_run(&f, 1);
    cr_assert(cpu_deliver(f.cpu, EVENT_INTERRUPT, (struct trap){.vector = 0x41}));
    fix_run_to_hlt(&f);
    cr_assert(eq(int, fix_vector(&f), 0x41));
    cr_assert(eq(u64, frame(0), FIX_CODE + 1));
}

Test(cpu_events, nmis_are_blocked_until_iret)
{
    FIX_CODE_AT(&f, FIX_HANDLERS + 16 * TRAP_NMI, "\x48\xcf");
    FIX_CODE_AT(&f, FIX_CODE, "\xf4");
    cr_assert(cpu_deliver(f.cpu, EVENT_NMI, (struct trap){.vector = TRAP_NMI}));
    cr_assert(not(cpu_nmi_open(f.cpu)));
    fix_run_to_hlt(&f);
    cr_assert(cpu_nmi_open(f.cpu));
    cr_assert(eq(u64, f.regs->rip, FIX_CODE));
}

Test(cpu_events, real_mode_uses_the_vector_table)
{
    fix_real_mode(&f);
    fix_write64(&f, 0x21 * 4, 0x00507b00); /* 0050:7b00 */
    FIX_CODE_AT(&f, 0x7c00, "\xcd\x21\xf4");
    FIX_CODE_AT(&f, 0x500 + 0x7b00, "\x43\xcf"); /* inc bx; iret */
    fix_run_to_hlt(&f);
    cr_assert(eq(u64, f.regs->gpr[RBX], 1));
    cr_assert(eq(u64, f.regs->rip, 0x7c02));
    cr_assert(eq(u64, f.regs->gpr[RSP], 0x7000));
}

Test(cpu_events, protected_mode_switches_stacks_through_the_32_bit_tss)
{
    uint32_t esp0[2] = {0x60000, SEL_DATA};

    fix_protected_mode(&f);
    fix_write(&f, FIX_TSS + 4, esp0, sizeof(esp0));
    fix_write64(&f, FIX_IDT + 8 * 0x31, 0x0001ee0000180000); /* trap... interrupt gate, DPL 3, 0018:10000 */
    FIX_CODE_AT(&f, 0x10000, "\xf4");
    f.regs->seg[SREG_CS] = fix_segment(SEL_USER32 | 3, 0xc0fb, 0xffffffff);
    f.regs->seg[SREG_SS] = fix_segment(SEL_USERDS | 3, 0xc0f3, 0xffffffff);
    f.regs->rip = 0x18000;
    FIX_CODE_AT(&f, 0x18000, "\xcd\x31");
    fix_run_to_hlt(&f);
    cr_assert(eq(u64, f.regs->rip, 0x10000));
    cr_assert(eq(u64, f.regs->gpr[RSP], 0x60000 - 20));
    cr_assert(eq(u64, f.regs->seg[SREG_SS].selector, SEL_DATA));
    cr_assert(eq(u64, fix_read64(&f, 0x60000 - 8), (uint64_t)(SEL_USERDS | 3) << 32 | FIX_STACK));
}

Test(cpu_events, privileged_instructions_fault_for_the_user)
{
    static const char *const code[] = {"\xf4",         "\xfa",     "\xfb",     "\x0f\x30",
                                       "\x0f\x32",     "\x0f\x06", "\x0f\x09", "\x0f\x22\xc0",
                                       "\x0f\x20\xc0", "\xec",     "\xee"};

    for (unsigned n = 0; n < sizeof(code) / sizeof(*code); n++) {
        fix_long_mode(&f);
        fix_user(&f);
        fix_write(&f, FIX_CODE, code[n], strlen(code[n]));
        fix_run_to_hlt(&f);
        cr_assert(eq(int, fix_vector(&f), TRAP_GP), "case %u", n);
        cr_assert(eq(u64, frame(1), FIX_CODE));
    }
}

Test(cpu_events, syscall_and_sysret_switch_between_flat_segments)
{
    f.regs->star = (uint64_t)(SEL_USER32 | 3) << 48 | (uint64_t)SEL_CODE64 << 32;
    f.regs->lstar = FIX_HANDLERS + 0x2000;
    f.regs->sfmask = RFLAGS_IF;
    FIX_CODE_AT(&f, FIX_HANDLERS + 0x2000, "\x48\xff\xc3\x48\x0f\x07"); /* inc rbx; sysretq */
    fix_user(&f);
    f.regs->rflags |= RFLAGS_IF;
    RUN("\x0f\x05\x0f\x0b"); /* syscall; ud2 */
    cr_assert(eq(int, fix_vector(&f), TRAP_UD));
    cr_assert(eq(u64, f.regs->gpr[RBX], 1));
    cr_assert(eq(u64, f.regs->gpr[RCX], FIX_CODE + 2));
    cr_assert(eq(u64, frame(1), SEL_USER64 | 3));
    cr_assert(eq(u64, frame(4), SEL_USERDS | 3));
}

Test(cpu_events, what_is_not_implemented_is_named)
{
    FIX_CODE_AT(&f, FIX_CODE, "\x90\xf2\x48\x0f\x2a\xc0"); /* nop; cvtsi2sd xmm0, rax */
    cr_assert(eq(int, fix_run(&f, 100), CPU_EXIT_UNIMPLEMENTED));
    cr_assert(eq(u64, f.regs->rip, FIX_CODE + 1));
    cr_assert(ne(ptr, strstr(f.exit.text, "cvtsi2sd"), NULL), "%s", f.exit.text);
    cr_assert(ne(ptr, strstr(f.exit.text, "f2480f2ac0"), NULL), "%s", f.exit.text);
}

/* Self-modifying code. */
Test(cpu_events, a_store_into_the_running_block_is_seen_by_the_next_instruction)
{
    /* mov byte [rip + imm of the next], 5; mov eax, 1; hlt */
    RUN("\xc6\x05\x01\x00\x00\x00\x05\xb8\x01\x00\x00\x00\xf4");
    cr_assert(eq(u64, f.regs->gpr[RAX], 5));
}

Test(cpu_events, a_loop_that_patches_its_head_runs_the_new_code)
{
    /* mov ebp, 2; l: mov eax, 1; add ebx, eax; mov byte [l + 1], 7; dec ebp; jnz l; hlt */
    RUN("\xbd\x02\x00\x00\x00\xb8\x01\x00\x00\x00\x01\xc3\xc6\x05\xf3\xff\xff\xff\x07\xff\xcd\x75\xee\xf4");
    cr_assert(eq(u64, f.regs->gpr[RBX], 8));
}

#define ELSEWHERE   (FIX_CODE + 0x1000)
#define STORE_THERE "\xc6\x03\x09\xff\xe1" /* mov byte [rbx], 9; jmp rcx */

/* Behind the interpreter's back, as a host's driver may. */
static void set_behind_its_back(uint64_t gpa, uint8_t byte)
{
    cr_assert(gpa_write(&f.vm.memory, gpa, &byte, 1));
    code_cache_flush(f.cache);
}

static uint64_t run_elsewhere(void)
{
    f.regs->rip = ELSEWHERE;
    fix_run_to_hlt(&f);
    return f.regs->gpr[RAX];
}

Test(cpu_events, code_is_what_memory_holds_after_a_flush)
{
    FIX_CODE_AT(&f, ELSEWHERE, "\xb8\x01\x00\x00\x00\xf4"); /* mov eax, 1; hlt */
    for (unsigned n = 0; n < 6; n++) {
        set_behind_its_back(ELSEWHERE + 1, (uint8_t)(n / 2));
        cr_assert(eq(u64, run_elsewhere(), n / 2));
    }
}

Test(cpu_events, code_that_turned_out_to_be_the_same_is_watched_again)
{
    FIX_CODE_AT(&f, ELSEWHERE, "\xb8\x01\x00\x00\x00\xf4");
    FIX_CODE_AT(&f, FIX_CODE, STORE_THERE);
    cr_assert(eq(u64, run_elsewhere(), 1));
    code_cache_flush(f.cache);
    /* Now the page is data like any other, and its translation lets stores through. */
    f.regs->gpr[RBX] = ELSEWHERE + 0x800;
    f.regs->gpr[RCX] = ELSEWHERE;
    f.regs->rip = FIX_CODE;
    fix_run_to_hlt(&f);
    cr_assert(eq(u64, f.regs->gpr[RAX], 1));
    f.regs->gpr[RBX] = ELSEWHERE + 1;
    f.regs->rip = FIX_CODE;
    fix_run_to_hlt(&f);
    cr_assert(eq(u64, f.regs->gpr[RAX], 9));
}

Test(cpu_events, more_code_than_the_cache_holds_is_run_right)
{
    FIX_CODE_AT(&f, ELSEWHERE, "\xb8\xff\xff\xff\x7f\xf4");
    cr_assert(eq(u64, run_elsewhere(), 0x7fffffff)); /* the first of its blocks, and used all the time */
    for (unsigned n = 0; n < 20000; n++) {
        uint8_t code[] = {0xb8, (uint8_t)n, (uint8_t)(n >> 8), 0, 0, 0xf4};

        fix_write(&f, FIX_DATA + 16 * n, code, sizeof(code));
        f.regs->rip = FIX_DATA + 16 * n;
        cr_assert(eq(int, fix_run(&f, 10), CPU_EXIT_HLT));
        cr_assert(eq(u64, f.regs->gpr[RAX], n));
        cr_assert(eq(u64, run_elsewhere(), 0x7fffffff));
    }
}

Test(cpu_events, code_that_crosses_a_page_follows_its_second_half)
{
    uint64_t at = FIX_CODE + 0x1000 - 2; /* mov eax, imm32 with three bytes in the next page */

    for (unsigned n = 1; n <= 2; n++) {
        uint8_t code[] = {0xb8, 0, 0, 0, 0x10, 0xf4};
        uint8_t imm = (uint8_t)n;

        FIX_CODE_AT(&f, FIX_CODE, "\xff\xe3"); /* jmp rbx */
        fix_write(&f, at, code, sizeof(code));
        cr_assert(gpa_write(&f.vm.memory, at + 3, &imm, 1)); /* nobody tells the cache */
        f.regs->gpr[RBX] = at;
        f.regs->rip = FIX_CODE;
        fix_run_to_hlt(&f);
        cr_assert(eq(u64, f.regs->gpr[RAX], 0x10000000 | n << 16));
    }
}
