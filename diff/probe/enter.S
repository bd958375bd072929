/* Into the mode of an action and back: enter_*(cpu) loads the registers of a frame and starts it; any trap or interrupt
 * brings control back as the return of that call, with the frame filled in. Intel SDM vol. 3 ch. 6, 10.9, 21. */
#include "layout.h"

#define MSR_EFER 0xc0000080
#define EFER_LME 0x100
#define CR0_PE   0x1
#define CR0_PG   0x80000000

/* Vectors for which the CPU pushes an error code itself. */
#define HAS_ERROR(n) ((n) == 8 || ((n) >= 10 && (n) <= 14) || (n) == 17 || (n) == 21 || (n) == 29 || (n) == 30)

    .text
    .code64

    .macro save_c
    pushq %rbx
    pushq %rbp
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, CPU_C_RSP(%rdi)
    .endm

    .macro restore_c_and_return /* rdi: cpu */
    movq CPU_C_RSP(%rdi), %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbp
    popq %rbx
    ret
    .endm

/* void enter_64(struct cpu *cpu): 64-bit and compatibility mode, either ring. */
    .globl enter_64
enter_64:
    save_c
    movq %rdi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rbp
    popq %rbx
    popq %rdx
    popq %rcx
    popq %rax
    addq $16, %rsp /* vector, error */
    iretq

    .balign 16
    .globl stubs_64
stubs_64: /* 16 bytes each */
    .set n, 0
    .rept 256
    .balign 16
    .if !HAS_ERROR(n)
    pushq $0
    .endif
    pushq $n
    jmp trap_64
    .set n, n + 1
    .endr

trap_64:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rbx
    pushq %rbp
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    cld
    movq %rsp, %rdi
    cmpl $0, CPU_ENTERED(%rdi)
    je trap_in_probe
    movl $0, CPU_ENTERED(%rdi)
    restore_c_and_return

trap_in_probe: /* a mistake of ours, or a guest that wrote over us */
    andq $-16, %rsp
    call cpu_panic

/* NMIs have a stack of their own: they may meet the probe's C code, which must not notice. */
    .globl stub_nmi
stub_nmi:
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    leaq (9 * 8 + 5 * 8 - CPU_NMI_END)(%rsp), %rdi /* the CPU began to push at CPU_NMI_END */
    cld
    call cpu_nmi
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    iretq

/* Out of long mode, to 32-bit code without paging; edi: cpu. */
    .macro leave_long_mode
    pushq $SEL_CODE32
    pushq $1f
    lretq
    .code32
1:  movl %cr0, %eax
    andl $~CR0_PG, %eax
    movl %eax, %cr0
    movw $SEL_DATA, %ax
    movw %ax, %ss
    movw $SEL_UDATA, %ax
    movw %ax, %ds
    movw %ax, %es
    .endm

/* void enter_32(struct cpu *cpu): protected mode, paging off, either ring. */
    .globl enter_32
enter_32:
    save_c
    leave_long_mode
    lidtl idt32_pointer
    leal CPU_FRAME32(%edi), %esp
    popal
    addl $8, %esp
    iretl

    .balign 16
    .globl stubs_32
stubs_32:
    .set n, 0
    .rept 256
    .balign 16
    .if !HAS_ERROR(n)
    pushl $0
    .endif
    pushl $n
    jmp trap_32
    .set n, n + 1
    .endr

trap_32:
    pushal
    leal -CPU_FRAME32(%esp), %edi

/* Back to long mode; edi: cpu. LME is set again because the action may have cleared it. */
return_to_long_mode:
    cld
    movw $SEL_UDATA, %ax
    movw %ax, %ds
    movw %ax, %es
    movl $0, CPU_ENTERED(%edi)
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_LME, %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PG, %eax
    movl %eax, %cr0
    lidtl idt_pointer
    ljmpl $SEL_CODE64, $2f
    .code64
2:  movl %edi, %edi
    restore_c_and_return

/* void enter_16(struct cpu *cpu): real mode, CS base 0; DS and ES keep their 4 GiB limits (flat real mode). */
    .globl enter_16
enter_16:
    save_c
    leave_long_mode
    movw $SEL_DATA16, %ax
    movw %ax, %ss
    ljmpl $SEL_CODE16, $(3f - LOAD_BASE)
    .code16
3:  addr32 lidtl ivt_pointer
    movl %cr0, %eax
    andl $~CR0_PE, %eax
    movl %eax, %cr0
    ljmp $LOAD_SEG, $(4f - LOAD_BASE)
4:  xorw %ax, %ax
    movw %ax, %ss
    leal CPU_FRAME16(%edi), %esp
    popal
    addw $2, %sp
    iretw

    .balign 16
    .globl stubs_16
stubs_16: /* 8 bytes each */
    .set n, 0
    .rept 256
    .balign 8
    pushw $n
    jmp trap_16
    .set n, n + 1
    .endr

trap_16:
    pushal
    leal -CPU_FRAME16(%esp), %edi
    movl %cr0, %eax
    orl $CR0_PE, %eax
    movl %eax, %cr0
    ljmpl $SEL_CODE32, $5f
    .code32
5:  movw $SEL_DATA, %ax
    movw %ax, %ss
    jmp return_to_long_mode

    .section .note.GNU-stack, "", @progbits
