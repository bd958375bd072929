/* The instruction families: what each offers to the opcode table, and the handlers that decoding itself needs. */
#ifndef VMM_CPU_EXEC_H
#define VMM_CPU_EXEC_H

#include "vmm/cpu/decode.h"

exec_fn exec_unimplemented, exec_ud, exec_gp;

/* exec_move.c */
pick_fn pick_mov, pick_movzx, pick_movsx, pick_lea, pick_cmov, pick_setcc, pick_bswap, pick_convert,
    pick_double, pick_xlat, pick_movbe;
/* exec_alu.c: arg is enum alu_op, enum unary_op */
enum alu_op { ALU_ADD, ALU_OR, ALU_ADC, ALU_SBB, ALU_AND, ALU_SUB, ALU_XOR, ALU_CMP, ALU_TEST, ALU_OPS };
enum unary_op { UNARY_INC, UNARY_DEC, UNARY_NEG, UNARY_NOT, UNARY_OPS };
pick_fn pick_alu, pick_unary;
/* exec_exchange.c */
pick_fn pick_xchg, pick_xadd, pick_cmpxchg, pick_cmpxchg_wide;
/* exec_shift.c */
enum shift_op { SHIFT_ROL, SHIFT_ROR, SHIFT_RCL, SHIFT_RCR, SHIFT_SHL, SHIFT_SHR, SHIFT_SAR, SHIFT_OPS };
pick_fn pick_shift, pick_double_shift;
/* exec_muldiv.c */
pick_fn pick_mul, pick_imul, pick_div, pick_idiv;
/* exec_bcd.c */
enum bcd_op { BCD_DAA, BCD_DAS, BCD_AAA, BCD_AAS, BCD_AAM, BCD_AAD };
pick_fn pick_bcd;
/* exec_bit.c */
enum bit_op { BIT_TEST, BIT_SET, BIT_RESET, BIT_COMPLEMENT };
enum scan_op { SCAN_BSF, SCAN_BSR, SCAN_TZCNT, SCAN_LZCNT, SCAN_POPCNT };
pick_fn pick_bit, pick_scan;
/* exec_branch.c */
pick_fn pick_jmp, pick_jcc, pick_call, pick_ret, pick_loop, pick_jcxz;
/* exec_stack.c */
pick_fn pick_push, pick_pop, pick_pusha, pick_popa, pick_pushf, pick_popf, pick_enter, pick_leave;
/* exec_string.c: arg is enum string_op */
enum string_op { STRING_MOVS, STRING_STOS, STRING_LODS, STRING_SCAS, STRING_CMPS, STRING_INS, STRING_OUTS };
pick_fn pick_string;
/* exec_flags.c */
enum flag_op {
    FLAG_CLC,
    FLAG_STC,
    FLAG_CMC,
    FLAG_CLD,
    FLAG_STD,
    FLAG_CLI,
    FLAG_STI,
    FLAG_LAHF,
    FLAG_SAHF,
    FLAG_CLAC,
    FLAG_STAC,
    FLAG_OPS
};
pick_fn pick_flag;
/* exec_io.c */
pick_fn pick_in, pick_out;
bool io_allowed(struct cpu *cpu, uint16_t port, unsigned size); /* else #GP is raised */
/* exec_system.c */
enum system_op {
    SYSTEM_NOP,
    SYSTEM_HLT,
    SYSTEM_PAUSE,
    SYSTEM_CPUID,
    SYSTEM_RDMSR,
    SYSTEM_WRMSR,
    SYSTEM_RDTSC,
    SYSTEM_RDTSCP,
    SYSTEM_VMCALL,
    SYSTEM_VMMCALL,
    SYSTEM_CACHE,
    SYSTEM_INVLPG,
    SYSTEM_CLFLUSH,
    SYSTEM_CLTS,
    SYSTEM_SWAPGS,
    SYSTEM_UD,
    SYSTEM_XGETBV,
    SYSTEM_XSETBV,
    SYSTEM_FPU,
    SYSTEM_OPS
};
pick_fn pick_system;
/* exec_control.c */
enum table_op { TABLE_LGDT, TABLE_LIDT, TABLE_SGDT, TABLE_SIDT };
pick_fn pick_table, pick_smsw, pick_lmsw, pick_fsgsbase;
exec_fn exec_mov_from_cr, exec_mov_to_cr, exec_mov_from_dr, exec_mov_to_dr;
/* exec_segment.c */
pick_fn pick_load_far, pick_ltr, pick_lldt, pick_str, pick_sldt, pick_verify, pick_lar, pick_lsl;
exec_fn exec_mov_to_sreg, exec_mov_from_sreg, exec_push_sreg, exec_pop_sreg;
/* exec_far.c */
exec_fn exec_jmp_far, exec_call_far, exec_ret_far;
pick_fn pick_iret;
/* exec_int.c */
pick_fn pick_int, pick_int3, pick_int1, pick_into;
/* exec_syscall.c */
pick_fn pick_syscall, pick_sysret, pick_sysenter, pick_sysexit;

#endif
